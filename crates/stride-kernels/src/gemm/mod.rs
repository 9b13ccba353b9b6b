//! Matrix products with what follows them: C = act(A B + bias).
//!
//! With AVX-512 the products are our own (`avx512`), in f32 or with factors rounded to bfloat16;
//! elsewhere they are those of the `gemm` crate (`portable`).

#[cfg(target_arch = "x86_64")]
mod avx512;
mod epilogue;
mod matrix;
mod packed;
mod patches;
mod portable;
#[cfg(test)]
mod tests;
mod threads;

use std::mem::MaybeUninit;

pub use epilogue::Epilogue;
pub use matrix::MatrixRef;
pub use packed::PackedRhs;
pub use patches::{Patches, Taps};

use self::threads::Target;
pub use crate::compute::Compute;
use crate::isa::Isa;
use crate::storage_element::StorageElement;

/// The right factor of a product.
#[derive(Clone, Copy, Debug)]
pub enum Rhs<'a> {
    /// As it lies in memory.
    Plain(MatrixRef<'a>),
    /// Packed before, for many products.
    Packed(&'a PackedRhs),
}

impl Rhs<'_> {
    /// The number of rows, the K of the product.
    pub fn rows(&self) -> usize {
        match self {
            Self::Plain(b) => b.rows,
            Self::Packed(b) => b.rows(),
        }
    }

    /// The number of columns, the N of the product.
    pub fn cols(&self) -> usize {
        match self {
            Self::Plain(b) => b.cols,
            Self::Packed(b) => b.cols(),
        }
    }
}

/// Multiplies two matrices.
///
/// C <- act(A B + bias), or C <- act(C + A B + bias) if the epilogue accumulates.
///
/// Shapes: A `[M, K]`, B `[K, N]`, bias `[N]`, C `[M, N]` with element (i, j) at
/// `c[i * c_row_stride + j]`.
///
/// The work is shared among the threads of rayon's current pool if there is enough of it. Neither
/// their number nor packing changes the result, not even in its last bit.
///
/// # Panics
/// Shapes do not fit together, C is too short, rows of C overlap, the bias has not one value a
/// column, or B was packed for another `compute`.
pub fn matmul(
    a: MatrixRef,
    rhs: Rhs,
    compute: Compute,
    epilogue: &Epilogue,
    c: &mut [f32],
    c_row_stride: usize,
) {
    let c = slice_of_written(c);
    matmul_with(Isa::detect(), a, rhs, compute, epilogue, c, c_row_stride);
}

/// [`matmul`] into a vector of its own, `[M, N]` without gaps.
///
/// # Panics
/// As [`matmul`], or if the epilogue accumulates.
pub fn product(a: MatrixRef, rhs: Rhs, compute: Compute, epilogue: &Epilogue) -> Vec<f32> {
    assert!(!epilogue.accumulate, "there is nothing yet to accumulate on");
    let cols = rhs.cols();
    written(a.rows * cols, |room| {
        matmul_with(Isa::detect(), a, rhs, compute, epilogue, room, cols);
    })
}

/// A vector of numbers that a product writes; zeroing it first would cost a pass of its own.
fn written<T>(count: usize, product: impl FnOnce(&mut [MaybeUninit<T>])) -> Vec<T> {
    let mut c = Vec::with_capacity(count);
    if count > 0 {
        product(&mut c.spare_capacity_mut()[..count]);
    }
    // SAFETY: products that do not accumulate write every element of C.
    unsafe { c.set_len(count) };
    c
}

/// The product of the neighbourhoods of positions with one matrix `[C, N]` a tap, a convolution,
/// plus a residual `[P, N]`; bias and activation follow. The result is rounded to the type in which
/// the patches are stored.
///
/// # Panics
/// The matrix was packed of other parts than the taps and channels of the patches; the bias has not
/// one value a column; the residual has another length; or the epilogue accumulates.
pub fn patches_product<T: StorageElement>(
    patches: &Patches<T>,
    rhs: &PackedRhs,
    epilogue: &Epilogue,
    residual: Option<&[T]>,
) -> Vec<T> {
    let (taps, channels) = (patches.taps(), patches.channels());
    let (positions, cols) = (patches.positions(), rhs.cols());
    assert_eq!(
        (rhs.taps(), rhs.rows()),
        (Some(taps), taps * channels),
        "B does not fit the patches"
    );
    assert!(!epilogue.accumulate, "there is nothing yet to accumulate on");
    if let Some(bias) = epilogue.bias {
        assert_eq!(bias.len(), cols, "{} biases for {cols} columns", bias.len());
    }
    let count = positions * cols;
    assert!(residual.is_none_or(|residual| residual.len() == count), "length of the residual");
    written(count, |room| {
        // SAFETY: all of it was checked above; taps see nothing outside of their images.
        unsafe { rhs.multiply_patches(patches, epilogue, residual, room) };
    })
}

