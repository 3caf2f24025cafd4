use super::*;
use crate::{
    End, Places,
    draw::{For, draw},
    parse,
};

const JOY: Place = Place::Rpc { service: "s.Voting", method: "VoteJoy" };
const DOUGHNUT: Place = Place::Rpc { service: "s.Voting", method: "VoteDoughnut" };
const RESULTS: Place = Place::Rpc { service: "s.Voting", method: "Results" };
const FIND: Place = Place::Rpc { service: "s.Emoji", method: "Find" };
const VOTE: Place = Place::Route("/vote");
const SECOND: Duration = Duration::from_secs(1);

impl Faults {
    fn expected_of(&self, place: Place, behind: Option<&Behind>, question: &Question) -> Expected {
        let (_, expected) =
            self.predict(vec![(place, behind.cloned().unwrap_or_default())], question).remove(0);
        expected
    }
}

/// Each rule is given as what it says besides its name, which is a letter: a, b, c.
fn faults(rules: &[&str]) -> Faults {
    let places = vec![
        (JOY, About::Emoji(":joy:")),
        (DOUGHNUT, About::Emoji(":doughnut:")),
        (RESULTS, About::Nothing),
        (FIND, About::Nothing),
        (VOTE, About::Choice),
        (Place::Route("/leaderboard"), About::Nothing),
    ];
    let faults = Faults::new(Places::new(places, vec![":joy:", ":doughnut:"]));
    let rule = |(name, rule): (char, &&str)| format!("[[rule]]\nname = \"{name}\"\n{rule}\n");
    let text: String = ('a'..='z').zip(rules).map(rule).collect();
    faults.replace(parse(&text, faults.places()).expect("a good set"));
    faults
}

fn question(calls: u32) -> Question {
    Question { calls, timeout: None, over: None, at: Instant::now() }
}

fn within(calls: u32, timeout: Duration) -> Question {
    Question { timeout: Some(timeout), ..question(calls) }
}

/// As web votes: it finds the emoji, and then votes for it.
fn voting() -> Behind {
    Behind {
        timeout: 2 * SECOND,
        steps: vec![vec![Call::To(FIND)], vec![Call::Vote]],
        choices: vec![(":joy:", JOY, 0.85 * 7.0), (":doughnut:", DOUGHNUT, 0.15 * 7.0)],
    }
}

/// What is expected of calls of the RPC for joy.
fn of_joy(rules: &[&str], question: &Question) -> Expected {
    faults(rules).expected_of(JOY, None, question)
}

#[track_caller]
fn assert_near(got: f64, expected: f64) {
    assert!((got - expected).abs() < 1e-9, "{got}, not {expected}");
}

#[track_caller]
fn assert_exact(latency: Latency, seconds: f64) {
    for quantile in [latency.p50, latency.p90, latency.p99] {
        assert_eq!(quantile, Quantile { seconds, at_least: seconds, at_most: seconds });
    }
}

fn ratio(ratio: f64) -> Ratio {
    Ratio { ratio: Some(ratio), at_least: ratio, at_most: ratio }
}

#[test]
fn without_rules_nothing_fails_and_nothing_is_added() {
    for (place, behind) in [(JOY, None), (VOTE, Some(voting()))] {
        let got = faults(&["grpc = \"Results\"\nreset = true"]).expected_of(
            place,
            behind.as_ref(),
            &within(1_000, SECOND),
        );
        assert_eq!((got.rules.len(), got.success), (0, ratio(1.0)));
        assert_exact(got.added_latency, 0.0);
    }
}

#[test]
fn failures_fail_their_share_and_calls_differ_as_a_binomial_distribution_says() {
    for effect in ["code = \"ABORTED\"", "reset = true"] {
        let rule = format!("grpc = \"VoteJoy\"\nshare = 0.1\n{effect}");
        let got = of_joy(&[&rule], &question(1_000));
        assert_eq!(got.rules, ["a"]);
        // Summed up in whole numbers, without rounding.
        assert_eq!(got.success, Ratio { ratio: Some(0.9), at_least: 0.868, at_most: 0.93 });
        assert_exact(got.added_latency, 0.0);
    }
    let all = of_joy(&["grpc = \"*\"\nreset = true", "delay = \"1s\""], &question(10));
    assert_eq!((all.success, all.rules), (ratio(0.0), vec!["a".to_owned(), "b".to_owned()]));
    assert_exact(all.added_latency, 0.0);
    let two =
        ["share = 0.5\nreset = true\ngrpc = \"*\"", "share = 0.2\nstall = true\ngrpc = \"*\""];
    assert_near(of_joy(&two, &question(10)).success.ratio.expect("known"), 0.4);
    assert_eq!(of_joy(&["share = 0.0\nreset = true"], &question(10)).success, ratio(1.0));
}

