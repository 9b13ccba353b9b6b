//! A bidirectional text encoder with learned queries in front of the caption.

use std::f64::consts::SQRT_2;

use burn::module::{Initializer, Module, Param};
use burn::nn::{Embedding, LayerNorm, LayerNormConfig};
use burn::tensor::{Device, Int, Tensor, TensorData};
use stride_kernels::fused;

use super::{QueryTextConfig, TextEncoderConfigError};
use crate::clip::{ClipEncoder, ClipTextEmbeddings, LayerShape, end_positions};
use crate::context::{TextContext, key_bias};
use crate::weights::{self, TensorSource, WeightsError};

/// A bidirectional transformer over `[queries, caption]`: N learned tokens, then the caption's.
///
/// The layers are CLIP's without the causal mask, so every token sees the whole caption and the queries, and every query the
/// same. A query is trained to gather what the caption says of one thing (an attribute), and the transformer that draws
/// attends to queries and words alike.
///
/// # Source
/// Learned tokens beside those of the input: class tokens of BERT (Devlin et al. 2018, arXiv 1810.04805), the queries of
/// BLIP-2's Q-Former (Li et al. 2023, arXiv 2301.12597). Layers as in [`ClipTextModel`](crate::clip::ClipTextModel).
/// # Deviations
/// Queries have no layers of their own and are part of the one sequence.
#[derive(Module, Debug)]
pub struct QueryTextModel {
    /// One row per query, `[N, D]`.
    pub queries: Param<Tensor<2>>,
    /// Token and position embeddings of the caption.
    pub embeddings: ClipTextEmbeddings,
    /// The layers.
    pub encoder: ClipEncoder,
    /// Norm behind the last layer.
    pub final_layer_norm: LayerNorm,
    norm_epsilon: f64,
    eos_token_id: usize,
}

impl QueryTextConfig {
    /// A text encoder with random weights; the layers are drawn as CLIP's.
    ///
    /// Queries and tokens are normal with standard deviation 0.3, and positions begin as sinusoids of that size, so that
    /// attention can tell from the first step which words stand beside each other.
    ///
    /// # Errors
    /// When the sizes do not fit together.
    pub fn init(&self, device: &Device) -> Result<QueryTextModel, TextEncoderConfigError> {
        self.validate()?;
        let width = self.hidden_size;
        let normal = |rows: usize| {
            let normal = Initializer::Normal { mean: 0.0, std: EMBEDDING_STD };
            normal.init::<2, _>([rows, width], device)
        };
        let positions = Param::from_tensor(sinusoids(self.max_position_embeddings, width, device));
        let shape = LayerShape {
            width,
            inner: self.intermediate_size,
            layers: self.num_hidden_layers,
            heads: self.num_attention_heads,
            activation: self.hidden_act,
            norm_epsilon: self.layer_norm_eps,
            is_causal: false,
        };
        Ok(QueryTextModel {
            queries: normal(self.num_queries),
            embeddings: ClipTextEmbeddings {
                token_embedding: Embedding { weight: normal(self.vocab_size) },
                position_embedding: Embedding { weight: positions },
            },
            encoder: ClipEncoder::init(&shape, device),
            final_layer_norm: LayerNormConfig::new(width)
                .with_epsilon(self.layer_norm_eps)
                .init(device),
            norm_epsilon: self.layer_norm_eps,
            eos_token_id: self.eos_token_id,
        })
    }
}

/// Standard deviation of fresh embeddings, about that of what a fresh layer adds to them.
const EMBEDDING_STD: f64 = 0.3;

/// Sines of the positions 0, 1, .. at wavelengths from 2 pi to 10000 2 pi, then their cosines, `[L, D]`, with the root mean
/// square of the other embeddings.
///
/// # Source
/// Attention Is All You Need (Vaswani et al. 2017, arXiv 1706.03762), section 3.5, sines and cosines in two halves.
fn sinusoids(length: usize, width: usize, device: &Device) -> Tensor<2> {
    let half = (width / 2).max(1);
    let value = |position: usize, i: usize| {
        let angle = position as f64 / 10_000_f64.powf((i % half) as f64 / half as f64);
        let wave = if i < half { angle.sin() } else { angle.cos() };
        (wave * EMBEDDING_STD * SQRT_2) as f32
    };
    let row = |position| (0..width).map(move |i| value(position, i));
    let values: Vec<f32> = (0..length).flat_map(row).collect();
    Tensor::from_data(TensorData::new(values, [length, width]), device)
}

impl QueryTextModel {
    /// The model with weights from anywhere.
    ///
    /// # Errors
    /// As [`weights::load`].
    pub fn load_from(self, source: &dyn TensorSource) -> Result<Self, WeightsError> {
        weights::load_from(self, source, "")
    }

