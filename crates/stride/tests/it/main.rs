//! Tests of `stride` against the Python originals, in one binary.
// Comparisons print how close they came; `cargo test` shows it only on failure or with `--nocapture`.
#![allow(clippy::print_stdout)]

mod clip;
mod dit;
#[path = "../../../stride-data/tests/it/mutations.rs"]
mod mutations;
mod objectives;
mod pipeline;
mod prompts;
mod text;
mod tokenizer;
mod vae;

/// Runs every test of this binary again as processors without AVX-512, or without AVX2, would.
#[test]
fn all_tests_pass_with_fewer_instructions() {
    if std::env::var_os("STRIDE_ISA").is_some() {
        return; // This is the second run, or one of somebody's choice.
    }
    for isa in ["portable", "avx2"] {
        let tests = std::env::current_exe().expect("the path of the tests");
        let run = std::process::Command::new(tests).env("STRIDE_ISA", isa).output();
        let run = run.expect("the tests start");
        let text = String::from_utf8_lossy(&run.stdout);
        assert!(run.status.success(), "STRIDE_ISA={isa}:\n{text}");
        let passed = text.lines().filter(|line| line.ends_with("... ok")).count();
        assert!(passed > 1, "STRIDE_ISA={isa} ran no tests:\n{text}");
    }
}
