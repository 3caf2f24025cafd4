//! The store in a file, and what it has in common with the one in memory.

use std::{
    fs,
    path::{Path, PathBuf},
};

use emojivoto_proto::voting::VoteRequest;
use emojivoto_testkit::{
    Binary,
    contract::{is_a_store, new_key, outlives_its_process, remembers_the_last, votes},
    refuses,
};
use emojivoto_voting_svc::store::{
    Added, AnyStore, FileError, FileStore, Once, Place, Vote, VoteStore as _,
};
use redb::{Database, TableDefinition};
use tempfile::TempDir;

use crate::{VOTING_SVC, client, joy, on_free_ports, start};

fn open(path: &Path) -> Result<FileStore, FileError> {
    FileStore::open(path, Once::default())
}

fn file_in(directory: &TempDir) -> PathBuf {
    directory.path().join("votes.redb")
}

fn directory() -> TempDir {
    tempfile::tempdir().expect("a directory")
}

#[tokio::test]
async fn memory_is_a_store() {
    is_a_store(async |once| AnyStore::open(&Place::Memory, once).expect("memory")).await;
}

#[tokio::test]
async fn a_file_is_a_store() {
    let directory = directory();
    let number = std::cell::Cell::new(0);
    is_a_store(async |once| {
        number.set(number.get() + 1);
        let path = directory.path().join(number.get().to_string());
        FileStore::open(&path, once).expect("a new file")
    })
    .await;
    let path = file_in(&directory);
    outlives_its_process(async |once| FileStore::open(&path, once).expect("the file")).await;
    let path = directory.path().join("many");
    remembers_the_last(async |once| FileStore::open(&path, once).expect("the file")).await;
    // Of those that are forgotten, nothing is left.
    let size = fs::metadata(&path).expect("the file").len();
    assert!(size < 1_000_000, "{size}");
}

/// A file with votes in it, as it is after the end of its process.
async fn file_with_votes(directory: &TempDir) -> PathBuf {
    let path = file_in(directory);
    let store = open(&path).expect("a new file");
    for number in 0..50 {
        let vote = Vote { choice: joy(), key: (number % 2 == 0).then(new_key) };
        assert_eq!(store.add(vote).await.expect("a vote"), Added::Counted);
    }
    path
}

#[tokio::test]
async fn a_file_has_one_process() {
    let directory = directory();
    let path = file_with_votes(&directory).await;
    let setting = format!("file:{}", path.display());
    let (run, address) = start(&[("VOTES_STORE", &setting)]);
    assert!(matches!(open(&path), Err(FileError::InUse(_))));

    let second = on_free_ports(&[("VOTES_STORE", &setting)]).output();
    let stderr = String::from_utf8_lossy(&second.stderr);
    assert_eq!(second.status.code(), Some(1));
    assert!(
        stderr.contains("VOTES_STORE: ") && stderr.contains("another process uses this file"),
        "{stderr}"
    );

    client(address).vote(joy(), VoteRequest {}).await.expect("a vote in the first");
    drop(run); // by SIGKILL
    let store = open(&path).expect("nobody else's any more");
    assert_eq!(votes(&store).await, [(":joy:", 51)].into());
}

/// Asserts that a file is refused, and left as it is: what the error says.
fn refused(path: &Path) -> FileError {
    let before = fs::read(path).expect("a file");
    let error = open(path).expect_err("a file that is not opened");
    assert!(fs::read(path).expect("a file") == before, "{error}: it was changed");
    error
}

#[tokio::test]
async fn what_is_no_file_of_votes_is_refused_and_left_as_it_is() {
    let directory = directory();
    let path = directory.path().join("other");
    for content in ["", "hello", &"x".repeat(10_000)] {
        fs::write(&path, content).expect("a file");
        assert!(matches!(refused(&path), FileError::NotOurs(_)));
    }
    fs::remove_file(&path).expect("a file");
    let table = TableDefinition::<u64, u64>::new("votes");
    let database = Database::create(&path).expect("a database of somebody else");
    let transaction = database.begin_write().expect("a transaction");
    transaction.open_table(table).expect("a table").insert(1, 1).expect("a row");
    transaction.commit().expect("a commit");
    drop(database);
    assert!(matches!(refused(&path), FileError::NotOurs(_)));

    let there = directory.path().join("nowhere/votes");
    assert!(matches!(open(&there), Err(FileError::Io(path, _)) if path == there));
    assert!(matches!(open(directory.path()), Err(FileError::Io(..))));
}

