//! The routes of each RPC, which are made from `proto/`.

use std::collections::BTreeSet;

use emojivoto_e2e::manifests::{at, documents, kind, list, name, read};
use emojivoto_e2e::rpcs::services;
use emojivoto_e2e::{cargo, root, run};
use serde_json::{Value, json};

#[test]
fn they_are_what_the_generator_prints() {
    for app in ["emoji", "voting"] {
        let example = ["run", "--quiet", "--locked", "-p", "emojivoto-proto", "--example"];
        let printed = run(cargo().args(example).args(["grpc_routes", "--", app]));
        let file = format!("k8s/components/routes-per-rpc/{app}.yml");
        assert!(printed == read(&root().join(&file)), "{file}: run `make routes`");
    }
}

#[test]
fn each_rpc_has_one_and_everything_else_has_the_first() {
    for ((service, methods), app) in services().iter().zip(["emoji", "voting"]) {
        let file = format!("k8s/components/routes-per-rpc/{app}.yml");
        let routes = documents(&read(&root().join(file)));
        let port = |of: &Value| (of["name"].clone(), of["port"].clone());
        let own = (json!(format!("{app}-svc")), json!(8080));

        let mut found = BTreeSet::new();
        for route in &routes {
            assert_eq!(kind(route), "GRPCRoute");
            let [parent] = list(at(route, "/spec/parentRefs")) else { panic!("{route}") };
            let [rule] = list(at(route, "/spec/rules")) else { panic!("{route}") };
            let [backend] = list(&rule["backendRefs"]) else { panic!("{route}") };
            assert_eq!((port(parent), port(backend)), (own.clone(), own.clone()), "{route}");
            match list(&rule["matches"]) {
                [] => assert_eq!(name(route), format!("{app}-others")),
                [of] => {
                    let method = &of["method"];
                    assert_eq!(method["service"], json!(service), "{route}");
                    let method = method["method"].as_str().expect("a method");
                    assert_eq!(name(route), kebab_case(method));
                    assert!(found.insert(method), "{method} has two");
                }
                more => panic!("{}: {more:?}: one name, one success rate", name(route)),
            }
        }
        assert_eq!(name(&routes[0]), format!("{app}-others"), "it has to be applied first");
        assert_eq!(found, methods.iter().map(String::as_str).collect());
        assert_eq!(routes.len(), methods.len() + 1);
    }
}

/// As a mesh shows a route's name: `VoteNerdFace` is `vote-nerd-face`, `Vote100` is `vote-100`.
fn kebab_case(method: &str) -> String {
    let mut text = String::new();
    let mut last = '-';
    for next in method.chars() {
        let number_begins = next.is_ascii_digit() && !last.is_ascii_digit();
        if last != '-' && (next.is_ascii_uppercase() || number_begins) {
            text.push('-');
        }
        text.push(next.to_ascii_lowercase());
        last = next;
    }
    text
}
