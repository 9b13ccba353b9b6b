//! Checks of the repository: `cargo xtask check` is what CI runs, `cargo xtask tidy` looks at the
//! tree alone, `cargo xtask gpu` compares a GPU with the processor, `cargo xtask python` tests the Python package, and
//! `cargo xtask dist` makes what is handed out.

use std::io::{Write as _, stderr};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

mod check;
mod command;
mod dist;
mod gpu;
mod output;
mod python;
mod tidy;

use output::print;

const USAGE: &str = "\
usage: cargo xtask <command>

commands:
  check   everything CI runs, cheapest first: fmt, tidy, clippy, test, doc
  dist    an archive of the programs with manual pages, completions and licences, and a bill of materials, in target/dist/
  gpu     build for GPUs and compare one, or a driver that imitates one, with the processor
  python  build the Python package and test it with Pillow, NumPy and mypy; needs Python
  tidy    the rules of the tree that the compiler does not know (STYLE.md)";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let result = match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["check"] => check::run(&repository()),
        ["gpu"] => gpu::run(&repository()),
        ["python"] => python::test(&repository()),
        ["tidy"] => tidy::run(&repository()),
        ["dist"] => dist::run(&repository()),
        ["help" | "--help" | "-h"] => print(USAGE),
        _ => {
            let _ = writeln!(stderr(), "{USAGE}");
            return ExitCode::from(2);
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(stderr(), "error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// The root of the repository this program was built in.
fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}
