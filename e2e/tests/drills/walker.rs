//! `docs/drills/walk` itself, with small drills.

use std::{
    fs,
    path::PathBuf,
    process::{Command, Output, Stdio},
};

use emojivoto_e2e::{run, wait};
use emojivoto_testkit::eventually;

use emojivoto_e2e::drills::walk;

/// What becomes of a drill.
struct Walked {
    code: i32,
    stdout: String,
    stderr: String,
}

/// Walks a text, in a folder of its own that it can write to as `$HERE`.
fn walked(name: &str, text: &str, arguments: &[&str]) -> Walked {
    let folder = folder(name);
    let path = folder.join("drill.md");
    fs::write(&path, text).expect("it is writable");
    let child = walk()
        .args(["--pause", "0.05"])
        .args(arguments)
        .arg(&path)
        .env("HERE", &folder)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("Python starts");
    let Output { status, stdout, stderr } = wait(child, name);
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    Walked { code: status.code().expect("a code"), stdout: text(stdout), stderr: text(stderr) }
}

fn folder(name: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("walker").join(name);
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).expect("it is writable");
    folder
}

/// Blocks as they stand in a drill: three backticks would end these strings for whoever reads them.
fn drill(text: &str) -> String {
    text.replace("~~~", "```")
}

#[test]
fn a_drill_that_does_as_it_says_passes() {
    let text = drill(
        "# A drill\n\n## 1. First\n\n~~~sh\nNAME=joy; cd k8s\ncat <<EOF\nshown:   $NAME\tand  more\nEOF\necho not asked for\necho last\n~~~\n\n\
         ~~~output\nshown: joy … more\nlast\n~~~\n\n~~~yaml\nnot: walked\n~~~\n\n## 2. Second\n\n\
         ~~~sh\necho $NAME; ls kustomization.yaml\n~~~\n~~~output\njoy\nkustomization.yaml\n~~~\n",
    );
    let Walked { code, stdout, stderr } = walked("passes", &text, &[]);
    assert_eq!((code, stderr.as_str()), (0, ""), "{stdout}");
    assert!(stdout.contains("$ NAME=joy; cd k8s\n"), "{stdout}");
    assert!(stdout.ends_with("Everything was as the text says.\n"), "{stdout}");
}

#[test]
fn it_says_where_and_what_is_not_as_the_text_says() {
    let text = drill("# A drill\n\n~~~sh\necho one; echo two\n~~~\n~~~output\ntwo\none\n~~~\n");
    let Walked { code, stderr, .. } = walked("where", &text, &[]);
    assert_eq!(code, 1);
    for part in [
        "drill.md:3: it did not show what it has to",
        "wanted, in this order:\n    two\n    one\n",
        "the first of these that did not come:\n    one\n",
        "what came:\n    one\n    two\n",
    ] {
        assert!(stderr.contains(part), "no “{part}”: {stderr}");
    }
}

#[test]
fn a_line_is_wanted_whole() {
    for (wanted, code) in [("12", 1), ("…12", 0), ("2", 1), ("9…12", 0), ("9 12 3", 1), ("9 12", 0)]
    {
        let text = drill(&format!("~~~sh\necho '  9   12 '\n~~~\n~~~output\n{wanted}\n~~~\n"));
        assert_eq!(walked("whole", &text, &[]).code, code, "{wanted}");
    }
}

#[test]
fn any_command_of_a_block_may_fail_it() {
    for (command, code) in [
        ("false\necho on", 1),
        ("echo on", 0),
        ("false || echo on", 0),
        ("exit 3", 1),
        ("if false; then :; fi", 0),
    ] {
        assert_eq!(
            walked("any", &drill(&format!("~~~sh\n{command}\n~~~\n")), &[]).code,
            code,
            "{command}"
        );
    }
    // The shell goes on after one, as where people type.
    let text = drill("~~~sh fails\nfalse; X=on\n~~~\n~~~sh\necho $X\n~~~\n~~~output\non\n~~~\n");
    assert_eq!(walked("goes_on", &text, &[]).code, 0);
}

#[test]
fn what_is_meant_to_fail_has_to() {
    let fails = drill("~~~sh fails\ncat nothing.here\n~~~\n~~~output\ncat: nothing.here: …\n~~~\n");
    assert_eq!(walked("fails", &fails, &[]).code, 0);
    let Walked { code, stderr, .. } = walked("fails_not", &drill("~~~sh fails\ntrue\n~~~\n"), &[]);
    assert_eq!(code, 1);
    assert!(stderr.contains("drill.md:1: it was meant to fail, but did not"), "{stderr}");
}

#[test]
fn what_repeats_is_given_again_until_it_shows_it() {
    let text =
        drill("~~~sh repeat\necho x >>$HERE/tries; wc -l <$HERE/tries\n~~~\n~~~output\n3\n~~~\n");
    assert_eq!(walked("repeats", &text, &[]).code, 0);
    assert_eq!(
        fs::read_to_string(PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("walker/repeats/tries"))
            .expect("written"),
        "x\n".repeat(3)
    );
    let text = drill("~~~sh repeat\necho two\n~~~\n~~~output\nthree\n~~~\n");
    let Walked { code, stderr, .. } = walked("repeats_in_vain", &text, &["--limit", "0.5"]);
    assert_eq!(code, 1);
    assert!(stderr.contains("it did not show what it has to, not within 0.5 s"), "{stderr}");
}

