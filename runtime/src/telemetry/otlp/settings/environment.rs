//! Environment variables, looked up and parsed.

use std::{ffi::OsString, fmt};

/// A variable has a value that makes no sense.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct InvalidSetting {
    variable: String,
    value: String,
    expected: String,
}

impl fmt::Display for InvalidSetting {
    /// As clap says it of the other settings.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { variable, value, expected } = self;
        write!(f, "invalid value {value} for '{variable}': {expected}")
    }
}

impl std::error::Error for InvalidSetting {}

/// Where variables are looked up.
pub(super) struct Environment<'a>(&'a dyn Fn(&str) -> Option<OsString>);

impl<'a> Environment<'a> {
    pub(super) fn new(look_up: &'a dyn Fn(&str) -> Option<OsString>) -> Self {
        Self(look_up)
    }

    /// The value of a variable, if it is set to anything. What `parse` expects is part of the error.
    pub(super) fn parse<T, E: fmt::Display>(
        &self,
        variable: &str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Result<Option<T>, InvalidSetting> {
        let Some(value) = self.0(variable).filter(|value| !value.is_empty()) else {
            return Ok(None);
        };
        let parsed = match value.to_str() {
            Some(text) => parse(text.trim()).map_err(|expected| expected.to_string()),
            None => Err("expected UTF-8".to_owned()),
        };
        parsed.map(Some).map_err(|expected| InvalidSetting {
            variable: variable.to_owned(),
            value: shown(variable, &value.to_string_lossy()),
            expected,
        })
    }

    /// The value of a variable of the exporters: that of the signal, or else that of all signals. Both
    /// are checked, whichever is used.
    pub(super) fn parse_exporter<T, E: fmt::Display>(
        &self,
        signal: &str,
        name: &str,
        parse: impl Fn(&str) -> Result<T, E>,
    ) -> Result<Option<T>, InvalidSetting> {
        let of_all = self.parse(&format!("OTEL_EXPORTER_OTLP_{name}"), &parse)?;
        let of_one = self.parse(&format!("OTEL_EXPORTER_OTLP_{signal}_{name}"), &parse)?;
        Ok(of_one.or(of_all))
    }
}

/// Headers hold tokens, and an address may hold a password: neither must get into a log.
fn shown(variable: &str, value: &str) -> String {
    let secret = variable.ends_with("_HEADERS") || value.contains('@');
    if secret { "(not shown)".to_owned() } else { format!("'{value}'") }
}
