//! Who it is that tells: the attributes of a service, see
//! <https://opentelemetry.io/docs/specs/semconv/resource/service/>.

use opentelemetry::KeyValue;
use opentelemetry_sdk::{Resource, resource::TelemetryResourceDetector};

use super::{Hosted, settings::Settings};

const SERVICE_NAME: &str = "service.name";

/// What the settings say of all services of a process.
#[derive(Debug)]
pub(super) struct Resources {
    hosted: Hosted,
    name: Option<String>,
    attributes: Vec<(String, String)>,
    instance: String,
}

impl Resources {
    pub(super) fn new(settings: &Settings, hosted: Hosted) -> Self {
        let (name, attributes) = (settings.service_name.clone(), settings.resource.clone());
        Self { hosted, name, attributes, instance: instance_id() }
    }

    /// The resource of a service. What the settings say wins, but for the name of one of several
    /// services in a process, which would all be the same.
    pub(super) fn of(&self, service: &'static str) -> Resource {
        let Self { hosted, name, attributes, instance } = self;
        let told = attributes.iter();
        let told = told.filter(|(name, _)| *hosted == Hosted::One || name != SERVICE_NAME);
        let name = name.clone().filter(|_| *hosted == Hosted::One);
        Resource::builder_empty()
            .with_detector(Box::new(TelemetryResourceDetector))
            .with_attributes([
                KeyValue::new(SERVICE_NAME, service),
                KeyValue::new("service.namespace", "emojivoto"),
                KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
                KeyValue::new("service.instance.id", instance.clone()),
            ])
            .with_attributes(told.map(|(name, value)| KeyValue::new(name.clone(), value.clone())))
            .with_attributes(name.map(|name| KeyValue::new(SERVICE_NAME, name)))
            .build()
    }

    /// Whether the settings name a service, which is of no use to a process that hosts several.
    pub(super) fn ignore_a_name(&self) -> bool {
        let named = self.attributes.iter().any(|(name, _)| name == SERVICE_NAME);
        self.hosted == Hosted::Several && (named || self.name.is_some())
    }
}

/// A random UUID (version 4 of RFC 9562).
fn instance_id() -> String {
    let random: u128 = rand::random();
    let id = random & !(0xf << 76) & !(0x3 << 62) | 0x4 << 76 | 0x2 << 62;
    let hex = format!("{id:032x}");
    let parts = [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]];
    parts.join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instance_has_an_id_of_its_own() {
        let (id, other) = (instance_id(), instance_id());
        assert_ne!(id, other);
        assert_eq!((id.len(), &id[14..15], id.matches('-').count()), (36, "4", 4), "{id}");
        assert!(matches!(&id[19..20], "8" | "9" | "a" | "b"), "{id}");
    }
}