#[test]
fn what_is_in_the_background_has_a_terminal_and_ends_with_the_drill() {
    let text = drill(
        "~~~sh background\nstty size; echo $$ >$HERE/pid; trap 'touch $HERE/interrupted; exit' INT; echo ready; while :; do sleep 0.1; done\n~~~\n\
         ~~~output\n50 200\nready\n~~~\n~~~sh\nkill -0 $(cat $HERE/pid)\n~~~\n",
    );
    let Walked { code, stdout, stderr } = walked("background", &text, &[]);
    assert_eq!(code, 0, "{stdout}{stderr}");
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("walker/background");
    assert!(folder.join("interrupted").exists(), "it was not ended as by Ctrl-C");
    let pid = fs::read_to_string(folder.join("pid")).expect("written");
    assert!(!PathBuf::from("/proc").join(pid.trim()).exists(), "it is still there");

    let text = drill("~~~sh background\necho other; exit 4\n~~~\n~~~output\nready\n~~~\n");
    let Walked { code, stderr, .. } = walked("background_ends", &text, &[]);
    assert_eq!(code, 1);
    assert!(stderr.contains("it failed, with status 4"), "{stderr}");
}

#[test]
fn screens_are_read_line_by_line() {
    let text = drill(
        "~~~sh background\nprintf '\\033[2J\\033[1;1H\\033[1mname\\033[0m rate\\033[2;1Hvote 0%%'; sleep 100\n~~~\n~~~output\nname rate\nvote 0%\n~~~\n",
    );
    let Walked { code, stdout, stderr } = walked("screens", &text, &[]);
    assert_eq!(code, 0, "{stdout}{stderr}");
}

#[test]
fn after_a_failure_only_the_cleaning_up_follows_all_of_it() {
    let text = drill(
        "## 1. First\n~~~sh\nfalse\n~~~\n## 2. Second\n~~~sh\ntouch $HERE/second\n~~~\n\
         ## Clean up\n~~~sh\ntouch $HERE/cleaned; false\n~~~\n~~~sh\ntouch $HERE/all\n~~~\n",
    );
    let Walked { code, stderr, .. } = walked("failure", &text, &[]);
    assert_eq!(code, 1);
    assert_eq!(stderr.matches("FAILED").count(), 2, "{stderr}");
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("walker/failure");
    let there = |name| folder.join(name).exists();
    assert_eq!((there("second"), there("cleaned"), there("all")), (false, true, true));
}

#[tokio::test]
async fn who_interrupts_it_has_it_cleaned_up() {
    let folder = folder("interrupted");
    let text = drill(
        "~~~sh\necho $$ >$HERE/pid; sleep 1000\n~~~\n~~~sh\ntouch $HERE/on\n~~~\n## Clean up\n~~~sh\ntouch $HERE/cleaned\n~~~\n",
    );
    fs::write(folder.join("drill.md"), text).expect("it is writable");
    let child = walk()
        .arg(folder.join("drill.md"))
        .env("HERE", &folder)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("Python starts");
    let pid = eventually("the first command runs", async || {
        fs::read_to_string(folder.join("pid")).ok().filter(|pid| pid.ends_with('\n'))
    })
    .await;
    run(Command::new("kill").args(["-s", "INT", &child.id().to_string()]));
    let output = wait(child, "an interrupted walk");
    assert_eq!(output.status.code(), Some(1));
    assert!(folder.join("cleaned").exists() && !folder.join("on").exists());
    assert!(!PathBuf::from("/proc").join(pid.trim()).exists(), "it is still there");
}

#[test]
fn what_takes_too_long_is_ended() {
    let text = drill(
        "~~~sh\nsleep 1000\n~~~\n## Clean up\n~~~sh\necho clean\n~~~\n~~~output\nclean\n~~~\n",
    );
    let Walked { code, stderr, .. } = walked("long", &text, &["--limit", "0.5"]);
    assert_eq!(code, 1);
    assert!(stderr.contains("drill.md:1: it took too long"), "{stderr}");
    assert_eq!(stderr.matches("FAILED").count(), 1, "{stderr}");
}

#[test]
fn paths_are_walked_if_they_are_chosen() {
    let text = drill(
        "## 1. All\n~~~sh\necho all\n~~~\n## With Linkerd\n~~~sh\necho l5d\n~~~\n## Without a cluster\n~~~sh\necho without\n~~~\n\
         ## Clean up\n~~~sh\necho clean\n~~~\n### With Linkerd or with Istio\n~~~sh\necho mesh\n~~~\n",
    );
    for (sections, expected) in [
        (&[][..], &["all", "clean"][..]),
        (&["--section", "With Linkerd"], &["all", "l5d", "clean", "mesh"]),
        (&["--section", "With Istio"], &["all", "clean", "mesh"]),
        (&["--section", "Without a cluster"], &["all", "without", "clean"]),
    ] {
        let Walked { code, stdout, .. } = walked("paths", &text, sections);
        assert_eq!(code, 0, "{stdout}");
        let printed: Vec<_> =
            stdout.lines().filter_map(|line| line.strip_prefix("  $ echo ")).collect();
        assert_eq!(printed, expected, "{sections:?}");
    }
}

