//! Initial weights that depend on their seed alone.

use std::sync::{Mutex, PoisonError};

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{Device, Tensor};

/// Makes a module whose random weights are those of `seed`, whatever other threads draw at the same time through this
/// function.
///
/// The tensor library has one generator for the whole process, and its parameters are drawn when they are first looked
/// at. So whoever draws holds the generator alone from its seeding until every parameter has been looked at.
///
/// # Errors
/// Those of `make`.
pub fn draw_weights<M: Module, E>(
    device: &Device,
    seed: u64,
    make: impl FnOnce() -> Result<M, E>,
) -> Result<M, E> {
    static GENERATOR: Mutex<()> = Mutex::new(());
    let _held = GENERATOR.lock().unwrap_or_else(PoisonError::into_inner);
    device.seed(seed);
    let module = make()?;
    module.visit(&mut Look);
    Ok(module)
}

struct Look;

impl ModuleVisitor for Look {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        param.val();
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::thread;

    use burn::nn::{Linear, LinearConfig};
    use burn::tensor::TensorData;

    use super::*;

    fn drawn(seed: u64) -> [TensorData; 2] {
        let device = Device::flex();
        let make = || {
            let linear = || LinearConfig::new(40, 30).init(&device);
            Ok::<Vec<Linear>, Infallible>(vec![linear(), linear()])
        };
        let layers = draw_weights(&device, seed, make).expect("cannot fail");
        [layers[0].weight.val().into_data(), layers[1].weight.val().into_data()]
    }

    #[test]
    fn weights_depend_on_their_seed_alone() {
        let expected: Vec<_> = (0..4).map(drawn).collect();
        assert_ne!(expected[0], expected[1]);
        assert_ne!(expected[0][0], expected[0][1]);
        for _ in 0..20 {
            let all = thread::scope(|scope| {
                let threads: Vec<_> = (0..4).map(|seed| scope.spawn(move || drawn(seed))).collect();
                threads.into_iter().map(|one| one.join().expect("draws")).collect::<Vec<_>>()
            });
            assert_eq!(all, expected);
        }
    }
}
