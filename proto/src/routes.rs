//! The addresses of web.

/// The templates of all of them, by which requests are told apart in metrics and traces.
pub const ROUTES: &[&str] = &[
    "/",
    VOTE_PAGE,
    "/picked",
    "/leaderboard",
    "/leaderboard/live",
    "/static/{file}",
    "/img/favicon.ico",
    "/favicon.ico",
    "/api/list",
    "/api/leaderboard",
    VOTE_API,
    "/openapi.json",
];

/// Where the form of the ballot votes.
pub const VOTE_PAGE: &str = "/vote";

/// Where programs vote.
pub const VOTE_API: &str = "/api/vote";