#[tokio::test]
async fn a_file_that_was_cut_off_is_refused_and_left_as_it_is() {
    let directory = directory();
    let path = file_with_votes(&directory).await;
    let whole = fs::read(&path).expect("a file");
    for length in [0, 1, 4_095, 4_096, 4_097, 5_000, 8_192, 20_000, whole.len() - 1] {
        fs::write(&path, &whole[..length]).expect("a file");
        let error = refused(&path);
        assert!(
            matches!(error, FileError::NotOurs(_) | FileError::Damaged { .. }),
            "{length}: {error}"
        );
    }
}

/// Wherever a bit has flipped: either the file is refused, or nothing that counts has changed.
#[tokio::test]
async fn a_file_with_a_flipped_bit_is_refused_or_tells_the_truth() {
    let directory = directory();
    let path = file_with_votes(&directory).await;
    let whole = fs::read(&path).expect("a file");
    let mut were_refused = 0;
    for (number, position) in (0..whole.len()).step_by(211).enumerate() {
        let mut flipped = whole.clone();
        flipped[position] ^= 1 << (number % 8);
        fs::write(&path, &flipped).expect("a file");
        match open(&path) {
            Ok(store) => assert_eq!(votes(&store).await, [(":joy:", 50)].into(), "at {position}"),
            Err(FileError::NotOurs(_) | FileError::Damaged { .. }) => {
                assert!(fs::read(&path).expect("a file") == flipped, "changed after {position}");
                were_refused += 1;
            }
            Err(error) => panic!("at {position}: {error}"),
        }
    }
    assert!(were_refused > 25, "{were_refused}");
}

#[tokio::test]
async fn votes_are_taken_from_one_store_to_another() {
    let directory = directory();
    let path = file_with_votes(&directory).await;
    let from = format!("file:{}", path.display());
    let export = |store: &str| {
        let run = Binary::new(VOTING_SVC).args(&["export", "--votes-store", store]).output();
        let error = String::from_utf8_lossy(&run.stderr).into_owned();
        (run.status.code(), String::from_utf8_lossy(&run.stdout).into_owned(), error)
    };
    let (code, json, error) = export(&from);
    assert_eq!((code, error.as_str()), (Some(0), ""));
    assert!(
        json.contains(r#""shortcode": ":joy:""#) && json.contains(r#""votes": "50""#),
        "{json}"
    );

    let to = format!("file:{}", directory.path().join("copy").display());
    let import = |store: &str, json: &str| {
        let run = Binary::new(VOTING_SVC).env("VOTES_STORE", store).args(&["import"]);
        let run = run.input(json).output();
        (run.status.code(), String::from_utf8_lossy(&run.stderr).into_owned())
    };
    assert_eq!(import(&to, &json), (Some(0), String::new()));
    assert_eq!(export(&to).1, json);
    let (code, error) = import(&to, &json);
    assert_eq!(code, Some(1));
    assert!(error.contains("holds votes already: expected an empty one"), "{error}");
    assert_eq!(export(&to).1, json);

    let (code, error) = import("memory", &json);
    assert!(code == Some(1) && error.contains("VOTES_STORE is memory"), "{error}");
    let (code, error) = import(&to, "nonsense");
    assert!(code == Some(1) && error.contains("standard input cannot be read"), "{error}");
    let nowhere = format!("file:{}", directory.path().join("none").display());
    let (code, _, error) = export(&nowhere);
    assert!(code == Some(1) && error.contains("there is no such file"), "{error}");
    assert!(!directory.path().join("none").exists());
}

#[test]
fn a_setting_that_names_no_store_is_refused() {
    for store in ["disk", "file:", "http://redis", "redis://", "redis://redis:port"] {
        refuses(VOTING_SVC, &[], "VOTES_STORE", store, "expected ");
    }
    let wrong = Binary::new(VOTING_SVC).env("VOTES_STORE", "redis://:secret@redis:port").output();
    let stderr = String::from_utf8_lossy(&wrong.stderr);
    assert!(wrong.status.code() == Some(2) && !stderr.contains("secret"), "{stderr}");
    assert!(stderr.contains("redis://…@redis:port"), "{stderr}");
}

#[tokio::test]
async fn a_store_that_is_away_is_no_reason_to_end() {
    // Nobody listens there.
    let (mut run, address) = start(&[("VOTES_STORE", "redis://127.0.0.1:1")]);
    run.line("not ready: votes cannot be stored");
    let error = client(address).vote(joy(), VoteRequest {}).await.expect_err("no store");
    assert_eq!(error.code(), tonic::Code::Unavailable);
    assert!(!error.message().contains("127.0.0.1"), "{error}");
    run.signal("TERM");
    assert_eq!(run.end().0, Some(0));
}
