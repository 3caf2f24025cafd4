//! What the documents say of settings, held against the settings themselves.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
};

use clap::{Arg, Args, Command};
use emojivoto_telemetry::Observability;

const README: &str = include_str!("../../../README.md");
const OBSERVABILITY: &str = include_str!("../../../docs/observability.md");

/// Default values by setting.
type Table = BTreeMap<String, String>;

/// The rows of the settings table below the heading of a section, up to the next one.
fn documented(section: &str) -> Table {
    let (_, rows) = README.split_once(&format!("| **{section}**")).expect("a section of the table");
    rows.lines()
        .skip(1)
        .map_while(|row| row.strip_prefix("| `"))
        .map(|row| {
            let (setting, rest) = row.split_once("` | ").expect("a setting");
            let (default, _) = rest.split_once('|').expect("a default");
            (setting.to_owned(), default.trim().trim_matches('`').to_owned())
        })
        .collect()
}

/// The same of the settings that a service has.
fn actual<S: Args>() -> Table {
    let command = S::augment_args(Command::new("settings"));
    // `--data` is another way to say `VOTES_STORE`.
    let is_setting = |argument: &&Arg| !argument.is_hide_set() && argument.get_id() != "data";
    let arguments = command.get_arguments().filter(is_setting);
    arguments
        .map(|argument| {
            let setting = argument.get_env().expect("every setting has a variable");
            let defaults = argument.get_default_values().iter();
            let default: String =
                defaults.map(|value| value.to_string_lossy().into_owned()).collect();
            let default = if argument.is_required_set() { "required".to_owned() } else { default };
            (setting.to_string_lossy().into_owned(), default)
        })
        .collect()
}

#[test]
fn its_settings_are_those_of_the_services() {
    let grpc = documented("emoji-svc**, **voting-svc");
    assert_eq!(grpc, actual::<emojivoto_emoji_svc::Settings>());

    let mut voting = documented("voting-svc");
    voting.extend(grpc);
    assert_eq!(voting, actual::<emojivoto_voting_svc::Settings>());

    assert_eq!(documented("web"), actual::<emojivoto_web::Settings>());
    assert_eq!(documented("vote-bot"), actual::<emojivoto_vote_bot::Settings>());
    assert_eq!(documented("every process"), actual::<emojivoto_runtime::settings::Common>());

    let mut all_in_one = documented("all in one process");
    for section in ["voting-svc", "web", "vote-bot"] {
        // Where the others are, and which of them is called.
        let others = ["_PORT", "_HOST", "GRPC_LB_POLICY"];
        let settings = documented(section).into_iter();
        let shared = settings.filter(|(name, _)| !others.iter().any(|end| name.ends_with(end)));
        all_in_one.extend(shared);
    }
    let mut actual = actual::<emojivoto::Settings>();
    // A switch, whose default needs no value.
    actual.entry("NO_BOT".to_owned()).and_modify(|default| *default = "false".to_owned());
    assert_eq!(all_in_one, actual);
}

#[tokio::test]
async fn the_variables_of_opentelemetry_are_those_that_are_read() {
    let read = RefCell::new(BTreeSet::new());
    let observability = Observability::new(|variable| {
        read.borrow_mut().insert(variable.to_owned());
        match variable {
            "OTEL_EXPORTER_OTLP_ENDPOINT" => Some("collector:4317".into()),
            // Only a share needs to be told.
            "OTEL_TRACES_SAMPLER" => Some("traceidratio".into()),
            _ => None,
        }
    });
    observability.expect("these are right");

    let (_, rows) = OBSERVABILITY.split_once("| variable |").expect("a table");
    let mut documented = BTreeSet::new();
    for row in rows.lines().skip(2).map_while(|row| row.strip_prefix("| ")) {
        let (names, _) = row.split_once(" | ").expect("names");
        for name in names.split('`').skip(1).step_by(2) {
            documented.insert(name.to_owned());
            if names.ends_with('¹') {
                let of = |signal| name.replace("_OTLP_", &format!("_OTLP_{signal}_"));
                documented.extend(["TRACES", "LOGS"].map(of));
            }
        }
    }
    assert_eq!(documented, read.into_inner());
}
