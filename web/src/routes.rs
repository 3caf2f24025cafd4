//! What the addresses lead to.

pub(crate) mod api;
pub(crate) mod kept;
pub(crate) mod pages;

use emojivoto_proto::ROUTES;

/// The one that leads to a path, if there is one.
pub(crate) fn route(path: &str) -> Option<&'static str> {
    let is_file = |file: &str| !file.is_empty() && !file.contains('/');
    let path = match path.strip_prefix("/static/") {
        Some(file) if is_file(file) => "/static/{file}",
        Some(_) => return None,
        None => path,
    };
    ROUTES.iter().copied().find(|route| *route == path)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;

    use super::{ROUTES, api::DOCUMENT};

    #[test]
    fn every_route_is_documented_and_nothing_else_is() {
        let document: Value = serde_json::from_str(DOCUMENT).expect("JSON");
        let paths = document["paths"].as_object().expect("paths");
        let documented: BTreeSet<_> = paths.keys().map(String::as_str).collect();
        assert_eq!(documented, ROUTES.iter().copied().collect());
        assert_eq!(document["info"]["version"], env!("CARGO_PKG_VERSION"));
    }
}
