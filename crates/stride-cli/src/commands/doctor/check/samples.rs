//! What computations are made of: numbers that are the same in every run, and networks without zeros.

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{Device, Int, Tensor, TensorData};
use stride::noise::{ChaCha8Rng, fill_normal, keyed_rng, purpose};
use stride::tokenizer::pad_token_ids;
use stride_train::{NamedGradients, with_own_leaves};

use super::comparison::{Named, Outcome};

/// Rows of the vocabulary; the last is the end token.
pub(super) const VOCABULARY: usize = 20;
/// Captions of a batch, in rows of the vocabulary.
const CAPTIONS: [&[u32]; 4] = [&[0, 3, 7, 19], &[0, 5, 19], &[0, 11, 2, 9, 4, 19], &[0, 19]];
/// Draws from N(0, 1), the same in every run.
pub(super) fn numbers(stream: u64, count: usize) -> Vec<f32> {
    let mut values = vec![0.0; count];
    fill_normal(&mut keyed_rng(0, purpose::EVALUATION, 1, stream), &mut values);
    values
}

/// The same as a tensor.
pub(super) fn random<const D: usize>(stream: u64, shape: [usize; D], device: &Device) -> Tensor<D> {
    Tensor::from_data(TensorData::new(numbers(stream, shape.iter().product()), shape), device)
}

/// The first captions as a batch.
pub(super) fn captions(count: usize, device: &Device) -> Tensor<2, Int> {
    let captions: Vec<&[u32]> = CAPTIONS.iter().cycle().take(count).copied().collect();
    pad_token_ids(&captions, VOCABULARY as u32 - 1, device)
}

/// Captions that say nothing.
pub(super) fn empty_captions(count: usize, device: &Device) -> Tensor<2, Int> {
    pad_token_ids(&vec![[0, VOCABULARY as u32 - 1]; count], VOCABULARY as u32 - 1, device)
}

/// A network on the processor, without the zeros that many of its weights are at first.
pub(super) fn opened<M: Module>(network: M) -> M {
    network.map(&mut Open(keyed_rng(0, purpose::EVALUATION, 2, 0)))
}

struct Open(ChaCha8Rng);

impl ModuleMapper for Open {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        param.map(|value| {
            let shape = value.dims();
            let mut values = vec![0.0; shape.iter().product()];
            fill_normal(&mut self.0, &mut values);
            let is_trained = value.is_require_grad();
            let added = Tensor::from_data(TensorData::new(values, shape), &value.device());
            (value.detach() + added * 0.1).detach().set_require_grad(is_trained)
        })
    }
}

/// A copy of a network on the processor, on a device with gradients.
pub(super) fn on<M: Module>(network: &M, device: &Device) -> M {
    with_own_leaves(network).fork(&device.clone().autodiff())
}

/// What a network gave, with the gradients of a sum over all of it, in which every number counts differently.
pub(super) fn differentiated<M: Module, const D: usize>(
    network: &M,
    name: &str,
    output: Tensor<D>,
) -> Outcome {
    let shape = output.dims();
    let weights = random(7, shape, &output.device());
    let loss = (output.clone() * weights).sum();
    Outcome::of(name, output.inner()).with_gradients(&loss, network)
}

impl Outcome {
    /// With the gradients of a loss.
    pub(super) fn with_gradients<M: Module>(mut self, loss: &Tensor<1>, network: &M) -> Self {
        let tensors = NamedGradients::of(loss, network).into_tensors().0;
        self.gradients = tensors
            .into_iter()
            .map(|(name, data)| (name, data.iter().collect()))
            .collect::<Named>();
        self
    }
}
