//! Running the program and looking at what it says.

use std::path::Path;
use std::process::{Command, Output, Stdio};

/// What a run of the program left.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Run {
    /// Fails the test unless the exit code is this one.
    #[track_caller]
    pub(crate) fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "stdout: {}\nstderr: {}", self.stdout, self.stderr);
        assert!(!self.stderr.contains("panicked"), "{}", self.stderr);
        self
    }

    /// Fails the test unless stderr has all of these.
    #[track_caller]
    pub(crate) fn says(self, parts: &[&str]) -> Self {
        for part in parts {
            assert!(self.stderr.contains(part), "expected {part:?} in:\n{}", self.stderr);
        }
        self
    }

    /// Stdout as one JSON object.
    #[track_caller]
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).expect("one JSON object on stdout")
    }
}

/// The program, to be run in a folder.
pub(crate) fn command(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_stride"));
    command.current_dir(folder).args(arguments).stdin(Stdio::null()).env_remove("RUST_LOG");
    command
}

/// Runs the program in a folder.
pub(crate) fn run(folder: &Path, arguments: &[&str]) -> Run {
    let Output { status, stdout, stderr } =
        command(folder, arguments).output().expect("the program starts");
    Run {
        code: status.code(),
        stdout: String::from_utf8(stdout).expect("UTF-8"),
        stderr: String::from_utf8(stderr).expect("UTF-8"),
    }
}

/// A program that runs in a folder and can be sent signals.
#[cfg(unix)]
pub(crate) struct Running {
    program: std::process::Child,
    lines: Box<dyn Iterator<Item = String>>,
}

#[cfg(unix)]
impl Running {
    /// Starts a command whose stderr is looked at.
    pub(crate) fn start(mut command: Command) -> Self {
        let mut program = command.stderr(Stdio::piped()).spawn().expect("the program starts");
        let stderr = std::io::BufReader::new(program.stderr.take().expect("piped"));
        let lines = std::io::BufRead::lines(stderr).map_while(Result::ok);
        Self { program, lines: Box::new(lines) }
    }

    /// Waits for a line with this text.
    #[track_caller]
    pub(crate) fn wait_for(&mut self, text: &str) {
        assert!(self.lines.any(|line| line.contains(text)), "no line with {text}");
    }

    /// Sends a signal by its name.
    pub(crate) fn send(&self, signal: &str) {
        let id = self.program.id().to_string();
        let status = Command::new("kill").args(["-s", signal, &id]).status();
        assert!(status.expect("the system has kill").success());
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.program.try_wait().expect("a child").is_none()
    }

    /// Waits for the end; the exit code and what is left of stderr.
    pub(crate) fn end(mut self) -> (Option<i32>, String) {
        let rest: Vec<String> = self.lines.collect();
        (self.program.wait().expect("ends").code(), rest.join("\n"))
    }
}

/// Names of everything in a folder, sorted, hidden files too.
pub(crate) fn names_in(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).expect("a folder");
    let name = |entry: std::io::Result<std::fs::DirEntry>| {
        entry.expect("readable").file_name().to_string_lossy().into_owned()
    };
    let mut names: Vec<_> = entries.map(name).collect();
    names.sort();
    names
}
