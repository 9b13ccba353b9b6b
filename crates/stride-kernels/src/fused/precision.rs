//! The precision of products, as a setting of a stretch of code.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use burn::backend::Flex;
use burn::module::{Param, ParamId};
use burn::nn::Linear;
use burn::nn::conv::Conv2d;
use burn::tensor::Tensor;

use super::storage::Dense;
use crate::convolution::Geometry;
use crate::gemm::{Compute, MatrixRef, PackedRhs};

/// What products are computed in, and the weights packed for them.
///
/// Inside [`scope`](Self::scope) the fused operations that multiply round what they multiply to
/// [`Compute`], forwards and, where the forward pass was inside, backwards; sums, norms, softmax and all
/// that is stored stay f32. Outside of any scope products are in f32.
///
/// # Source
/// The idea of PyTorch's `torch.autocast`.
#[derive(Clone, Debug)]
pub struct Precision {
    compute: Compute,
    packed: Option<Arc<Mutex<Packed>>>,
}

type Packed = HashMap<ParamId, Arc<PackedRhs>>;

thread_local! {
    static CURRENT: RefCell<Precision> = const { RefCell::new(Precision::training(Compute::F32)) };
}

impl Precision {
    /// For weights that change: nothing is kept.
    pub const fn training(compute: Compute) -> Self {
        Self { compute, packed: None }
    }

    /// For weights that stay as they are while this value and its clones live: each is packed at
    /// its first product and kept.
    ///
    /// A layer is known by the identity of its weight parameter, so a changed copy of a network under
    /// the same identities needs a value of its own.
    pub fn inference(compute: Compute) -> Self {
        Self { compute, packed: Some(Arc::default()) }
    }

    /// What products are computed in.
    pub fn compute(&self) -> Compute {
        self.compute
    }

    /// Runs `f` on this thread with this precision; the one before is back afterwards.
    pub fn scope<T>(&self, f: impl FnOnce() -> T) -> T {
        struct Restore(Precision);
        impl Drop for Restore {
            fn drop(&mut self) {
                CURRENT.with_borrow_mut(|current| std::mem::swap(current, &mut self.0));
            }
        }
        let _restore = Restore(CURRENT.replace(self.clone()));
        f()
    }
}

/// What products on this thread are computed in.
pub(super) fn compute() -> Compute {
    CURRENT.with_borrow(|current| current.compute)
}

/// Whether this thread computes in bf16 and keeps packed weights.
pub(super) fn is_bf16_inference() -> bool {
    CURRENT.with_borrow(|current| current.compute == Compute::Bf16 && current.packed.is_some())
}

/// The weight of a layer packed for products, where this thread keeps packed weights and the
/// layer lies on the CPU outside of automatic differentiation.
pub(super) fn packed(layer: &Linear) -> Option<Arc<PackedRhs>> {
    packed_by(&layer.weight, |weight, compute| {
        let [rows, cols] = weight.dims();
        PackedRhs::new(MatrixRef::row_major(weight.values(), rows, cols), compute)
    })
}

/// The same for a convolution of this geometry.
pub(super) fn packed_kernel(layer: &Conv2d, geometry: &Geometry) -> Option<Arc<PackedRhs>> {
    packed_by(&layer.weight, |weight, compute| geometry.pack(weight.values(), compute))
}

fn packed_by<const D: usize>(
    weight: &Param<Tensor<D>>,
    pack: impl FnOnce(&Dense, Compute) -> PackedRhs,
) -> Option<Arc<PackedRhs>> {
    let (compute, packed) = CURRENT
        .with_borrow(|current| Some((current.compute, current.packed.as_ref().map(Arc::clone)?)))?;
    // Whoever panicked while packing has inserted nothing.
    let mut packed = packed.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(rhs) = packed.get(&weight.id) {
        return Some(Arc::clone(rhs));
    }
    let values = Dense::new(weight.val().try_into_primitive::<Flex>().ok()?);
    let rhs = Arc::new(pack(&values, compute));
    packed.insert(weight.id, Arc::clone(&rhs));
    Some(rhs)
}
