//! How many multiply-adds a second the processor can do at best: the yardstick of benchmarks.

use std::hint::black_box;
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use crate::gemm::Compute;
#[cfg(target_arch = "x86_64")]
use crate::isa::Isa;

/// Times the threads run; the best counts, since a peak that other work disturbs is no peak.
const TRIALS: usize = 3;
/// Multiply-adds in flight per thread. Two units with a latency of four cycles need eight; more
/// would not fit the sixteen registers of AVX2.
const CHAINS: usize = 12;
/// Passes over all chains between two looks at the clock, some tens of microseconds.
const PASSES: u64 = 1 << 14;
/// x <- x FACTOR + TERM stays near 1, away from numbers that processors are slow with.
const FACTOR: f32 = 0.999_9;
/// See `FACTOR`.
const TERM: f32 = 1e-4;

/// The measured peak of a machine.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Peak {
    /// Floating-point operations a second over all threads, two for a multiply-add.
    pub flops_per_second: f64,
    /// Threads that ran.
    pub threads: usize,
    /// Which instructions they used: `avx512bf16`, `avx512f`, `avx2+fma` or `portable`.
    pub instructions: &'static str,
}

/// Measures the peak of `threads` threads at once in products of f32 or of bfloat16 numbers.
///
/// Every thread runs independent chains x <- x a + b over registers, without memory, for
/// `duration`; the sum of their rates is the peak, and the best of three trials counts. No
/// product of matrices can be faster. The widest instructions among AVX-512 and AVX2 with FMA
/// that the processor has are used, and for bfloat16 those that multiply pairs of them, if there are
/// any; if not, it is as fast as f32. Elsewhere plain Rust is, which the compiler vectorises for the
/// target: on 64-bit ARM to fused multiply-adds of NEON, on old x86 to SSE2 products and sums.
///
/// Processors slow down when they are hot or all cores are busy, so measure beside the work.
pub fn measure(compute: Compute, threads: usize, duration: Duration) -> Peak {
    let threads = threads.max(1);
    let kernel = Kernel::best(compute);
    let trial = |_| all_threads(kernel, threads, duration);
    let flops_per_second = (0..TRIALS).map(trial).fold(0.0, f64::max);
    Peak { flops_per_second, threads, instructions: kernel.instructions }
}

/// The sum of the rates of all threads, started together.
fn all_threads(kernel: Kernel, threads: usize, duration: Duration) -> f64 {
    let barrier = Barrier::new(threads);
    thread::scope(|scope| {
        let one = || {
            barrier.wait();
            let start = Instant::now();
            let mut passes = 0;
            while start.elapsed() < duration || passes == 0 {
                black_box((kernel.run)(black_box(PASSES)));
                passes += PASSES;
            }
            let multiply_adds = passes as f64 * (CHAINS * kernel.lanes) as f64;
            2.0 * multiply_adds / start.elapsed().as_secs_f64()
        };
        let handles: Vec<_> = (0..threads).map(|_| scope.spawn(one)).collect();
        handles.into_iter().filter_map(|handle| handle.join().ok()).sum()
    })
}

/// A loop of multiply-adds.
#[derive(Clone, Copy)]
struct Kernel {
    instructions: &'static str,
    /// Multiply-adds of an instruction.
    lanes: usize,
    /// Runs this many passes over all chains, and returns the mean of where they end, so that none
    /// can be left out.
    run: fn(u64) -> f32,
}

impl Kernel {
    /// The widest that this processor runs.
    #[cfg_attr(not(target_arch = "x86_64"), expect(unused_variables, reason = "f32 alone"))]
    fn best(compute: Compute) -> Self {
        #[cfg(target_arch = "x86_64")]
        match Isa::of_processor() {
            Isa::Avx512Bf16 if compute == Compute::Bf16 => {
                let run = x86::with_avx512_bf16;
                return Self { instructions: "avx512bf16", lanes: 32, run };
            }
            Isa::Avx512 | Isa::Avx512Bf16 => {
                return Self { instructions: "avx512f", lanes: 16, run: x86::with_avx512 };
            }
            Isa::Avx2 => return Self { instructions: "avx2+fma", lanes: 8, run: x86::with_avx2 },
            Isa::Portable => {}
        }
        Self { instructions: "portable", lanes: PORTABLE_LANES, run: portable }
    }
}

/// Numbers that the portable kernel keeps together: one register of 128 bits.
const PORTABLE_LANES: usize = 4;

fn portable(passes: u64) -> f32 {
    let (factor, term) = (black_box(FACTOR), black_box(TERM));
    let mut chains = [[0.5f32; PORTABLE_LANES]; CHAINS];
    for _ in 0..passes {
        for chain in &mut chains {
            for x in chain {
                *x = multiply_add(*x, factor, term);
            }
        }
    }
    chains.iter().flatten().sum::<f32>() / (CHAINS * PORTABLE_LANES) as f32
}

