//! Which requests get a line in the log.

use std::str::FromStr;

use crate::share::share;

/// The share of the requests that get one, from 0.0 to 1.0.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RequestLog(f64);

impl RequestLog {
    /// Failed ones are always among them, unless the share is nought.
    pub(crate) fn logs(self, failed: bool) -> bool {
        let Self(share) = self;
        share >= 1.0 || (share > 0.0 && (failed || rand::random_bool(share)))
    }
}

impl Default for RequestLog {
    fn default() -> Self {
        Self(1.0)
    }
}

impl FromStr for RequestLog {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        share(text).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn logged(share: &str, failed: bool) -> usize {
        let log: RequestLog = share.parse().expect("a share");
        (0..10_000).filter(|_| log.logs(failed)).count()
    }

    #[test]
    fn a_share_of_what_went_well_and_all_that_failed() {
        assert_eq!((logged("1.0", false), logged("1", true)), (10_000, 10_000));
        assert_eq!((logged("0", false), logged("0.0", true)), (0, 0));
        assert_eq!(logged("0.1", true), 10_000);
        // A tenth, give or take six standard deviations.
        assert!((820..1180).contains(&logged("0.1", false)));
    }
}
