//! What a person sees who starts the suite at a terminal.

use std::{
    ffi::OsStr,
    fs::File,
    io::{BufRead as _, BufReader},
    os::unix::ffi::OsStrExt as _,
    process::{Command, Stdio},
    sync::mpsc::channel,
    thread,
};

use emojivoto_testkit::PATIENCE;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

use crate::running::EMOJIVOTO;

/// The lines up to the one that says that it is up, with whatever else it writes there.
fn lines(environment: &[(&str, &str)]) -> Vec<String> {
    let person = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal");
    grantpt(&person).and_then(|()| unlockpt(&person)).expect("it can be used");
    let name = ptsname(&person, Vec::new()).expect("a name");
    let terminal = File::options().write(true).open(OsStr::from_bytes(name.to_bytes()));
    let terminal = terminal.expect("it opens");
    let mut command = Command::new(EMOJIVOTO);
    command.env_clear().envs(environment.iter().copied()).env("NO_BOT", "true");
    command.args("--web-port 0 --emoji-port 0 --voting-port 0 --prom-port 0".split(' '));
    let errors = terminal.try_clone().expect("twice");
    command.stdin(Stdio::null()).stdout(terminal).stderr(errors);
    let mut suite = command.spawn().expect("it starts");
    drop(command); // it holds the terminal open

    let (sender, lines) = channel();
    thread::spawn(move || {
        for line in BufReader::new(File::from(person)).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                break;
            }
        }
    });
    let mut seen = Vec::new();
    while !seen.last().is_some_and(|line: &String| line.contains("is up")) {
        match lines.recv_timeout(PATIENCE) {
            Ok(line) => seen.push(line.trim_end().to_owned()),
            Err(why) => {
                let _ = suite.kill();
                panic!("it does not say that it is up ({why}): {seen:#?}")
            }
        }
    }
    suite.kill().and_then(|()| suite.wait()).expect("it ends");
    seen
}

#[test]
fn it_has_colours_unless_there_shall_be_none() {
    let coloured = lines(&[]);
    let plain = lines(&[("NO_COLOR", "1")]);
    // A complaint about the terminal would be a line more.
    assert_eq!(coloured.len(), plain.len(), "{coloured:#?}{plain:#?}");
    let green = coloured.iter().filter(|line| line.contains("\u{1b}[32m INFO\u{1b}[0m"));
    assert!(green.count() > 0, "{coloured:#?}");
    assert!(!plain.concat().contains('\u{1b}'), "{plain:#?}");
}
