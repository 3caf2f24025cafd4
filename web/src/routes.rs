//! What the addresses lead to.

pub(crate) mod api;
pub(crate) mod pages;

/// The templates of all addresses, by which requests are told apart in metrics and traces.
pub(crate) const ROUTES: &[&str] = &[
    "/",
    "/vote",
    "/picked",
    "/leaderboard",
    "/leaderboard/live",
    "/static/{file}",
    "/img/favicon.ico",
    "/favicon.ico",
    "/api/list",
    "/api/leaderboard",
    "/api/vote",
    "/openapi.json",
];

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