#[test]
fn delays_add_what_their_distributions_say() {
    let fixed = of_joy(
        &["delay = \"100ms\"", "delay = \"50ms\"\nreset = true\ngrpc = \"*\""],
        &question(7),
    );
    assert_exact(fixed.added_latency, 0.15);
    assert_eq!(fixed.success, ratio(0.0));
    for (delay, [p50, p90, p99], by) in [
        ("{ from = \"100ms\", to = \"300ms\" }", [0.2, 0.28, 0.298], 0.003),
        ("{ mean = \"200ms\", deviation = \"20ms\" }", [0.2, 0.225_631, 0.246_527], 0.002),
        ("{ p50 = \"20ms\", p90 = \"100ms\", p99 = \"1s\" }", [0.02, 0.1, 1.0], 0.03),
    ] {
        let got = of_joy(&[&format!("delay = {delay}")], &within(1_000, 5 * SECOND));
        assert_eq!(got.success, ratio(1.0), "{delay}");
        let latency = got.added_latency;
        for (quantile, expected) in [(latency.p50, p50), (latency.p90, p90), (latency.p99, p99)] {
            assert!((quantile.seconds - expected).abs() < by, "{delay}: {quantile:?}");
            assert!(
                quantile.at_least < expected && expected <= quantile.at_most,
                "{delay}: {quantile:?}"
            );
            let width = quantile.at_most - quantile.at_least;
            assert!(width > 0.0 || delay.contains("p99"), "{delay}: {quantile:?}");
            assert!(width < 0.3 * expected || delay.contains("p99"), "{delay}: {quantile:?}");
        }
    }
    let some = of_joy(&["share = 0.2\ndelay = \"1s\""], &question(1_000)).added_latency;
    let of = |seconds| Quantile { seconds, at_least: seconds, at_most: seconds };
    assert_eq!((some.p50, some.p90, some.p99), (of(0.0), of(1.0), of(1.0)));
    // The median of calls of which half are slow may be either.
    let half = of_joy(&["share = 0.5\ndelay = \"1s\""], &question(1_000)).added_latency;
    assert_eq!((half.p50.at_least, half.p50.at_most), (0.0, 1.0));
}

#[test]
fn who_waits_gives_up_at_the_timeout() {
    let slow = of_joy(&["delay = \"2s\""], &within(10, 2 * SECOND));
    assert_eq!(slow.success, ratio(0.0));
    assert_exact(slow.added_latency, 2.0);
    let sum = of_joy(&["delay = \"1s\"", "delay = \"1500ms\""], &within(10, 2 * SECOND));
    assert_eq!(sum.success, ratio(0.0));
    assert_exact(sum.added_latency, 2.0);
    let some = of_joy(&["share = 0.25\ndelay = \"3s\""], &within(1_000, 2 * SECOND));
    assert_eq!(some.success.ratio, Some(0.75));
    assert_near(some.added_latency.p90.seconds, 2.0);
    let by_chance = "delay = { from = \"0s\", to = \"4s\" }";
    let got = of_joy(&[by_chance], &within(1_000, 3 * SECOND)).success;
    assert!((got.ratio.expect("known") - 0.75).abs() < 0.012, "{got:?}");
    let (low, high) = crate::binomial::counts(1_000, 0.75);
    assert!(got.at_least < f64::from(low) / 1e3 && f64::from(high) / 1e3 < got.at_most, "{got:?}");
    assert!(got.at_most - got.at_least < 0.13, "{got:?}");
}

