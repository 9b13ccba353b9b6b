//! How fast products are, beside the `gemm` crate.
//!
//! `cargo bench -p stride-kernels --bench gemm [-- SHAPES]` prints GFLOP/s, the best of many
//! repetitions that take turns, so that a busy machine disturbs all of them alike. SHAPES is part
//! of a name in the first column; with none, all are measured. With `--processor-time` what counts
//! is not the time on the clock but that of the threads, divided by their number: on a busy machine
//! it is the one to trust, though it does not see threads wait for each other.

use std::hint::black_box;
use std::time::{Duration, Instant};

use gemm::Parallelism;
use rayon::prelude::*;
use rayon::{ThreadPool, ThreadPoolBuilder};
use stride_kernels::gemm::{Compute, Epilogue, MatrixRef, PackedRhs, Rhs, matmul};
use stride_kernels::isa::Isa;
use stride_kernels::peak;

/// How long each shape is measured.
const TIME: Duration = Duration::from_millis(250);

/// Products of one shape.
struct Shape {
    name: &'static str,
    rows: usize,
    depth: usize,
    cols: usize,
    /// A lies as the transpose of rows, as it does for the gradient of a weight.
    a_transposed: bool,
    /// B lies as the transpose of rows, as it does for the gradient of an input.
    b_transposed: bool,
    /// Independent products, shared among threads by the caller.
    batch: usize,
}

impl Shape {
    const fn new(name: &'static str, rows: usize, depth: usize, cols: usize) -> Self {
        Self { name, rows, depth, cols, a_transposed: false, b_transposed: false, batch: 1 }
    }

    fn gigaflop(&self) -> f64 {
        2e-9 * (self.rows * self.depth * self.cols * self.batch) as f64
    }
}

const SHAPES: [Shape; 11] = [
    Shape::new("64x256x768", 64, 256, 768),
    Shape::new("256x768x768", 256, 768, 768),
    Shape::new("256x768x2304", 256, 768, 2304),
    Shape::new("1024x768x2304", 1024, 768, 2304),
    Shape::new("1024x768x3072", 1024, 768, 3072),
    Shape::new("1024x3072x768", 1024, 3072, 768),
    Shape::new("2048x256x1024", 2048, 256, 1024),
    Shape { a_transposed: true, ..Shape::new("768x1024x2304 A^T", 768, 1024, 2304) },
    Shape { b_transposed: true, ..Shape::new("1024x2304x768 B^T", 1024, 2304, 768) },
    Shape { batch: 48, ..Shape::new("64x64x64 48 times", 64, 64, 64) },
    Shape { batch: 48, b_transposed: true, ..Shape::new("64x64x64 B^T 48 times", 64, 64, 64) },
];

/// What is compared, in the order of the columns.
const WAYS: [&str; 5] = ["gemm f32", "f32", "f32 packed", "bf16", "bf16 packed"];

fn main() {
    let processor_time = std::env::args().any(|argument| argument == "--processor-time");
    let filter = std::env::args().skip(1).find(|argument| !argument.starts_with("--"));
    println!("instructions: {:?}", Isa::detect());
    for compute in [Compute::F32, Compute::Bf16] {
        let peak = peak::measure(compute, 1, TIME);
        let speed = peak.flops_per_second / 1e9;
        println!("peak of one core, {compute:?}: {speed:.0} GFLOP/s ({})", peak.instructions);
    }
    let mut counts = vec![1, rayon::current_num_threads()];
    counts.dedup();
    print!("{:<22}{:>8}", "M x K x N", "threads");
    WAYS.iter().for_each(|way| print!("{way:>13}"));
    println!();
    for shape in &SHAPES {
        if filter.as_ref().is_some_and(|filter| !shape.name.contains(filter.as_str())) {
            continue;
        }
        for &threads in &counts {
            let pool = ThreadPoolBuilder::new().num_threads(threads).build().expect("threads");
            let speeds = measure(shape, &pool, processor_time);
            print!("{:<22}{threads:>8}", shape.name);
            speeds.iter().for_each(|speed| print!("{speed:>13.1}"));
            println!();
        }
    }
}

