//! gRPC's status codes: their names, and which one a failure is.

use std::error::Error;

use http::StatusCode;
use tonic::{Code, Status, TimeoutExpired};

/// In the order of their numbers, as Go writes them, which Prometheus' users know, and as the
/// specification does, which OpenTelemetry follows.
const NAMES: [(&str, &str); 17] = [
    ("OK", "OK"),
    ("Canceled", "CANCELLED"),
    ("Unknown", "UNKNOWN"),
    ("InvalidArgument", "INVALID_ARGUMENT"),
    ("DeadlineExceeded", "DEADLINE_EXCEEDED"),
    ("NotFound", "NOT_FOUND"),
    ("AlreadyExists", "ALREADY_EXISTS"),
    ("PermissionDenied", "PERMISSION_DENIED"),
    ("ResourceExhausted", "RESOURCE_EXHAUSTED"),
    ("FailedPrecondition", "FAILED_PRECONDITION"),
    ("Aborted", "ABORTED"),
    ("OutOfRange", "OUT_OF_RANGE"),
    ("Unimplemented", "UNIMPLEMENTED"),
    ("Internal", "INTERNAL"),
    ("Unavailable", "UNAVAILABLE"),
    ("DataLoss", "DATA_LOSS"),
    ("Unauthenticated", "UNAUTHENTICATED"),
];

/// As Go writes it: `DeadlineExceeded`.
pub(crate) fn in_go(code: Code) -> &'static str {
    NAMES[code as usize].0
}

/// As the specification writes it: `DEADLINE_EXCEEDED`.
pub(crate) fn specified(code: Code) -> &'static str {
    NAMES[code as usize].1
}

/// Whether a code is the fault of who answers: what makes the span of a server red.
/// See <https://opentelemetry.io/docs/specs/semconv/rpc/grpc/>.
pub fn is_failure(code: Code) -> bool {
    matches!(
        code,
        Code::Unknown
            | Code::DeadlineExceeded
            | Code::Unimplemented
            | Code::Internal
            | Code::Unavailable
            | Code::DataLoss
    )
}

/// The code that Go gives this name.
pub(crate) fn named_in_go(name: &str) -> Option<Code> {
    let number = NAMES.iter().position(|(go, _)| *go == name)?;
    i32::try_from(number).ok().map(Code::from_i32)
}

/// The code of a status that a client got: that which the other side sent, or else why none came from there. tonic
/// makes such a status of whatever broke the connection, with a code that it guesses from how it broke.
pub(crate) fn code_of(status: &Status) -> Code {
    status.source().map_or(status.code(), code_of_failure)
}

/// Why there is no status from the other side: `DeadlineExceeded` if that is because time was up,
/// `Unavailable` for everything else that can happen on the way.
pub(crate) fn code_of_failure(error: &(dyn Error + 'static)) -> Code {
    if error.is::<TimeoutExpired>() {
        return Code::DeadlineExceeded;
    }
    error.source().map_or(Code::Unavailable, code_of_failure)
}

/// What an answer stands for that is not from a gRPC server, see
/// <https://github.com/grpc/grpc/blob/master/doc/http-grpc-status-mapping.md>.
pub fn code_of_http(status: StatusCode) -> Code {
    match status.as_u16() {
        400 => Code::Internal,
        401 => Code::Unauthenticated,
        403 => Code::PermissionDenied,
        404 => Code::Unimplemented,
        429 | 502 | 503 | 504 => Code::Unavailable,
        _ => Code::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stand_at_their_numbers() {
        for (number, (go, specified)) in (0..).zip(NAMES) {
            let code = format!("{:?}", Code::from_i32(number)).to_lowercase();
            assert_eq!(specified.replace('_', "").to_lowercase(), code);
            assert_eq!(go.to_lowercase().replace("canceled", "cancelled"), code);
        }
    }
}
