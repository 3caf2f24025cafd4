//! The rules in force, and what they do to a request.

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use arc_swap::ArcSwap;

use crate::{
    Delay, Effect, Failure, Permit, Place, Places, Rule, STALL_LIMIT,
    draw::{For, draw, seed_of},
    duration::Go,
    limit::{Concurrency, Rate},
    places::About,
};

/// So many names of rules are counted apart; those of more, which somebody may give one after the other, together.
const MAX_NAMES: usize = 256;
const OTHERS: &str = "_OTHER";

/// The state of a rule that another process has, unless it was told otherwise.
const ASSUMED: &str = "assumed of another process";

/// The rules of a process, which may change while requests come.
///
/// Some the process has by itself (its base), some it is given. Of the same name, the given one is in force.
#[derive(Debug)]
pub struct Faults {
    places: Places,
    current: ArcSwap<Set>,
    sources: Mutex<Sources>,
    counts: Mutex<BTreeMap<String, Arc<AtomicU64>>>,
}

#[derive(Debug, Default)]
struct Sources {
    base: Vec<Rule>,
    /// Names of those of the base that are another process'.
    assumed: Vec<String>,
    given: Vec<Rule>,
    /// Names of those of the base that are not in force.
    removed: Vec<String>,
}

/// All rules at a time. Requests see one set or the other, never a part of each.
#[derive(Debug, Default)]
struct Set {
    rules: Vec<Arc<Active>>,
    /// By path. Where no rule strikes there is no entry.
    at: HashMap<String, Arc<At>>,
    /// Names of those that are another process', as far as is known here.
    assumed: Vec<String>,
    /// When others were in force last, if that was not before all requests, and how long these may hold requests.
    since: Option<(Instant, Duration)>,
}

/// The rules that strike requests for a place, in their order.
#[derive(Debug, Default)]
struct At {
    rules: Vec<Arc<Active>>,
    /// Whether one goes by the emoji that a request chooses.
    asks_for_emoji: bool,
}

/// A rule in force, with what it has done so far.
#[derive(Debug)]
pub(crate) struct Active {
    pub(crate) rule: Rule,
    seed: u64,
    began: Instant,
    drawn: AtomicU64,
    struck: AtomicU64,
    count: Arc<AtomicU64>,
    rate: Option<Rate>,
    in_flight: Concurrency,
}

/// A rule in force, and how it is doing.
#[derive(Debug, Clone, PartialEq)]
pub struct InForce {
    /// What it says.
    pub rule: Rule,
    /// `strikes`, `begins in 30s`, `strikes for 5m more`, `is over`, or that another process is thought to have it.
    pub state: String,
    /// How many requests it has struck.
    pub struck: u64,
}

impl fmt::Display for InForce {
    /// As it is written in a set; how it is doing, in a comment.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rule, state, struck } = self;
        write!(f, "# {state}, has struck {struck} times\n{rule}")
    }
}

/// What happens to a request.
#[derive(Debug, Default)]
pub struct Strike {
    /// How long it is held first.
    pub delay: Duration,
    /// What happens to it then, if it is not answered.
    pub end: Option<End>,
    /// The names of the rules that did it. None, if all it has is a place under a limit.
    pub rules: Vec<String>,
    /// To be held until it has been answered.
    pub permits: Vec<Permit>,
}

/// What happens to a request instead of being answered.
#[derive(Debug, Clone, PartialEq)]
pub enum End {
    /// It fails.
    Fail(Failure),
    /// There is no answer.
    Reset,
    /// There is half an answer.
    Stall,
}

/// The rules that strike requests for a place: those of the moment at which they were asked for.
#[derive(Debug, Clone)]
pub struct Here(Arc<At>);

impl Faults {
    /// None yet, for these places.
    pub fn new(places: Places) -> Self {
        let (current, sources, counts) = Default::default();
        Self { places, current, sources, counts }
    }

    /// All places that rules can be for.
    pub fn places(&self) -> &Places {
        &self.places
    }