#[test]
fn what_stalls_fails_when_its_caller_gives_up() {
    let rules = ["delay = \"1s\"\nstall = true"];
    for (timeout, seconds) in [(None, 61.0), (Some(2 * SECOND), 2.0), (Some(100 * SECOND), 61.0)] {
        let got = of_joy(&rules, &Question { timeout, ..question(10) });
        assert_eq!(got.success, ratio(0.0));
        assert_exact(got.added_latency, seconds);
    }
    // A route gives its RPC up. If it stalls itself, it does so after all else.
    for (rule, seconds) in
        [("grpc = \"Find\"\nstall = true", 2.0), ("http = \"/vote\"\nstall = true", 60.0)]
    {
        let got = faults(&[rule]).expected_of(VOTE, Some(&voting()), &question(10));
        assert_eq!(got.success, ratio(0.0));
        assert_exact(got.added_latency, seconds);
        let rules =
            [rule, "grpc = \"VoteJoy\"\ndelay = \"1s\"", "grpc = \"VoteDoughnut\"\ndelay = \"1s\""];
        let got = faults(&rules).expected_of(VOTE, Some(&voting()), &question(10));
        let after = if rule.starts_with("http") { 1.0 } else { 0.0 };
        assert_exact(got.added_latency, seconds + after);
    }
}

#[test]
fn routes_mix_the_emoji_and_wait_for_what_is_behind_them() {
    let behind = voting();
    let of_vote = |rules: &[&str], question: &Question| {
        faults(rules).expected_of(VOTE, Some(&behind), question)
    };
    for rule in [
        "emoji = \":doughnut:\"\ncode = \"UNKNOWN\"",
        "grpc = \"VoteDoughnut\"\nreset = true",
        "http = \"/vote\"\nemoji = \":doughnut:\"\nstatus = 503",
        "grpc = \"VoteDoughnut\"\ndelay = \"2s\"",
        "grpc = \"VoteDoughnut\"\nstall = true",
    ] {
        let got = of_vote(&[rule], &question(1_000));
        assert_near(got.success.ratio.expect("known"), 0.85);
        assert_eq!(got.rules, ["a"], "{rule}");
    }
    let both =
        ["http = \"*\"\nshare = 0.1\nstatus = 500", "grpc = \"*\"\nshare = 0.2\nreset = true"];
    let both = of_vote(&both, &question(1_000));
    assert_near(both.success.ratio.expect("known"), 0.9 * 0.8 * 0.8);
    let slow =
        ["grpc = [\"Find\", \"VoteJoy\"]\ndelay = \"1s\"", "http = \"/vote\"\ndelay = \"500ms\""];
    let got = of_vote(&slow, &question(1_000));
    assert_eq!(got.rules, ["b", "a"]);
    assert_eq!(got.success, ratio(1.0));
    assert_near(got.added_latency.p50.seconds, 2.5);
    assert_near(of_vote(&slow, &within(1_000, 2 * SECOND)).success.ratio.expect("known"), 0.15);
    // At the same time: all are waited for, also if one fails.
    let leaderboard = Behind {
        timeout: 2 * SECOND,
        steps: vec![vec![Call::To(FIND), Call::To(RESULTS)], vec![Call::Vote]],
        choices: Vec::new(),
    };
    let rules = [
        "grpc = \"Find\"\nreset = true",
        "grpc = \"Results\"\ndelay = \"1s\"",
        "grpc = \"Vote*\"\ndelay = \"1s\"",
    ];
    let got =
        faults(&rules).expected_of(Place::Route("/leaderboard"), Some(&leaderboard), &question(9));
    assert_eq!(got.success, ratio(0.0));
    assert_exact(got.added_latency, 1.0);
    // Of two at the same time, the later one: half of all squares lie below the root of a half.
    let rule = "grpc = [\"Find\", \"Results\"]\ndelay = { from = \"0s\", to = \"1s\" }";
    let latency = faults(&[rule])
        .expected_of(Place::Route("/leaderboard"), Some(&leaderboard), &question(9))
        .added_latency;
    assert!((latency.p50.seconds - 0.5f64.sqrt()).abs() < 0.01, "{latency:?}");
    assert!((latency.p90.seconds - 0.9f64.sqrt()).abs() < 0.01, "{latency:?}");
    // Who chooses no emoji is not struck by what is for one.
    let rule = "http = \"/vote\"\nemoji = \":joy:\"\nstatus = 500";
    assert_eq!(faults(&[rule]).expected_of(VOTE, None, &question(9)).success, ratio(1.0));
}

