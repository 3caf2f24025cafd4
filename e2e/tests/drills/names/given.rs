//! Objects that stand in a drill itself, as here-documents, and what they refer to.

use emojivoto_e2e::manifests::{at, kind, list, name};
use serde_json::{Value, json};

use super::{World, key, known::RPCS};

impl World {
    /// The objects of a here-document, and whether what they refer to is there. What is piped from a program is not known.
    pub(super) fn given(&mut self, input: &str) -> Vec<Value> {
        if input.trim().is_empty() {
            return Vec::new();
        }
        let Ok(objects) = serde_saphyr::from_multiple::<Value>(input) else {
            self.complain(format!("this is no YAML:\n{input}"));
            return Vec::new();
        };
        for object in &objects {
            let text = |pointer| at(object, pointer).as_str().unwrap_or_default();
            if text("/apiVersion").is_empty() || kind(object).is_empty() || name(object).is_empty()
            {
                self.complain(format!("an object without apiVersion, kind or name: {object}"));
            }
            if kind(object) != "Namespace" {
                let namespace = text("/metadata/namespace");
                let there = self.find("Namespace", "", namespace).is_some();
                if !there {
                    self.complain(format!("{} is in no namespace that is there", name(object)));
                }
            }
            self.refers(object, object, &objects);
        }
        objects
    }

    fn refers(&mut self, value: &Value, object: &Value, siblings: &[Value]) {
        const REFERENCES: [&str; 7] = [
            "parentRefs",
            "backendRefs",
            "targetRef",
            "targetRefs",
            "requiredAuthenticationRefs",
            "clientRefs",
            "scaleTargetRef",
        ];
        let items: Box<dyn Iterator<Item = (&str, &Value)>> = match value {
            Value::Object(fields) => {
                Box::new(fields.iter().map(|(key, value)| (key.as_str(), value)))
            }
            Value::Array(items) => Box::new(items.iter().map(|value| ("", value))),
            _ => return,
        };
        for (field, inner) in items {
            if REFERENCES.contains(&field) {
                let references =
                    inner.as_array().map_or(std::slice::from_ref(inner), Vec::as_slice);
                for reference in references {
                    self.leads_somewhere(reference, object, siblings);
                }
            } else if field == "method" && inner["service"].is_string() {
                self.is_an_rpc(inner);
            } else if field == "serviceAccountName" {
                let reference = json!({"kind": "ServiceAccount", "name": inner});
                self.leads_somewhere(&reference, object, siblings);
            } else if field == "image" {
                self.is_an_image(inner.as_str().unwrap_or_default());
            }
            self.refers(inner, object, siblings);
        }
    }

    fn leads_somewhere(&mut self, reference: &Value, object: &Value, siblings: &[Value]) {
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let wanted = text(&reference["kind"]).unwrap_or_else(|| "Service".to_owned());
        let called = text(&reference["name"]).unwrap_or_default();
        let own = at(object, "/metadata/namespace").as_str().unwrap_or_default();
        let namespace = text(&reference["namespace"]).unwrap_or_else(|| own.to_owned());
        let namespace = if wanted == "Namespace" { String::new() } else { namespace };
        let found = siblings
            .iter()
            .find(|other| key(other) == (wanted.as_str(), namespace.as_str(), called.as_str()))
            .or_else(|| self.find(&wanted, &namespace, &called));
        let complaint = match found {
            None => {
                Some(format!("{} refers to {wanted} {called}, which is not there", name(object)))
            }
            Some(service) if wanted == "Service" && !reference["port"].is_null() => {
                let ports = list(at(service, "/spec/ports"));
                let there = ports.iter().any(|port| port["port"] == reference["port"]);
                (!there).then(|| format!("{called} has no port {}", reference["port"]))
            }
            Some(_) => None,
        };
        self.complaints.extend(complaint);
    }

    fn is_an_rpc(&mut self, method: &Value) {
        let text = |key: &str| method[key].as_str().unwrap_or_default();
        let (service, rpc) = (text("service"), text("method"));
        let there = RPCS.get(service).is_some_and(|rpcs| rpcs.iter().any(|it| it == rpc));
        if !there {
            self.complain(format!("proto/ has no {service}/{rpc}"));
        }
    }

    pub(super) fn is_an_image(&mut self, image: &str) {
        let version = env!("CARGO_PKG_VERSION");
        let ours = ["emoji-svc", "voting-svc", "web", "vote-bot"];
        if !ours.iter().any(|service| image == format!("emojivoto-{service}:{version}")) {
            self.complain(format!("nothing builds the image `{image}`"));
        }
    }
}
