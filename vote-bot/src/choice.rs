//! What the bot votes for: the doughnut 15 % of the time, otherwise anything.

use emojivoto_proto::Shortcode;
use rand::{Rng as _, SeedableRng as _, rngs::StdRng, seq::IndexedRandom as _};

use crate::client::Ballot;

/// The share of votes that goes to the doughnut whatever the ballot holds.
const DOUGHNUT_SHARE: f64 = 0.15;

/// Picks emoji at random, the same ones for the same seed.
#[derive(Debug)]
pub(crate) struct Chooser(StdRng);

impl Chooser {
    pub(crate) fn new(seed: Option<u64>) -> Self {
        Self(seed.map_or_else(StdRng::from_os_rng, StdRng::seed_from_u64))
    }

    /// A chooser for one vote: votes that overlap pick the same as if they did not.
    pub(crate) fn fork(&mut self) -> Self {
        Self(StdRng::from_rng(&mut self.0))
    }

    /// The shortcode of an emoji.
    pub(crate) fn choose<'a>(&mut self, ballot: &'a Ballot) -> &'a str {
        if self.0.random_bool(DOUGHNUT_SHARE) {
            return Shortcode::doughnut().as_str();
        }
        ballot.shortcodes().choose(&mut self.0).expect("a ballot is not empty")
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    const VOTES: u32 = 100_000;

    fn ballot() -> Ballot {
        Ballot::new(Shortcode::all().map(|emoji| emoji.as_str().to_owned())).expect("a ballot")
    }

    #[test]
    fn the_doughnut_gets_15_percent_and_the_rest_is_uniform() {
        let (ballot, mut chooser) = (ballot(), Chooser::new(Some(42)));
        let mut picks: HashMap<String, u32> = HashMap::new();
        for _ in 0..VOTES {
            *picks.entry(chooser.fork().choose(&ballot).to_owned()).or_default() += 1;
        }
        assert_eq!(picks.len(), Shortcode::COUNT, "every emoji is picked");
        // 15 % on purpose, and its share of the other 85 %: 15.85 %, give or take 5 sigma.
        let doughnut = picks.remove(":doughnut:").expect("doughnuts");
        assert!((15_270..=16_430).contains(&doughnut), "{doughnut} doughnuts");
        // 850 each, give or take 5 sigma.
        for (emoji, count) in picks {
            assert!((704..=996).contains(&count), "{count} for {emoji}");
        }
    }

    #[test]
    fn a_seed_makes_the_picks_repeat() {
        let ballot = ballot();
        let picks = |seed| {
            let mut chooser = Chooser::new(seed);
            (0..50).map(|_| chooser.fork().choose(&ballot).to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(picks(Some(7)), picks(Some(7)));
        assert_ne!(picks(Some(7)), picks(Some(8)));
        assert_ne!(picks(None), picks(None));
    }
}