#[test]
fn limits_let_through_what_can_be_told() {
    let limit = ["grpc = \"VoteJoy\"\nrate = 50"];
    let over = |calls| Question { over: Some(10 * SECOND), ..question(calls) };
    let got = of_joy(&limit, &over(1_000));
    assert_near(got.success.ratio.expect("known"), 0.55);
    assert!(got.success.at_least > 0.42 && got.success.at_most < 0.553, "{got:?}");
    assert_exact(got.added_latency, 0.0);
    let few = of_joy(&limit, &over(400)).success;
    assert!(few.ratio == Some(1.0) && few.at_least > 0.99 && few.at_most >= 1.0, "{few:?}");
    let half = of_joy(&["grpc = \"*\"\nshare = 0.5\nreset = true", limit[0]], &over(2_000)).success;
    assert_near(half.ratio.expect("known"), 0.275);
    assert!(half.at_least < 0.275 && half.at_most > 0.275, "{half:?}");
    for (rules, over, at_most) in [
        (["share = 0.25\ngrpc = \"*\"\nreset = true", limit[0]], None, 0.75),
        (
            ["share = 0.25\ngrpc = \"*\"\nreset = true", "grpc = \"Vote*\"\nrate = 50"],
            Some(SECOND),
            0.75,
        ),
        (
            ["grpc = \"VoteJoy\"\nconcurrency = 3", "grpc = \"*\"\ndelay = \"1s\""],
            Some(SECOND),
            1.0,
        ),
    ] {
        let got = of_joy(&rules, &Question { over, ..question(1_000) });
        assert_eq!((got.success.ratio, got.success.at_least), (None, 0.0));
        let (_, high) = crate::binomial::counts(1_000, at_most);
        assert_near(got.success.at_most, f64::from(high) / 1e3);
        let p50 = got.added_latency.p50;
        let slow = if at_most < 1.0 { 0.0 } else { 1.0 };
        assert_eq!((p50.at_least, p50.at_most), (0.0, slow), "who is refused does not wait");
    }
}

#[test]
fn rules_that_do_not_strike_yet_do_not_count() {
    let faults = faults(&["reset = true\nstart = \"10s\"\nfor = \"10s\""]);
    for (seconds, expected) in [(5, 1.0), (15, 0.0), (25, 1.0)] {
        let at = Instant::now() + Duration::from_secs(seconds);
        let got = faults.expected_of(JOY, None, &Question { at, ..question(10) });
        assert_eq!(got.success, ratio(expected), "after {seconds} s");
    }
}

#[test]
fn success_alone_is_the_same_without_samples_but_for_what_takes_luck_to_be_in_time() {
    let question = within(1_000, SECOND);
    for rules in [
        &[][..],
        &["grpc = \"VoteJoy\"\nshare = 0.25\ncode = \"ABORTED\""],
        &[
            "grpc = \"VoteJoy\"\nshare = 0.25\ndelay = \"2s\"",
            "grpc = \"Find\"\nshare = 0.1\nreset = true",
        ],
        &["grpc = \"*\"\nconcurrency = 3"],
    ] {
        let faults = faults(rules);
        for (place, behind) in [(JOY, Behind::default()), (VOTE, voting())] {
            let expected = faults.expected_of(place, Some(&behind), &question);
            let alone = faults.success(place, &behind, &question);
            assert_eq!(alone, (expected.rules, expected.success), "{rules:?}");
        }
    }
    let by_luck =
        faults(&["grpc = \"VoteJoy\"\nshare = 0.5\ndelay = { from = \"0s\", to = \"2s\" }"]);
    let (rules, success) = by_luck.success(JOY, &Behind::default(), &question);
    assert_eq!(rules, ["a"]);
    assert_eq!(success, Ratio { ratio: None, at_least: 0.0, at_most: 1.0 });
}