    /// The context of a batch of captions.
    ///
    /// `token_ids` is `[B, L]` for any `L` up to `max_position_embeddings`, each row from its start to its end token
    /// and then filled with anything: keys behind the end token are hidden. `tokens` is `[B, N + L, D]` after the final
    /// norm, the queries' states first; `padding_mask` is false for queries and true behind the first end token; `pooled`
    /// is the mean of the queries' states, `[B, D]`. Of a row without end token, only the first token is seen.
    ///
    /// # Panics
    /// When `L` is longer than `max_position_embeddings` or an id lies outside the vocabulary; a tokenizer and a
    /// vocabulary that fit the model give neither.
    pub fn forward(&self, token_ids: Tensor<2, Int>) -> TextContext {
        let [batch, length] = token_ids.dims();
        let device = token_ids.device();
        let [count, width] = self.queries.dims();
        // Queries stand at the positions before 0, and so before any end.
        let positions = Tensor::<1, Int>::arange(0..length as i64, &device).reshape([1, length]);
        let end = end_positions(self.eos_token_id, token_ids.clone(), positions);
        let all = count + length;
        let positions = Tensor::<1, Int>::arange(-(count as i64)..length as i64, &device);
        let positions = positions.reshape([1, all]).expand([batch, all]);
        let padding_mask = positions.greater(end.expand([batch, all])); // [B, N + L]

        let queries = self.queries.val().reshape([1, count, width]).expand([batch, count, width]);
        let x = Tensor::cat(vec![queries, self.embeddings.forward(token_ids)], 1); // [B, N + L, D]
        let x = self.encoder.forward(x, Some(&key_bias(&padding_mask)));
        let tokens = fused::layer_norm(&self.final_layer_norm, self.norm_epsilon, x);
        let pooled = tokens.clone().narrow(1, 0, count).mean_dim(1).squeeze_dim(1);
        TextContext { tokens, padding_mask, pooled }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::tokenizer::pad_token_ids;

    const END: u32 = 1;
    const QUERIES: usize = 3;

    fn model(device: &Device) -> QueryTextModel {
        let config = QueryTextConfig {
            vocab_size: 20,
            num_queries: QUERIES,
            hidden_size: 16,
            intermediate_size: 32,
            num_hidden_layers: 3,
            max_position_embeddings: 9,
            eos_token_id: END as usize,
            ..Default::default()
        };
        config.init(device).unwrap()
    }

    fn max_difference<const D: usize>(left: Tensor<D>, right: Tensor<D>) -> f32 {
        (left - right).abs().max().into_scalar()
    }

    #[test]
    fn a_batch_with_padding_gives_what_single_captions_give() {
        let device = Device::flex();
        let model = model(&device);
        let captions = [vec![0, 3, 4, 5, 6, END], vec![0, 7, END], vec![0, END]];
        let batch = model.forward(pad_token_ids(&captions, END, &device));
        assert_eq!((batch.tokens.dims(), batch.pooled.dims()), ([3, QUERIES + 6, 16], [3, 16]));

        for (row, caption) in captions.iter().enumerate() {
            let single = model.forward(pad_token_ids(&[caption], END, &device));
            let length = QUERIES + caption.len();
            let tokens = batch.tokens.clone().slice([row..row + 1, 0..length]);
            let errors = [
                max_difference(tokens, single.tokens),
                max_difference(batch.pooled.clone().narrow(0, row, 1), single.pooled),
            ];
            // States have unit variance; what is left is the order of sums.
            assert!(errors.iter().all(|&error| error < 1e-5), "{errors:?}");
            let mask: Vec<bool> =
                batch.padding_mask.clone().narrow(0, row, 1).into_data().try_into_vec().unwrap();
            let expected: Vec<bool> = (0..QUERIES + 6).map(|place| place >= length).collect();
            assert_eq!(mask, expected);
        }
    }

    #[test]
    fn every_state_sees_the_whole_caption_and_nothing_behind_it() {
        let device = Device::flex();
        let model = model(&device);
        let states = |ids: [u32; 6]| model.forward(pad_token_ids(&[ids], END, &device));
        let before = states([0, 3, 4, 5, END, 1]);
        let changed = states([0, 3, 4, 6, END, 1]);
        let per_token = (before.tokens.clone() - changed.tokens).abs().max_dim(2);
        let seen: Vec<f32> = per_token.into_data().try_into_vec().unwrap();
        assert!(seen.iter().all(|&difference| difference > 1e-4), "{seen:?}");
        assert!(max_difference(before.pooled.clone(), changed.pooled) > 1e-4);

        // A word behind the end changes its own state alone.
        let after_end = states([0, 3, 4, 5, END, 9]);
        let own = QUERIES + 5;
        let others = |tokens: Tensor<3>| tokens.narrow(1, 0, own);
        assert_eq!(max_difference(others(before.tokens), others(after_end.tokens)), 0.0);
        assert_eq!(max_difference(before.pooled, after_end.pooled), 0.0);
    }

    #[test]
    fn fresh_positions_have_the_size_of_tokens_and_products_of_their_distance() {
        let device = Device::flex();
        let table = sinusoids(9, 16, &device);
        let size: f32 = table.clone().square().mean().sqrt().into_scalar();
        assert!((f64::from(size) - EMBEDDING_STD).abs() < 1e-3, "{size}");
        let products = table.clone().matmul(table.transpose());
        let at = |a: usize, b: usize| -> f32 {
            products.clone().slice([a..a + 1, b..b + 1]).into_scalar()
        };
        assert!((at(0, 2) - at(5, 7)).abs() < 1e-5 && (at(3, 4) - at(7, 8)).abs() < 1e-5);
        assert!(at(3, 4) > at(3, 5));
    }

    #[test]
    fn gradients_reach_every_weight() {
        let device = Device::flex().autodiff();
        let model = model(&device);
        let captions = [vec![0, 3, 4, 5, 6, 7, 8, 9, END], vec![0, 3, END]];
        let context = model.forward(pad_token_ids(&captions, END, &device));
        let grads = (context.pooled * 2.0 + 1.0).powi_scalar(2).sum().backward();
        let attention = &model.encoder.layers[0].self_attn;
        for weight in [
            &model.queries,
            &model.embeddings.token_embedding.weight,
            &model.embeddings.position_embedding.weight,
            &attention.q_proj.weight,
            &attention.k_proj.weight,
        ] {
            let grad = weight.val().grad(&grads).expect("a gradient");
            assert!(grad.abs().sum().into_scalar::<f32>() > 0.0);
        }
    }
}
