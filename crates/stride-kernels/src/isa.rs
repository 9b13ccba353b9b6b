//! The vector instructions that the processor has.

use std::sync::OnceLock;

use thiserror::Error;

/// The environment variable that lowers the set.
const VARIABLE: &str = "STRIDE_ISA";
/// Its values.
const NAMES: [&str; 4] = ["portable", "avx2", "avx512", "avx512bf16"];

/// `STRIDE_ISA` names no set of instructions.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{VARIABLE}: expected one of {}, found {found:?}", NAMES.join(", "))]
pub struct UnknownIsa {
    found: String,
}

/// A set of vector instructions, from the least to the most.
///
/// The order follows what a set can do: `Isa::Portable < Isa::Avx512`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Isa {
    /// What every processor of the architecture has; the only one outside x86-64.
    Portable,
    /// AVX2 and FMA.
    Avx2,
    /// AVX-512 F, BW, DQ and VL.
    Avx512,
    /// The same with products of bfloat16 pairs.
    Avx512Bf16,
}

impl Isa {
    /// The set to use: what the processor has, lowered by the environment variable `STRIDE_ISA`.
    ///
    /// `STRIDE_ISA` is `portable`, `avx2`, `avx512` or `avx512bf16`. It never raises the set above
    /// what the processor has, and any other value counts as not set: programs refuse it with
    /// [`check_environment`](Self::check_environment). It is read once.
    pub fn detect() -> Self {
        static ISA: OnceLock<Isa> = OnceLock::new();
        *ISA.get_or_init(|| {
            let wanted = std::env::var(VARIABLE).ok();
            lower(Self::of_processor(), wanted.as_deref())
        })
    }

    /// Checks that `STRIDE_ISA`, where it is set and not empty, is the name of a set.
    ///
    /// # Errors
    /// It is something else.
    pub fn check_environment() -> Result<(), UnknownIsa> {
        match std::env::var_os(VARIABLE) {
            Some(value) => check(&value.to_string_lossy()),
            None => Ok(()),
        }
    }

    /// The set of the processor, whatever `STRIDE_ISA` says.
    #[cfg(target_arch = "x86_64")]
    pub fn of_processor() -> Self {
        if !(is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma")) {
            Self::Portable
        } else if !(is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512dq")
            && is_x86_feature_detected!("avx512vl"))
        {
            Self::Avx2
        } else if !is_x86_feature_detected!("avx512bf16") {
            Self::Avx512
        } else {
            Self::Avx512Bf16
        }
    }

    /// The set of the processor, whatever `STRIDE_ISA` says.
    #[cfg(not(target_arch = "x86_64"))]
    pub fn of_processor() -> Self {
        Self::Portable
    }
}

/// The lesser of what the processor has and what was asked for.
fn lower(processor: Isa, wanted: Option<&str>) -> Isa {
    let wanted = match wanted {
        Some("portable") => Isa::Portable,
        Some("avx2") => Isa::Avx2,
        Some("avx512") => Isa::Avx512,
        _ => Isa::Avx512Bf16,
    };
    processor.min(wanted)
}

fn check(value: &str) -> Result<(), UnknownIsa> {
    if value.is_empty() || NAMES.contains(&value) {
        Ok(())
    } else {
        Err(UnknownIsa { found: value.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_variable_lowers_and_never_raises() {
        assert_eq!(lower(Isa::Avx512Bf16, Some("avx2")), Isa::Avx2);
        assert_eq!(lower(Isa::Avx2, Some("avx512bf16")), Isa::Avx2);
        assert_eq!(lower(Isa::Avx512, Some("portable")), Isa::Portable);
    }

    #[test]
    fn an_unknown_value_counts_as_not_set() {
        assert_eq!(lower(Isa::Avx512, Some("sse9")), Isa::Avx512);
        assert_eq!(lower(Isa::Avx2, None), Isa::Avx2);
    }

    #[test]
    fn a_program_can_refuse_unknown_values() {
        for name in NAMES.into_iter().chain([""]) {
            assert_eq!(check(name), Ok(()));
        }
        let message = check("sse9").expect_err("unknown").to_string();
        assert_eq!(
            message,
            "STRIDE_ISA: expected one of portable, avx2, avx512, avx512bf16, found \"sse9\""
        );
    }

    #[test]
    fn the_set_is_one_that_the_processor_has() {
        assert!(Isa::detect() <= Isa::of_processor());
    }

    /// Runs every test of this crate again as processors with less would.
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
}
