//! Who it is that tells: the attributes of a service, see
//! <https://opentelemetry.io/docs/specs/semconv/resource/service/>.

use opentelemetry::KeyValue;
use opentelemetry_sdk::{Resource, resource::TelemetryResourceDetector};

use super::{Hosted, settings::Settings};

const SERVICE_NAME: &str = "service.name";

/// The resource of a service. What the settings say wins, but for the name of one of several
/// services in a process, which would all be the same.
pub(super) fn resource(settings: &Settings, hosted: Hosted, service: &'static str) -> Resource {
    let told = settings.resource.iter();
    let told = told.filter(|(name, _)| hosted == Hosted::One || name != SERVICE_NAME);
    let name = settings.service_name.clone().filter(|_| hosted == Hosted::One);
    Resource::builder_empty()
        .with_detector(Box::new(TelemetryResourceDetector))
        .with_attributes([
            KeyValue::new(SERVICE_NAME, service),
            KeyValue::new("service.namespace", "emojivoto"),
            KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
            KeyValue::new("service.instance.id", instance_id()),
        ])
        .with_attributes(told.map(|(name, value)| KeyValue::new(name.clone(), value.clone())))
        .with_attributes(name.map(|name| KeyValue::new(SERVICE_NAME, name)))
        .build()
}

/// Whether the settings name a service, which is of no use to a process that hosts several.
pub(super) fn is_named(settings: &Settings) -> bool {
    settings.service_name.is_some()
        || settings.resource.iter().any(|(name, _)| name == SERVICE_NAME)
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
