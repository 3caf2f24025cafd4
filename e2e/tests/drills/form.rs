//! What every drill has: needs, a duration, a lesson, a folded answer, an end that cleans up, links that lead somewhere.

use std::process::Command;

use emojivoto_e2e::wait;
use std::process::Stdio;

use emojivoto_e2e::drills::{Drill, folder};

/// Everything that is wrong with the form of a drill.
pub(super) fn complaints(drill: &Drill) -> Vec<String> {
    let mut found = Vec::new();
    if !drill.text.starts_with("# ") {
        found.push("it has no title".to_owned());
    }
    for fact in ["needs", "time", "teaches"] {
        if drill.fact(fact).is_none() {
            found.push(format!("its table does not say what it {fact}"));
        }
    }
    if drill
        .fact("time")
        .and_then(|time| minutes(&time))
        .is_none_or(|time| !(10..=20).contains(&time))
    {
        found.push("it does not take `10 minutes` to `20 minutes`".to_owned());
    }
    if unfolded(&drill.text).1.is_empty() {
        found.push("no answer is folded: `<summary>The answer</summary>`".to_owned());
    }
    if drill.sections().last() != Some(&"Clean up") {
        found.push("it does not end with “Clean up”".to_owned());
    }
    found.extend(links(drill));
    found.extend(syntax(drill));
    found
}

/// Of texts without the rest: links that lead nowhere, and commands that no shell understands.
pub(super) fn links_and_syntax(drill: &Drill) -> Vec<String> {
    links(drill).chain(syntax(drill)).collect()
}

/// What is to be seen at once, and what is below the folds.
pub(super) fn unfolded(text: &str) -> (String, String) {
    let (mut seen, mut answers) = (String::new(), String::new());
    for (index, part) in text.split("<details>").enumerate() {
        let (fold, rest) = part.split_once("</details>").unwrap_or(("", part));
        if index > 0 && fold.contains("<summary>The answer</summary>") {
            answers += fold;
        }
        seen += rest;
    }
    (seen, answers)
}

/// Text of a cell without the links in it.
pub(super) fn plain(cell: &str) -> String {
    let mut parts = cell.split("](");
    let first = parts.next().unwrap_or_default().to_owned();
    let text =
        parts.fold(first, |text, part| text + part.split_once(')').map_or(part, |(_, rest)| rest));
    text.replace('[', "")
}

fn minutes(time: &str) -> Option<u64> {
    time.strip_suffix(" minutes")?.parse().ok()
}

fn links(drill: &Drill) -> impl Iterator<Item = String> {
    let links = drill.text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    links.filter(|link| !link.contains("://")).filter_map(|link| {
        let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
        let text = if file.is_empty() {
            Some(drill.text.clone())
        } else {
            let path = folder().join(file);
            // A picture has no headings, and a folder neither.
            path.exists().then(|| std::fs::read_to_string(path).unwrap_or_default())
        };
        let there = text.is_some_and(|text| anchor.is_empty() || has_heading(&text, anchor));
        (!there).then(|| format!("the link {link} leads nowhere"))
    })
}

/// As GitHub and others make anchors of headings.
fn has_heading(text: &str, anchor: &str) -> bool {
    let mut headings = text.lines().filter(|line| line.starts_with('#'));
    headings.any(|heading| {
        let heading = heading.trim_start_matches('#').trim().to_lowercase();
        let kept = heading.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
        kept.map(|c| if c == ' ' { '-' } else { c }).eq(anchor.chars())
    })
}

fn syntax(drill: &Drill) -> impl Iterator<Item = String> {
    drill.blocks.iter().filter(|block| block.language == "sh").filter_map(|block| {
        let child = Command::new("bash")
            .args(["-n", "-c", &block.command])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("bash starts");
        let output = wait(child, &block.at);
        // Of an unfinished here-document bash only warns.
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        (!output.status.success() || !errors.is_empty()).then(|| format!("{}: {errors}", block.at))
    })
}