#[test]
fn places_under_the_same_rules_show_the_same_and_others_do_not() {
    let slow = "delay = { mean = \"1s\", deviation = \"200ms\" }";
    let faults =
        faults(&[&format!("grpc = \"*\"\n{slow}"), "emoji = \":joy:\"\nshare = 0.1\nreset = true"]);
    let mut question = within(1_000, SECOND);
    for calls in [1_000, 10] {
        question.calls = calls;
        let none = Behind::default;
        let places = [(JOY, none()), (DOUGHNUT, none()), (RESULTS, none()), (VOTE, voting())];
        let together = faults.predict(places.to_vec(), &question);
        for ((place, behind), (of, expected)) in places.into_iter().zip(&together) {
            let alone = faults.expected_of(place, Some(&behind), &question);
            assert_eq!((place, &alone), (*of, expected));
        }
        let [joy, doughnut, results, vote] = [0, 1, 2, 3].map(|n: usize| &together[n].1);
        assert_eq!(doughnut, results);
        assert!(joy.success != results.success && vote.success != joy.success, "{together:?}");
    }
}

/// What comes of a call to one of these places, by the rules themselves: how long it takes, and whether it succeeds.
fn call(
    faults: &Faults,
    place: Place,
    emoji: Option<&str>,
    at: Instant,
) -> (Duration, Option<End>) {
    let path = match place {
        Place::Rpc { service, method } => format!("/{service}/{method}"),
        Place::Route(route) => route.to_owned(),
    };
    let strike = faults.at(&path).and_then(|here| here.strike(emoji, at)).unwrap_or_default();
    (strike.delay, strike.end)
}

fn rpc(faults: &Faults, place: Place, timeout: Duration, at: Instant) -> (Duration, bool) {
    let (delay, end) = call(faults, place, None, at);
    let took = if end == Some(End::Stall) { delay + STALL_LIMIT } else { delay };
    (took.min(timeout), end.is_none() && took < timeout)
}

fn vote(
    faults: &Faults,
    chosen: (&str, Place),
    timeout: Duration,
    at: Instant,
) -> (Duration, bool) {
    let (mut took, end) = call(faults, VOTE, Some(chosen.0), at);
    let mut succeeds = matches!(end, None | Some(End::Stall));
    for place in [FIND, chosen.1] {
        if succeeds {
            let (more, passes) = rpc(faults, place, 2 * SECOND, at);
            took += more;
            succeeds = passes;
        }
    }
    if end == Some(End::Stall) {
        took += STALL_LIMIT;
    }
    (took.min(timeout), succeeds && end.is_none() && took < timeout)
}

/// Sets of rules, each of them with a seed to come.
const SETS: [&[&str]; 16] = [
    &["share = 0.1\nreset = true\ngrpc = \"*\""],
    &["share = 0.003\ngrpc = \"*\"\ncode = \"ABORTED\"", "share = 0.3\ndelay = \"70ms\""],
    &["share = 0.97\ngrpc = \"*\"\ncode = \"ABORTED\"\ndelay = \"10ms\"", "delay = \"20ms\""],
    &["delay = { from = \"10ms\", to = \"90ms\" }", "delay = { from = \"10ms\", to = \"90ms\" }"],
    &["delay = { mean = \"100ms\", deviation = \"60ms\" }"],
    &["share = 0.6\ndelay = { p50 = \"20ms\", p90 = \"100ms\", p99 = \"1s\" }"],
    &["share = 0.5\ndelay = { from = \"0s\", to = \"2s\" }", "share = 0.5\ndelay = \"1s\""],
    &[
        "share = 0.05\nstall = true",
        "share = 0.5\ngrpc = \"*\"\ndelay = { mean = \"1s\", deviation = \"300ms\" }",
    ],
    &[
        "share = 0.2\ngrpc = \"Find\"\ndelay = \"1500ms\"",
        "share = 0.4\ngrpc = \"*\"\ndelay = \"1s\"",
    ],
    &[
        "http = \"/vote\"\nemoji = \":doughnut:\"\nstatus = 500\nshare = 0.4",
        "grpc = \"VoteJoy\"\nshare = 0.1\nreset = true",
    ],
    &[
        "http = \"*\"\ndelay = { from = \"0s\", to = \"1s\" }\nshare = 0.3\nstatus = 503",
        "delay = { from = \"0s\", to = \"900ms\" }",
    ],
    &[
        "emoji = \":doughnut:\"\ndelay = { from = \"1s\", to = \"3s\" }",
        "share = 0.1\nhttp = \"*\"\nstall = true",
    ],
    &[
        "share = 0.3\ngrpc = \"*\"\nreset = true",
        "grpc = \"VoteJoy\"\nrate = 40",
        "delay = { from = \"0s\", to = \"1s\" }",
    ],
    &["grpc = \"VoteJoy\"\nrate = 3", "share = 0.5\ngrpc = \"*\"\nreset = true"],
    &["http = \"/vote\"\nrate = 99.5", "share = 0.2\ngrpc = \"VoteJoy\"\ndelay = \"300ms\""],
    &["grpc = \"VoteJoy\"\nconcurrency = 1", "share = 0.2\ngrpc = \"*\"\ndelay = \"300ms\""],
];

