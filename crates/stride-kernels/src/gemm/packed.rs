//! Right factors packed once for many products.

#[cfg(target_arch = "x86_64")]
use super::avx512;
use super::share::Target;
use super::{Compute, Epilogue, MatrixRef, Patches, portable};
use crate::isa::Isa;

/// Positions whose neighbourhoods are written down at a time where there is no packing.
pub(super) const UNFOLDED_POSITIONS: usize = 1024;

/// A right factor packed once for many products, such as a weight.
///
/// It holds a copy: K N numbers of 4 bytes, or of 2 where the processor multiplies bfloat16 pairs.
#[derive(Clone, Debug)]
pub struct PackedRhs {
    parts: usize,
    rows: usize,
    cols: usize,
    compute: Compute,
    storage: Storage,
}

#[derive(Clone, Debug)]
enum Storage {
    #[cfg(target_arch = "x86_64")]
    Panels(avx512::Panels),
    /// Row-major, rounded where the product is to round, for a set without AVX-512.
    Rows(Vec<f32>),
}

impl PackedRhs {
    /// Packs a matrix [K, N].
    ///
    /// # Panics
    /// The matrix has elements outside its data.
    pub fn new(b: MatrixRef, compute: Compute) -> Self {
        Self::stacked(&[b], compute)
    }

    /// Packs matrices of equal shape on top of each other: one for each tap of [`Patches`](super::Patches).
    ///
    /// # Panics
    /// The shapes differ, or a matrix has elements outside its data.
    pub fn stacked(parts: &[MatrixRef], compute: Compute) -> Self {
        Self::with_isa(Isa::detect(), parts, compute)
    }

    /// [`PackedRhs::stacked`] for products with the given instructions.
    pub(super) fn with_isa(isa: Isa, parts: &[MatrixRef], compute: Compute) -> Self {
        assert!(isa <= Isa::of_processor(), "the processor has no {isa:?}");
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
                Storage::Panels(unsafe { avx512::Panels::new(parts, format) })
            }
            _ => Storage::Rows(
                parts.iter().flat_map(|part| portable::rows(*part, compute)).collect(),
            ),
        };
        Self { parts: parts.len(), rows: parts.len() * depth, cols, compute, storage }
    }

    /// The number of rows, the K of a product.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The number of matrices on top of each other.
    pub(super) fn parts(&self) -> usize {
        self.parts
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

    /// The product of neighbourhoods with it.
    ///
    /// # Safety
    /// The shapes fit, and the target and the bias have room for the result.
    pub(super) unsafe fn multiply_patches(
        &self,
        patches: &Patches,
        epilogue: &Epilogue,
        residual: Option<&[f32]>,
        target: Target,
    ) {
        match &self.storage {
            #[cfg(target_arch = "x86_64")]
            Storage::Panels(panels) => {
                // SAFETY: the processor was checked before packing, the rest by the caller.
                unsafe { avx512::multiply_patches(patches, panels, epilogue, residual, target) };
            }
            Storage::Rows(data) => {
                let b = MatrixRef::row_major(data, self.rows, self.cols);
                let positions = patches.positions();
                for first in (0..positions).step_by(UNFOLDED_POSITIONS) {
                    let some = first..(first + UNFOLDED_POSITIONS).min(positions);
                    let unfolded = patches.unfold(some.clone());
                    let a = MatrixRef::row_major(&unfolded, some.len(), self.rows);
                    let target = target.rows_from(first);
                    if let Some(residual) = residual {
                        let residual = &residual[first * self.cols..][..some.len() * self.cols];
                        // SAFETY: the caller has given room for as many numbers, without gaps.
                        unsafe { target.fill(residual) };
                    }
                    let accumulate = residual.is_some();
                    let epilogue = Epilogue { accumulate, ..*epilogue };
                    // SAFETY: the copies hold all of A and B; the caller has checked the rest.
                    unsafe { portable::multiply(a, b, self.compute, &epilogue, target) };
                }
            }
        }
    }
}
