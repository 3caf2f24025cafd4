//! What people write, and what they are told if it is wrong: whole messages, since they are all that a person has to go by.

use proptest::{
    collection::{btree_map, vec},
    option,
    prelude::*,
    sample::{select, subsequence},
    test_runner::{Config, RngAlgorithm, TestCaseResult, TestRng, TestRunner},
};

use super::*;

fn places() -> Places {
    let rpc = |method| Place::Rpc { service: "s.Voting", method };
    let all = vec![
        (rpc("VoteJoy"), About::Emoji(":joy:")),
        (rpc("VoteGhost"), About::Emoji(":ghost:")),
        (rpc("Results"), About::Nothing),
        (Place::Route("/"), About::Nothing),
        (Place::Route("/vote"), About::Choice),
    ];
    Places::new(all, vec![":joy:", ":ghost:", ":100:"])
}

#[track_caller]
fn is_refused(text: &str, message: &str) {
    let told = parse(text, &places()).map_err(|error| error.to_string());
    assert_eq!(told, Err(message.to_owned()), "{}", short(text));
}

/// A rule of which the third line is the first of this.
fn slow(fields: &str) -> String {
    format!("[[rule]]\nname = \"slow\"\n{fields}")
}

/// In which line of the rule something is wrong, and what.
#[track_caller]
fn is_wrong(fields: &str, line: usize, problem: &str) {
    is_refused(&slow(fields), &format!("line {line}, rule \"slow\", {problem}"));
}

#[test]
fn what_is_not_toml_is_refused() {
    for (text, message) in [
        ("rule", "line 1: key with no value, expected `=`"),
        ("rule =", "line 1: string values must be quoted, expected literal string"),
        ("[[rule]", "line 1: unclosed array table, expected `]`"),
        ("[[rule", "line 1: unclosed array table, expected `]]`"),
        ("[[rule]] x", "line 1: unexpected key or value, expected newline, `#`"),
        ("[rule]]", "line 1: unexpected key or value, expected newline, `#`"),
        ("[[]]", "line 1: unquoted keys cannot be empty, expected letters, numbers, `-`, `_`"),
        ("= 1", "line 1: unquoted keys cannot be empty, expected letters, numbers, `-`, `_`"),
        ("{\"rule\": []}", "line 1: invalid key-value pair, expected key"),
        ("# a\0\n", "line 1: invalid comment character, expected printable characters"),
        ("\u{202e}", "line 1: key with no value, expected `=`"),
        ("[[rule]]\nname", "line 2: key with no value, expected `=`"),
        ("[[rule]]\nname\n\n\n", "line 2: key with no value, expected `=`"),
        ("[[rule]]\nname: \"a\"", "line 2: key with no value, expected `=`"),
        ("[[rule]]\nname = a", "line 2: string values must be quoted, expected literal string"),
        ("[[rule]]\nname = \"a\n[[rule]]", "line 2: invalid basic string, expected `\"`"),
        ("[[rule]]\nname = 'a", "line 2: invalid literal string, expected `'`"),
        // Its end is missing, so to say, in the last line.
        (
            "[[rule]]\nname = \"\"\"a\nb\n\n",
            "line 3: invalid multi-line basic string, expected `\"`",
        ),
        (
            "[[rule]]\nname = \"\\q\"",
            "line 2: missing escaped value, expected `b`, `e`, `f`, `n`, `r`, `\\`, `\"`, `x`, `u`, `U`",
        ),
        (
            "[[rule]]\nname = \"\\ud800\"",
            "line 2: invalid value, expected unicode hexadecimal value",
        ),
        (
            "[[rule]]\nname = \"\u{7}\"",
            "line 2: invalid basic string, expected non-double-quote visible characters, `\\`",
        ),
        (
            "[[rule]]\nname = \"a\"\r[[rule]]",
            "line 2: carriage return must be followed by newline, expected newline",
        ),
        (
            "[[rule]]\nname = \"a\" share = 1",
            "line 2: unexpected key or value, expected newline, `#`",
        ),
        ("[[rule]]\nname = \"a\"\nname = \"b\"", "line 3: duplicate key"),
        ("[[rule]]\nshare = 1..5", "line 2: invalid fraction, expected digits"),
        ("[[rule]]\nshare = .5", "line 2: invalid mantissa, expected digits"),
        ("[[rule]]\nshare = 0,5", "line 2: unexpected key or value, expected newline, `#`"),
        ("[[rule]]\nshare = 50%", "line 2: string values must be quoted, expected literal string"),
        ("[[rule]]\nseed = 007", "line 2: unexpected leading zero, expected nothing"),
        ("[[rule]]\nseed = 1__0", "line 2: `_` may only go between digits, expected nothing"),
        ("[[rule]]\nseed = 0xg", "line 2: invalid hexadecimal number"),
        ("[[rule]]\nreset = True", "line 2: invalid boolean, expected `true`"),
        ("[[rule]]\nstart = 30s", "line 2: string values must be quoted, expected literal string"),
        ("[[rule]]\nstart = 2026-13-45", "line 2: invalid date, expected month between 01 and 12"),
        ("[[rule]]\ngrpc = [\"*\"", "line 2: unclosed array, expected `]`"),
        (
            "[[rule]]\ngrpc = [\"*\" \"*\"]",
            "line 2: missing comma between array elements, expected `,`",
        ),
        ("[[rule]]\ndelay = { p1 = \"1s\", p1 = \"1s\" }", "line 2: duplicate key"),
        ("[[rule]]\ndelay = { p1 = \"1s\"", "line 2: unclosed inline table, expected `}`"),
        (
            "[[rule]]\ndelay = { p1 \"1s\" }",
            "line 2: missing assignment between key-value pairs, expected `=`",
        ),
        ("[[rule]]\ndelay = \"1s\"\n[rule.delay]\np1 = \"1s\"", "line 3: duplicate key"),
        ("[rule]\n[[rule]]", "line 2: duplicate key"),
        ("rule = []\n[[rule]]", "line 2: duplicate key"),
    ] {
        is_refused(text, message);
    }
    let deep = format!("rule = {}", "[".repeat(10_000));
    is_refused(&deep, "line 1: cannot recurse further; max recursion depth met");
}

