//! The drills: their form, their commands held against the manifests, their queries asked of a real Prometheus; what needs no cluster
//! is walked. And `docs/drills/walk`, which walks them anywhere.

use std::path::{Path, PathBuf};

use emojivoto_e2e::{
    drills::{Drill, drills, folder, syllabus, written},
    manifests::read,
    root,
};

mod calls;
mod form;
mod locally;
mod names;
mod queries;
mod walker;

#[test]
fn drills_have_the_form_of_drills() {
    let all = drills();
    let found = all.iter().flat_map(|drill| named(drill, form::complaints(drill)));
    assert_eq!(found.collect::<Vec<_>>(), [""; 0]);
}

#[test]
fn what_the_commands_name_is_there() {
    let all = drills();
    let found = all.iter().flat_map(|drill| named(drill, commands(drill)));
    assert_eq!(found.collect::<Vec<_>>(), [""; 0]);
}

#[test]
fn the_syllabus_lists_every_drill_as_it_is() {
    let syllabus = syllabus();
    assert_eq!(form::links_and_syntax(&syllabus), [""; 0]);
    // What it installs is there to stay.
    let mut found = commands(&syllabus);
    found.retain(|complaint| !complaint.contains("no “Clean up” undoes it"));
    assert_eq!(found, [""; 0]);
    assert_eq!(not_as_listed(&syllabus.text, &drills()), [""; 0]);
}

/// The first one, at least: later ones may name what it was about.
#[test]
fn the_first_drill_does_not_give_the_answer_away() {
    let text = read(&folder().join("find-the-failing-vote.md"));
    let (seen, answer) = form::unfolded(&text);
    assert!(!seen.to_lowercase().contains("doughnut"));
    assert!(answer.contains("`VoteDoughnut`"), "{answer}");
}

#[test]
fn the_first_drill_has_its_pictures() {
    let text = read(&folder().join("find-the-failing-vote.md"));
    assert!(text.contains("](../img/linkerd-namespace.png)"));
    assert!(text.contains("](../img/linkerd-voting.png)"));
}

const GOOD: &str = r#"# A drill

Something is to be found out.

| | |
|---|---|
| needs | a cluster with Linkerd |
| time | 10 minutes |
| teaches | looking |

## 1. Look

```sh
kubectl apply -k k8s/variants/redis-votes
kubectl -n emojivoto rollout status deploy/voting --timeout 2m
kubectl -n emojivoto set env deploy/voting FAILURE_RATE=0
kubectl -n emojivoto logs deploy/web -c web-svc
kubectl -n emojivoto get pods -l app=vote-bot
METHOD=VoteJoy
kubectl apply -f - <<EOF
apiVersion: gateway.networking.k8s.io/v1
kind: GRPCRoute
metadata:
  name: joy
  namespace: emojivoto
spec:
  parentRefs:
    - {group: "", kind: Service, name: voting-svc, port: 8080}
  rules:
    - matches:
        - method: {service: emojivoto.v1.VotingService, method: $METHOD}
      backendRefs:
        - {name: voting-svc, port: 8080}
EOF
linkerd viz -n emojivoto stat-outbound deploy/web
```

```sh background
kubectl -n emojivoto port-forward svc/web-svc 8081:80
```

```output
Forwarding from …
```

```sh
curl -s localhost:8081/api/leaderboard
kubectl -n emojivoto delete grpcroute joy
```

<details>
<summary>The answer</summary>

