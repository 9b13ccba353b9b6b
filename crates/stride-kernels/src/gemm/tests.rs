//! Products against sums in f64, for every set of instructions that the machine has.

use rayon::ThreadPoolBuilder;

use super::packed::Factor;
use super::{
    Compute, Epilogue, MatrixRef, PackedRhs, Rhs, matmul, matmul_with, product, slice_of_written,
};
use crate::activation::{Activation, Form};
use crate::compute::round_to_bf16;
use crate::isa::Isa;

const COMPUTES: [Compute; 2] = [Compute::F32, Compute::Bf16];

/// Every set of instructions of this machine.
fn isas() -> Vec<Isa> {
    let all = [Isa::Portable, Isa::Avx2, Isa::Avx512, Isa::Avx512Bf16];
    all.into_iter().filter(|&isa| isa <= Isa::of_processor()).collect()
}

/// Numbers from -1 to 1 that repeat only after a long while.
fn numbers(count: usize, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..count).map(|_| next()).collect()
}

/// How a test matrix lies in memory.
#[derive(Clone, Copy, Debug)]
enum Layout {
    Rows,
    /// The transpose of rows.
    Columns,
    /// Rows with a gap between them.
    GappedRows,
    /// The transpose of those.
    GappedColumns,
    /// Elements with gaps between them.
    Strided,
}

const LAYOUTS: [Layout; 5] =
    [Layout::Rows, Layout::Columns, Layout::GappedRows, Layout::GappedColumns, Layout::Strided];

/// A view of `rows` x `cols` of the data, which has the `room` for any layout.
fn view(data: &[f32], rows: usize, cols: usize, layout: Layout) -> MatrixRef<'_> {
    let (row_stride, col_stride) = match layout {
        Layout::Rows => (cols, 1),
        Layout::Columns => (1, rows),
        Layout::GappedRows => (cols + 5, 1),
        Layout::GappedColumns => (1, rows + 3),
        Layout::Strided => (2 * cols + 1, 2),
    };
    MatrixRef { data, rows, cols, row_stride, col_stride }
}

fn room(rows: usize, cols: usize) -> usize {
    2 * rows * cols + 6 * (rows + cols) + 64
}

/// The product in f64, and the sum of the sizes of its terms, by which errors are judged.
fn exact(
    a: MatrixRef,
    b: MatrixRef,
    compute: Compute,
    epilogue: &Epilogue,
    c: &[f32],
) -> Vec<(f64, f64)> {
    let round = |x: f32| match compute {
        Compute::F32 | Compute::F16 => f64::from(x),
        Compute::Bf16 => f64::from(round_to_bf16(x)),
    };
    let mut results = Vec::new();
    for row in 0..a.rows {
        for col in 0..b.cols {
            let (mut sum, mut size) = (0.0, 0.0);
            for k in 0..a.cols {
                let term = round(a.at(row, k)) * round(b.at(k, col));
                sum += term;
                size += f64::abs(term);
            }
            let others = [
                epilogue.accumulate.then(|| c[row * b.cols + col]),
                epilogue.bias.map(|bias| bias[col]),
            ];
            for other in others.into_iter().flatten() {
                sum += f64::from(other);
                size += f64::from(other.abs());
            }
            if let Some(activation) = epilogue.activation {
                sum = match activation.form() {
                    Form::Sigmoid(a, b) => {
                        let (a, b) = (f64::from(a), f64::from(b));
                        sum / (1.0 + (-sum * (a + b * sum * sum)).exp())
                    }
                    Form::Positive => sum.max(0.0),
                    Form::Normal => panic!("GELU by erf is tested with the fused operations"),
                };
            }
            results.push((sum, size));
        }
    }
    results
}

/// Multiplies with C in rows that lie a little apart, checks that the gaps stay as they were, and
/// returns C without them.
fn multiply(
    isa: Isa,
    a: MatrixRef,
    rhs: Rhs,
    compute: Compute,
    epilogue: &Epilogue,
    c: &[f32],
) -> Vec<f32> {
    const GAP: usize = 3;
    let cols = rhs.cols();
    let mut gapped: Vec<f32> =
        c.chunks(cols).flat_map(|row| row.iter().copied().chain([7.0; GAP])).collect();
    let c = slice_of_written(&mut gapped);
    matmul_with(isa, a, rhs, compute, epilogue, c, cols + GAP);
    for row in gapped.chunks(cols + GAP) {
        assert_eq!(row[cols..], [7.0; GAP], "a gap of C was written");
    }
    gapped.chunks(cols + GAP).flat_map(|row| row[..cols].iter().copied()).collect()
}