/// The product of the transpose of neighbourhoods with a matrix `[P, N]`: the gradient of a
/// convolution's weight, one matrix `[C, N]` a tap.
///
/// # Panics
/// The matrix does not have a row a position.
pub fn patches_transposed_product(patches: &Patches, b: MatrixRef, compute: Compute) -> Vec<f32> {
    patches_transposed_product_with(Isa::detect(), patches, b, compute)
}

fn patches_transposed_product_with(
    isa: Isa,
    patches: &Patches,
    b: MatrixRef,
    compute: Compute,
) -> Vec<f32> {
    let (taps, channels, positions) = (patches.taps(), patches.channels(), patches.positions());
    assert_eq!(b.rows, positions, "{} rows for {positions} positions", b.rows);
    b.check("B");
    let (cols, epilogue) = (b.cols, Epilogue::default());
    if taps * channels * cols == 0 {
        return Vec::new();
    }
    #[cfg(target_arch = "x86_64")]
    if isa >= Isa::Avx512 {
        let padded = avx512::padded_channels(patches);
        let mut c = vec![0.0; taps * padded * cols];
        let target = Target::new(slice_of_written(&mut c), cols);
        let (format, columns) = (avx512::Format::of(compute, isa), avx512::Columns::Plain(b));
        let rows = avx512::Rows::PatchesTransposed(patches);
        // SAFETY: all of it was checked above; taps see nothing outside of their images.
        unsafe { avx512::multiply(rows, columns, format, &epilogue, target) };
        for tap in 1..taps {
            let from = tap * padded * cols;
            c.copy_within(from..from + channels * cols, tap * channels * cols);
        }
        c.truncate(taps * channels * cols);
        return c;
    }
    let mut c = vec![0.0; taps * channels * cols];
    for first in (0..positions).step_by(packed::UNFOLDED_POSITIONS) {
        let some = first..(first + packed::UNFOLDED_POSITIONS).min(positions);
        let unfolded = patches.unfold(some.clone());
        let a = MatrixRef::row_major(&unfolded, some.len(), taps * channels).transposed();
        let data = &b.data[first * b.row_stride..];
        let b = Rhs::Plain(MatrixRef { data, rows: some.len(), ..b });
        let epilogue = Epilogue { accumulate: true, ..epilogue };
        matmul_with(isa, a, b, compute, &epilogue, slice_of_written(&mut c), cols);
    }
    c
}

/// Numbers as a place for numbers.
fn slice_of_written(c: &mut [f32]) -> &mut [MaybeUninit<f32>] {
    // SAFETY: the layout is the same, and products write nothing but numbers.
    unsafe { std::slice::from_raw_parts_mut(c.as_mut_ptr().cast(), c.len()) }
}

/// [`matmul`] with the given instructions, which reads C only where it accumulates. A packed B
/// decides for itself.
#[cfg_attr(not(target_arch = "x86_64"), expect(unused_variables, reason = "there is one way only"))]
fn matmul_with(
    isa: Isa,
    a: MatrixRef,
    rhs: Rhs,
    compute: Compute,
    epilogue: &Epilogue,
    c: &mut [MaybeUninit<f32>],
    c_row_stride: usize,
) {
    let (rows, depth, cols) = (a.rows, a.cols, rhs.cols());
    assert_eq!(depth, rhs.rows(), "A has {depth} columns, but B has {} rows", rhs.rows());
    assert!(isa <= Isa::of_processor(), "the processor has no {isa:?}");
    a.check("A");
    match rhs {
        Rhs::Plain(b) => b.check("B"),
        Rhs::Packed(b) => {
            assert_eq!(
                b.compute(),
                compute,
                "B was packed for {:?}, but the product is to be in {compute:?}",
                b.compute()
            );
            assert_eq!(b.taps(), None, "B was packed for patches");
        }
    }
    if let Some(bias) = epilogue.bias {
        assert_eq!(bias.len(), cols, "{} biases for {cols} columns", bias.len());
    }
    if rows == 0 || cols == 0 {
        return;
    }
    assert!(c_row_stride >= cols || rows == 1, "rows of {cols} lie {c_row_stride} apart in C");
    let needed = (rows - 1).checked_mul(c_row_stride).and_then(|last| last.checked_add(cols));
    assert!(
        needed.is_some_and(|needed| needed <= c.len()),
        "C has {} elements, too few for {rows} rows of {cols}, {c_row_stride} apart",
        c.len()
    );

    let target = Target::new(c, c_row_stride);
    match rhs {
        #[cfg(target_arch = "x86_64")]
        Rhs::Plain(b) if isa >= Isa::Avx512 => {
            let format = avx512::Format::of(compute, isa);
            let columns = avx512::Columns::Plain(b);
            // SAFETY: all of it was checked above.
            unsafe { avx512::multiply(avx512::Rows::Matrix(a), columns, format, epilogue, target) };
        }
        // SAFETY: as above.
        Rhs::Plain(b) => unsafe { portable::multiply(a, b, compute, epilogue, target) },
        // SAFETY: as above.
        Rhs::Packed(b) => unsafe { b.multiply(a, epilogue, target) },
    }
}
