//! The texts in `docs/drills`, as `walk` takes their blocks out.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use emojivoto_e2e::{
    manifests::{entries, list, read},
    root, run, tool,
};
use serde_json::Value;

/// A block of commands, and what it has to show.
#[derive(Debug)]
pub(super) struct Block {
    pub(super) at: String,
    pub(super) section: String,
    pub(super) part: String,
    pub(super) language: String,
    pub(super) command: String,
    pub(super) output: Vec<String>,
}

/// A text with commands in it.
#[derive(Debug)]
pub(super) struct Drill {
    pub(super) path: PathBuf,
    pub(super) text: String,
    pub(super) blocks: Vec<Block>,
}

impl Drill {
    pub(super) fn open(path: PathBuf) -> Self {
        let listed = run(walk().arg("--list").arg(&path));
        let listed: Value = serde_json::from_str(&listed).expect("`walk --list` prints JSON");
        let text = |block: &Value, key: &str| block[key].as_str().expect("a text").to_owned();
        let blocks = list(&listed).iter().map(|block| Block {
            at: format!("{}:{}", text(block, "file"), block["line"]),
            section: text(block, "section"),
            part: text(block, "part"),
            language: text(block, "language"),
            command: text(block, "command"),
            output: list(&block["output"])
                .iter()
                .filter_map(|line| Some(line.as_str()?.to_owned()))
                .collect(),
        });
        Self { blocks: blocks.collect(), text: read(&path), path }
    }

    /// `find-the-failing-vote`
    pub(super) fn name(&self) -> &str {
        self.path.file_stem().and_then(|name| name.to_str()).expect("a name")
    }

    pub(super) fn sections(&self) -> Vec<&str> {
        self.text.lines().filter_map(|line| line.strip_prefix("## ")).map(str::trim).collect()
    }

    /// The cell beside a word in the table at its beginning.
    pub(super) fn fact(&self, word: &str) -> Option<String> {
        let head = self.text.split("\n## ").next()?;
        let row = head.lines().find_map(|line| line.strip_prefix(&format!("| {word} |")))?;
        let fact = row.trim().trim_end_matches('|').trim();
        (!fact.is_empty()).then(|| fact.to_owned())
    }
}

pub(super) fn folder() -> PathBuf {
    root().join("docs/drills")
}

/// The walker, with the Python that is here.
pub(super) fn walk() -> Command {
    let mut command = Command::new(tool("python3"));
    command.arg(folder().join("walk"));
    command
}

/// The drills, without the syllabus.
pub(super) fn drills() -> Vec<Drill> {
    let found: Vec<_> =
        texts().filter(|path| !path.ends_with("README.md")).map(Drill::open).collect();
    assert!(found.len() >= 9, "{} drills", found.len());
    found
}

pub(super) fn syllabus() -> Drill {
    Drill::open(folder().join("README.md"))
}

fn texts() -> impl Iterator<Item = PathBuf> {
    let is_text = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "md");
    entries(&folder()).into_iter().filter(is_text)
}

/// Writes a text into a folder of its own, beside the links of which are as dead as they should be.
pub(super) fn written(folder: &Path, text: &str) -> Drill {
    std::fs::create_dir_all(folder).expect("it is writable");
    let path = folder.join("example.md");
    std::fs::write(&path, text).expect("it is writable");
    Drill::open(path)
}
