//! Where the rules of a process come from when it starts.

use std::{path::PathBuf, sync::LazyLock};

use clap::{ArgAction, Args};

use super::{Injection, Invalid, Places, Rule, file, parse, places};
use crate::{Error, settings::boolean};

/// The faults that a process is told to have.
#[derive(Debug, Clone, Args)]
pub struct FaultArgs {
    /// Faults on purpose: rules, as a text of TOML
    #[arg(long, env, value_name = "TOML", value_parser = given, conflicts_with = "faults_file")]
    pub faults: Option<Given>,

    /// The same from a file, which is looked at again every second
    #[arg(long, env, value_name = "PATH")]
    pub faults_file: Option<PathBuf>,

    /// Whether the admin port takes rules (PUT and DELETE /faults) besides showing them: true or false
    #[arg(long, env, default_value = "false", action = ArgAction::Set, value_parser = boolean)]
    pub faults_admin: bool,

    /// Whether an answer that a fault has struck says so in the header x-emojivoto-fault: true or false
    #[arg(long, env, default_value = "true", action = ArgAction::Set, value_parser = boolean)]
    pub faults_announce: bool,
}

/// Rules that were given as a setting.
#[derive(Debug, Clone)]
pub struct Given(Vec<Rule>);

fn given(text: &str) -> Result<Given, Invalid> {
    static PLACES: LazyLock<Places> = LazyLock::new(places);
    parse(text, &PLACES).map(Given)
}

impl Injection {
    /// Whether answers say what struck them.
    pub fn announces(&self) -> bool {
        self.0.announce
    }
}

impl FaultArgs {
    /// The faults to begin with. It is an error if there is a file, and its rules cannot be read.
    pub(crate) fn start(&self) -> Result<(Injection, Option<file::Watched>), Error> {
        let injection = Injection::new(self.faults_announce);
        if let Some(Given(rules)) = &self.faults {
            injection.give(rules.clone(), "FAULTS");
        }
        let watched = self.faults_file.clone().map(|path| file::Watched::start(path, &injection));
        let watched = watched.transpose()?;
        injection.rules().begin();
        Ok((injection, watched))
    }
}
