//! Chance that can be repeated: what a rule draws for its n-th request depends on its seed and on n alone, so that those
//! who draw at the same time wait for nobody.

/// What is drawn for.
#[derive(Debug, Clone, Copy)]
pub(crate) enum For {
    /// Whether the rule strikes.
    Share,
    /// How long it delays.
    Delay,
}

/// A number from 0 to 1, 1 excluded.
#[expect(clippy::cast_precision_loss, reason = "53 bits are what a double holds")]
pub(crate) fn draw(seed: u64, n: u64, what: For) -> f64 {
    let lane = match what {
        For::Share => 0,
        For::Delay => 1,
    };
    // The numbers of one lane are a stream of SplitMix64, those of the other one a stream that begins elsewhere.
    let state = mix(seed ^ mix(lane)).wrapping_add(n.wrapping_mul(GOLDEN));
    (mix(state) >> 11) as f64 / (1u64 << 53) as f64
}

const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// The output function of SplitMix64: Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014.
fn mix(state: u64) -> u64 {
    let mut z = state.wrapping_add(GOLDEN);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// The seed of a rule that has been given one, of its own: two rules with the same would strike the same requests. By
/// FNV-1a, which is the same everywhere.
pub(crate) fn seed_of(seed: u64, name: &str) -> u64 {
    let hash = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    seed ^ name.bytes().fold(0xcbf2_9ce4_8422_2325, hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whatever the seed, what is drawn is spread evenly, and what is drawn for one thing says nothing of the other.
    #[test]
    fn draws_are_even_for_every_seed() {
        const SEEDS: u32 = 1_000;
        const DRAWS: u32 = 1_000;
        for what in [For::Share, For::Delay] {
            let below = |seed: u32, share: f64| {
                let drawn = (0..DRAWS).map(|n| draw(u64::from(seed), u64::from(n), what));
                f64::from(u32::try_from(drawn.filter(|drawn| *drawn < share).count()).expect("few"))
            };
            for share in [0.01, 0.1, 0.5, 0.9] {
                let (mean, variance) =
                    (f64::from(DRAWS) * share, f64::from(DRAWS) * share * (1.0 - share));
                let deviations: Vec<_> = (0..SEEDS).map(|seed| below(seed, share) - mean).collect();
                let average = deviations.iter().sum::<f64>() / f64::from(SEEDS);
                // Four deviations of what these are themselves by chance.
                assert!(
                    average.abs() < 4.0 * (variance / f64::from(SEEDS)).sqrt(),
                    "{average} at {share}"
                );
                let spread = deviations.iter().map(|one| one * one).sum::<f64>() / f64::from(SEEDS);
                let off = (spread / variance - 1.0).abs();
                assert!(
                    off < 4.0 * (2.0 / f64::from(SEEDS)).sqrt(),
                    "{spread}, not {variance}, at {share}"
                );
            }
        }
        let both =
            (0..100_000).filter(|n| draw(1, *n, For::Share) < 0.5 && draw(1, *n, For::Delay) < 0.5);
        assert!(both.count().abs_diff(25_000) < 600);
    }
}
