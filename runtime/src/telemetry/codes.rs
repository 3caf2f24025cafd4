//! The names of gRPC's status codes.

use tonic::Code;

/// In the order of their numbers, as Go writes them, which Prometheus' users know, and as the
/// specification does, which OpenTelemetry follows.
const NAMES: [(&str, &str); COUNT] = [
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

/// How many codes there are.
pub(super) const COUNT: usize = 17;

/// All of them, as Go writes them, in the order of their numbers.
pub(super) fn in_go() -> impl Iterator<Item = &'static str> {
    NAMES.iter().map(|(go, _)| *go)
}

/// As the specification writes it: `DEADLINE_EXCEEDED`.
pub(super) fn specified(code: Code) -> &'static str {
    NAMES[code as usize].1
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
