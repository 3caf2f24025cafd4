//! Rules in a file that changes.

use std::{
    convert::Infallible,
    fs::File,
    io::Read as _,
    path::{Path, PathBuf},
    time::Duration,
};

use emojivoto_faults::MAX_TEXT;
use tokio::{
    task::spawn_blocking,
    time::{MissedTickBehavior, interval},
};

use super::{Injection, parse};
use crate::Error;

/// How often the file is looked at. Reading a few bytes costs less than to be told of changes, and works with whatever
/// replaces a file: editors, the symbolic links of a mounted ConfigMap, file systems that tell of nothing.
const INTERVAL: Duration = Duration::from_secs(1);

/// What was read, or why nothing could be.
type Text = Result<String, String>;

/// A file whose rules are given whenever they change.
#[derive(Debug)]
pub(crate) struct Watched {
    path: PathBuf,
    last: Text,
}

impl Watched {
    /// Gives the rules that are there now. It is an error if these are not good.
    pub(super) fn start(path: PathBuf, injection: &Injection) -> Result<Self, Error> {
        let last = read(&path);
        give(injection, &path, &last)?;
        Ok(Self { path, last })
    }

    /// Gives the rules whenever there are others. Those that are not good change nothing.
    pub(crate) async fn watch(mut self, injection: &Injection) -> Infallible {
        let mut ticks = interval(INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let path = self.path.clone();
            let Ok(text) = spawn_blocking(move || read(&path)).await else { continue };
            if text == self.last {
                continue;
            }
            if let Err(error) = give(injection, &self.path, &text) {
                injection.0.reloaded.set(0);
                tracing::warn!(
                    error = &*error as &dyn std::error::Error,
                    "the faults stay as they were"
                );
            }
            self.last = text;
        }
    }
}

fn read(path: &Path) -> Text {
    let mut bytes = Vec::new();
    // One byte more than may be, by which it is known that there are too many.
    let reading =
        File::open(path).and_then(|file| file.take(MAX_TEXT as u64 + 1).read_to_end(&mut bytes));
    reading.map_err(|error| error.to_string())?;
    if bytes.len() > MAX_TEXT {
        return Err(format!("expected at most {MAX_TEXT} bytes"));
    }
    String::from_utf8(bytes).map_err(|error| format!("expected UTF-8: {error}"))
}

fn give(injection: &Injection, path: &Path, text: &Text) -> Result<(), Error> {
    let path = path.display();
    let text = text.as_ref().map_err(|error| format!("FAULTS_FILE {path}: {error}"))?;
    let rules = parse(text, injection.rules().places());
    let rules = rules.map_err(|invalid| format!("FAULTS_FILE {path}: {invalid}"))?;
    injection.give(rules, "FAULTS_FILE");
    Ok(())
}