/// GFLOP/s of every way.
fn measure(shape: &Shape, pool: &ThreadPool, processor_time: bool) -> [f64; WAYS.len()] {
    let (rows, depth, cols) = (shape.rows, shape.depth, shape.cols);
    let numbers = |count: usize| -> Vec<f32> {
        (0..count).map(|i| (i * 7919 % 1013) as f32 / 1013.0 - 0.5).collect()
    };
    let (a, b) = (numbers(rows * depth * shape.batch), numbers(depth * cols * shape.batch));
    let mut c = vec![0.0; rows * cols * shape.batch];
    let a_of = |index: usize| {
        let data = &a[index * rows * depth..];
        if shape.a_transposed {
            MatrixRef::row_major(data, depth, rows).transposed()
        } else {
            MatrixRef::row_major(data, rows, depth)
        }
    };
    let b_of = |index: usize| {
        let data = &b[index * depth * cols..];
        if shape.b_transposed {
            MatrixRef::row_major(data, cols, depth).transposed()
        } else {
            MatrixRef::row_major(data, depth, cols)
        }
    };
    let packed = [Compute::F32, Compute::Bf16].map(|compute| PackedRhs::new(b_of(0), compute));
    let epilogue = Epilogue::default();
    let threads = pool.current_num_threads();
    let run = |way: usize, index: usize, c: &mut [f32]| {
        let (a, b) = (a_of(index), b_of(index));
        match way {
            0 => gemm_crate(a, b, c, if shape.batch == 1 { threads } else { 1 }),
            1 => matmul(a, Rhs::Plain(b), Compute::F32, &epilogue, c, cols),
            2 => matmul(a, Rhs::Packed(&packed[0]), Compute::F32, &epilogue, c, cols),
            3 => matmul(a, Rhs::Plain(b), Compute::Bf16, &epilogue, c, cols),
            _ => matmul(a, Rhs::Packed(&packed[1]), Compute::Bf16, &epilogue, c, cols),
        }
    };
    let mut best = [f64::INFINITY; WAYS.len()];
    let start = Instant::now();
    while start.elapsed() < TIME {
        for (way, best) in best.iter_mut().enumerate() {
            let seconds = pool.install(|| {
                let (start, processor_start) = (Instant::now(), seconds_of_processor());
                if shape.batch == 1 {
                    run(way, 0, &mut c);
                } else {
                    let products = c.par_chunks_mut(rows * cols).enumerate();
                    products.for_each(|(index, c)| run(way, index, c));
                }
                if processor_time {
                    (seconds_of_processor() - processor_start) / threads as f64
                } else {
                    start.elapsed().as_secs_f64()
                }
            });
            *best = best.min(seconds);
        }
    }
    black_box(&c);
    best.map(|seconds| shape.gigaflop() / seconds)
}

/// The time that the threads of this process have run, all together.
#[cfg(target_env = "gnu")]
fn seconds_of_processor() -> f64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the clock exists on every Linux, and the time lies in `time`.
    unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &mut time) };
    time.tv_sec as f64 + 1e-9 * time.tv_nsec as f64
}

/// Not known here.
#[cfg(not(target_env = "gnu"))]
fn seconds_of_processor() -> f64 {
    f64::NAN
}

/// The same product by the `gemm` crate.
fn gemm_crate(a: MatrixRef, b: MatrixRef, c: &mut [f32], threads: usize) {
    let parallelism = if threads == 1 { Parallelism::None } else { Parallelism::Rayon(threads) };
    assert!(c.len() >= a.rows * b.cols);
    // SAFETY: the matrices are views made above, and C has room.
    unsafe {
        gemm::gemm(
            a.rows,
            b.cols,
            a.cols,
            c.as_mut_ptr(),
            1,
            b.cols as isize,
            false,
            a.data.as_ptr(),
            a.col_stride as isize,
            a.row_stride as isize,
            b.data.as_ptr(),
            b.col_stride as isize,
            b.row_stride as isize,
            0.0,
            1.0,
            false,
            false,
            false,
            parallelism,
        );
    }
}
