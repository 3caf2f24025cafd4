//! The queries of the drills, asked of a real Prometheus that has recorded what the texts speak of.
//!
//! A recording, `series/*.prom`, is what Prometheus has of the proxies and the suite after ten minutes of votes: names and
//! labels as they write them, and those that Prometheus adds. Its counters rose evenly from 0.

use std::{
    collections::BTreeSet,
    fmt::Write as _,
    fs,
    path::PathBuf,
    process::Command,
    time::{SystemTime, UNIX_EPOCH},
};

use emojivoto_e2e::{Program, Prometheus, manifests::read, root, run, tool};

use emojivoto_e2e::drills::{Drill, drills, walk};

/// What all drills use that have no recording of their own.
const RECORDINGS: [&str; 3] = ["linkerd", "istio", "suite"];
/// How long was recorded, in seconds.
const RECORDED: u64 = 600;
/// And for how long it goes on, so that the test may take its time.
const GOES_ON: u64 = 1_800;
const INTERVAL: usize = 10;

#[tokio::test]
async fn prometheus_answers_as_the_texts_say() {
    let all = drills();
    let with_queries: Vec<_> =
        all.iter().filter(|drill| drill.blocks.iter().any(|b| b.language == "promql")).collect();
    assert!(with_queries.len() >= 3, "{} drills ask Prometheus", with_queries.len());
    let names: BTreeSet<Vec<PathBuf>> =
        with_queries.iter().map(|drill| recordings(drill)).collect();
    for recordings in names {
        let prometheus = remembering(&recordings).await;
        for drill in with_queries.iter().filter(|drill| self::recordings(drill) == recordings) {
            let paths: BTreeSet<&str> = drill
                .blocks
                .iter()
                .flat_map(|block| [&block.section, &block.part])
                .filter(|heading| heading.starts_with("With"))
                .map(|heading| heading.split(" or ").next().expect("a part"))
                .collect();
            let mut walk = walk();
            walk.arg(&drill.path).args(["--only", "promql", "--pause", "0.1", "--limit", "5"]);
            walk.arg("--prometheus").arg(prometheus.url());
            walk.args(paths.iter().flat_map(|path| ["--section", path]));
            run(&mut walk);
        }
    }
}

#[test]
fn no_query_goes_without_an_answer() {
    for drill in drills() {
        for block in drill.blocks.iter().filter(|block| block.language == "promql") {
            assert!(!block.output.is_empty(), "{}: it says nothing of the answer", block.at);
        }
    }
}

/// A Prometheus does not answer what is not so: that of the texts is not the test's own doing.
#[tokio::test]
async fn a_wrong_answer_is_noticed() {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("wrong-answer");
    fs::create_dir_all(&folder).expect("it is writable");
    let recording = folder.join("recording.prom");
    let series = "# TYPE votes_total counter\nvotes_total{emoji=\"joy\"} 600\nvotes_total{emoji=\"dog\"} 60\n# TYPE up gauge\nup 1\n";
    fs::write(&recording, series).expect("it is writable");
    let prometheus = remembering(&[recording]).await;
    let query = "```promql\nsum by (emoji) (rate(votes_total[1m]))\n```\n```output\n";
    for (answer, passes) in [
        ("{emoji=\"dog\"} 0.1…\n{emoji=\"joy\"} 1…\n```\n", true),
        ("{emoji=\"joy\"} 0…\n```\n", false),
        ("{emoji=\"cat\"} …\n```\n", false),
    ] {
        let drill = folder.join("drill.md");
        fs::write(&drill, format!("{query}{answer}")).expect("it is writable");
        let status = walk()
            .arg(&drill)
            .args(["--pause", "0.1", "--limit", "1", "--prometheus"])
            .arg(prometheus.url())
            .output()
            .expect("Python starts")
            .status;
        assert_eq!(status.success(), passes, "{answer}");
    }
}

/// The recording of a drill of its own, or those for all.
fn recordings(drill: &Drill) -> Vec<PathBuf> {
    let series = root().join("e2e/tests/drills/series");
    let own = series.join(format!("{}.prom", drill.name()));
    if own.exists() {
        return vec![own];
    }
    RECORDINGS.iter().map(|name| series.join(format!("{name}.prom"))).collect()
}

/// A Prometheus that has these recordings in its past.
async fn remembering(recordings: &[PathBuf]) -> Prometheus {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs();
    let name = recordings[0].file_stem().expect("a name").to_string_lossy();
    let directory = Program::directory(&format!("remembering-{name}-{now}"));
    let mut text = String::new();
    for recording in recordings {
        text += &open_metrics(&read(recording), now);
    }
    let file = directory.join("recorded.om");
    fs::write(&file, text + "# EOF\n").expect("it is writable");
    run(Command::new(tool("promtool"))
        .args(["tsdb", "create-blocks-from", "openmetrics"])
        .arg(&file)
        .arg(directory.join("data")));
    fs::write(directory.join("prometheus.yml"), "global: {}\n").expect("it is writable");
    Prometheus::start(directory).await
}

/// What was recorded of each series, from its beginning on.
fn open_metrics(recording: &str, now: u64) -> String {
    let mut kinds = Vec::new();
    let mut written = String::new();
    for line in recording.lines().filter(|line| !line.is_empty()) {
        if let Some(kind) = line.strip_prefix("# TYPE ") {
            kinds.push(kind.split_once(' ').expect("a name and a type"));
        }
        if line.starts_with('#') {
            continue;
        }
        let (series, value) = line.rsplit_once(' ').expect("a series and a value");
        let value: f64 = value.parse().expect("a number");
        let name = series.split('{').next().expect("a name");
        let family = ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end));
        let (_, kind) = kinds
            .iter()
            .find(|(family_or_name, _)| *family_or_name == name || Some(*family_or_name) == family)
            .unwrap_or_else(|| panic!("{name} has no # TYPE"));
        for after in (0..=RECORDED + GOES_ON).step_by(INTERVAL) {
            #[expect(clippy::cast_precision_loss, reason = "half an hour has few seconds")]
            let share = if *kind == "gauge" { 1.0 } else { after as f64 / RECORDED as f64 };
            let _ = writeln!(written, "{series} {} {}", value * share, now - RECORDED + after);
        }
    }
    written
}