/// The largest error of a product, in parts of the size of its terms.
fn largest_error(found: &[f32], exact: &[(f64, f64)]) -> f64 {
    let error = |(&found, &(exact, size)): (&f32, &(f64, f64))| {
        let error = (f64::from(found) - exact).abs() / size.max(1e-3);
        if error.is_nan() { f64::INFINITY } else { error }
    };
    found.iter().zip(exact).map(error).fold(0.0, f64::max)
}

/// Compares one product with the exact one, plain and packed.
fn check(
    (rows, depth, cols): (usize, usize, usize),
    (a_layout, b_layout): (Layout, Layout),
    epilogue: &Epilogue,
) -> f64 {
    let a_data = numbers(room(rows, depth), 1);
    let b_data = numbers(room(depth, cols), 2);
    let c = numbers(rows * cols, 3);
    let a = view(&a_data, rows, depth, a_layout);
    let b = view(&b_data, depth, cols, b_layout);
    let mut largest: f64 = 0.0;
    for compute in COMPUTES {
        let exact = exact(a, b, compute, epilogue, &c);
        for isa in isas() {
            let plain = multiply(isa, a, Rhs::Plain(b), compute, epilogue, &c);
            let error = largest_error(&plain, &exact);
            assert!(
                error < 2e-6,
                "{rows} x {depth} x {cols}, {a_layout:?} {b_layout:?}, {compute:?} with {isa:?}, \
                 {epilogue:?}: error {error:e}"
            );
            largest = largest.max(error);
            let packed = PackedRhs::with_isa(isa, Factor::Matrix(b), compute);
            let packed = multiply(isa, a, Rhs::Packed(&packed), compute, epilogue, &c);
            // The portable product reads a packed matrix row by row, maybe in another order.
            if isa >= Isa::Avx512 {
                assert!(plain == packed, "packing changed {rows} x {depth} x {cols}, {isa:?}");
            } else {
                assert!(largest_error(&packed, &exact) < 2e-6);
            }
        }
    }
    largest
}

#[test]
fn odd_shapes_are_right() {
    const SIZES: [usize; 14] = [1, 2, 3, 7, 8, 13, 15, 17, 31, 48, 49, 64, 100, 257];
    let mut largest: f64 = 0.0;
    for (i, &rows) in SIZES.iter().enumerate() {
        for (j, &cols) in SIZES.iter().enumerate() {
            for depth in [SIZES[(i + 3 * j) % 14], SIZES[(5 * i + j + 1) % 14]] {
                let layouts = (LAYOUTS[(i + j) % 5], LAYOUTS[(i + 2 * j) % 5]);
                largest = largest.max(check((rows, depth, cols), layouts, &Epilogue::default()));
            }
        }
    }
    println!("largest error {largest:e}");
}

#[test]
fn every_layout_is_right() {
    for a_layout in LAYOUTS {
        for b_layout in LAYOUTS {
            for shape in [(33, 35, 50), (64, 64, 64), (9, 70, 97)] {
                check(shape, (a_layout, b_layout), &Epilogue::default());
            }
        }
    }
}

#[test]
fn every_epilogue_is_right() {
    let bias = numbers(100, 4);
    let activations =
        [Activation::GeluTanh, Activation::Silu, Activation::QuickGelu, Activation::Relu];
    for accumulate in [false, true] {
        for bias in [None, Some(&bias[..])] {
            for activation in activations.into_iter().map(Some).chain([None]) {
                let epilogue = Epilogue { accumulate, bias, activation };
                // More than one stretch of K in every format, and nothing to sum over.
                for shape in [(21, 5, 100), (5, 600, 100), (3, 0, 100)] {
                    check(shape, (Layout::Rows, Layout::Rows), &epilogue);
                }
            }
        }
    }
}

#[test]
fn more_than_fits_the_caches_is_right() {
    // More than one band of rows, stretch of K and group of panels.
    check((530, 261, 1600), (Layout::Rows, Layout::Rows), &Epilogue::default());
    check((70, 1100, 50), (Layout::Columns, Layout::Columns), &Epilogue::default());
}

#[test]
fn the_number_of_threads_changes_nothing() {
    for (rows, depth, cols) in [(530, 300, 200), (64, 256, 768), (1000, 64, 70)] {
        let (a, b) = (numbers(rows * depth, 1), numbers(depth * cols, 2));
        let a = MatrixRef::row_major(&a, rows, depth);
        let b = MatrixRef::row_major(&b, depth, cols);
        for (isa, compute) in isas().into_iter().flat_map(|isa| COMPUTES.map(|c| (isa, c))) {
            let results = [1, 2, 3, 5].map(|threads| {
                let pool = ThreadPoolBuilder::new().num_threads(threads).build().expect("threads");
                let c = vec![0.0; rows * cols];
                let epilogue = Epilogue::default();
                pool.install(|| multiply(isa, a, Rhs::Plain(b), compute, &epilogue, &c))
            });
            assert!(results.iter().all(|c| *c == results[0]), "{rows} x {cols} with {isa:?}");
        }
    }
}

