//! Prints a GRPCRoute of the Gateway API for each RPC of a service, for `k8s/components/routes-per-rpc`:
//!
//! ```text
//! cargo run -p emojivoto-proto --example grpc_routes -- voting
//! ```
//!
//! `make routes` puts both files in place.

use emojivoto_proto::{emoji, voting};
use prost::Message as _;
use prost_types::FileDescriptorSet;

fn main() -> Result<(), &'static str> {
    let app = std::env::args().nth(1).unwrap_or_default();
    let descriptors = match app.as_str() {
        "emoji" => emoji::DESCRIPTORS,
        "voting" => voting::DESCRIPTORS,
        _ => return Err("of which service: emoji or voting?"),
    };
    print!("{}", routes(&app, descriptors));
    Ok(())
}

/// One file, whose first object takes what the others leave.
fn routes(app: &str, descriptors: &[u8]) -> String {
    let mut text = format!(
        "# Made from proto/ by `make routes`; a test compares the two.\n\
         #\n\
         # Everything that no other route is for: health checks, reflection, RPCs that are not there. It comes first, because\n\
         # requests to a Service that has routes are refused where none of them matches.\n{}",
        route(app, &format!("{app}-others"), None)
    );
    for file in FileDescriptorSet::decode(descriptors).expect("a descriptor set").file {
        for service in &file.service {
            let service_name = format!("{}.{}", file.package(), service.name());
            for rpc in &service.method {
                let rpc = rpc.name();
                text += "---\n";
                text += &route(app, &kebab_case(rpc), Some((&service_name, rpc)));
            }
        }
    }
    text
}

/// The route of one RPC, or of all.
fn route(app: &str, name: &str, rpc: Option<(&str, &str)>) -> String {
    let matches = rpc.map_or_else(String::new, |(service, rpc)| {
        format!(
            "matches:
        - method:
            service: {service}
            method: {rpc}
      "
        )
    });
    format!(
        "apiVersion: gateway.networking.k8s.io/v1
kind: GRPCRoute
metadata:
  name: {name}
  namespace: emojivoto
  labels:
    app.kubernetes.io/name: {app}
    app.kubernetes.io/part-of: emojivoto
    app.kubernetes.io/version: {version}
spec:
  parentRefs:
    - group: \"\"
      kind: Service
      name: {app}-svc
      port: 8080
  rules:
    - {matches}backendRefs:
        - name: {app}-svc
          port: 8080
",
        version = env!("CARGO_PKG_VERSION"),
    )
}

/// `VoteManDancing` is `vote-man-dancing`, `Vote100` is `vote-100`.
fn kebab_case(name: &str) -> String {
    let mut kebab = String::new();
    for (place, character) in name.char_indices() {
        let in_number = character.is_ascii_digit() && kebab.ends_with(|c: char| c.is_ascii_digit());
        if place > 0 && !character.is_ascii_lowercase() && !in_number {
            kebab.push('-');
        }
        kebab.push(character.to_ascii_lowercase());
    }
    kebab
}
