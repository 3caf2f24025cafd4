//! Which requests get a line in the log.

/// The share of the requests that get one, from 0.0 to 1.0.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct RequestLog(f64);

impl RequestLog {
    /// Failed ones are always among them, unless the share is nought.
    pub(super) fn logs(self, failed: bool) -> bool {
        let Self(share) = self;
        share >= 1.0 || (share > 0.0 && (failed || rand::random_bool(share)))
    }
}

impl Default for RequestLog {
    fn default() -> Self {
        Self(1.0)
    }
}

/// Parses a share.
pub(crate) fn request_log(text: &str) -> Result<RequestLog, &'static str> {
    let share: Option<f64> = text.parse().ok();
    let share = share.filter(|share| (0.0..=1.0).contains(share));
    share.map(RequestLog).ok_or("expected a number from 0.0 (none) to 1.0 (all)")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn logged(share: &str, failed: bool) -> usize {
        let log = request_log(share).expect("a share");
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

    #[test]
    fn what_is_no_share_is_refused() {
        for text in ["", "-0.1", "1.1", "NaN", "all", "10%"] {
            assert!(request_log(text).is_err(), "{text}");
        }
    }
}
