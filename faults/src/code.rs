//! The status codes of gRPC, by the names that its specification has for them:
//! <https://grpc.io/docs/guides/status-codes/>.

use std::fmt;

/// By number.
const NAMES: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];

/// A status code of gRPC that is an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Code(u8);

impl Code {
    /// What the caller did not expect.
    pub const UNKNOWN: Self = Self(2);
    /// There is too much to do.
    pub const RESOURCE_EXHAUSTED: Self = Self(8);

    /// The one of this name, if there is one: `UNAVAILABLE`.
    pub fn named(name: &str) -> Option<Self> {
        let number = NAMES.iter().position(|known| *known == name)?;
        u8::try_from(number).ok().filter(|number| *number > 0).map(Self)
    }

    /// Its name: `UNAVAILABLE`.
    pub fn name(self) -> &'static str {
        NAMES[usize::from(self.0)]
    }

    /// Its number: 14.
    pub fn number(self) -> i32 {
        self.0.into()
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