/// Fused only where every processor of the target has the instruction; elsewhere it would be a
/// call of the C library.
fn multiply_add(x: f32, factor: f32, term: f32) -> f32 {
    if cfg!(any(target_arch = "aarch64", target_feature = "fma")) {
        x.mul_add(factor, term)
    } else {
        x * factor + term
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::{
        _mm256_cvtss_f32, _mm256_fmadd_ps, _mm256_set1_ps, _mm512_cvtne2ps_pbh, _mm512_cvtss_f32,
        _mm512_dpbf16_ps, _mm512_fmadd_ps, _mm512_mask_mov_ps, _mm512_set1_ps,
    };
    use std::hint::black_box;

    use super::{CHAINS, FACTOR, TERM};

    pub(super) fn with_avx512(passes: u64) -> f32 {
        // SAFETY: `Kernel::best` hands this function out only where the processor has AVX-512F.
        unsafe { avx512(passes) }
    }

    pub(super) fn with_avx2(passes: u64) -> f32 {
        // SAFETY: `Kernel::best` hands this function out only where the processor has AVX2 and FMA.
        unsafe { avx2(passes) }
    }

    pub(super) fn with_avx512_bf16(passes: u64) -> f32 {
        // SAFETY: `Kernel::best` hands this function out only where the processor has AVX512-BF16.
        unsafe { avx512_bf16(passes) }
    }

    /// x <- x + a a - a a, which stays 0.5.
    #[target_feature(enable = "avx512f,avx512bf16")]
    fn avx512_bf16(passes: u64) -> f32 {
        let factor = _mm512_set1_ps(black_box(FACTOR));
        let opposite = _mm512_set1_ps(black_box(-FACTOR));
        // Each instruction adds the products of neighbours, here opposite ones.
        let mixed = _mm512_mask_mov_ps(factor, 0xaaaa, opposite);
        let (same, mixed) =
            (_mm512_cvtne2ps_pbh(factor, factor), _mm512_cvtne2ps_pbh(mixed, mixed));
        let mut chains = [_mm512_set1_ps(0.5); CHAINS];
        for _ in 0..passes {
            for x in &mut chains {
                *x = _mm512_dpbf16_ps(*x, same, mixed);
            }
        }
        chains.into_iter().map(|x| _mm512_cvtss_f32(x)).sum::<f32>() / CHAINS as f32
    }

    #[target_feature(enable = "avx512f")]
    fn avx512(passes: u64) -> f32 {
        let (factor, term) = (_mm512_set1_ps(black_box(FACTOR)), _mm512_set1_ps(black_box(TERM)));
        let mut chains = [_mm512_set1_ps(0.5); CHAINS];
        for _ in 0..passes {
            for x in &mut chains {
                *x = _mm512_fmadd_ps(*x, factor, term);
            }
        }
        chains.into_iter().map(|x| _mm512_cvtss_f32(x)).sum::<f32>() / CHAINS as f32
    }

    #[target_feature(enable = "avx2,fma")]
    fn avx2(passes: u64) -> f32 {
        let (factor, term) = (_mm256_set1_ps(black_box(FACTOR)), _mm256_set1_ps(black_box(TERM)));
        let mut chains = [_mm256_set1_ps(0.5); CHAINS];
        for _ in 0..passes {
            for x in &mut chains {
                *x = _mm256_fmadd_ps(*x, factor, term);
            }
        }
        chains.into_iter().map(|x| _mm256_cvtss_f32(x)).sum::<f32>() / CHAINS as f32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_processor_does_more_than_a_tenth_of_a_gigaflop() {
        let peak = measure(Compute::F32, 2, Duration::from_millis(5));
        assert_eq!(peak.threads, 2);
        assert!(peak.flops_per_second > 1e8 && peak.flops_per_second.is_finite(), "{peak:?}");
    }

    #[test]
    fn every_kernel_follows_the_same_chain() {
        let wide = Kernel::best(Compute::F32);
        for passes in [1, 10, 100] {
            let expected = (0..passes).fold(0.5f32, |x, _| multiply_add(x, FACTOR, TERM));
            for end in [portable(passes), (wide.run)(passes)] {
                let error = (end - expected).abs();
                println!("{passes} passes: error {error:e}");
                assert!(error < 1e-5, "{passes} passes: {end} for {expected}");
            }
        }
        let pairs = Kernel::best(Compute::Bf16);
        if pairs.instructions == "avx512bf16" {
            assert_eq!((pairs.run)(100), 0.5);
        }
    }
}