#[test]
fn not_a_number_stays_one() {
    let mut a = vec![1.0; 20 * 40];
    a[3 * 40 + 11] = f32::NAN;
    let b = numbers(40 * 50, 1);
    let (a, b) = (MatrixRef::row_major(&a, 20, 40), MatrixRef::row_major(&b, 40, 50));
    let epilogue = Epilogue { activation: Some(Activation::GeluTanh), ..Epilogue::default() };
    for (isa, compute) in isas().into_iter().flat_map(|isa| COMPUTES.map(|c| (isa, c))) {
        let c = multiply(isa, a, Rhs::Plain(b), compute, &epilogue, &[0.0; 20 * 50]);
        for (row, values) in c.chunks(50).enumerate() {
            let lost = values.iter().any(|value| value.is_nan() != (row == 3));
            assert!(!lost, "row {row} with {isa:?} in {compute:?}");
        }
    }
}

#[test]
fn what_stood_in_c_does_not_matter() {
    for [rows, depth, cols] in [[20, 0, 50], [33, 70, 65], [1, 900, 3]] {
        let (a, b) = (numbers(rows * depth, 0), numbers(depth * cols, 1));
        let a = MatrixRef::row_major(&a, rows, depth);
        let b = Rhs::Plain(MatrixRef::row_major(&b, depth, cols));
        let epilogue = Epilogue::default();
        for (isa, compute) in isas().into_iter().flat_map(|isa| COMPUTES.map(|c| (isa, c))) {
            let on =
                |stood: f32| multiply(isa, a, b, compute, &epilogue, &vec![stood; rows * cols]);
            assert_eq!(on(f32::NAN), on(0.0), "{rows} x {depth} x {cols} with {isa:?}");
        }
        let mut c = vec![0.0; rows * cols];
        matmul(a, b, Compute::F32, &epilogue, &mut c, cols);
        assert_eq!(product(a, b, Compute::F32, &epilogue), c);
    }
}

#[test]
fn nothing_times_nothing_is_nothing() {
    let empty = MatrixRef::row_major(&[], 0, 5);
    let b = numbers(10, 1);
    let epilogue = Epilogue::default();
    let b = Rhs::Plain(MatrixRef::row_major(&b, 5, 2));
    matmul(empty, b, Compute::F32, &epilogue, &mut [], 2);
    let packed = PackedRhs::new(MatrixRef::row_major(&[], 4, 0), Compute::Bf16);
    let a = MatrixRef::row_major(&[1.0; 4], 1, 4);
    matmul(a, Rhs::Packed(&packed), Compute::Bf16, &epilogue, &mut [], 0);
}

#[test]
#[should_panic(expected = "A has 5 elements, too few for 2 x 3")]
fn a_short_matrix_panics() {
    let a = MatrixRef::row_major(&[0.0; 5], 2, 3);
    let b = Rhs::Plain(MatrixRef::row_major(&[0.0; 3], 3, 1));
    matmul(a, b, Compute::F32, &Epilogue::default(), &mut [0.0; 2], 1);
}

#[test]
#[should_panic(expected = "C has 3 elements, too few for 2 rows of 2, 2 apart")]
fn a_short_target_panics() {
    let a = MatrixRef::row_major(&[0.0; 2], 2, 1);
    let b = Rhs::Plain(MatrixRef::row_major(&[0.0; 2], 1, 2));
    matmul(a, b, Compute::F32, &Epilogue::default(), &mut [0.0; 3], 2);
}

#[test]
#[should_panic(expected = "A has 1 columns, but B has 2 rows")]
fn shapes_that_do_not_fit_panic() {
    let a = MatrixRef::row_major(&[0.0; 2], 2, 1);
    let b = Rhs::Plain(MatrixRef::row_major(&[0.0; 2], 2, 1));
    matmul(a, b, Compute::F32, &Epilogue::default(), &mut [0.0; 2], 1);
}

#[test]
#[should_panic(expected = "B was packed for F32")]
fn a_matrix_packed_for_something_else_panics() {
    let packed = PackedRhs::new(MatrixRef::row_major(&[0.0; 2], 1, 2), Compute::F32);
    let a = MatrixRef::row_major(&[0.0; 2], 2, 1);
    let b = Rhs::Packed(&packed);
    matmul(a, b, Compute::Bf16, &Epilogue::default(), &mut [0.0; 4], 2);
}
