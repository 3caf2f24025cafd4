//! Other people's programs, in the background.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

/// A running program with a folder of its own. It ends with the test, and takes its folder along.
pub struct Program {
    child: Child,
    directory: PathBuf,
}

impl Program {
    /// A folder for a program to run in.
    ///
    /// # Panics
    /// When it cannot be made.
    pub fn directory(name: &str) -> PathBuf {
        let directory = crate::target().join("tmp").join(name);
        fs::create_dir_all(&directory).expect("the temporary directory is writable");
        directory
    }

    /// Starts a program in its folder, where its log will be, too.
    ///
    /// # Panics
    /// When it cannot be started.
    pub fn start(command: &mut Command, directory: PathBuf) -> Self {
        let log = File::create(directory.join("log")).expect("writable");
        let child = command
            .current_dir(&directory)
            .stdin(Stdio::null())
            .stderr(log.try_clone().expect("the file is open"))
            .stdout(log)
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?}: {error}"));
        Self { child, directory }
    }

    /// What it has logged so far.
    ///
    /// # Panics
    /// When it has ended, which none of them should before its test.
    pub fn log(&mut self) -> String {
        let ended = self.child.try_wait().expect("it is a child of this process");
        assert!(ended.is_none(), "{} has ended: {ended:?}", self.directory.display());
        self.read_log()
    }

    fn read_log(&self) -> String {
        fs::read_to_string(self.directory.join("log")).unwrap_or_default()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            let _ = writeln!(io::stderr(), "{}:\n{}", self.directory.display(), self.read_log());
        }
        let _ = fs::remove_dir_all(&self.directory);
    }
}
