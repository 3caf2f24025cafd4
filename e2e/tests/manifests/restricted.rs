//! The `restricted` level of Kubernetes' Pod Security Standards, `baseline` included.
//! <https://kubernetes.io/docs/concepts/security/pod-security-standards/>

use serde_json::Value;

use emojivoto_e2e::manifests::{at, list};

/// What a cluster that enforces `restricted` would object to in a pod's `spec`.
pub(super) fn violations(pod: &Value) -> Vec<String> {
    let mut found = Vec::new();
    let mut check = |fine: bool, what: String| {
        if !fine {
            found.push(what);
        }
    };
    for field in ["hostNetwork", "hostPID", "hostIPC"] {
        check(pod[field] != true, field.to_owned());
    }
    for volume in list(&pod["volumes"]) {
        let allowed = [
            "configMap",
            "csi",
            "downwardAPI",
            "emptyDir",
            "ephemeral",
            "persistentVolumeClaim",
            "projected",
            "secret",
        ];
        check(
            allowed.iter().any(|kind| !volume[kind].is_null()),
            format!("volume {}", volume["name"]),
        );
    }
    check(at(pod, "/securityContext/sysctls").is_null(), "sysctls".to_owned());

    let kinds = ["containers", "initContainers", "ephemeralContainers"];
    for container in kinds.iter().flat_map(|kind| list(&pod[kind])) {
        let name = &container["name"];
        let own = &container["securityContext"];
        // A container's own setting wins over the pod's.
        let effective = |field: &str| {
            if own[field].is_null() {
                at(pod, "/securityContext").get(field)
            } else {
                Some(&own[field])
            }
        };

        check(own["privileged"] != true, format!("{name}: privileged"));
        check(
            own["allowPrivilegeEscalation"] == false,
            format!("{name}: allowPrivilegeEscalation"),
        );
        check(
            list(at(own, "/capabilities/drop")).iter().any(|c| c == "ALL"),
            format!("{name}: capabilities kept"),
        );
        check(
            list(at(own, "/capabilities/add")).iter().all(|c| c == "NET_BIND_SERVICE"),
            format!("{name}: capabilities added"),
        );
        check(
            effective("runAsNonRoot").is_some_and(|value| value == true),
            format!("{name}: runAsNonRoot"),
        );
        check(effective("runAsUser").is_none_or(|user| user != 0), format!("{name}: runAsUser"));
        check(
            effective("seccompProfile")
                .is_some_and(|p| p["type"] == "RuntimeDefault" || p["type"] == "Localhost"),
            format!("{name}: seccompProfile"),
        );
        for field in ["seLinuxOptions", "appArmorProfile", "windowsOptions"] {
            check(effective(field).is_none(), format!("{name}: {field}"));
        }
        check(own["procMount"].is_null(), format!("{name}: procMount"));
        check(
            list(&container["ports"]).iter().all(|port| port["hostPort"].is_null()),
            format!("{name}: hostPort"),
        );
    }
    found
}

#[test]
fn the_check_itself_finds_what_is_wrong() {
    use serde_json::json;

    let good = json!({
        "securityContext": {"runAsNonRoot": true, "runAsUser": 1, "seccompProfile": {"type": "RuntimeDefault"}},
        "volumes": [{"name": "scratch", "emptyDir": {}}],
        "containers": [{
            "name": "c",
            "ports": [{"containerPort": 1}],
            "securityContext": {"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}},
        }],
    });
    assert_eq!(violations(&good), [""; 0]);

    for (place, key, value) in [
        ("", "hostNetwork", json!(true)),
        ("", "volumes", json!([{"name": "host", "hostPath": {"path": "/"}}])),
        ("", "initContainers", json!([{"name": "bare"}])),
        ("/securityContext", "runAsNonRoot", json!(false)),
        ("/securityContext", "runAsUser", json!(0)),
        ("/securityContext", "seccompProfile", json!({"type": "Unconfined"})),
        ("/containers/0", "ports", json!([{"containerPort": 1, "hostPort": 1}])),
        ("/containers/0/securityContext", "runAsNonRoot", json!(false)),
        ("/containers/0/securityContext", "runAsUser", json!(0)),
        ("/containers/0/securityContext", "privileged", json!(true)),
        ("/containers/0/securityContext", "allowPrivilegeEscalation", Value::Null),
        ("/containers/0/securityContext", "capabilities", json!({"drop": ["CHOWN"]})),
        ("/containers/0/securityContext/capabilities", "add", json!(["NET_ADMIN"])),
    ] {
        let mut bad = good.clone();
        bad.pointer_mut(place).expect("the place exists")[key] = value;
        assert_ne!(violations(&bad), [""; 0], "{place}/{key}");
    }
}
