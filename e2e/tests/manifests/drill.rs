//! The routes that `docs/drills/find-the-failing-vote.md` has its readers apply.

use std::process::Command;

use emojivoto_e2e::{root, run};
use serde_json::Value;

use super::yaml::{at, documents, kind, list, name, read, render};

#[test]
fn its_routes_lead_the_failing_rpc_and_all_others_to_a_port_that_is_there() {
    let routes = routes();
    let suite = documents(&render(&root().join("k8s")));
    let mut matches = Vec::new();
    for route in &routes {
        assert_eq!(
            (route["apiVersion"].as_str(), kind(route)),
            (Some("gateway.networking.k8s.io/v1"), "GRPCRoute")
        );
        let parents = list(at(route, "/spec/parentRefs"));
        assert_eq!(parents.len(), 1, "{}", name(route));
        assert_eq!((&parents[0]["group"], &parents[0]["kind"]), (&"".into(), &"Service".into()));
        let rules = list(at(route, "/spec/rules"));
        assert_eq!(rules.len(), 1, "{}: one name, one success rate", name(route));
        // Linkerd goes to the parent without these; Istio answers with an error.
        let backends = list(&rules[0]["backendRefs"]);
        assert_eq!(backends.len(), 1, "{}", name(route));
        for reference in parents.iter().chain(backends) {
            assert!(is_grpc(reference, route, &suite), "{}: {reference}", name(route));
        }
        assert_eq!(parents[0]["name"], backends[0]["name"], "{} leads elsewhere", name(route));
        // Linkerd ignores a route with a field that is newer than Gateway API 1.2, a rule's name for one.
        for field in rules[0].as_object().into_iter().flat_map(|rule| rule.keys()) {
            assert!(
                ["matches", "backendRefs"].contains(&field.as_str()),
                "{}: {field}",
                name(route)
            );
        }
        matches.push(&rules[0]["matches"]);
    }

    // Were it the other way round, all others would be refused until the second is there.
    let [others, suspect] = matches[..] else { panic!("two routes, not {}", routes.len()) };
    assert_eq!(others, &Value::Null, "some requests match no route, and are refused");
    assert_ne!(name(&routes[0]), name(&routes[1]), "one replaces the other");
    assert_eq!(at(&routes[0], "/spec/parentRefs"), at(&routes[1], "/spec/parentRefs"));
    assert_eq!(list(suspect).len(), 1);
    let method = at(suspect, "/0/method");
    let (service, rpc) = (method["service"].as_str(), method["method"].as_str());
    let (service, rpc) = (service.expect("a service"), rpc.expect("an RPC"));
    assert!(rpcs(service).contains(&rpc.to_owned()), "{service} has no {rpc}");
}

#[test]
fn it_does_not_give_the_answer_away() {
    let (exercise, answer) = drill();
    assert!(!exercise.to_lowercase().contains("doughnut"));
    assert!(rpcs("emojivoto.v1.VotingService").contains(&culprit(&answer)));
}

#[test]
fn its_links_lead_somewhere() {
    let (exercise, answer) = drill();
    let text = exercise + &answer;
    let links: Vec<_> =
        text.split("](").skip(1).filter_map(|rest| rest.split(')').next()).collect();
    assert!(links.iter().any(|link| link.starts_with("../img/")), "no picture among {links:?}");
    for link in links.iter().filter(|link| !link.starts_with('#') && !link.contains("://")) {
        assert!(root().join("docs/drills").join(link).is_file(), "{link}");
    }
}

/// What a reader applies who follows the drill to the answer, as a shell makes it of the text.
fn routes() -> Vec<Value> {
    let (exercise, answer) = drill();
    let commands: String = exercise
        .lines()
        .filter_map(|line| line.strip_prefix("    "))
        .skip_while(|line| !line.starts_with("METHOD="))
        .skip(1)
        .take_while(|line| *line != "EOF")
        .flat_map(|line| [line, "\n"])
        .collect();
    let script = format!("kubectl() {{ cat; }}\n{commands}EOF\n");
    documents(&run(Command::new("sh").args(["-euc", &script]).env("METHOD", culprit(&answer))))
}

/// The RPC that the answer begins with.
fn culprit(answer: &str) -> String {
    answer.split('`').nth(1).expect("the name of the RPC").to_owned()
}

/// The drill above and below the fold.
fn drill() -> (String, String) {
    let text = read(&root().join("docs/drills/find-the-failing-vote.md"));
    let (exercise, answer) = text.split_once("<details>").expect("the answer is folded");
    (exercise.to_owned(), answer.to_owned())
}

/// Whether a reference of a route leads to a port of the suite where gRPC is spoken.
fn is_grpc(reference: &Value, route: &Value, suite: &[Value]) -> bool {
    let ports = suite
        .iter()
        .filter(|document| kind(document) == "Service" && name(document) == reference["name"])
        .filter(|service| at(service, "/metadata/namespace") == at(route, "/metadata/namespace"))
        .flat_map(|service| list(at(service, "/spec/ports")));
    ports
        .filter(|port| port["port"] == reference["port"])
        .any(|port| port["appProtocol"] == "kubernetes.io/h2c")
}

/// The RPCs of a service by its full name, as `proto/Voting.proto` has them.
fn rpcs(service: &str) -> Vec<String> {
    let proto = read(&root().join("proto/Voting.proto"));
    let (package, service) = service.rsplit_once('.').expect("a full name");
    assert!(proto.contains(&format!("\npackage {package};\n")), "no package {package}");
    let (_, body) = proto
        .split_once(&format!("\nservice {service} {{\n"))
        .unwrap_or_else(|| panic!("no service {service}"));
    body.lines()
        .take_while(|line| *line != "}")
        .filter_map(|line| line.trim().strip_prefix("rpc ")?.split_once('('))
        .map(|(rpc, _)| rpc.to_owned())
        .collect()
}