    /// Adds to the rules that the process has by itself, before it serves what they are for. Of the same name, the last
    /// one counts.
    pub fn base(&self, rules: Vec<Rule>) {
        self.change(None, |sources| {
            let stays = |name: &str| rules.iter().all(|rule| rule.name != name);
            sources.base.retain(|old| stays(&old.name));
            sources.assumed.retain(|name| stays(name));
            sources.base.extend(rules);
        });
    }

    /// Adds to them what another process does by itself, as far as is known here: it does not replace anything.
    pub fn assume(&self, rules: Vec<Rule>) {
        self.change(None, |sources| {
            let known: Vec<_> = sources.base.iter().map(|rule| rule.name.clone()).collect();
            let unknown = rules.into_iter().filter(|rule| !known.contains(&rule.name));
            let unknown: Vec<_> = unknown.collect();
            sources.assumed.extend(unknown.iter().map(|rule| rule.name.clone()));
            sources.base.extend(unknown);
        });
    }

    /// Says that there were no requests so far: what is in force now is so from the start.
    pub fn begin(&self) {
        let _changes = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
        let set = self.current.load();
        let (rules, at, assumed) = (set.rules.clone(), set.at.clone(), set.assumed.clone());
        self.current.store(Arc::new(Set { rules, at, assumed, since: None }));
    }

    /// Replaces all that was given so far. Rules that stay the same go on as they were.
    pub fn replace(&self, rules: Vec<Rule>) {
        self.change(Some(Instant::now()), |sources| {
            sources.given = rules;
            sources.removed.clear();
        });
    }

    /// Removes a rule until others are given. `false` if there is none of this name.
    pub fn remove(&self, name: &str) -> bool {
        self.change(Some(Instant::now()), |sources| {
            let given = sources.given.len();
            sources.given.retain(|rule| rule.name != name);
            let of_base = sources.base.iter().any(|rule| rule.name == name);
            let removed = of_base && !sources.removed.iter().any(|removed| removed == name);
            if removed {
                sources.removed.push(name.to_owned());
            }
            removed || sources.given.len() < given
        })
    }

    /// Changes them, at this moment, if not before all requests.
    fn change<T>(&self, at: Option<Instant>, change: impl FnOnce(&mut Sources) -> T) -> T {
        let mut sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
        let outcome = change(&mut sources);
        let Sources { base, assumed, given, removed } = &*sources;
        let replaced = |rule: &&Rule| {
            given.iter().any(|other| other.name == rule.name) || removed.contains(&rule.name)
        };
        let of_base: Vec<_> = base.iter().filter(|rule| !replaced(rule)).collect();
        let assumed = of_base.iter().map(|rule| &rule.name).filter(|name| assumed.contains(name));
        let assumed = assumed.cloned().collect();
        let rules = of_base.into_iter().chain(given);
        let old = self.current.load_full();
        let now = Instant::now();
        let active = |rule: &Rule| {
            let same = old.rules.iter().find(|active| active.rule == *rule);
            same.cloned().unwrap_or_else(|| Arc::new(self.activate(rule, now)))
        };
        let rules: Vec<_> = rules.map(active).collect();
        let same = rules.len() == old.rules.len()
            && rules.iter().zip(&old.rules).all(|(new, old)| Arc::ptr_eq(new, old));
        let held = old.rules.iter().map(|active| active.holds()).max().unwrap_or_default();
        let since = if same { old.since } else { at.map(|at| (at, held)).or(old.since) };
        let set = Set::new(rules, &self.places);
        self.current.store(Arc::new(Set { assumed, since, ..set }));
        outcome
    }

    fn activate(&self, rule: &Rule, now: Instant) -> Active {
        let rate = match rule.effect {
            Some(Effect::Rate(per_second)) => Some(Rate::new(per_second)),
            _ => None,
        };
        Active {
            rule: rule.clone(),
            seed: rule.seed.map_or_else(rand::random, |seed| seed_of(seed, &rule.name)),
            began: now,
            drawn: AtomicU64::new(0),
            struck: AtomicU64::new(0),
            count: self.count(&rule.name),
            rate,
            in_flight: Concurrency::default(),
        }
    }