#[test]
fn what_has_other_things_than_rules_is_refused() {
    for (text, message) in [
        ("name = \"slow\"", "line 1: expected [[rule]], got \"name\""),
        ("[[rules]]", "line 1: expected [[rule]], got \"rules\""),
        ("Rule = 1", "line 1: expected [[rule]], got \"Rule\""),
        ("\"\" = 1", "line 1: expected [[rule]], got \"\""),
        ("\"a\\u0007b\" = 1", "line 1: expected [[rule]], got \"a\\u{7}b\""),
        ("# one\nb = 1\na = 1", "line 2: expected [[rule]], got \"b\""),
        ("[[rule]]\n\n[other]", "line 3: expected [[rule]], got \"other\""),
        ("rule = 1", "line 1: expected [[rule]], in two brackets, for each rule"),
        ("rule = \"slow\"", "line 1: expected [[rule]], in two brackets, for each rule"),
        ("rule = {}", "line 1: expected [[rule]], in two brackets, for each rule"),
        ("\n[rule]\nname = \"a\"", "line 2: expected [[rule]], in two brackets, for each rule"),
        ("[rule.slow]", "line 1: expected [[rule]], in two brackets, for each rule"),
        ("rule.name = \"a\"", "line 1: expected [[rule]], in two brackets, for each rule"),
        ("rule = [1]", "line 1, rule #1: expected a table, got 1"),
        ("rule = [\n\"slow\"]", "line 2, rule #1: expected a table, got \"slow\""),
        ("rule = [[]]", "line 1, rule #1: expected a table, got an empty list"),
        ("rule = [1979-05-27]", "line 1, rule #1: expected a table, got a date or time"),
    ] {
        is_refused(text, message);
    }
    let one = |n| format!("[[rule]]\nname = \"a{n}\"\nreset = true\n");
    let many = |n| (1..=n).map(one).collect::<Vec<_>>().concat();
    assert_eq!(parse(&many(64), &places()).map(|rules| rules.len()), Ok(64));
    is_refused(&many(65), "line 193: expected at most 64 rules, got 65");
    assert_eq!(parse(&" ".repeat(65_536), &places()), Ok(Vec::new()));
    is_refused(&" ".repeat(65_537), "expected at most 65536 bytes, got 65537");
}

