//! What somebody wants to happen.

use std::{fmt, time::Duration};

use crate::{Code, Delay, duration::Go};

/// A fault: where it strikes, how often, and what it does.
#[derive(Debug, Clone, PartialEq)]
pub struct Rule {
    /// What it is known by: small letters, digits and hyphens.
    pub name: String,
    /// The RPCs that it strikes, by their names, or by how these begin: `VoteJoy`, `Vote*`, `*`.
    pub grpc: Vec<String>,
    /// The routes that it strikes, by their templates, or by how these begin: `/api/vote`, `/api/*`, `*`.
    pub http: Vec<String>,
    /// Only requests about one of these, if there are any.
    pub emoji: Vec<String>,
    /// How many of the requests that it matches it strikes: from 0 (none) to 1 (all).
    pub share: f64,
    /// How long a request is held before anything else happens to it.
    pub delay: Option<Delay>,
    /// What happens to it instead of being answered.
    pub effect: Option<Effect>,
    /// How long after it has been given it begins to strike.
    pub start: Duration,
    /// How long it strikes from then on; without it, for ever.
    pub lasts: Option<Duration>,
    /// With the same one, the same requests in the same order are struck in the same way.
    pub seed: Option<u64>,
}

/// What happens to a request besides its delay.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// It fails.
    Fail(Failure),
    /// There is no answer: the stream (HTTP/2) or connection (HTTP/1) ends.
    Reset,
    /// It is answered, but the answer stops halfway.
    Stall,
    /// It fails if more than so many come in a second.
    Rate(f64),
    /// It fails if so many are being answered already.
    Concurrency(u32),
}

/// What a client is told.
#[derive(Debug, Clone, PartialEq)]
pub struct Failure {
    /// By an RPC.
    pub code: Option<Code>,
    /// By a route: 400 to 599.
    pub status: Option<u16>,
    /// In words.
    pub message: Option<String>,
}

impl Failure {
    /// How limits fail.
    pub(crate) fn too_many() -> Self {
        Self { code: Some(Code::RESOURCE_EXHAUSTED), status: Some(429), message: None }
    }
}

impl Default for Rule {
    /// One that strikes everything, and does nothing.
    fn default() -> Self {
        Self {
            name: String::new(),
            grpc: Vec::new(),
            http: Vec::new(),
            emoji: Vec::new(),
            share: 1.0,
            delay: None,
            effect: None,
            start: Duration::ZERO,
            lasts: None,
            seed: None,
        }
    }
}

impl fmt::Display for Rule {
    /// As it is written in a set: a table of TOML.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "[[rule]]\nname = {}", quoted(&self.name))?;
        for (field, names) in [("grpc", &self.grpc), ("http", &self.http), ("emoji", &self.emoji)] {
            match &names[..] {
                [] => {}
                [name] => writeln!(f, "{field} = {}", quoted(name))?,
                names => {
                    let names: Vec<_> = names.iter().map(|name| quoted(name)).collect();
                    writeln!(f, "{field} = [{}]", names.join(", "))?;
                }
            }
        }
        // No limit has a share.
        if !matches!(self.effect, Some(Effect::Rate(_) | Effect::Concurrency(_))) {
            writeln!(f, "share = {:?}", self.share)?;
        }
        if let Some(delay) = &self.delay {
            writeln!(f, "delay = {delay}")?;
        }
        match &self.effect {
            None => {}
            Some(Effect::Fail(Failure { code, status, message })) => {
                if let Some(code) = code {
                    writeln!(f, "code = {}", quoted(code.name()))?;
                }
                if let Some(status) = status {
                    writeln!(f, "status = {status}")?;
                }
                if let Some(message) = message {
                    writeln!(f, "message = {}", quoted(message))?;
                }
            }
            Some(Effect::Reset) => writeln!(f, "reset = true")?,
            Some(Effect::Stall) => writeln!(f, "stall = true")?,
            Some(Effect::Rate(rate)) => writeln!(f, "rate = {rate:?}")?,
            Some(Effect::Concurrency(most)) => writeln!(f, "concurrency = {most}")?,
        }
        if !self.start.is_zero() {
            writeln!(f, "start = \"{}\"", Go(self.start))?;
        }
        if let Some(lasts) = self.lasts {
            writeln!(f, "for = \"{}\"", Go(lasts))?;
        }
        if let Some(seed) = self.seed {
            writeln!(f, "seed = {seed}")?;
        }
        Ok(())
    }
}

/// A basic string of TOML. None of ours has control characters.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}