It is [there](#1-look), in the [README](../../README.md).

</details>

## Clean up

```sh
kubectl delete -k k8s/variants/redis-votes
```
"#;

#[test]
fn bad_drills_are_refused() {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("bad-drills");
    assert_eq!(everything_wrong(&folder, GOOD), [""; 0]);
    for (good, bad, complaint) in [
        ("# A drill\n", "A drill\n", "it has no title"),
        ("| needs | a cluster with Linkerd |\n", "", "does not say what it needs"),
        ("| teaches | looking |\n", "| teaches | |\n", "does not say what it teaches"),
        ("| 10 minutes |", "| 40 minutes |", "it does not take `10 minutes` to `20 minutes`"),
        ("<summary>The answer</summary>", "", "no answer is folded"),
        ("## Clean up", "## The end", "does not end with “Clean up”"),
        ("](#1-look)", "](#2-look)", "the link #2-look leads nowhere"),
        ("README.md)", "READYOU.md)", "the link ../../READYOU.md leads nowhere"),
        ("EOF\nlinkerd viz", "linkerd viz", "here-document"),
        ("curl -s", "for curl -s", "syntax error"),
        ("curl -s", "wget -q", "no reader needs to have `wget`"),
        (
            "apply -k k8s/variants/redis-votes",
            "apply -k k8s/variants/valkey",
            "no kustomization in `k8s/variants/valkey`",
        ),
        (
            "apply -k k8s/variants/redis-votes",
            "apply -f k8s/base/voting-svc.yml",
            "no file `k8s/base/voting-svc.yml`",
        ),
        (
            "status deploy/voting",
            "status deploy/voting-svc",
            "no Deployment voting-svc in the namespace “emojivoto”",
        ),
        ("status deploy/voting", "status workload/voting", "`workload` is no kind"),
        ("-n emojivoto get pods", "-n emoji get pods", "no namespace “emoji”"),
        (
            "kubectl -n emojivoto logs",
            "kubectl logs",
            "no Deployment web in the namespace “default”",
        ),
        ("-c web-svc", "-c web", "no container web"),
        ("app=vote-bot", "app=bot", "nothing has the labels `app=bot`"),
        ("FAILURE_RATE", "FAILURES", "README knows no setting FAILURES"),
        (
            "METHOD=VoteJoy",
            "METHOD=VoteJoyful",
            "proto/ has no emojivoto.v1.VotingService/VoteJoyful",
        ),
        (
            "        - {name: voting-svc, port: 8080}",
            "        - {name: votes, port: 8080}",
            "refers to Service votes",
        ),
        (
            "        - {name: voting-svc, port: 8080}",
            "        - {name: voting-svc, port: 80}",
            "voting-svc has no port 80",
        ),
        ("spec:\n  parentRefs:", "spec: [\n  parentRefs:", "this is no YAML"),
        ("kind: GRPCRoute\n", "", "an object without apiVersion, kind or name"),
        ("  namespace: emojivoto\nspec", "spec", "joy is in no namespace that is there"),
        ("stat-outbound deploy/web", "stat-outbound deploy/webs", "no Deployment webs"),
        ("stat-outbound", "statistics", "no such command: linkerd viz statistics"),
        ("8081:80", "8081:8080", "svc/web-svc has no port 8080"),
        ("localhost:8081/api", "localhost:8082/api", "nothing of this drill listens on port 8082"),
        ("delete grpcroute joy", "delete grpcroute joys", "no GRPCRoute joys"),
        (
            "kubectl delete -k k8s/variants/redis-votes",
            "kubectl -n emojivoto delete deploy web",
            "no “Clean up” undoes it: delete Deployment emojivoto voting",
        ),
    ] {
        assert!(GOOD.contains(good), "{good}");
        let found = everything_wrong(&folder, &GOOD.replacen(good, bad, 1));
        assert!(
            found.iter().any(|found| found.contains(complaint)),
            "{bad}: no “{complaint}”: {found:#?}"
        );
    }
}

#[test]
fn a_bad_syllabus_is_refused() {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("bad-syllabus");
    let drill = written(&folder, GOOD);
    let good = "| 1 | [A drill](example.md) | looking | a cluster with Linkerd | 10 minutes |\n";
    let drills = [drill];
    assert_eq!(not_as_listed(good, &drills), [""; 0]);
    for bad in [
        "",
        &good.replace("10", "15"),
        &good.replace("Linkerd", "Istio"),
        &good.replace("looking", "seeing"),
    ] {
        assert_eq!(not_as_listed(bad, &drills).len(), 1, "{bad}");
    }
}

fn everything_wrong(folder: &Path, text: &str) -> Vec<String> {
    let drill = written(folder, text);
    [form::complaints(&drill), commands(&drill)].concat()
}

/// What is wrong with the commands of a drill.
fn commands(drill: &Drill) -> Vec<String> {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("calls").join(drill.name());
    let (calls, unknown) = calls::calls(drill, &folder);
    let unknown = unknown.iter().map(|program| format!("no reader needs to have `{program}`"));
    unknown.chain(names::complaints(drill, &calls)).collect()
}

/// The drills that are not in the table of the syllabus, or otherwise than they say of themselves.
fn not_as_listed(syllabus: &str, drills: &[Drill]) -> Vec<String> {
    let listed = |drill: &&Drill| {
        let title = drill.text.lines().next().unwrap_or_default().trim_start_matches("# ");
        let link = format!("| [{title}]({}.md) |", drill.name());
        let row = syllabus.lines().find(|line| line.contains(&link)).unwrap_or_default();
        let fact = |word| form::plain(&drill.fact(word).unwrap_or_default());
        let rest = format!("| {} | {} | {} |", fact("teaches"), fact("needs"), fact("time"));
        !row.ends_with(&rest)
    };
    drills.iter().filter(listed).map(|drill| drill.name().to_owned()).collect()
}

fn named(drill: &Drill, complaints: Vec<String>) -> Vec<String> {
    let path = drill.path.strip_prefix(root()).unwrap_or(&drill.path);
    complaints.into_iter().map(|complaint| format!("{}: {complaint}", path.display())).collect()
}
