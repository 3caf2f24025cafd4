//! As much of a cluster as takes manifests: an API server and its etcd. Nothing would run the pods.

use std::fs;
use std::future::ready;
use std::path::PathBuf;
use std::process::{self, Command, Stdio};

use emojivoto_e2e::manifests::{kind, name};
use emojivoto_e2e::{Program, free_ports, root, run, tool};
use emojivoto_testkit::eventually;
use serde_json::{Value, json};

use crate::yaml;

/// Where all manifests belong.
pub(crate) const NAMESPACE: &str = "emojivoto";

/// Whoever has it may do everything.
const TOKEN: &str = "admin";

/// A running API server. It ends with the test.
pub(crate) struct Cluster {
    // They end in this order.
    server: Program,
    _etcd: Program,
    directory: PathBuf,
}

impl Cluster {
    /// One that behaves like this version of Kubernetes, and knows all the CRDs, the Gateway API's of this folder.
    pub(crate) async fn start(kubernetes: &str, gateway_api: &str) -> Self {
        let folder =
            |what: &str| Program::directory(&format!("{what}-{gateway_api}-{}", process::id()));
        let [port, etcd_port, peer_port] = free_ports();
        let (etcd_url, peer_url) =
            (format!("http://127.0.0.1:{etcd_port}"), format!("http://127.0.0.1:{peer_port}"));
        let mut etcd = Command::new(tool("etcd"));
        etcd.args(["--data-dir=data", "--logger=zap", "--log-level=error"])
            .arg(format!("--listen-client-urls={etcd_url}"))
            .arg(format!("--advertise-client-urls={etcd_url}"))
            .arg(format!("--listen-peer-urls={peer_url}"))
            .arg(format!("--initial-advertise-peer-urls={peer_url}"))
            .arg(format!("--initial-cluster=default={peer_url}"))
            .env_clear();
        let etcd = Program::start(&mut etcd, folder("etcd"));

        let directory = folder("api-server");
        fs::write(directory.join("tokens"), format!("{TOKEN},admin,admin,system:masters\n"))
            .expect("writable");
        fs::write(directory.join("config"), config(port).to_string()).expect("writable");
        let mut server = Command::new(tool("kube-apiserver"));
        server
            .arg(format!("--etcd-servers={etcd_url}"))
            .arg(format!("--emulated-version={kubernetes}"))
            .args(["--bind-address=127.0.0.1", "--endpoint-reconciler-type=none"])
            .arg(format!("--secure-port={port}"))
            // It makes a certificate and a key for itself.
            .arg("--cert-dir=certificates")
            .args(["--token-auth-file=tokens", "--anonymous-auth=false"])
            .arg("--authorization-mode=RBAC")
            .arg("--service-account-issuer=https://kubernetes.default.svc")
            .arg("--service-account-key-file=certificates/apiserver.key")
            .arg("--service-account-signing-key-file=certificates/apiserver.key")
            .arg("--service-cluster-ip-range=10.0.0.0/24")
            // Admission has to refuse what is privileged, not this flag.
            .arg("--allow-privileged")
            .env_clear();
        let server = Program::start(&mut server, directory.clone());
        let mut cluster = Self { server, _etcd: etcd, directory };

        let is_ready = || {
            cluster.server.log(); // fails if it has ended
            ready(cluster.asks(&["get", "--raw", "/readyz"]))
        };
        eventually("the API server is ready", is_ready).await;
        cluster.learn(gateway_api).await;
        // A controller would make the account.
        cluster.keep(&[namespace(), account("default")]);
        cluster
    }

    /// Teaches it what is not Kubernetes' own.
    async fn learn(&self, gateway_api: &str) {
        let crds = root().join("target/tools/crds");
        let folders = [gateway_api, "istio", "prometheus-operator", "flagger", "argo-rollouts"];
        let mut apply = self.kubectl();
        apply.args(["apply", "--server-side", "--recursive"]);
        for folder in folders {
            apply.arg("--filename").arg(crds.join(folder));
        }
        run(&mut apply);
        run(self.kubectl().args(["wait", "--for=condition=Established", "crd", "--all"]));
        let names = run(self.kubectl().args(["get", "crd", "--output=name"]));
        let names: Vec<_> = names.lines().filter_map(|line| line.split('/').nth(1)).collect();
        // What is established is not served at once.
        let names = names.join(",");
        let are_served = || ready(self.asks(&["get", &names]));
        eventually("the API server serves all of the CRDs", are_served).await;
    }

