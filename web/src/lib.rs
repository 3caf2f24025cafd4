//! The web front end: ballot, leaderboard and HTTP API
