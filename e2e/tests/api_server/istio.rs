//! What istioctl finds in what is for Istio: more than a schema sees, such as names that lead nowhere. It needs a cluster
//! that has all of it: with files alone it skips, without a word, whatever has to know of Services or pods.

use std::fs;
use std::path::Path;
use std::process::Stdio;

use emojivoto_e2e::manifests::{at, documents, group, kind, pods};
use emojivoto_e2e::wait;
use serde_json::{Value, json};

use crate::cluster::Cluster;
use crate::refusals::with;
use crate::{RENDERED, Rendered, pod, yaml};

/// What it says of pods without a proxy. Here nobody injects any.
const NO_PROXY: &str = "IST0103";

pub(crate) fn finds_nothing_wrong(cluster: &Cluster) {
    let rendered = RENDERED.iter().filter(|rendered| rendered.objects.iter().any(is_istios));
    let mut seen = 0;
    for Rendered { directory, objects, .. } in rendered {
        cluster.holding(&running(objects), || {
            assert_eq!(analyze(cluster, &[]), [""; 0], "{}", directory.display());
        });
        seen += 1;
    }
    assert!(seen >= 5, "only {seen} are for Istio");
}

pub(crate) fn finds_what_is_wrong(cluster: &Cluster) {
    let policy = RENDERED.iter().find(|rendered| rendered.directory.ends_with("istio-policy"));
    let objects = &policy.expect("the variant").objects;
    cluster.holding(&running(objects), || {
        for (wanted, pointer, wrong, finding) in [
            (
                "VirtualService",
                "/spec/http/0/route/0/destination/host",
                json!("ballot-svc"),
                r#"IST0101 Referenced host not found: "ballot-svc""#,
            ),
            (
                "VirtualService",
                "/spec/http/0/route/0/destination/port/number",
                json!(8081),
                r#"IST0101 Referenced host:port not found: "voting-svc:8081""#,
            ),
            (
                "Telemetry",
                "/spec/selector/matchLabels/app",
                json!("ballot-svc"),
                r#"IST0101 Referenced selector not found: "app=ballot-svc""#,
            ),
            (
                "AuthorizationPolicy",
                "/spec/selector/matchLabels/app",
                json!("ballot-svc"),
                "IST0127 No matching workloads for this resource with the following labels: app=ballot-svc",
            ),
        ] {
            let object = objects.iter().find(|object| kind(object) == wanted);
            let object = with(object.expect(wanted), pointer, wrong);
            assert_eq!(analyze(cluster, &[object]), [finding], "{wanted}");
        }
    });
}

/// The objects, and the pods that controllers would make of them.
fn running(objects: &[Value]) -> Vec<Value> {
    let ambient = objects
        .iter()
        .any(|object| at(object, "/metadata/labels")["istio.io/dataplane-mode"] == "ambient");
    let pods = pods(objects).map(|workload| {
        let mut pod = pod(workload);
        if ambient {
            // As Istio says once it takes care of a pod.
            pod["metadata"]["annotations"]["ambient.istio.io/redirection"] = json!("enabled");
        }
        pod
    });
    objects.iter().cloned().chain(pods).collect()
}

fn is_istios(object: &Value) -> bool {
    group(object).ends_with(".istio.io")
}

/// What it finds in the cluster, where these objects are instead of those of the same names.
fn analyze(cluster: &Cluster, instead: &[Value]) -> Vec<String> {
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join("istio.yml");
    fs::write(&file, yaml(instead)).expect("it is writable");
    let mut istioctl = cluster.istioctl();
    istioctl.args(["analyze", "--output=json"]).arg(&file);
    istioctl.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = istioctl.spawn().expect("istioctl starts");
    let output = wait(child, &format!("{istioctl:?}"));
    let found = String::from_utf8_lossy(&output.stdout);
    let found = documents(&found).remove(0);
    let found = found.as_array().unwrap_or_else(|| panic!("{output:?}"));
    let found = found.iter().filter(|finding| finding["code"] != NO_PROXY);
    let text = |finding: &Value, key: &str| finding[key].as_str().unwrap_or_default().to_owned();
    found.map(|finding| format!("{} {}", text(finding, "code"), text(finding, "message"))).collect()
}
