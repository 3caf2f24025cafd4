//! `/openapi.json` in the eyes of tools that others wrote: a validator, and schemathesis, which makes up
//! requests, sensible ones and others, and compares the answers with the document.

use std::process::Command;

use emojivoto_e2e::{binary, root, run, tool};
use emojivoto_testkit::{Binary, http};

#[test]
fn the_document_is_openapi() {
    run(Command::new(tool("openapi-spec-validator"))
        .args(["--schema", "3.1", "--validation-errors", "all", "web/openapi.json"])
        .current_dir(root()));
}

#[tokio::test]
async fn schemathesis_finds_nothing() {
    let ports = ["WEB_PORT", "EMOJI_PORT", "VOTING_PORT", "PROM_PORT"].map(|port| (port, "0"));
    let quiet = [("NO_BOT", "true"), ("REQUEST_LOG", "0")];
    let mut suite = Binary::new(&binary("emojivoto")).envs(&ports).envs(&quiet).start();
    let web = suite.address("WEB_PORT").to_string();
    suite.line("Ctrl-C ends it");

    let page = http::get(&format!("http://{web}/picked?choice=:joy:")).await.body;
    let (_, asset) = page.split_once("\"/static/").expect("a page with assets");
    let asset = asset.split(['"', '#']).next().expect("the name of one");

    let path = |path: &str| root().join(path).to_str().expect("a path in UTF-8").to_owned();
    let (config, hooks) = ("e2e/tests/openapi/schemathesis.toml", "e2e/tests/openapi/hooks.py");
    run(Command::new(tool("schemathesis"))
        .args(["--no-color", "--config-file", &path(config), "run", "--checks", "all"])
        .arg(format!("http://{web}/openapi.json"))
        .env("SCHEMATHESIS_HOOKS", path(hooks))
        .env("ASSET", asset)
        .env("HYPOTHESIS_STORAGE_DIRECTORY", env!("CARGO_TARGET_TMPDIR"))
        .env("NO_PROXY", "127.0.0.1")
        .env("PYTHONDONTWRITEBYTECODE", "1"));
}