    fn count(&self, name: &str) -> Arc<AtomicU64> {
        let mut counts = self.counts();
        let name =
            if counts.len() < MAX_NAMES || counts.contains_key(name) { name } else { OTHERS };
        Arc::clone(counts.entry(name.to_owned()).or_default())
    }

    fn counts(&self) -> MutexGuard<'_, BTreeMap<String, Arc<AtomicU64>>> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How often each rule has struck, also of rules that are no longer in force.
    pub fn struck(&self) -> Vec<(String, u64)> {
        let counts = self.counts();
        counts.iter().map(|(name, count)| (name.clone(), count.load(Relaxed))).collect()
    }

    /// The rules that strike requests for the place with this path: the path of an RPC, the template of a route.
    pub fn at(&self, path: &str) -> Option<Here> {
        let set = self.current.load();
        if set.at.is_empty() {
            return None;
        }
        set.at.get(path).cloned().map(Here)
    }

    /// The rules in force, in their order.
    pub fn in_force(&self, now: Instant) -> Vec<InForce> {
        let set = self.current.load();
        let in_force = |active: &Arc<Active>| {
            let rule = active.rule.clone();
            let is_assumed = set.assumed.contains(&rule.name);
            let state = if is_assumed { ASSUMED.to_owned() } else { active.state(now) };
            InForce { rule, state, struck: active.struck.load(Relaxed) }
        };
        set.rules.iter().map(in_force).collect()
    }

    /// Since when the same rules strike: none has come, gone, begun or ended since; and how long the rules before may have
    /// held requests that came before. None, if that is so since the start.
    pub fn unchanged_since(&self, now: Instant) -> Option<(Instant, Duration)> {
        let set = self.current.load();
        let turns =
            set.rules.iter().flat_map(|active| active.turns().map(|turn| (turn, active.holds())));
        turns.filter(|(turn, _)| *turn <= now).chain(set.since).max()
    }

    /// The rules that strike a request for a place about an emoji now.
    pub(crate) fn striking(
        &self,
        place: Place,
        emoji: Option<&str>,
        now: Instant,
    ) -> Vec<Arc<Active>> {
        let here = self.at(&path(place));
        let rules = here.iter().flat_map(|here| &here.0.rules);
        rules.filter(|active| active.rule.is_about(emoji) && active.is_on(now)).cloned().collect()
    }
}

/// The path by which requests for a place are known.
fn path(place: Place) -> String {
    match place {
        Place::Rpc { service, method } => format!("/{service}/{method}"),
        Place::Route(route) => route.to_owned(),
    }
}

impl Set {
    fn new(rules: Vec<Arc<Active>>, places: &Places) -> Self {
        let mut at = HashMap::new();
        for (place, about) in places.iter() {
            let here = rules.iter().filter(|active| active.rule.can_strike(place, about));
            let here: Vec<_> = here.cloned().collect();
            if !here.is_empty() {
                let by_emoji = here.iter().any(|active| !active.rule.emoji.is_empty());
                let asks_for_emoji = about == About::Choice && by_emoji;
                at.insert(path(place), Arc::new(At { rules: here, asks_for_emoji }));
            }
        }
        Self { rules, at, assumed: Vec::new(), since: None }
    }
}

impl Rule {
    /// Whether it is for a request about this emoji. One that is about none is that of a place that settles it.
    fn is_about(&self, emoji: Option<&str>) -> bool {
        self.emoji.is_empty() || emoji.is_none_or(|emoji| self.emoji.iter().any(|one| one == emoji))
    }
}

impl Active {
    fn is_on(&self, now: Instant) -> bool {
        let since = now.saturating_duration_since(self.began);
        let over = self.rule.lasts.is_some_and(|lasts| since >= self.rule.start + lasts);
        since >= self.rule.start && !over
    }

    /// How long it holds nearly all requests at most.
    fn holds(&self) -> Duration {
        let delay = self.rule.delay.as_ref().map(|delay| delay.quantile(0.999));
        let stall = (self.rule.effect == Some(Effect::Stall)).then_some(STALL_LIMIT);
        delay.unwrap_or_default() + stall.unwrap_or_default()
    }

