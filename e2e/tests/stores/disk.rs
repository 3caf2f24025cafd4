//! Disks that are full, or cannot be written to.

use std::{
    fs,
    path::{Path, PathBuf},
};

use emojivoto_e2e::tool;
use emojivoto_testkit::{Binary, Run, eventually};
use tempfile::TempDir;
use tonic::{Code, Status};

use crate::{
    outages::{counts_again, vote},
    suite::{Process, VOTING_SVC, results},
};

/// voting-svc with a file on a disk of its own, of this many kilobytes, that only this process sees. Before it starts,
/// the shell runs `prepare` there.
fn on_a_disk(kilobytes: u32, disk: &Path, prepare: &str) -> Run {
    let script = format!(
        "mount -t tmpfs -o size={kilobytes}k tmpfs '{disk}' && cd '{disk}' && {prepare} && exec '{svc}'",
        disk = disk.display(),
        svc = *VOTING_SVC
    );
    Binary::new(tool("unshare").to_str().expect("a path"))
        .args(&["--map-root-user", "--mount", "sh", "-c", &script])
        .envs(&[("PATH", "/usr/bin:/bin"), ("GRPC_PORT", "0"), ("PROM_PORT", "0")])
        .env("VOTES_STORE", format!("file:{}", disk.join("votes.redb").display()))
        .start()
}

/// The service with a vote on a small disk, and where that is as the process sees it.
async fn with_a_vote_on_a_disk(directory: &TempDir) -> (Process, PathBuf) {
    let disk = directory.path();
    let mut run = on_a_disk(600, disk, "true");
    let admin = run.address("PROM_PORT");
    let address = run.address("GRPC_PORT");
    let inside = PathBuf::from(format!("/proc/{}/root{}", run.id(), disk.display()));
    let svc = Process { run, address, admin };
    svc.becomes(true).await;
    vote(&svc).await.expect("a vote");
    (svc, inside)
}

/// Whatever is left is taken by another file, until a vote finds no room: that file, and what becomes of the vote.
async fn fills_up(svc: &Process, disk: &Path) -> (PathBuf, Status) {
    let other = disk.join("other");
    let mut taken = Vec::new();
    while fs::write(&other, &taken).is_ok() {
        taken.resize(taken.len() + 4_096, 1);
    }
    let error = eventually("a vote that finds no room", async || vote(svc).await.err()).await;
    (other, error)
}

#[tokio::test]
async fn a_full_disk_takes_no_votes_until_there_is_room() {
    let directory = tempfile::tempdir().expect("a folder");
    let (mut svc, disk) = with_a_vote_on_a_disk(&directory).await;
    let (other, error) = fills_up(&svc, &disk).await;
    assert_eq!(error.code(), Code::ResourceExhausted);
    assert_eq!(error.message(), "there is no room for more votes");
    svc.becomes(false).await;
    svc.run.line("not ready: votes cannot be stored");
    let counted = svc.sum("emojivoto_votes_total{").await;

    fs::remove_file(&other).expect("room");
    svc.run.line("the vote store is back");
    svc.becomes(true).await;
    counts_again(&svc).await;
    // Those that were acknowledged, and the one just now.
    assert_eq!(results(&svc).await, [(":joy:".to_owned(), counted + 1)].into());
}

/// As when a volume is taken away from below: what was acknowledged may come back with it.
#[tokio::test]
async fn a_file_that_is_gone_is_not_followed_by_an_empty_one() {
    let directory = tempfile::tempdir().expect("a folder");
    let (mut svc, disk) = with_a_vote_on_a_disk(&directory).await;
    let file = disk.join("votes.redb");
    let copy = fs::read(&file).expect("the file");
    let (other, _) = fills_up(&svc, &disk).await;
    fs::remove_file(&file).expect("the file");
    fs::remove_file(&other).expect("room");
    svc.run.line("not ready: votes cannot be stored");
    vote(&svc).await.expect_err("no file");
    assert!(!svc.is_ready().await && !file.exists());
    fs::write(&file, copy).expect("the file");
    svc.becomes(true).await;
    assert!(results(&svc).await[":joy:"] >= 1);
}

#[tokio::test]
async fn a_disk_that_cannot_be_written_to_is_an_error_at_start() {
    let directory = tempfile::tempdir().expect("a folder");
    let run = on_a_disk(600, directory.path(), "mount -o remount,ro .");
    let (code, _, error) = run.end();
    assert_eq!(code, Some(1));
    assert!(error.contains("VOTES_STORE: ") && error.contains("Read-only file system"), "{error}");
}

#[tokio::test]
async fn a_file_that_cannot_be_written_to_is_an_error_at_start() {
    // It is made by one process, and then nobody may write to it any more.
    let directory = tempfile::tempdir().expect("a folder");
    let import = format!("echo '[]' | '{}' import", *VOTING_SVC);
    let run = on_a_disk(600, directory.path(), &format!("{import} && mount -o remount,ro ."));
    let (code, _, error) = run.end();
    assert_eq!(code, Some(1));
    assert!(error.contains("cannot be opened: Read-only file system"), "{error}");
}