    /// Whether it would take these objects as they are, without any warning; and else what it says. Pods among them find
    /// the ServiceAccounts among them, and `default`.
    pub(crate) fn takes(&self, objects: &[Value]) -> Result<(), String> {
        let accounts = objects.iter().filter(|object| kind(object) == "ServiceAccount");
        let accounts: Vec<_> = accounts.map(|object| account(name(object))).collect();
        self.keep(&accounts);
        let said = self.apply(objects, &["--dry-run=server", "--validate=strict"]);
        self.forget(&accounts);
        let taken = said.matches(" serverside-applied (server dry run)\n").count();
        let clean = taken == said.lines().count() && taken == objects.len();
        if clean { Ok(()) } else { Err(said) }
    }

    /// Does something while these objects are there.
    pub(crate) fn holding(&self, objects: &[Value], act: impl FnOnce()) {
        self.keep(objects);
        act();
        // A namespace without its controllers cannot be removed.
        self.keep(&[namespace()]);
        let others = objects.iter().filter(|object| kind(object) != "Namespace");
        self.forget(&others.cloned().collect::<Vec<_>>());
    }

    /// Puts objects there.
    fn keep(&self, objects: &[Value]) {
        let said = self.apply(objects, &[]);
        assert_eq!(said.matches(" serverside-applied\n").count(), objects.len(), "{said}");
    }

    /// Removes objects, which are there.
    fn forget(&self, objects: &[Value]) {
        if !objects.is_empty() {
            run(self
                .kubectl()
                .args(["delete", "--wait=false", "--filename"])
                .arg(self.file(objects)));
        }
    }

    /// All that `kubectl apply` says.
    fn apply(&self, objects: &[Value], arguments: &[&str]) -> String {
        if objects.is_empty() {
            return String::new();
        }
        let mut apply = self.kubectl();
        apply
            .args(["apply", "--server-side", "--filename"])
            .arg(self.file(objects))
            .args(arguments);
        apply.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = apply.spawn().expect("kubectl starts");
        let output = emojivoto_e2e::wait(child, &format!("{apply:?}"));
        [output.stdout, output.stderr]
            .map(|said| String::from_utf8_lossy(&said).into_owned())
            .concat()
    }

    fn file(&self, objects: &[Value]) -> PathBuf {
        let file = self.directory.join("objects.yml");
        fs::write(&file, yaml(objects)).expect("writable");
        file
    }

    /// Whether kubectl succeeds with this.
    fn asks(&self, arguments: &[&str]) -> Option<()> {
        let mut kubectl = self.kubectl();
        let output = kubectl.args(arguments).output().expect("kubectl starts");
        output.status.success().then_some(())
    }

    fn kubectl(&self) -> Command {
        let mut kubectl = self.command("kubectl");
        kubectl.arg("--cache-dir").arg(self.directory.join("cache"));
        kubectl
    }

    pub(crate) fn istioctl(&self) -> Command {
        self.command("istioctl")
    }

    fn command(&self, name: &str) -> Command {
        let mut command = Command::new(tool(name));
        command.arg("--kubeconfig").arg(self.directory.join("config"));
        command.args(["--namespace", NAMESPACE]);
        command
    }
}

/// How kubectl finds the server on this port.
fn config(port: u16) -> Value {
    let server = format!("https://127.0.0.1:{port}");
    json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{
            "name": "test",
            "cluster": {"server": server, "certificate-authority": "certificates/apiserver.crt"},
        }],
        "users": [{"name": "admin", "user": {"token": TOKEN}}],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "admin"}}],
        "current-context": "test",
    })
}

/// Where pods are refused that do not meet the standard. For what makes pods, there is only a warning.
fn namespace() -> Value {
    let labels = json!({
        "pod-security.kubernetes.io/enforce": "restricted",
        "pod-security.kubernetes.io/warn": "restricted",
    });
    json!({
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": NAMESPACE, "labels": labels},
    })
}

fn account(name: &str) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": {"name": name, "namespace": NAMESPACE},
    })
}
