//! The texts in `docs/drills`, as `walk` takes their blocks out.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;

use crate::{
    manifests::{entries, list, read},
    root, run, tool,
};

/// A block of commands, and what it has to show.
#[derive(Debug)]
pub struct Block {
    /// File and line.
    pub at: String,
    /// The heading `##` that it stands below.
    pub section: String,
    /// The heading `###`, or nothing.
    pub part: String,
    /// `sh` or `promql`.
    pub language: String,
    /// What is typed.
    pub command: String,
    /// The lines that it has to show.
    pub output: Vec<String>,
}

/// A text with commands in it.
#[derive(Debug)]
pub struct Drill {
    /// Where it is.
    pub path: PathBuf,
    /// All of it.
    pub text: String,
    /// Its blocks, in order.
    pub blocks: Vec<Block>,
}

impl Drill {
    /// Reads one.
    ///
    /// # Panics
    /// When the walker does not understand it.
    pub fn open(path: PathBuf) -> Self {
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
    ///
    /// # Panics
    /// When it is not a file's.
    pub fn name(&self) -> &str {
        self.path.file_stem().and_then(|name| name.to_str()).expect("a name")
    }

    /// Its headings `##`.
    pub fn sections(&self) -> Vec<&str> {
        self.text.lines().filter_map(|line| line.strip_prefix("## ")).map(str::trim).collect()
    }

    /// The cell beside a word in the table at its beginning.
    pub fn fact(&self, word: &str) -> Option<String> {
        let head = self.text.split("\n## ").next()?;
        let row = head.lines().find_map(|line| line.strip_prefix(&format!("| {word} |")))?;
        let fact = row.trim().trim_end_matches('|').trim();
        (!fact.is_empty()).then(|| fact.to_owned())
    }
}

/// Where they are.
pub fn folder() -> PathBuf {
    root().join("docs/drills")
}

/// The walker, with the Python that is here.
pub fn walk() -> Command {
    let mut command = Command::new(tool("python3"));
    command.arg(folder().join("walk"));
    command
}

/// The drills, without the syllabus.
///
/// # Panics
/// When there are fewer than nine.
pub fn drills() -> Vec<Drill> {
    let found: Vec<_> =
        texts().filter(|path| !path.ends_with("README.md")).map(Drill::open).collect();
    assert!(found.len() >= 9, "{} drills", found.len());
    found
}

/// The list of them.
pub fn syllabus() -> Drill {
    Drill::open(folder().join("README.md"))
}

fn texts() -> impl Iterator<Item = PathBuf> {
    let is_text = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "md");
    entries(&folder()).into_iter().filter(is_text)
}

/// Writes a text into a folder of its own, beside the links of which are as dead as they should be.
///
/// # Panics
/// When it cannot be written.
pub fn written(folder: &Path, text: &str) -> Drill {
    std::fs::create_dir_all(folder).expect("it is writable");
    let path = folder.join("example.md");
    std::fs::write(&path, text).expect("it is writable");
    Drill::open(path)
}
