//! How long a request is held.

use std::{fmt, time::Duration};

use statrs::distribution::{ContinuousCDF as _, Normal};

use crate::duration::Go;

/// Nobody waits for longer.
pub const MAX_DELAY: Duration = Duration::from_hours(1);

/// A distribution of delays.
#[derive(Debug, Clone, PartialEq)]
pub enum Delay {
    /// Always the same.
    Fixed(Duration),
    /// Each from one to another one equally often.
    Uniform {
        /// The shortest.
        from: Duration,
        /// The longest.
        to: Duration,
    },
    /// A normal distribution. What would be below zero is no delay, what would be above [`MAX_DELAY`] is that.
    Normal {
        /// The one in the middle.
        mean: Duration,
        /// Two of three are no farther than this from it.
        deviation: Duration,
    },
    /// Some percentiles, both they and their delays ascending, and a straight line between each and the next. Below the
    /// first one lies a line from zero, above the last one all are as long as that.
    Points(Vec<(u8, Duration)>),
}

impl Delay {
    /// The quantile: the delay that so many are no longer than, from 0 (none) to 1 (all).
    pub fn quantile(&self, share: f64) -> Duration {
        match self {
            Self::Fixed(delay) => *delay,
            Self::Uniform { from, to } => *from + to.saturating_sub(*from).mul_f64(share),
            Self::Normal { mean, deviation } => {
                let (mean, deviation) = (mean.as_secs_f64(), deviation.as_secs_f64());
                // There is no normal distribution without a deviation, and no end to one with it.
                let seconds = match Normal::new(mean, deviation) {
                    Ok(normal) if share > 0.0 => normal.inverse_cdf(share.min(1.0 - f64::EPSILON)),
                    Ok(_) => 0.0,
                    Err(_) => mean,
                };
                Duration::from_secs_f64(seconds.clamp(0.0, MAX_DELAY.as_secs_f64()))
            }
            Self::Points(points) => {
                let mut below = (0.0, Duration::ZERO);
                for (percentile, delay) in points {
                    let at = f64::from(*percentile) / 100.0;
                    if share <= at {
                        let part =
                            if at > below.0 { (share - below.0) / (at - below.0) } else { 1.0 };
                        return below.1 + delay.saturating_sub(below.1).mul_f64(part);
                    }
                    below = (at, *delay);
                }
                below.1
            }
        }
    }

    /// None is longer.
    pub fn longest(&self) -> Duration {
        match self {
            Self::Fixed(delay) => *delay,
            Self::Uniform { to, .. } => *to,
            Self::Normal { deviation: Duration::ZERO, mean } => *mean,
            Self::Normal { .. } => MAX_DELAY,
            Self::Points(points) => points.last().map_or(Duration::ZERO, |(_, delay)| *delay),
        }
    }
}

impl fmt::Display for Delay {
    /// As it is written in a rule.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fixed(delay) => write!(f, "\"{}\"", Go(*delay)),
            Self::Uniform { from, to } => {
                write!(f, "{{ from = \"{}\", to = \"{}\" }}", Go(*from), Go(*to))
            }
            Self::Normal { mean, deviation } => {
                write!(f, "{{ mean = \"{}\", deviation = \"{}\" }}", Go(*mean), Go(*deviation))
            }
            Self::Points(points) => {
                f.write_str("{ ")?;
                for (index, (percentile, delay)) in points.iter().enumerate() {
                    let comma = if index == 0 { "" } else { ", " };
                    write!(f, "{comma}p{percentile} = \"{}\"", Go(*delay))?;
                }
                f.write_str(" }")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    #[test]
    fn quantiles_are_those_of_the_distributions() {
        let points = Delay::Points(vec![(50, ms(20)), (90, ms(100)), (99, ms(1_000))]);
        let normal = Delay::Normal { mean: ms(100), deviation: ms(10) };
        for (delay, share, expected) in [
            (&Delay::Fixed(ms(7)), 0.3, ms(7)),
            (&Delay::Uniform { from: ms(10), to: ms(30) }, 0.0, ms(10)),
            (&Delay::Uniform { from: ms(10), to: ms(30) }, 0.25, ms(15)),
            (&points, 0.0, ms(0)),
            (&points, 0.25, ms(10)),
            (&points, 0.5, ms(20)),
            (&points, 0.7, ms(60)),
            (&points, 0.99, ms(1_000)),
            (&points, 1.0, ms(1_000)),
            (&normal, 0.5, ms(100)),
            // From a table of the normal distribution: 2.326 deviations above the mean lies a hundredth.
            (&normal, 0.99, Duration::from_micros(123_263)),
            (&normal, 0.0, ms(0)),
            (&Delay::Normal { mean: ms(10), deviation: ms(100) }, 0.1, ms(0)),
            (&Delay::Normal { mean: ms(10), deviation: ms(0) }, 0.1, ms(10)),
            (&Delay::Points(vec![(0, ms(5)), (100, ms(15))]), 0.0, ms(5)),
            (&Delay::Points(vec![(0, ms(5)), (100, ms(15))]), 0.5, ms(10)),
        ] {
            let got = delay.quantile(share);
            assert!(
                got.abs_diff(expected) < Duration::from_micros(1),
                "{delay} at {share}: {got:?}"
            );
            assert!(got <= delay.longest());
        }
    }
}
