//! The binomial distribution: of so many calls, how many a share of all calls may turn out to be.
//!
//! It is summed up here and not taken from statrs, whose quantile panics where the smallest count is likely enough, and
//! whose distribution function stops too early for many calls.

/// Nothing is said with more certainty: of both sides together, one in a thousand lies outside.
pub(crate) const OUTSIDE: f64 = 0.001;

/// From the lowest to the highest count that is to be expected of `n` with this share: 99.9 % are in between.
pub(crate) fn counts(n: u32, share: f64) -> (u32, u32) {
    if share <= 0.0 || n == 0 {
        return (0, 0);
    }
    if share >= 1.0 {
        return (n, n);
    }
    let weights = Weights::new(n, share);
    (weights.quantile(OUTSIDE / 2.0), weights.quantile(1.0 - OUTSIDE / 2.0))
}

/// The share of which `n` have at least `k` with this chance. What lies below the k-th of `n`, in their order, is a
/// share lower than this with the same chance.
pub(crate) fn share(n: u32, k: u32, chance: f64) -> f64 {
    if k == 0 {
        return 0.0;
    }
    if k > n {
        return 1.0;
    }
    let (mut low, mut high) = (0.0, 1.0);
    // A double has no more digits than this, near 1; of many, each of which takes its time, fewer will do.
    for _ in 0..if n > 10_000 { 32 } else { 53 } {
        let middle = f64::midpoint(low, high);
        if Weights::new(n, middle).at_least(k) < chance {
            low = middle;
        } else {
            high = middle;
        }
    }
    f64::midpoint(low, high)
}

/// From the lowest to the highest share of which `k` of `n` may come: the interval of Clopper and Pearson.
pub(crate) fn shares(n: u32, k: u32) -> (f64, f64) {
    (share(n, k, OUTSIDE / 2.0), share(n, k + 1, 1.0 - OUTSIDE / 2.0))
}

/// How likely each count is, as a multiple of something. Those that are left out, on both sides, are less likely than
/// what a double can tell.
struct Weights {
    first: u32,
    each: Vec<f64>,
    total: f64,
}

impl Weights {
    /// From the most likely count up and down, each from its neighbour: no factorial gets too large.
    fn new(n: u32, share: f64) -> Self {
        const NOTHING: f64 = 1e-20;
        let odds = share / (1.0 - share);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "between 0 and n"
        )]
        let mode = ((f64::from(n) + 1.0) * share).min(f64::from(n)) as u32;
        let mut weights = Vec::new();
        let (mut weight, mut count) = (1.0, mode);
        while count > 0 && weight > NOTHING {
            weight *= f64::from(count) / (f64::from(n - count + 1) * odds);
            count -= 1;
            weights.push(weight);
        }
        weights.reverse();
        let first = count;
        (weight, count) = (1.0, mode);
        weights.push(weight);
        while count < n && weight > NOTHING {
            weight *= f64::from(n - count) * odds / f64::from(count + 1);
            count += 1;
            weights.push(weight);
        }
        let total = weights.iter().sum();
        Self { first, each: weights, total }
    }

    /// The lowest count that is not exceeded with this chance.
    fn quantile(&self, chance: f64) -> u32 {
        let wanted = chance * self.total;
        let (mut sum, mut count) = (0.0, self.first);
        for weight in &self.each {
            sum += weight;
            if sum >= wanted {
                break;
            }
            count += 1;
        }
        count
    }

    /// The chance that the count is at least this.
    fn at_least(&self, k: u32) -> f64 {
        let below = usize::try_from(k.saturating_sub(self.first)).unwrap_or(usize::MAX);
        self.each.iter().skip(below).sum::<f64>() / self.total
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By the definition, with factorials.
    fn chances(n: u32, share: f64) -> Vec<f64> {
        let ln_factorial = |n: u32| (1..=n).map(|factor| f64::from(factor).ln()).sum::<f64>();
        let chance = |k| {
            let ways = ln_factorial(n) - ln_factorial(k) - ln_factorial(n - k);
            (ways + f64::from(k) * share.ln() + f64::from(n - k) * (1.0 - share).ln()).exp()
        };
        (0..=n).map(chance).collect()
    }

    #[test]
    fn counts_are_those_of_a_direct_sum() {
        for n in [1, 2, 10, 100, 1_000] {
            for share in [1e-9, 0.000_4, 0.01, 0.1, 0.5, 0.9, 0.999, 1.0 - 1e-9] {
                let chances = chances(n, share);
                let quantile = |chance: f64| {
                    let mut sum = 0.0;
                    let reached = |one: &f64| {
                        sum += one;
                        sum >= chance
                    };
                    let count = chances.iter().position(reached);
                    u32::try_from(count.expect("all of them add up to 1")).expect("at most n")
                };
                let expected = (quantile(0.0005), quantile(0.9995));
                assert_eq!(counts(n, share), expected, "{n} at {share}");
            }
        }
    }

    #[test]
    fn all_and_none_are_certain_and_many_are_near_the_normal_distribution() {
        assert_eq!(counts(1_000_000, 0.0), (0, 0));
        assert_eq!(counts(1_000_000, 1.0), (1_000_000, 1_000_000));
        assert_eq!(counts(1_000_000, 1e-300), (0, 0));
        for share in [0.1, 0.5, 0.99] {
            let (low, high) = counts(1_000_000, share);
            // 3.2905 deviations, of a table; the skewness moves both by a few counts.
            let (mean, deviation) = (1e6 * share, (1e6 * share * (1.0 - share)).sqrt());
            assert!((f64::from(low) - (mean - 3.2905 * deviation)).abs() < 4.0, "{low} at {share}");
            assert!(
                (f64::from(high) - (mean + 3.2905 * deviation)).abs() < 4.0,
                "{high} at {share}"
            );
        }
    }

    #[test]
    fn a_share_is_the_one_of_which_so_many_come_with_the_chance() {
        assert_eq!((share(10, 0, 0.5), share(10, 11, 0.5)), (0.0, 1.0));
        // All of ten: its tenth power is the chance.
        assert!((share(10, 10, 0.5) - 0.5f64.powf(0.1)).abs() < 1e-12);
        // One of ten, or more: all but none.
        assert!((share(10, 1, 0.9995) - (1.0 - 0.0005f64.powf(0.1))).abs() < 1e-12);
        for (n, k) in [(7, 3), (100, 99), (1_000, 1)] {
            let at = share(n, k, 0.0005);
            let k = usize::try_from(k).expect("small");
            let chance: f64 = chances(n, at)[k..].iter().sum();
            assert!((chance - 0.0005).abs() < 1e-9, "{k} of {n}: {chance}");
        }
        let (low, high) = shares(1_000_000, 500_000);
        assert!((low - 0.498_355).abs() < 1e-5 && (high - 0.501_645).abs() < 1e-5, "{low} {high}");
    }
}
