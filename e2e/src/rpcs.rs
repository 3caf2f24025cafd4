//! The RPCs of `proto/`.

use emojivoto_proto::{emoji, voting};
use prost::Message as _;
use prost_types::FileDescriptorSet;

/// The services by their full names, with their RPCs: emoji-svc's, then voting-svc's.
///
/// # Panics
/// Never: what is read was made together with the code.
pub fn services() -> Vec<(String, Vec<String>)> {
    let sets = [emoji::DESCRIPTORS, voting::DESCRIPTORS];
    let files = sets.map(|set| FileDescriptorSet::decode(set).expect("a descriptor set").file);
    let mut services = Vec::new();
    for file in files.iter().flatten() {
        for service in &file.service {
            let methods = service.method.iter().map(|method| method.name().to_owned());
            let name = format!("{}.{}", file.package(), service.name());
            services.push((name, methods.collect()));
        }
    }
    services
}
