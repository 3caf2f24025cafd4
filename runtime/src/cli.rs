//! The command line of every binary: its settings, those of every process, `healthcheck`, and commands of its own.

use std::{env, ffi::OsString, path::PathBuf, process::ExitCode};

use clap::{
    Args, CommandFactory, FromArgMatches, Parser, Subcommand,
    error::{ContextKind, ContextValue},
};

use crate::{healthcheck, settings::Common};

#[derive(Parser)]
#[command(version, subcommand_negates_reqs = true, disable_help_subcommand = true)]
struct Cli<S: Args, C: Subcommand> {
    #[command(flatten)]
    settings: S,
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    action: Option<Action<C>>,
}

#[derive(Subcommand)]
enum Action<C: Subcommand> {
    /// Ask the running process whether it is ready: exit code 0 if so, 1 if not
    Healthcheck,
    #[command(flatten)]
    Own(C),
}

/// The commands of a binary that has none of its own.
#[derive(Debug, Subcommand)]
pub(crate) enum NoCommand {}

/// Parses the command line and the environment: the settings, and a command of the binary's own, if there is one. `Err`
/// holds the exit code of a `healthcheck`, after which nothing remains to be done.
///
/// A wrong value ends the process with exit code 2 and a line that names it.
pub(crate) fn parse<S: Args, C: Subcommand>(
    binary: &'static str,
    about: &'static str,
) -> Result<(S, Common, Option<C>), ExitCode> {
    let command = Cli::<S, C>::command().name(binary).about(about);
    let mut command = command.mut_args(|arg| {
        let takes_value = arg.get_action().takes_values();
        // The help shall say the same everywhere, and a value may be a secret one day. `--ttl -1` is a
        // wrong value, not an unknown flag.
        let arg = arg.hide_env_values(true).allow_hyphen_values(takes_value);
        // A variable that is set to nothing is not set, as OpenTelemetry has it for its own.
        let empty = arg.get_env().and_then(env::var_os).is_some_and(|value| value.is_empty());
        if empty { arg.env(None) } else { arg }
    });
    let matches = command.try_get_matches_from_mut(arguments(binary));
    let matches = matches.unwrap_or_else(|error| without_password(error).exit());
    let parsed = if matches.subcommand_name() == Some("healthcheck") {
        // The settings of the service may be missing here, so only the common ones are read.
        Common::from_arg_matches(&matches).map(|common| Err(healthcheck::run(common.prom_port)))
    } else {
        Cli::<S, C>::from_arg_matches(&matches).map(|cli| {
            let own = |action| match action {
                Action::Healthcheck => None,
                Action::Own(command) => Some(command),
            };
            Ok((cli.settings, cli.common, cli.action.and_then(own)))
        })
    };
    parsed.unwrap_or_else(|error| error.format(&mut command).exit())
}

/// An error that shows a wrong value without the user and password that may be in it: `redis://…@host`.
fn without_password(mut error: clap::Error) -> clap::Error {
    if let Some(ContextValue::String(value)) = error.get(ContextKind::InvalidValue)
        && let (Some(start), Some(end)) = (value.find("://"), value.rfind('@'))
        && start < end
    {
        let shown = format!("{}…{}", &value[..start + 3], &value[end..]);
        error.insert(ContextKind::InvalidValue, ContextValue::String(shown));
    }
    error
}

/// Whether a binary that goes by several names was called by this one: started under it, or told to be it by
/// its first argument, which is how a container's `command` reaches an entry point:
/// `docker run emojivoto-web emojivoto-vote-bot`.
pub fn is_called(binary: &str) -> bool {
    let name = env::args_os().next().map(PathBuf::from);
    name.is_some_and(|name| name.file_stem().is_some_and(|name| name == binary))
        || first_argument_is(binary)
}

fn first_argument_is(name: &str) -> bool {
    env::args_os().nth(1).is_some_and(|argument| argument == name)
}

/// The arguments, without the name of the binary where a container was told to run what its image
/// runs anyway: `docker run emojivoto-web emojivoto-web --version`.
fn arguments(binary: &str) -> impl Iterator<Item = OsString> {
    env::args_os().skip(usize::from(first_argument_is(binary)))
}
