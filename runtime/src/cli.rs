//! The command line of every binary: its settings, those of every process, and `healthcheck`.

use std::process::ExitCode;

use clap::{Args, Command, CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::{healthcheck, settings::Common};

#[derive(Parser)]
#[command(version, subcommand_negates_reqs = true)]
struct Cli<S: Args> {
    #[command(flatten)]
    settings: S,
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    action: Option<Action>,
}

#[derive(Subcommand)]
enum Action {
    /// Ask the running process whether it is ready: exit code 0 if so, 1 if not
    Healthcheck,
}

/// The command that a binary parses, for its help and for tests of it.
pub fn command<S: Args>(binary: &'static str, about: &'static str) -> Command {
    let command = Cli::<S>::command().name(binary).about(about).disable_help_subcommand(true);
    // Their values may be secrets one day, and would make the help of one machine differ from another's.
    command.mut_args(|arg| arg.hide_env_values(true))
}

/// Parses the command line and the environment. What remains to be done, if anything: `Err` holds
/// the exit code of a `healthcheck`.
///
/// A wrong value ends the process with exit code 2 and a line that names it.
pub(crate) fn parse<S: Args>(
    binary: &'static str,
    about: &'static str,
) -> Result<(S, Common), ExitCode> {
    let mut command = command::<S>(binary, about);
    let matches = command.get_matches_mut();
    let parsed = if matches.subcommand().is_some() {
        // The settings of the service may be missing here, so only the common ones are read.
        Common::from_arg_matches(&matches).map(|common| Err(healthcheck::run(common.prom_port)))
    } else {
        Cli::<S>::from_arg_matches(&matches).map(|cli| Ok((cli.settings, cli.common)))
    };
    parsed.unwrap_or_else(|error| error.format(&mut command).exit())
}