#[test]
fn calls_are_as_expected() {
    const CALLS: u32 = 1_000;
    const RUNS: usize = 8;
    let mut outside = Vec::new();
    let mut checks = 0;
    for (set, rules) in SETS.iter().enumerate() {
        for run in 0..RUNS {
            let seeded = |(index, rule): (usize, &&str)| {
                let is_limit = rule.contains("rate") || rule.contains("concurrency");
                let seed = set * 1_000 + run * 10 + index;
                if is_limit { (*rule).to_owned() } else { format!("{rule}\nseed = {seed}") }
            };
            let rules: Vec<_> = rules.iter().enumerate().map(seeded).collect();
            let rules: Vec<_> = rules.iter().map(String::as_str).collect();
            let timeout = [2 * SECOND, 1_200 * SECOND / 1_000, 70 * SECOND][run % 3];
            for place in [JOY, VOTE] {
                let faults = faults(&rules);
                let began = Instant::now();
                let question = Question {
                    calls: CALLS,
                    timeout: Some(timeout),
                    over: Some(10 * SECOND),
                    at: began,
                };
                let behind = (place == VOTE).then(voting);
                let expected = faults.expected_of(place, behind.as_ref(), &question);
                let calls = (0..CALLS).map(|n| {
                    let chance = |lane| draw(lane, u64::from(n) + 7_777 * run as u64, For::Share);
                    // Every other time they come by chance, or at least not evenly.
                    let jitter = if run % 2 == 0 { 0.0 } else { 5.0 * chance(1) };
                    let at = began + 10 * SECOND * n / CALLS + SECOND.mul_f64(jitter / 100.0);
                    let choice =
                        if chance(2) < 0.85 { (":joy:", JOY) } else { (":doughnut:", DOUGHNUT) };
                    if place == VOTE {
                        vote(&faults, choice, timeout, at)
                    } else {
                        rpc(&faults, JOY, timeout, at)
                    }
                });
                let (mut took, succeeded): (Vec<_>, Vec<_>) = calls.unzip();
                took.sort_unstable();
                let succeeded = succeeded.iter().filter(|succeeds| **succeeds).count();
                let mut check = |what: &str, value: f64, at_least: f64, at_most: f64| {
                    checks += 1;
                    if value < at_least - 1e-9 || value > at_most + 1e-9 {
                        outside.push(format!("{what} of {place:?} in {rules:?}, {timeout:?}: {value} not in {at_least}..{at_most}"));
                    }
                };
                let Ratio { at_least, at_most, .. } = expected.success;
                #[expect(clippy::cast_precision_loss, reason = "a thousand")]
                check("success", succeeded as f64 / f64::from(CALLS), at_least, at_most);
                let Latency { p50, p90, p99 } = expected.added_latency;
                for (what, rank, quantile) in
                    [("p50", 500, p50), ("p90", 900, p90), ("p99", 990, p99)]
                {
                    let value = took[rank - 1].as_secs_f64();
                    check(what, value, quantile.at_least, quantile.at_most);
                }
            }
        }
    }
    // One of a thousand may be.
    assert!(
        outside.len() <= checks / 500,
        "{} of {checks}:\n{}",
        outside.len(),
        outside.join("\n")
    );
}
