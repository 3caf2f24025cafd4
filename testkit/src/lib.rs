//! What the tests share: spawned processes, free ports, HTTP requests
