//! Runs of the program that must end soon and in bounded memory.

use std::io::Read as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::program::Run;

/// Kilobytes of addresses that a run may take.
const ADDRESSES: &str = "6000000";
/// After this a run counts as hanging, on a machine that has much else to do.
const PATIENCE: Duration = Duration::from_secs(120);

/// Runs the program; fails the test if it hangs, panics, or is ended by a signal, as where it asks for more memory than
/// it may have. `input` is what the failure shows.
#[track_caller]
pub(crate) fn run_bounded(folder: &Path, arguments: &[&str], input: &[u8]) -> Run {
    let script = format!("ulimit -v {ADDRESSES}; exec \"$0\" \"$@\"");
    let mut child = Command::new("sh")
        .args(["-c", &script, env!("CARGO_BIN_EXE_stride")])
        .args(arguments)
        .current_dir(folder)
        .env_remove("RUST_LOG")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let mut stdout = child.stdout.take().expect("piped");
    let mut stderr = child.stderr.take().expect("piped");
    let reader = thread::spawn(move || {
        let mut bytes = Vec::new();
        stdout.read_to_end(&mut bytes).map(|_| bytes)
    });
    let errors = thread::spawn(move || {
        let mut bytes = Vec::new();
        stderr.read_to_end(&mut bytes).map(|_| bytes)
    });
    let start = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().expect("a child") {
            break status;
        }
        if start.elapsed() > PATIENCE {
            child.kill().expect("a child");
            panic!("hangs: {:.300}", format!("{arguments:?}"));
        }
        thread::sleep(Duration::from_millis(5));
    };
    let text = |bytes: std::io::Result<Vec<u8>>| {
        String::from_utf8_lossy(&bytes.expect("readable")).into_owned()
    };
    let run = Run {
        code: status.code(),
        stdout: text(reader.join().expect("no panic")),
        stderr: text(errors.join().expect("no panic")),
    };
    let is_end = run.code.is_some_and(|code| code < 3) && !run.stderr.contains("panicked");
    let (shown, input) = (format!("{arguments:?}"), String::from_utf8_lossy(input));
    assert!(is_end, "{status} after {shown:.600}\n{:.2000}\n{input:.4000}", run.stderr);
    run
}