#[test]
fn a_rule_is_told_by_its_name_or_else_by_its_number() {
    const EXPECTED: &str = "1 to 63 small letters, digits and hyphens between them";
    for (value, got) in [
        (r#""""#, r#""""#),
        (r#""Slow""#, r#""Slow""#),
        (r#""slow down""#, r#""slow down""#),
        (r#""slow_down""#, r#""slow_down""#),
        (r#""-slow""#, r#""-slow""#),
        (r#""slow-""#, r#""slow-""#),
        (r#""slów""#, r#""slów""#),
        (r#""slow\n""#, r#""slow\n""#),
        (r#""\u001b[2J""#, r#""\u{1b}[2J""#),
        (r#""\u202eslow""#, r#""\u{202e}slow""#),
        (r#""it's \"it\"""#, r#""it's \"it\"""#),
        ("1", "1"),
        ("true", "true"),
        (r#"["slow"]"#, "a list"),
        ("2026-01-01", "a date or time"),
    ] {
        let message = format!("line 2, rule #1, name: expected {EXPECTED}, got {got}");
        is_refused(&format!("[[rule]]\nname = {value}"), &message);
    }
    let missing = format!("rule #1, name: expected one: {EXPECTED}");
    is_refused("[[rule]]", &format!("line 1, {missing}"));
    is_refused("\n[[rule]]\nreset = true", &format!("line 2, {missing}"));
    is_refused("rule = [\n  {},\n]", &format!("line 2, {missing}"));
    let long = format!("line 2, rule #1, name: expected {EXPECTED}, got \"{}…\"", "n".repeat(63));
    is_refused(&format!("[[rule]]\nname = \"{}\"", "n".repeat(64)), &long);

    let wrong = "expected true, or no such line, got false";
    for (text, message) in [
        ("[[rule]]\nreset = false\nname = \"a\"", "line 2, rule \"a\", reset"),
        ("[[rule]]\r\nname = \"a\"\r\nreset = false\r\n", "line 3, rule \"a\", reset"),
        ("[[rule]]\nname = \"\"\"\na\"\"\"\nreset = false", "line 4, rule \"a\", reset"),
        (
            "[[rule]]\nname = \"a\"\nstall = true\n[[rule]]\nname = \"b\"\nreset = false",
            "line 6, rule \"b\", reset",
        ),
        (
            "rule = [\n{ name = \"a\", stall = true },\n{ name = \"b\", reset = false }]",
            "line 3, rule \"b\", reset",
        ),
    ] {
        is_refused(text, &format!("{message}: {wrong}"));
    }
    // Of two of the same name, that would not tell which.
    let message = "line 6, rule #2, name: expected one that no other rule has, got \"slow\"";
    let twice =
        |second| format!("{}\n[[rule]]\n# again\nname = \"slow\"\n{second}", slow("reset = true"));
    is_refused(&twice("stall = true"), message);
    is_refused(&twice("stall = false"), message);
}

#[test]
fn fields_that_there_are_not_are_refused() {
    const EXPECTED: &str = "expected one of name, grpc, http, emoji, share, delay, code, status, message, reset, stall, rate, concurrency, start, for, seed";
    for (fields, shown) in [
        ("dely = 1", "dely"),
        ("Delay = 1", "Delay"),
        ("\"\" = 1", "\"\""),
        ("\"a b\" = 1", "\"a b\""),
        ("\"\\u001b[2J\" = 1", "\"\\u{1b}[2J\""),
        ("zzz = 1\naaa = 1", "zzz"),
        ("other.delay = 1", "other"),
        ("[rule.other]\ndelay = 1", "other"),
    ] {
        is_wrong(fields, 3, &format!("{shown}: {EXPECTED}"));
    }
    let long = format!("{}…: {EXPECTED}", "k".repeat(63));
    is_wrong(&format!("{} = 1", "k".repeat(10_000)), 3, &long);
}

/// A field, what is expected of it, and what is something else, with what is shown of that.
type Wrong = (&'static str, &'static str, &'static [(&'static str, &'static str)]);

const WRONG: [Wrong; 13] = [
    (
        "grpc",
        "an RPC such as VoteJoy, Vote* or *",
        &[
            ("1", "1"),
            ("true", "true"),
            ("[]", "an empty list"),
            (r#""""#, r#""""#),
            (r#""Vote""#, r#""Vote""#),
            (r#""votejoy""#, r#""votejoy""#),
            (r#""*Joy""#, r#""*Joy""#),
            (r#""Vote**""#, r#""Vote**""#),
            (r#""/s.Voting/VoteJoy""#, r#""/s.Voting/VoteJoy""#),
            (r#""/vote""#, r#""/vote""#),
            (r#"["VoteJoy", "VoteSad"]"#, r#""VoteSad""#),
            (r#"["VoteJoy", 1]"#, "1"),
            (r#"[["VoteJoy"]]"#, "a list"),
            (r#"{ name = "VoteJoy" }"#, "a table"),
        ],
    ),
    (
        "http",
        "a route such as /api/vote, /api/* or *",
        &[
            ("503", "503"),
            ("[]", "an empty list"),
            (r#""vote""#, r#""vote""#),
            (r#""/votes""#, r#""/votes""#),
            (r#""/api/*""#, r#""/api/*""#),
            (r#""VoteJoy""#, r#""VoteJoy""#),
            (r#"["/", ""]"#, r#""""#),
            (r#""/vote?choice=:joy:""#, r#""/vote?choice=:joy:""#),
        ],
    ),
    (
        "emoji",
        "a shortcode of the ballot such as :joy:",
        &[
            ("1", "1"),
            ("[]", "an empty list"),
            (r#""joy""#, r#""joy""#),
            (r#""*""#, r#""*""#),
            (r#""😂""#, r#""😂""#),
            (r#"[":joy:", ":sad:"]"#, r#"":sad:""#),
        ],
    ),
    (
        "share",
        "a number from 0 to 1",
        &[
            ("1.1", "1.1"),
            ("-0.1", "-0.1"),
            ("2", "2"),
            ("-1", "-1"),
            ("1_0.5", "10.5"),
            ("nan", "nan"),
            ("inf", "inf"),
            ("-inf", "-inf"),
            ("1e400", "1e400"),
            ("0x1", "0x1"),
            (r#""0.5""#, r#""0.5""#),
            ("true", "true"),
            ("[0.5]", "a list"),
        ],
    ),
    (
        "delay",
        DELAY,
        &[
            ("1", "1"),
            ("true", "true"),
            (r#"["1s"]"#, "a list"),
            ("10:00:00", "a date or time"),
            (r#""""#, r#""""#),
            (r#""1""#, r#""1""#),
            (r#""-1s""#, r#""-1s""#),
            (r#""1 s""#, r#""1 s""#),
            (r#""infs""#, r#""infs""#),
            (r#""99999999999999999999h""#, r#""99999999999999999999h""#),
            ("{}", "an empty table"),
            (r#"{ from = "1s" }"#, "{ from }"),
            (r#"{ to = "1s" }"#, "{ to }"),
            (r#"{ mean = "1s" }"#, "{ mean }"),
            (r#"{ deviation = "1s" }"#, "{ deviation }"),
            (r#"{ from = "1s", mean = "1s" }"#, "{ from, mean }"),
            (r#"{ from = "1s", to = "2s", p50 = "1s" }"#, "{ from, p50, to }"),
            (r#"{ mean = "1s", deviation = "1s", to = "1s" }"#, "{ deviation, mean, to }"),
            (r#"{ p50 = "1s", mean = "1s" }"#, "{ mean, p50 }"),
            (r#"{ p101 = "1s" }"#, "{ p101 }"),
            (r#"{ p256 = "1s" }"#, "{ p256 }"),
            (r#"{ pfoo = "1s" }"#, "{ pfoo }"),
            (r#"{ p = "1s" }"#, "{ p }"),
            (r#"{ p-1 = "1s" }"#, "{ p-1 }"),
            (r#"{ "p+5" = "1s" }"#, r#"{ "p+5" }"#),
            (r#"{ p050 = "1s" }"#, "{ p050 }"),
            (r#"{ "p99.9" = "1s" }"#, r#"{ "p99.9" }"#),
            (r#"{ P50 = "1s" }"#, "{ P50 }"),
            (r#"{ "" = "1s" }"#, r#"{ "" }"#),
            (r#"{ "a\nb" = "1s" }"#, r#"{ "a\nb" }"#),
        ],
    ),
    (
        "code",
        "a code of gRPC in capitals, other than OK, such as UNAVAILABLE",
        &[
            ("14", "14"),
            (r#""OK""#, r#""OK""#),
            (r#""unavailable""#, r#""unavailable""#),
            (r#""UNAVAILABLE ""#, r#""UNAVAILABLE ""#),
            (r#""TEAPOT""#, r#""TEAPOT""#),
            (r#""""#, r#""""#),
            (r#"["ABORTED"]"#, "a list"),
        ],
    ),
    (
        "status",
        "a whole number from 400 to 599",
        &[
            ("200", "200"),
            ("399", "399"),
            ("600", "600"),
            ("-503", "-503"),
            ("503.0", "503.0"),
            (r#""503""#, r#""503""#),
            ("[503]", "a list"),
            ("66039", "66039"),
            ("18446744073709552119", "18446744073709552119"),
        ],
    ),
    (
        "reset",
        "true, or no such line",
        &[("false", "false"), (r#""true""#, r#""true""#), ("1", "1")],
    ),
    ("stall", "true, or no such line", &[("false", "false"), ("{}", "an empty table")]),
    (
        "rate",
        "a number above 0 and up to 1000000, so many a second",
        &[
            ("0", "0"),
            ("0.0", "0.0"),
            ("-0.0", "-0.0"),
            ("-1", "-1"),
            ("1000001", "1000001"),
            ("1e-400", "1e-400"),
            ("inf", "inf"),
            ("nan", "nan"),
            ("0xa", "0xa"),
            (r#""10/s""#, r#""10/s""#),
        ],
    ),
    (
        "concurrency",
        "a whole number from 1 to 1000000",
        &[
            ("0", "0"),
            ("-1", "-1"),
            ("1.5", "1.5"),
            ("1000001", "1000001"),
            ("4294967297", "4294967297"),
            (r#""1""#, r#""1""#),
        ],
    ),
    (
        "start",
        r#"a duration such as "30s" or "10m""#,
        &[
            ("30", "30"),
            (r#""30""#, r#""30""#),
            (r#""-1s""#, r#""-1s""#),
            (r#""""#, r#""""#),
            ("2026-01-01T00:00:00Z", "a date or time"),
            (r#"["1s"]"#, "a list"),
        ],
    ),
    (
        "seed",
        "a whole number from 0 to 9223372036854775807",
        &[
            ("-1", "-1"),
            ("1.0", "1.0"),
            (r#""1""#, r#""1""#),
            ("9223372036854775808", "9223372036854775808"),
            ("0xffffffffffffffff", "0xffffffffffffffff"),
            ("99999999999999999999999999", "99999999999999999999999999"),
            ("nan", "nan"),
            ("[]", "an empty list"),
        ],
    ),
];

const DELAY: &str = "a duration such as \"150ms\", { from, to }, { mean, deviation } or percentiles from p0 to p100 such as { p50, p99 }";

#[test]
fn a_value_that_is_none_is_shown_beside_what_is_expected() {
    for (field, expected, values) in WRONG {
        for (value, got) in values {
            let problem = format!("{field}: expected {expected}, got {got}");
            is_wrong(&format!("{field} = {value}"), 3, &problem);
        }
    }
    for value in ["30", "\"ever\"", "\"-1s\"", "true"] {
        let problem = format!("for: expected a duration such as \"30s\" or \"10m\", got {value}");
        is_wrong(&format!("for = {value}"), 3, &problem);
    }
    let message = "message: expected a text of at most 256 bytes in one line, got";
    for (value, got) in [
        ("1", "1".to_owned()),
        (r#""a\nb""#, r#""a\nb""#.to_owned()),
        (r#""a\tb""#, r#""a\tb""#.to_owned()),
        (r#""\u009b2J""#, r#""\u{9b}2J""#.to_owned()),
        (&format!("\"{}\"", "m".repeat(257)), format!("\"{}…\"", "m".repeat(63))),
    ] {
        let fields = format!("code = \"ABORTED\"\nmessage = {value}");
        is_wrong(&fields, 4, &format!("{message} {got}"));
    }
}

#[test]
fn a_value_of_many_lines_is_wrong_in_one_of_them() {
    for (fields, line, problem) in [
        (
            "grpc = [\n  \"VoteJoy\",\n  \"VoteSad\",\n]",
            5,
            "grpc: expected an RPC such as VoteJoy, Vote* or *, got \"VoteSad\"",
        ),
        (
            "[rule.delay]\n\np50 = \"1\"",
            5,
            "delay.p50: expected a duration such as \"150ms\", got \"1\"",
        ),
        (
            "delay.p50 = \"2s\"\ndelay.p90 = 1",
            4,
            "delay.p90: expected a duration such as \"150ms\", got 1",
        ),
        ("[rule.share.of]\nall = 1", 3, "share: expected a number from 0 to 1, got a table"),
    ] {
        is_wrong(fields, line, problem);
    }
}

#[test]
fn durations_that_are_none_or_too_long_are_refused_wherever_they_are() {
    let none = "a duration such as \"150ms\", got";
    for (fields, problem) in [
        ("delay = \"1h1ns\"", "delay: expected at most 1h, got \"1h1ns\"".to_owned()),
        (
            "delay = { from = \"0s\", to = \"61m\" }",
            "delay.to: expected at most 1h, got \"61m\"".to_owned(),
        ),
        (
            "delay = { mean = \"1s\", deviation = \"2h\" }",
            "delay.deviation: expected at most 1h, got \"2h\"".to_owned(),
        ),
        ("delay = { from = 1, to = \"2s\" }", format!("delay.from: expected {none} 1")),
        ("delay = { from = \"1s\", to = \"2\" }", format!("delay.to: expected {none} \"2\"")),
        (
            "delay = { mean = \"-1s\", deviation = \"1s\" }",
            format!("delay.mean: expected {none} \"-1s\""),
        ),
        ("delay = { p50 = [\"1s\"] }", format!("delay.p50: expected {none} a list")),
        ("delay = { p99.9 = \"1s\" }", format!("delay.p99: expected {none} a table")),
        ("delay = { \"a\\nb\" = 1 }", format!("delay.\"a\\nb\": expected {none} 1")),
        (
            "delay = { from = \"2s\", to = \"1s\" }",
            "delay: expected from not to be above to".to_owned(),
        ),
        (
            "delay = { p50 = \"2s\", p9 = \"1s\", p99 = \"1s\" }",
            "delay: expected higher percentiles not to be shorter than lower ones".to_owned(),
        ),
        ("start = \"8761h\"", "start: expected at most 8760h, got \"8761h\"".to_owned()),
        ("for = \"8760h1ns\"", "for: expected at most 8760h, got \"8760h1ns\"".to_owned()),
        ("for = \"0s\"\nreset = true", "for: expected a duration above zero".to_owned()),
        ("for = \"0.1ns\"\nreset = true", "for: expected a duration above zero".to_owned()),
    ] {
        is_wrong(fields, 3, &problem);
    }
}

#[test]
fn fields_that_do_not_go_together_are_refused() {
    let emoji = "emoji: expected one that an RPC or route that the rule matches votes for";
    let no_rpc = "code: expected none: the rule matches no RPC, and routes have status";
    let no_route = "status: expected none: the rule matches no route, and RPCs have code";
    let code = "code: expected one such as UNAVAILABLE for the RPCs that the rule matches, or http alone to match only routes";
    let status = "status: expected one such as 503 for the routes that the rule matches, or grpc alone to match only RPCs";
    let alone = "message: expected code or status beside it";
    let no_share = "share: expected none beside a limit, which is for all that it matches";
    let no_delay = "delay: expected none beside a limit: write a rule of its own for the delay";
    for (fields, line, problem) in [
        ("emoji = \":100:\"\nreset = true", 3, emoji),
        ("reset = true\ngrpc = \"Results\"\nemoji = \":joy:\"", 5, emoji),
        ("reset = true\ngrpc = \"VoteGhost\"\nemoji = \":joy:\"", 5, emoji),
        ("reset = true\nhttp = \"/\"\nemoji = \":joy:\"", 5, emoji),
        // What is missing is missing of the rule.
        ("code = \"ABORTED\"", 1, status),
        ("status = 503", 1, code),
        ("grpc = \"*\"\nhttp = \"*\"\ncode = \"ABORTED\"", 1, status),
        ("grpc = \"*\"\nhttp = \"*\"\nstatus = 503", 1, code),
        ("http = \"*\"\ncode = \"ABORTED\"", 4, no_rpc),
        ("http = \"*\"\nstatus = 503\ncode = \"ABORTED\"", 5, no_rpc),
        ("grpc = \"*\"\nstatus = 503", 4, no_route),
        ("grpc = \"*\"\ncode = \"ABORTED\"\nstatus = 503", 5, no_route),
        // Emoji alone are for RPCs.
        ("emoji = \":joy:\"\nstatus = 503", 4, no_route),
        ("emoji = \":joy:\"\ngrpc = \"Results\"\nhttp = \"*\"\ncode = \"ABORTED\"", 6, no_rpc),
        ("message = \"no\"", 3, alone),
        ("reset = true\nmessage = \"no\"", 4, alone),
        ("rate = 1\nshare = 0.5", 4, no_share),
        ("share = 1\nconcurrency = 1", 3, no_share),
        ("rate = 1\ndelay = \"1s\"", 4, no_delay),
        ("delay = \"1s\"\nconcurrency = 1", 3, no_delay),
    ] {
        is_wrong(fields, line, problem);
    }
    for (fields, line, one, other) in [
        ("reset = true\nstall = true", 4, "reset", "stall"),
        ("stall = true\nreset = true", 3, "reset", "stall"),
        ("code = \"ABORTED\"\nstatus = 503\nreset = true", 5, "code", "reset"),
        ("status = 503\nstall = true", 4, "status", "stall"),
        ("rate = 1\nconcurrency = 1", 4, "rate", "concurrency"),
        ("reset = true\nrate = 1", 4, "reset", "rate"),
        ("concurrency = 1\ncode = \"ABORTED\"", 3, "code", "concurrency"),
    ] {
        let problem =
            format!("{other}: expected none beside {one}: write a rule of its own for it");
        is_wrong(fields, line, &problem);
    }
    let nothing = "line 1, rule \"slow\": expected something that it does: delay, code, status, reset, stall, rate or concurrency";
    for fields in ["", "share = 1", "grpc = \"*\"\nstart = \"1s\"\nfor = \"1s\""] {
        is_refused(&slow(fields), nothing);
    }
}

#[test]
fn messages_stay_short_and_harmless_whatever_is_given() {
    let name = |text: &str| format!("[[rule]]\nname = \"{text}\"");
    let bell = "\\u0007".repeat(2_000);
    let keys: Vec<_> = (0..999).map(|n| format!("q{n} = \"1s\"")).collect();
    for text in [
        name(&"n".repeat(10_000)),
        name(&bell),
        name(&"😂".repeat(2_500)),
        format!("\"{bell}\" = 1"),
        slow(&format!("\"{bell}\" = 1")),
        slow(&format!("grpc = [\"{bell}\"]")),
        slow(&format!("http = \"{bell}\"")),
        slow(&format!("emoji = \"{bell}\"")),
        slow(&format!("share = {}", "9".repeat(10_000))),
        slow(&format!("share = 1.{}", "9".repeat(10_000))),
        slow(&format!("seed = 0x{}", "f".repeat(10_000))),
        slow(&format!("delay = \"{bell}\"")),
        slow(&format!("delay = {{ \"{bell}\" = \"1s\" }}")),
        slow(&format!("delay = {{ \"{bell}\" = \"{bell}\" }}")),
        slow(&format!("delay = {{ {} }}", keys.join(", "))),
        slow(&format!("code = \"{bell}\"")),
        slow(&format!("code = \"ABORTED\"\nmessage = \"{bell}\"")),
        slow(&format!("start = \"{bell}\"")),
        slow(&format!("for = \"{}h\"", "9".repeat(10_000))),
        slow(&format!("share = {}1{}", "[".repeat(50), "]".repeat(50))),
        "k".repeat(10_000),
        "\u{7}".repeat(10_000),
    ] {
        let error = parse(&text, &places()).expect_err("nothing good");
        assert!(is_readable(&text, &error).is_ok(), "{error}");
    }
}

/// Whether somebody can see from an error where to look.
fn is_readable(text: &str, error: &Invalid) -> TestCaseResult {
    let message = error.to_string();
    let lines = text.lines().count().max(1);
    prop_assert!(error.line.is_some_and(|line| (1..=lines).contains(&line)), "{}", message);
    prop_assert!(!message.chars().any(char::is_control), "{:?}", message);
    prop_assert!(message.len() < 1_000, "{}", message);
    prop_assert!(error.field.is_none() || error.rule.is_some(), "{}", message);
    Ok(())
}

#[test]
fn good_rules_are_what_they_say() {
    const fn ms(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }
    let fails = |code: Option<&str>, status, message: Option<&str>| {
        let code = code.and_then(Code::named);
        Some(Effect::Fail(Failure { code, status, message: message.map(str::to_owned) }))
    };
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    let rule = || Rule { name: "slow".to_owned(), ..Rule::default() };
    let delays = |delay| Rule { delay: Some(delay), ..rule() };
    let does = |effect| Rule { effect: Some(effect), ..rule() };
    for (fields, expected) in [
        ("delay = \"1.5s\"", delays(Delay::Fixed(ms(1_500)))),
        ("delay = \"1h\"", delays(Delay::Fixed(MAX_DELAY))),
        (
            "delay = { to = \"30ms\", from = \"10ms\" }",
            delays(Delay::Uniform { from: ms(10), to: ms(30) }),
        ),
        (
            "delay = { mean = \"1s\", deviation = \"0\" }",
            delays(Delay::Normal { mean: ms(1_000), deviation: ms(0) }),
        ),
        (
            "delay = { p100 = \"1s\", p0 = \"1ms\", p9 = \"9ms\", p50 = \"9ms\" }",
            delays(Delay::Points(vec![(0, ms(1)), (9, ms(9)), (50, ms(9)), (100, ms(1_000))])),
        ),
        ("[rule.delay]\np50 = \"1s\"", delays(Delay::Points(vec![(50, ms(1_000))]))),
        ("reset = true", does(Effect::Reset)),
        ("stall = true", does(Effect::Stall)),
        ("rate = 10", does(Effect::Rate(10.0))),
        ("rate = 1e6", does(Effect::Rate(1e6))),
        ("concurrency = 1_000_000", does(Effect::Concurrency(1_000_000))),
        (
            "code = \"ABORTED\"\nstatus = 0x1f7",
            Rule { effect: fails(Some("ABORTED"), Some(503), None), ..rule() },
        ),
        (
            "grpc = \"Vote*\"\ncode = \"UNAVAILABLE\"\nmessage = '\"no\" \\ ß'",
            Rule {
                grpc: names(&["Vote*"]),
                effect: fails(Some("UNAVAILABLE"), None, Some("\"no\" \\ ß")),
                ..rule()
            },
        ),
        (
            "http = [\"/\", \"/vote\"]\nstatus = 400\nmessage = \"\"",
            Rule {
                http: names(&["/", "/vote"]),
                effect: fails(None, Some(400), Some("")),
                ..rule()
            },
        ),
        (
            "emoji = [\":joy:\", \":ghost:\"]\ncode = \"INTERNAL\"\nshare = 0",
            Rule {
                emoji: names(&[":joy:", ":ghost:"]),
                effect: fails(Some("INTERNAL"), None, None),
                share: 0.0,
                ..rule()
            },
        ),
        (
            "share = 0.25\ndelay = \"1s\"\nreset = true\nstart = \"90s\"\nfor = \"8760h\"\nseed = 9223372036854775807",
            Rule {
                share: 0.25,
                delay: Some(Delay::Fixed(ms(1_000))),
                effect: Some(Effect::Reset),
                start: ms(90_000),
                lasts: Some(MAX_AGE),
                seed: Some(9_223_372_036_854_775_807),
                ..rule()
            },
        ),
    ] {
        assert_eq!(parse(&slow(fields), &places()), Ok(vec![expected]), "{fields}");
    }
    let two = parse(
        "# of tables in one line\nrule = [{ name = \"b\", reset = true }, { name = \"a\", stall = true }]",
        &places(),
    );
    let two = two.map(|rules| rules.into_iter().map(|rule| rule.name).collect::<Vec<_>>());
    assert_eq!(two, Ok(names(&["b", "a"])), "in their order");
    for none in ["", "\u{feff}# none\r\n", "rule = []"] {
        assert_eq!(parse(none, &places()), Ok(Vec::new()), "{none:?}");
    }
}

/// The same cases each time: a failure is one that everybody has.
fn check<S: Strategy>(strategy: &S, test: impl Fn(S::Value) -> TestCaseResult) {
    let config = Config { cases: 256, failure_persistence: None, ..Config::default() };
    let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    if let Err(failed) = TestRunner::new_with_rng(config, rng).run(strategy, test) {
        panic!("{failed}");
    }
}

fn written(rules: &[Rule]) -> String {
    rules.iter().map(Rule::to_string).collect::<Vec<_>>().join("\n")
}

/// What Go's durations are exact for, since they are read by way of a double.
fn duration(most: Duration) -> impl Strategy<Value = Duration> {
    const DAY: u64 = 86_400;
    let short = most.as_secs().min(DAY);
    prop_oneof![
        (0..=short * 1_000_000_000).prop_map(Duration::from_nanos),
        (0..=short * 1_000).prop_map(Duration::from_millis),
        (0..=most.as_secs()).prop_map(Duration::from_secs),
    ]
}

fn delay() -> impl Strategy<Value = Delay> {
    let one = || duration(MAX_DELAY);
    let points = btree_map(0..=100u8, one(), 1..6).prop_map(|points| {
        let (percentiles, mut delays): (Vec<_>, Vec<_>) = points.into_iter().unzip();
        delays.sort();
        Delay::Points(percentiles.into_iter().zip(delays).collect())
    });
    prop_oneof![
        one().prop_map(Delay::Fixed),
        (one(), one()).prop_map(|(a, b)| Delay::Uniform { from: a.min(b), to: a.max(b) }),
        (one(), one()).prop_map(|(mean, deviation)| Delay::Normal { mean, deviation }),
        points,
    ]
}

fn effect() -> impl Strategy<Value = Effect> {
    let codes = select(vec!["ABORTED", "UNAVAILABLE", "CANCELLED", "UNAUTHENTICATED"]);
    let code = codes.prop_map(Code::named);
    let fails = (code, 400..=599u16, option::of("\\PC{0,60}"));
    prop_oneof![
        fails.prop_map(|(code, status, message)| {
            Effect::Fail(Failure { code, status: Some(status), message })
        }),
        Just(Effect::Reset),
        Just(Effect::Stall),
        prop_oneof![f64::MIN_POSITIVE..=1e6, Just(5e-324), Just(1e6)].prop_map(Effect::Rate),
        (1..=1_000_000u32).prop_map(Effect::Concurrency),
    ]
}

/// Any good rule.
fn rule() -> impl Strategy<Value = Rule> {
    let some = |names: &'static [&'static str]| {
        let none = Just(Vec::new());
        let some = subsequence(names, 1..=names.len());
        let some = some.prop_map(|names| names.into_iter().map(str::to_owned).collect());
        prop_oneof![none, some]
    };
    let matched = (
        some(&["VoteJoy", "VoteGhost", "Results", "Vote*", "R*", "*"]),
        some(&["/", "/vote", "/v*", "*"]),
        some(&[":joy:", ":ghost:", ":100:"]),
    );
    let share = prop_oneof![Just(1.0), Just(0.0), Just(1e-7), 0.0..=1.0];
    let done = (share, option::of(delay()), option::of(effect()));
    let when = (
        prop_oneof![Just(Duration::ZERO), duration(MAX_AGE)],
        option::of(duration(MAX_AGE).prop_filter("some time", |lasts| !lasts.is_zero())),
        option::of(0..=i64::MAX.cast_unsigned()),
    );
    let name = "[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?";
    (name, matched, done, when).prop_map(|(name, matched, done, when)| {
        let (grpc, http, emoji) = matched;
        let (share, delay, effect) = done;
        let (start, lasts, seed) = when;
        making_sense(Rule { name, grpc, http, emoji, share, delay, effect, start, lasts, seed })
    })
}

/// The rule, without what does not go together.
fn making_sense(mut rule: Rule) -> Rule {
    let places = places();
    let strikes = |rule: &Rule, rpcs| {
        let mut places = places.iter().filter(|(place, _)| place.is_rpc() == rpcs);
        places.any(|(place, about)| rule.can_strike(place, about))
    };
    if !strikes(&rule, true) && !strikes(&rule, false) {
        rule.emoji = Vec::new();
    }
    let (rpcs, routes) = (strikes(&rule, true), strikes(&rule, false));
    match &mut rule.effect {
        Some(Effect::Fail(Failure { code, status, .. })) => {
            *code = code.filter(|_| rpcs);
            *status = status.filter(|_| routes);
        }
        Some(Effect::Rate(_) | Effect::Concurrency(_)) => {
            (rule.share, rule.delay) = (1.0, None);
        }
        None if rule.delay.is_none() => rule.delay = Some(Delay::Fixed(Duration::ZERO)),
        _ => {}
    }
    rule
}

/// Some good rules, of different names.
fn set() -> impl Strategy<Value = Vec<Rule>> {
    vec(rule(), 1..6).prop_map(|mut rules| {
        rules.sort_by(|a, b| a.name.cmp(&b.name));
        rules.dedup_by(|a, b| a.name == b.name);
        rules
    })
}

#[test]
fn rules_are_what_they_were_after_they_have_been_written() {
    check(&set(), |rules| {
        let text = written(&rules);
        let read = parse(&text, &places());
        prop_assert_eq!(read, Ok(rules), "{}", text);
        Ok(())
    });
}

#[test]
fn any_text_is_read_or_refused_in_one_of_its_lines() {
    const PARTS: [&str; 48] = [
        "[[rule]]\n",
        "[rule]\n",
        "[rule.delay]\n",
        "rule",
        "[",
        "]",
        "[[",
        "]]",
        "{",
        "}",
        "=",
        " = ",
        ",",
        ".",
        "\n",
        "\n\n",
        "\r\n",
        "\r",
        "#",
        "\"",
        "\"\"\"",
        "'",
        "'''",
        "\\",
        "\\u00",
        "\0",
        "\u{7f}",
        "\u{feff}",
        "ß",
        "😂",
        "name = \"a\"\n",
        "name = \"b\"\n",
        "reset = true\n",
        "delay = ",
        "\"1s\"",
        "p50",
        "from",
        "share = ",
        "0.5",
        "1e400",
        "-",
        "0x",
        "nan",
        "99999999999999999999",
        "code",
        "status = 503\n",
        "true",
        "2026-01-01",
    ];
    let parts = vec(select(&PARTS[..]), 0..24).prop_map(|parts| parts.concat());
    let texts = prop_oneof![1 => any::<String>(), 3 => parts];
    check(&texts, |text| match parse(&text, &places()) {
        Ok(_) => Ok(()),
        Err(error) => is_readable(&text, &error),
    });
}

/// What may happen to a text where it is, as a share of its length.
#[derive(Debug, Clone)]
enum Slip {
    Delete(f64),
    Insert(f64, char),
    Swap(f64, f64),
    DropLine(f64),
}

fn slip() -> impl Strategy<Value = Slip> {
    let at = || 0.0..1.0;
    let typed: Vec<char> = "aeprsv019.-_+=*/:\\\"'[]{}#, \n\r\t\u{7}ß".chars().collect();
    prop_oneof![
        at().prop_map(Slip::Delete),
        (at(), select(typed)).prop_map(|(at, what)| Slip::Insert(at, what)),
        (at(), at()).prop_map(|(one, other)| Slip::Swap(one, other)),
        at().prop_map(Slip::DropLine),
    ]
}

impl Slip {
    fn happens(&self, text: &str) -> String {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_precision_loss,
            clippy::cast_sign_loss,
            reason = "a place in a short text"
        )]
        let place = |share: f64, length: usize| (share * length as f64) as usize;
        let mut chars: Vec<char> = text.chars().collect();
        let length = chars.len();
        match *self {
            Self::Insert(at, what) => chars.insert(place(at, length), what),
            _ if length == 0 => {}
            Self::Delete(at) => drop(chars.remove(place(at, length))),
            Self::Swap(one, other) => chars.swap(place(one, length), place(other, length)),
            Self::DropLine(at) => {
                let mut lines: Vec<_> = text.split('\n').collect();
                lines.remove(place(at, lines.len()));
                return lines.join("\n");
            }
        }
        chars.into_iter().collect()
    }
}

#[test]
fn what_slips_in_is_refused_or_makes_other_good_rules() {
    check(&(set(), vec(slip(), 1..4)), |(rules, slips)| {
        let text = slips.iter().fold(written(&rules), |text, slip| slip.happens(&text));
        match parse(&text, &places()) {
            Err(error) => is_readable(&text, &error),
            Ok(rules) => {
                let again = written(&rules);
                prop_assert_eq!(parse(&again, &places()), Ok(rules), "{}\n{}", text, again);
                Ok(())
            }
        }
    });
}
