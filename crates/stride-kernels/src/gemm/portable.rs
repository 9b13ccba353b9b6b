//! Products for processors without AVX-512, by the `gemm` crate.

use gemm::Parallelism;

use super::threads::{Target, for_each, threads_for};
use super::{Epilogue, MatrixRef};
use crate::compute::{Compute, round_to_bf16};

/// A product is computed in tiles of this shape whatever the number of threads, so that the
/// number does not change the result.
const TILE_ROWS: usize = 256;
const TILE_COLS: usize = 192;

/// C = act(A B + bias) into a target that has room for it.
///
/// # Safety
/// The elements of A and B lie in their slices; their shapes fit, and the target and the bias have
/// room for the result.
pub(super) unsafe fn multiply(
    a: MatrixRef,
    b: MatrixRef,
    compute: Compute,
    epilogue: &Epilogue,
    target: Target,
) {
    match compute {
        // SAFETY: what is asked of the caller is what this asks.
        Compute::F32 | Compute::F16 => unsafe { multiply_f32(a, b, epilogue, target) },
        Compute::Bf16 => {
            let (rounded_a, rounded_b) = (rows(a, compute), rows(b, compute));
            let a = MatrixRef::row_major(&rounded_a, a.rows, a.cols);
            let b = MatrixRef::row_major(&rounded_b, b.rows, b.cols);
            // SAFETY: the copies hold all of A and B, and the rest is asked of the caller.
            unsafe { multiply_f32(a, b, epilogue, target) };
        }
    }
}

/// A row-major copy of a matrix, rounded where the product is to round.
pub(super) fn rows(matrix: MatrixRef, compute: Compute) -> Vec<f32> {
    let mut copy = Vec::with_capacity(matrix.rows * matrix.cols);
    for row in 0..matrix.rows {
        copy.extend((0..matrix.cols).map(|col| matrix.at(row, col)));
    }
    if compute == Compute::Bf16 {
        copy.iter_mut().for_each(|value| *value = round_to_bf16(*value));
    }
    copy
}

/// # Safety
/// As for [`multiply`].
unsafe fn multiply_f32(a: MatrixRef, b: MatrixRef, epilogue: &Epilogue, target: Target) {
    let (rows, depth, cols) = (a.rows, a.cols, b.cols);
    let (tiles_down, tiles_right) = (rows.div_ceil(TILE_ROWS), cols.div_ceil(TILE_COLS));
    for_each(tiles_down * tiles_right, threads_for(rows, depth, cols), |tile| {
        let (row, col) = (tile / tiles_right * TILE_ROWS, tile % tiles_right * TILE_COLS);
        let (tile_rows, tile_cols) = (TILE_ROWS.min(rows - row), TILE_COLS.min(cols - col));
        // With nothing to sum over, a matrix may have no elements to point at.
        let a_data = a.data.get(row * a.row_stride..).unwrap_or_default();
        let b_data = b.data.get(col * b.col_stride..).unwrap_or_default();
        // SAFETY: the caller checked that the elements of A, B and C lie in their slices, and
        // tiles do not share elements of C.
        unsafe {
            gemm::gemm(
                tile_rows,
                tile_cols,
                depth,
                target.at(row, col),
                1,
                target.row_stride() as isize,
                epilogue.accumulate,
                a_data.as_ptr(),
                a.col_stride as isize,
                a.row_stride as isize,
                b_data.as_ptr(),
                b.col_stride as isize,
                b.row_stride as isize,
                1.0,
                1.0,
                false,
                false,
                false,
                Parallelism::None,
            );
        }
        for row in row..row + tile_rows {
            // SAFETY: as above; nothing else uses this stretch of C.
            let stretch = unsafe { std::slice::from_raw_parts_mut(target.at(row, col), tile_cols) };
            epilogue.finish(col, stretch);
        }
    });
}