    /// When it begins and ends, if it does so by itself.
    fn turns(&self) -> impl Iterator<Item = Instant> {
        let Rule { start, lasts, .. } = self.rule;
        let begins = (!start.is_zero()).then(|| self.began + start);
        begins.into_iter().chain(lasts.map(|lasts| self.began + start + lasts))
    }

    fn state(&self, now: Instant) -> String {
        let since = now.saturating_duration_since(self.began);
        let whole = |duration: Duration| Go(Duration::from_secs(duration.as_secs()));
        let Rule { start, lasts, .. } = self.rule;
        match lasts {
            _ if since < start => format!("begins in {}", whole(start.saturating_sub(since))),
            Some(lasts) if since >= start + lasts => "is over".to_owned(),
            Some(lasts) => {
                format!("strikes for {} more", whole((start + lasts).saturating_sub(since)))
            }
            None => "strikes".to_owned(),
        }
    }

    /// What it does to a request that it matches.
    fn strike(&self, now: Instant, strike: &mut Strike) {
        let mut end = None;
        match &self.rule.effect {
            Some(Effect::Rate(_)) => {
                let since = now.saturating_duration_since(self.began);
                if self.rate.as_ref().is_none_or(|rate| rate.allows(since)) {
                    return;
                }
                end = Some(End::Fail(Failure::too_many()));
            }
            Some(Effect::Concurrency(most)) => {
                if let Some(permit) = self.in_flight.take(*most) {
                    strike.permits.push(permit);
                    return;
                }
                end = Some(End::Fail(Failure::too_many()));
            }
            effect => {
                let n = self.drawn.fetch_add(1, Relaxed);
                if self.rule.share < 1.0 && draw(self.seed, n, For::Share) >= self.rule.share {
                    return;
                }
                match &self.rule.delay {
                    None => {}
                    Some(Delay::Fixed(delay)) => strike.delay += *delay,
                    Some(delay) => strike.delay += delay.quantile(draw(self.seed, n, For::Delay)),
                }
                match effect {
                    Some(Effect::Fail(failure)) => end = Some(End::Fail(failure.clone())),
                    Some(Effect::Reset) => end = Some(End::Reset),
                    Some(Effect::Stall) => end = Some(End::Stall),
                    _ => {}
                }
            }
        }
        strike.end = end;
        strike.rules.push(self.rule.name.clone());
        self.struck.fetch_add(1, Relaxed);
        self.count.fetch_add(1, Relaxed);
    }
}

impl Here {
    /// Whether [`Self::strike`] has to know which emoji the request chooses.
    pub fn asks_for_emoji(&self) -> bool {
        self.0.asks_for_emoji
    }

    /// What happens to a request that comes now, if something does; with an emoji, to one that chooses this. Rules strike
    /// in their order, each by its own chance, until one of them ends the request.
    pub fn strike(&self, emoji: Option<&str>, now: Instant) -> Option<Strike> {
        let mut strike = Strike::default();
        let asks = self.0.asks_for_emoji;
        for active in &self.0.rules {
            let of_another = asks
                && !active.rule.emoji.is_empty()
                && (emoji.is_none() || !active.rule.is_about(emoji));
            if of_another || !active.is_on(now) {
                continue;
            }
            active.strike(now, &mut strike);
            if strike.end.is_some() {
                break;
            }
        }
        let happens = !strike.rules.is_empty() || !strike.permits.is_empty();
        happens.then_some(strike)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Code, parse};

    const JOY: &str = "/s.Voting/VoteJoy";

    fn places() -> Places {
        let rpc = |method| Place::Rpc { service: "s.Voting", method };
        let places = vec![
            (rpc("VoteJoy"), About::Emoji(":joy:")),
            (rpc("VoteGhost"), About::Emoji(":ghost:")),
            (rpc("Results"), About::Nothing),
            (Place::Route("/"), About::Nothing),
            (Place::Route("/vote"), About::Choice),
        ];
        Places::new(places, vec![":joy:", ":ghost:", ":100:"])
    }

    fn faults(text: &str) -> Faults {
        let faults = Faults::new(places());
        faults.replace(parse(text, faults.places()).expect("a good set"));
        faults
    }