#[test]
fn of_several_drills_those_without_the_path_are_left_out() {
    let other = folder("several-other").join("other.md");
    fs::write(&other, drill("~~~sh\necho other\n~~~\n## Clean up\n~~~sh\necho gone\n~~~\n"))
        .expect("it is writable");
    let text = drill("## With Linkerd\n~~~sh\necho l5d\n~~~\n");
    let other = other.to_str().expect("UTF-8");
    let Walked { code, stdout, .. } =
        walked("several", &text, &["--section", "With Linkerd", other]);
    assert_eq!(code, 0, "{stdout}");
    assert_eq!(stdout.matches("$ echo").count(), 1, "{stdout}");
    assert!(stdout.contains("$ echo l5d\n"), "{stdout}");
    assert!(stdout.contains("other.md\nleft out: all of it"), "{stdout}");
}

#[test]
fn nothing_runs_where_it_only_tells() {
    let text = drill("~~~sh repeat\ntouch $HERE/ran\n~~~\n~~~output\nx\n~~~\n~~~promql\nup\n~~~\n");
    let Walked { code, stdout, .. } = walked("dry", &text, &["--dry-run"]);
    assert_eq!(code, 0);
    assert!(stdout.contains("drill.md:1 sh repeat\ntouch $HERE/ran\n"), "{stdout}");
    let Walked { code, stdout, .. } = walked("list", &text, &["--list"]);
    assert_eq!(code, 0);
    let list: serde_json::Value = serde_json::from_str(&stdout).expect("JSON");
    assert_eq!(list[0]["words"], serde_json::json!(["repeat"]));
    assert_eq!(list[0]["output"], serde_json::json!(["x"]));
    assert_eq!((&list[1]["language"], &list[1]["line"]), (&"promql".into(), &7.into()));
    for name in ["dry", "list"] {
        assert!(
            !PathBuf::from(env!("CARGO_TARGET_TMPDIR"))
                .join("walker")
                .join(name)
                .join("ran")
                .exists()
        );
    }
}

#[test]
fn nonsense_is_refused_before_anything_runs() {
    for (text, arguments, complaint) in [
        (
            "~~~sh often\ntouch $HERE/ran\n~~~\n",
            &[][..],
            "drill.md:1: unknown words after `sh`: often",
        ),
        ("~~~sh\ntouch $HERE/ran\n", &[], "drill.md:1: this block has no end"),
        (
            "~~~sh\ntouch $HERE/ran\n~~~\nIt shows\n~~~output\nx\n~~~\n",
            &[],
            "drill.md:5: no command stands directly before this output",
        ),
        (
            "~~~sh\ntouch $HERE/ran\n~~~\n~~~output\n\n~~~\n",
            &[],
            "drill.md:4: this output is empty",
        ),
        ("~~~sh\n\n~~~\n", &[], "drill.md:1: this block is empty"),
        (
            "~~~sh background\ntouch $HERE/ran\n~~~\n",
            &[],
            "drill.md:1: it says `background`, but not until what is shown",
        ),
        ("~~~sh background fails\ntouch $HERE/ran\n~~~\n", &[], "neither repeats nor fails"),
        ("~~~promql repeat\nup\n~~~\n", &[], "unknown words after `promql`: repeat"),
        (
            "~~~sh\ntouch $HERE/ran\n~~~\n",
            &["--section", "With Linkerd"],
            "no section “With Linkerd” to choose; there are none",
        ),
        ("Only text.\n", &[], "nothing to walk"),
        // It would delete what somebody else has made.
        (
            "## With Linkerd\n~~~sh\ntrue\n~~~\n## Clean up\n~~~sh\ntouch $HERE/ran\n~~~\n",
            &[],
            "nothing to walk; --section takes “With Linkerd”",
        ),
        (
            "## With Linkerd\n~~~sh\ntouch $HERE/ran\n~~~\n",
            &["--list", "--section", "With Linkerd"],
            "leave --section out",
        ),
        ("~~~sh\ntouch $HERE/ran\n~~~\n", &["no-such-drill.md"], "no-such-drill.md"),
        ("~~~sh\ntouch $HERE/ran\n~~~\n", &["--list", "--dry-run"], "not allowed with"),
    ] {
        let Walked { code, stderr, .. } = walked("nonsense", &drill(text), arguments);
        assert_eq!(code, 2, "{text}");
        assert!(stderr.contains(complaint), "no “{complaint}”: {stderr}");
        assert!(!PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("walker/nonsense/ran").exists());
    }
}
