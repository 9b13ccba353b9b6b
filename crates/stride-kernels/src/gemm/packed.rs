//! Right factors packed once for many products.

use std::mem::MaybeUninit;

#[cfg(target_arch = "x86_64")]
use super::avx512;
use super::threads::{Target, for_each_chunk};
use super::{Epilogue, MatrixRef, Patches, portable};
use crate::compute::Compute;
use crate::isa::Isa;
use crate::storage_element::StorageElement;

/// Positions whose neighbourhoods are written down at a time where there is no packing.
pub(super) const UNFOLDED_POSITIONS: usize = 1024;

/// A right factor packed once for many products, such as a weight.
///
/// It holds a copy: K N numbers of 4 bytes, or of 2 where the processor multiplies bfloat16 pairs.
#[derive(Clone, Debug)]
pub struct PackedRhs {
    taps: Option<usize>,
    rows: usize,
    cols: usize,
    compute: Compute,
    storage: Storage,
}

/// What is packed.
#[derive(Clone, Copy, Debug)]
pub(super) enum Factor<'a> {
    /// For products with matrices.
    Matrix(MatrixRef<'a>),
    /// For products with patches, a matrix a tap.
    Taps(&'a [MatrixRef<'a>]),
}

#[derive(Clone, Debug)]
enum Storage {
    #[cfg(target_arch = "x86_64")]
    Panels(avx512::Panels),
    /// Row-major, rounded where the product is to round, for a set without AVX-512.
    Rows(Vec<f32>),
}

impl PackedRhs {
    /// Packs a matrix [K, N] for products with matrices.
    ///
    /// # Panics
    /// The matrix has elements outside its data.
    pub fn new(b: MatrixRef, compute: Compute) -> Self {
        Self::with_isa(Isa::detect(), Factor::Matrix(b), compute)
    }

    /// Packs matrices of equal shape on top of each other, one for each tap of
    /// [`Patches`](super::Patches), for products with these.
    ///
    /// # Panics
    /// The shapes differ, or a matrix has elements outside its data.
    pub fn stacked(parts: &[MatrixRef], compute: Compute) -> Self {
        Self::with_isa(Isa::detect(), Factor::Taps(parts), compute)
    }

    /// Packs for products with the given instructions.
    pub(super) fn with_isa(isa: Isa, factor: Factor, compute: Compute) -> Self {
        assert!(isa <= Isa::of_processor(), "the processor has no {isa:?}");
        let parts = match &factor {
            Factor::Matrix(matrix) => std::slice::from_ref(matrix),
            Factor::Taps(taps) => taps,
        };
        let (depth, cols) = parts.first().map_or((0, 0), |part| (part.rows, part.cols));
        for part in parts {
            part.check("B");
            assert_eq!((part.rows, part.cols), (depth, cols), "parts of B differ");
        }
        let storage = match isa {
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 | Isa::Avx512Bf16 => {
                let format = avx512::Format::of(compute, isa);
                // SAFETY: both were checked above.
                Storage::Panels(unsafe {
                    match factor {
                        Factor::Matrix(matrix) => avx512::Panels::new(matrix, format),
                        Factor::Taps(taps) => avx512::Panels::stacked(taps, format),
                    }
                })
            }
            _ => Storage::Rows(
                parts.iter().flat_map(|part| portable::rows(*part, compute)).collect(),
            ),
        };
        let taps = match factor {
            Factor::Matrix(_) => None,
            Factor::Taps(taps) => Some(taps.len()),
        };
        Self { taps, rows: parts.len() * depth, cols, compute, storage }
    }

    /// The number of rows, the K of a product.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The number of taps that it was packed for; none where it is for matrices.
    pub(super) fn taps(&self) -> Option<usize> {
        self.taps
    }

    /// The number of columns, the N of a product.
    pub fn cols(&self) -> usize {
        self.cols
    }

    /// What products with it are computed in.
    pub fn compute(&self) -> Compute {
        self.compute
    }

    /// The product with it on the right.
    ///
    /// # Safety
    /// The elements of A lie in its slice, the shapes fit, and the target and the bias have room
    /// for the result.
    pub(super) unsafe fn multiply(&self, a: MatrixRef, epilogue: &Epilogue, target: Target) {
        match &self.storage {
            #[cfg(target_arch = "x86_64")]
            Storage::Panels(panels) => {
                let (rows, columns) = (avx512::Rows::Matrix(a), avx512::Columns::Packed(panels));
                // SAFETY: the processor was checked before packing, the rest by the caller.
                unsafe { avx512::multiply(rows, columns, panels.format(), epilogue, target) };
            }
            Storage::Rows(data) => {
                let b = MatrixRef::row_major(data, self.rows, self.cols);
                // SAFETY: the copy holds all of B; the caller has checked the rest.
                unsafe { portable::multiply(a, b, self.compute, epilogue, target) };
            }
        }
    }

    /// The product of neighbourhoods with it, without gaps.
    ///
    /// # Safety
    /// The shapes fit, C and the residual are as long as the result, and there is a bias for each
    /// of its columns.
    pub(super) unsafe fn multiply_patches<T: StorageElement>(
        &self,
        patches: &Patches<T>,
        epilogue: &Epilogue,
        residual: Option<&[T]>,
        c: &mut [MaybeUninit<T>],
    ) {
        match &self.storage {
            #[cfg(target_arch = "x86_64")]
            Storage::Panels(panels) => {
                // SAFETY: the processor was checked before packing, the rest by the caller.
                unsafe { avx512::multiply_patches(patches, panels, epilogue, residual, c) };
            }
            Storage::Rows(data) => {
                let b = MatrixRef::row_major(data, self.rows, self.cols);
                let rows = |first: usize, c: &mut [MaybeUninit<f32>], residual: Option<&[f32]>| {
                    let some = first..first + c.len() / self.cols;
                    let unfolded = patches.unfold(some.clone());
                    let a = MatrixRef::row_major(&unfolded, some.len(), self.rows);
                    if let Some(residual) = residual {
                        StorageElement::narrow(residual, c);
                    }
                    let accumulate = residual.is_some();
                    let epilogue = Epilogue { accumulate, ..*epilogue };
                    let target = Target::new(c, self.cols);
                    // SAFETY: the copies hold all of A and B; the caller has checked the rest.
                    unsafe { portable::multiply(a, b, self.compute, &epilogue, target) };
                };
                // The products share their work among threads.
                for_each_chunk(c, UNFOLDED_POSITIONS * self.cols, 1, |first, c| {
                    let residual = residual.map(|residual| &residual[first..first + c.len()]);
                    // SAFETY: a product writes every number.
                    unsafe {
                        T::write(c, residual, |c, residual| rows(first / self.cols, c, residual));
                    };
                });
            }
        }
    }
}