    fn strike(faults: &Faults, path: &str, emoji: Option<&str>) -> Option<Strike> {
        faults.at(path)?.strike(emoji, Instant::now())
    }

    #[test]
    fn a_rule_strikes_where_it_says_and_nowhere_else() {
        let rule = |matches: &str| format!("[[rule]]\nname = \"r\"\n{matches}\ndelay = \"1s\"\n");
        for (matches, struck) in [
            ("", ["VoteJoy", "VoteGhost", "Results", "/", "/vote :joy:", "/vote :100:"].as_slice()),
            ("grpc = \"*\"", &["VoteJoy", "VoteGhost", "Results"]),
            ("grpc = \"Vote*\"", &["VoteJoy", "VoteGhost"]),
            ("grpc = [\"VoteJoy\", \"Results\"]", &["VoteJoy", "Results"]),
            ("http = \"*\"", &["/", "/vote :joy:", "/vote :100:"]),
            ("http = \"/\"", &["/"]),
            ("grpc = \"VoteJoy\"\nhttp = \"/vote\"", &["VoteJoy", "/vote :joy:", "/vote :100:"]),
            ("emoji = \":joy:\"", &["VoteJoy"]),
            ("http = \"/vote\"\nemoji = \":joy:\"", &["/vote :joy:"]),
            (
                "http = \"*\"\ngrpc = \"*\"\nemoji = [\":joy:\", \":100:\"]",
                &["VoteJoy", "/vote :joy:", "/vote :100:"],
            ),
        ] {
            let faults = faults(&rule(matches));
            let all =
                ["VoteJoy", "VoteGhost", "Results", "/", "/vote", "/vote :joy:", "/vote :100:"];
            let got = all.into_iter().filter(|request| {
                let (name, emoji) = request
                    .split_once(' ')
                    .map_or((*request, None), |(name, emoji)| (name, Some(emoji)));
                let path = if name.starts_with('/') {
                    name.to_owned()
                } else {
                    format!("/s.Voting/{name}")
                };
                strike(&faults, &path, emoji).is_some()
            });
            let mut expected = struck.to_vec();
            if expected.contains(&"/vote :100:")
                && expected.contains(&"/vote :joy:")
                && !matches.contains("emoji")
            {
                expected.insert(
                    expected.iter().position(|one| *one == "/vote :joy:").expect("there"),
                    "/vote",
                );
            }
            assert_eq!(got.collect::<Vec<_>>(), expected, "{matches}");
            assert!(strike(&faults, "/s.Voting/VoteNothing", None).is_none());
        }
    }

    #[test]
    fn the_same_seed_strikes_the_same_requests_in_the_same_way() {
        let rule =
            "[[rule]]\nname = \"r\"\nshare = 0.5\ndelay = { from = \"1ms\", to = \"9ms\" }\nseed =";
        let delays = |seed: u64| -> Vec<Option<Duration>> {
            let faults = faults(&format!("{rule} {seed}"));
            (0..100).map(|_| strike(&faults, JOY, None).map(|strike| strike.delay)).collect()
        };
        assert_eq!(delays(1), delays(1));
        assert_ne!(delays(1), delays(2));
    }

    #[test]
    fn rules_strike_in_their_order_until_one_ends_the_request() {
        let faults = faults(
            "[[rule]]\nname = \"slow\"\ndelay = \"1s\"\n\
             [[rule]]\nname = \"slower\"\nstart = \"0s\"\ndelay = \"2s\"\n\
             [[rule]]\nname = \"fails\"\ngrpc = \"*\"\ncode = \"ABORTED\"\nmessage = \"no\"\n\
             [[rule]]\nname = \"never\"\nreset = true\n",
        );
        let joy = strike(&faults, JOY, None).expect("a strike");
        assert_eq!(
            (joy.delay, joy.rules.join(" ").as_str()),
            (Duration::from_secs(3), "slow slower fails")
        );
        let (code, message) = (Code::named("ABORTED"), Some("no".to_owned()));
        assert_eq!(joy.end, Some(End::Fail(Failure { code, status: None, message })));
        assert_eq!(strike(&faults, "/", None).expect("a strike").end, Some(End::Reset));
        let struck = faults.struck();
        assert!(
            struck.contains(&("never".to_owned(), 1)) && struck.contains(&("slow".to_owned(), 2)),
            "{struck:?}"
        );
    }

