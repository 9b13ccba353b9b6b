//! Right factors packed once for many products.

#[cfg(target_arch = "x86_64")]
use super::avx512;
use super::share::Target;
use super::{Compute, Epilogue, MatrixRef, portable};
use crate::isa::Isa;

/// A right factor packed once for many products, such as a weight.
///
/// It holds a copy: K N numbers of 4 bytes, or of 2 where the processor multiplies bfloat16 pairs.
#[derive(Clone, Debug)]
pub struct PackedRhs {
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
        Self::with_isa(Isa::detect(), b, compute)
    }

    /// [`PackedRhs::new`] for products with the given instructions.
    pub(super) fn with_isa(isa: Isa, b: MatrixRef, compute: Compute) -> Self {
        assert!(isa <= Isa::of_processor(), "the processor has no {isa:?}");
        b.check("B");
        let storage = match isa {
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 | Isa::Avx512Bf16 => {
                let format = avx512::Format::of(compute, isa);
                // SAFETY: both were checked above.
                Storage::Panels(unsafe { avx512::Panels::new(b, format) })
            }
            _ => Storage::Rows(portable::rows(b, compute)),
        };
        Self { rows: b.rows, cols: b.cols, compute, storage }
    }

    /// The number of rows, the K of a product.
    pub fn rows(&self) -> usize {
        self.rows
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
                let columns = avx512::Columns::Packed(panels);
                // SAFETY: the processor was checked before packing, the rest by the caller.
                unsafe { avx512::multiply(a, columns, panels.format(), epilogue, target) };
            }
            Storage::Rows(data) => {
                let b = MatrixRef::row_major(data, self.rows, self.cols);
                // SAFETY: the copy holds all of B; the caller has checked the rest.
                unsafe { portable::multiply(a, b, self.compute, epilogue, target) };
            }
        }
    }
}
