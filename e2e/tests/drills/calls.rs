//! What the commands of a drill would call.
//!
//! A shell knows best what a shell makes of a text: so it runs the blocks, but for the programs: these are replaced by one that
//! writes down how it was called.

use std::{
    fmt::Write as _,
    fs,
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::{Command, Stdio},
};

use emojivoto_e2e::{root, wait};

use emojivoto_e2e::drills::Drill;

/// Programs that a drill may use. What is not here, the reader may not have.
const PROGRAMS: [&str; 8] =
    ["cargo", "curl", "docker", "istioctl", "k3d", "kubectl", "linkerd", "step"];
/// They only work on text, so they run.
const TOOLS: [&str; 13] = [
    "cat", "cut", "grep", "head", "mktemp", "rm", "sed", "seq", "sort", "tail", "tr", "uniq", "wc",
];

/// What the programs are replaced by. It reads its input only where there must be one.
const STAND_IN: &str = r#"#!/bin/bash
input=
case " $* " in *" - "*|*" -f- "*) IFS= read -r -d '' -t 5 input ;; esac
call="${0##*/}"
for argument; do call+=$'\x1f'$argument; done
printf '%s\x1d%s\x1d%s\x1e' "$WALK_BLOCK" "$call" "$input" >>"$WALK_CALLS"
"#;

/// One call of a program.
#[derive(Debug)]
pub(super) struct Call {
    /// Which block it is in.
    pub(super) block: usize,
    pub(super) program: String,
    pub(super) arguments: Vec<String>,
    /// What it would read.
    pub(super) input: String,
}

/// The calls of a drill's commands, in their order; and the names of programs that it should not count on.
pub(super) fn calls(drill: &Drill, folder: &Path) -> (Vec<Call>, Vec<String>) {
    let bin = folder.join("bin");
    // What an earlier run has left there may not be allowed any more.
    let _ = fs::remove_dir_all(&bin);
    fs::create_dir_all(&bin).expect("it is writable");
    for program in PROGRAMS {
        let path = bin.join(program);
        fs::write(&path, STAND_IN).expect("it is writable");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("it is ours");
    }
    for name in TOOLS {
        std::os::unix::fs::symlink(emojivoto_e2e::tool(name), bin.join(name)).expect("writable");
    }
    let log = folder.join("calls");
    fs::write(&log, "").expect("it is writable");
    // To wait would take time, and to wait in a loop, which is in a shell of its own, for ever. And what would be killed was
    // not started.
    let mut script = String::from(
        "sleep() { [ $BASH_SUBSHELL = 0 ] || exit 0; }\nkill() { :; }\n\
         command_not_found_handle() { printf '%s\\x1d%s\\x1d\\x1e' \"$WALK_BLOCK\" \"?$1\" >>\"$WALK_CALLS\"; }\n",
    );
    for (index, block) in drill.blocks.iter().enumerate().filter(|(_, b)| b.language == "sh") {
        let file = folder.join(format!("{index}.sh"));
        fs::write(&file, block.command.clone() + "\n").expect("it is writable");
        let in_background = block.command.contains("while ") || block.command.contains("until ");
        // A loop leaves the shell that it runs in.
        let (open, close) = if in_background { ("(", ")") } else { ("{", "}") };
        let _ = writeln!(
            script,
            "export WALK_BLOCK={index}\n{open} . '{}'; {close} >/dev/null 2>&1 </dev/null\nwait",
            file.display()
        );
    }
    script += "printf end\n";
    let main = folder.join("all.sh");
    fs::write(&main, script).expect("it is writable");
    let child = Command::new(emojivoto_e2e::tool("timeout"))
        .args(["--kill-after=5", "60", "/bin/bash", "--noprofile", "--norc"])
        .arg(&main)
        .current_dir(root())
        .env_clear()
        .env("PATH", &bin)
        .env("WALK_CALLS", &log)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("bash starts");
    let output = wait(child, "the commands of a drill");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_ne!(output.status.code(), Some(124), "{}: a loop without end", drill.path.display());
    assert!(
        output.stdout.ends_with(b"end"),
        "{}: not all blocks were given: {errors}",
        drill.path.display()
    );
    let recorded = fs::read_to_string(&log).expect("it is there");
    let mut calls = Vec::new();
    let mut unknown = Vec::new();
    for record in recorded.split_terminator('\x1e') {
        let mut fields = record.split('\x1d');
        let mut field = || fields.next().expect("three of them");
        let (block, call, input) = (field().parse().expect("a number"), field(), field());
        let mut words = call.split('\x1f').map(str::to_owned);
        let program = words.next().expect("a name");
        if let Some(program) = program.strip_prefix('?') {
            unknown.push(program.to_owned());
            continue;
        }
        calls.push(Call { block, program, arguments: words.collect(), input: input.to_owned() });
    }
    assert!(
        !calls.is_empty() || !unknown.is_empty() || drill.blocks.iter().all(|b| b.language != "sh"),
        "{}: nothing was called: {errors}",
        drill.path.display()
    );
    (calls, unknown)
}