    fn shown(faults: &Faults, now: Instant) -> String {
        faults.in_force(now).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn what_is_only_assumed_of_another_process_says_so() {
        let faults = Faults::new(places());
        let rule = "[[rule]]\nname = \"joy\"\nemoji = \":joy:\"\nreset = true\n";
        let rules = |faults: &Faults| parse(rule, faults.places()).expect("a good set");
        faults.assume(rules(&faults));
        let state = |faults: &Faults| faults.in_force(Instant::now())[0].state.clone();
        assert_eq!(state(&faults), ASSUMED);
        faults.replace(rules(&faults));
        assert_eq!(state(&faults), "strikes", "it was given here, too");
        let faults = Faults::new(places());
        faults.base(rules(&faults));
        faults.assume(rules(&faults));
        assert_eq!(state(&faults), "strikes", "it is this one's own");
        let faults = Faults::new(places());
        faults.assume(rules(&faults));
        faults.base(rules(&faults));
        assert_eq!(state(&faults), "strikes", "and so it is if that is known later");
    }

    #[test]
    fn rules_with_the_same_seed_strike_each_by_its_own_chance() {
        let rule =
            |name| format!("[[rule]]\nname = \"{name}\"\nshare = 0.5\ndelay = \"1ms\"\nseed = 7\n");
        let faults = faults(&(rule("one") + &rule("other")));
        let alone = (0..100).filter_map(|_| strike(&faults, "/", None));
        let alone = alone.filter(|strike| strike.rules.len() == 1).count();
        assert!((25..=75).contains(&alone), "{alone} of 100 by one of them alone");
    }

    #[test]
    fn it_is_known_since_when_the_same_rules_strike() {
        let rules = |text: &str, faults: &Faults| parse(text, faults.places()).expect("a good set");
        let (joy, later) = (
            "[[rule]]\nname = \"joy\"\nemoji = \":joy:\"\nreset = true\n",
            "[[rule]]\nname = \"later\"\nreset = true\nstart = \"10s\"\nfor = \"1m\"\n",
        );
        let faults = Faults::new(places());
        faults.replace(rules(joy, &faults));
        faults.begin();
        faults.base(rules("[[rule]]\nname = \"own\"\nreset = true\n", &faults));
        assert_eq!(faults.unchanged_since(Instant::now()), None);
        faults.replace(rules(joy, &faults));
        assert_eq!(faults.unchanged_since(Instant::now()), None, "the same as before");
        let before = Instant::now();
        faults.replace(rules(&format!("{joy}{later}"), &faults));
        let now = Instant::now();
        let at = |seconds| {
            faults.unchanged_since(now + Duration::from_secs(seconds)).map(|(since, _)| since)
        };
        let given = at(0).expect("a change");
        assert!((before..=now).contains(&given));
        assert_eq!(at(5), Some(given));
        let began = at(15).expect("it has begun").saturating_duration_since(before);
        assert!((10..11).contains(&began.as_secs()), "{began:?}");
        let ended = at(80).expect("it is over").saturating_duration_since(before);
        assert!((70..71).contains(&ended.as_secs()), "{ended:?}");
        let removed = Instant::now();
        assert!(faults.remove("joy"));
        assert!(faults.unchanged_since(Instant::now()) >= Some((removed, Duration::ZERO)));
        let slow =
            "[[rule]]\nname = \"slow\"\ndelay = { from = \"1s\", to = \"9s\" }\nstall = true\n";
        faults.replace(rules(slow, &faults));
        faults.replace(Vec::new());
        let (_, held) = faults.unchanged_since(Instant::now()).expect("a change");
        assert!((68..=69).contains(&held.as_secs()), "{held:?}");
    }

    #[test]
    fn a_rule_begins_and_ends_when_it_says() {
        let faults =
            faults("[[rule]]\nname = \"r\"\nreset = true\nstart = \"10s\"\nfor = \"1m\"\n");
        let here = faults.at(JOY).expect("a rule");
        let began = Instant::now();
        for (seconds, strikes) in [(5, false), (11, true), (65, true), (75, false)] {
            let now = began + Duration::from_secs(seconds);
            assert_eq!(here.strike(None, now).is_some(), strikes, "after {seconds} s");
        }
        let state = |seconds| shown(&faults, began + Duration::from_secs(seconds));
        assert!(state(5).contains("# begins in 4s, has struck 2 times"), "{}", state(5));
        assert!(state(65).contains("# strikes for 4s more"), "{}", state(65));
        assert!(state(75).contains("# is over"), "{}", state(75));
    }

    #[test]
    fn what_is_given_replaces_what_was_and_what_stays_goes_on() {
        let limit = "[[rule]]\nname = \"few\"\nconcurrency = 1\n";
        let faults = faults(limit);
        let held = strike(&faults, JOY, None).expect("a place");
        assert_eq!((held.rules.len(), held.permits.len()), (0, 1));
        let more =
            format!("{limit}[[rule]]\nname = \"slow\"\ngrpc = \"Results\"\ndelay = \"1s\"\n");
        faults.replace(parse(&more, faults.places()).expect("a good set"));
        let refused = strike(&faults, JOY, None).expect("no place");
        assert_eq!(
            refused.end,
            Some(End::Fail(Failure::too_many())),
            "the permit that is out still counts"
        );
        drop(held);
        assert_eq!(strike(&faults, JOY, None).expect("a place").end, None);
        faults.replace(Vec::new());
        assert!(faults.at(JOY).is_none());
    }

    #[test]
    fn what_is_given_goes_before_what_the_process_has() {
        let of_base = |name: &str, code| Rule {
            name: name.to_owned(),
            grpc: vec!["VoteJoy".to_owned()],
            effect: Some(Effect::Fail(Failure {
                code: Code::named(code),
                status: None,
                message: None,
            })),
            ..Rule::default()
        };
        let faults = faults("");
        let code = || match strike(&faults, JOY, None)?.end? {
            End::Fail(failure) => failure.code.map(Code::name),
            _ => None,
        };
        faults.assume(vec![of_base("bug", "INTERNAL")]);
        assert_eq!(code(), Some("INTERNAL"));
        faults.base(vec![of_base("bug", "UNKNOWN")]);
        faults.assume(vec![of_base("bug", "INTERNAL")]);
        assert_eq!(code(), Some("UNKNOWN"));
        faults.replace(vec![of_base("bug", "ABORTED")]);
        assert_eq!(code(), Some("ABORTED"));
        assert!(faults.remove("bug"));
        assert_eq!(code(), None, "neither the given one nor that of the base");
        assert!(!faults.remove("bug"));
        faults.replace(Vec::new());
        assert_eq!(code(), Some("UNKNOWN"));
    }

    #[test]
    fn what_is_shown_can_be_given_back() {
        let text = "[[rule]]\nname = \"a\"\ngrpc = [\"VoteJoy\", \"Results\"]\nshare = 0.1\ncode = \"ABORTED\"\nmessage = \"a \\\"b\\\" \\\\\"\n\
            [[rule]]\nname = \"b\"\nhttp = \"/vote\"\nemoji = \":joy:\"\ndelay = { p50 = \"20ms\", p99 = \"1s\" }\nstatus = 503\nstart = \"1m\"\nfor = \"90s\"\nseed = 7\n\
            [[rule]]\nname = \"c\"\nrate = 2.5\n[[rule]]\nname = \"d\"\nconcurrency = 3\n\
            [[rule]]\nname = \"e\"\ndelay = { from = \"1ms\", to = \"2ms\" }\nstall = true\n\
            [[rule]]\nname = \"f\"\ndelay = { mean = \"1ms\", deviation = \"200us\" }\nreset = true\n";
        let faults = faults(text);
        let given = parse(text, faults.places()).expect("a good set");
        let shown = shown(&faults, Instant::now());
        assert_eq!(parse(&shown, faults.places()), Ok(given), "{shown}");
    }
}
