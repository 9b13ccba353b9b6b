//! The CLIP text encoder as a whole: embeddings, layers, final norm, pooled output.

use burn::module::{Initializer, Module};
use burn::nn::{Embedding, LayerNorm, LayerNormConfig, Linear};
use burn::tensor::{Device, Int, Tensor};
use stride_kernels::fused;

use super::config::{ClipConfigError, ClipTextConfig};
use super::encoder::{ClipEncoder, LayerShape};
use super::end::end_positions;
use crate::context::TextContext;
use crate::weights::{self, Renamed, SafetensorsBytes, TensorSource, WeightsError};

/// CLIP's text encoder, as `CLIPTextModel` or, with a projection, `CLIPTextModelWithProjection` of `transformers`.
///
/// Fields are named as in the checkpoints of Hugging Face (`text_model.encoder.layers.0.self_attn.q_proj.weight`).
#[derive(Module, Debug)]
pub struct ClipTextModel {
    /// The transformer.
    pub text_model: ClipTextTransformer,
    /// Product behind the pooled output, without bias.
    pub text_projection: Option<Linear>,
}

/// Embeddings, layers and final norm.
#[derive(Module, Debug)]
pub struct ClipTextTransformer {
    /// Token and position embeddings.
    pub embeddings: ClipTextEmbeddings,
    /// The layers.
    pub encoder: ClipEncoder,
    /// Norm behind the last layer.
    pub final_layer_norm: LayerNorm,
    norm_epsilon: f64,
    eos_token_id: usize,
}

/// Sum of a token's and a position's embedding.
#[derive(Module, Debug)]
pub struct ClipTextEmbeddings {
    /// One row per token of the vocabulary.
    pub token_embedding: Embedding,
    /// One row per position.
    pub position_embedding: Embedding,
}

impl ClipTextConfig {
    /// A text encoder with random weights.
    ///
    /// Normal distributions with the standard deviations of OpenAI's `CLIP.initialize_parameters`: 0.02 for tokens, 0.01
    /// for positions, `D^-1/2` for queries, keys and values, `(2D)^-1/2` for `fc1`, `D^-1/2 (2 layers)^-1/2` for
    /// `out_proj` and `fc2`, `D^-1/2` for the projection. Biases start at zero (OpenAI leaves those of the
    /// feed-forward part to PyTorch's default).
    ///
    /// # Errors
    /// When the sizes do not fit together.
    pub fn init(&self, device: &Device) -> Result<ClipTextModel, ClipConfigError> {
        self.validate()?;
        let width = self.hidden_size;
        let embedding = |rows: usize, std: f64| Embedding {
            weight: Initializer::Normal { mean: 0.0, std }.init([rows, width], device),
        };
        let text_model = ClipTextTransformer {
            embeddings: ClipTextEmbeddings {
                token_embedding: embedding(self.vocab_size, 0.02),
                position_embedding: embedding(self.max_position_embeddings, 0.01),
            },
            encoder: ClipEncoder::init(&self.layer_shape(), device),
            final_layer_norm: LayerNormConfig::new(width)
                .with_epsilon(self.layer_norm_eps)
                .init(device),
            norm_epsilon: self.layer_norm_eps,
            eos_token_id: self.eos_token_id,
        };
        let text_projection = self.has_projection().then(|| Linear {
            weight: Initializer::Normal { mean: 0.0, std: (width as f64).powf(-0.5) }
                .init([width, self.pooled_size()], device),
            bias: None,
        });
        Ok(ClipTextModel { text_model, text_projection })
    }

    fn layer_shape(&self) -> LayerShape {
        LayerShape {
            width: self.hidden_size,
            inner: self.intermediate_size,
            layers: self.num_hidden_layers,
            heads: self.num_attention_heads,
            activation: self.hidden_act,
            norm_epsilon: self.layer_norm_eps,
            is_causal: true,
        }
    }
}

impl ClipTextModel {
    /// The model with the weights of a safetensors file; `file_name` is for errors only.
    ///
    /// # Errors
    /// As [`Self::load_from`].
    pub fn load(self, file_name: &str, bytes: &[u8]) -> Result<Self, WeightsError> {
        self.load_from(&SafetensorsBytes::open(file_name, bytes)?)
    }

    /// The model with weights from anywhere.
    ///
    /// Takes a text encoder's names under `text_model.`, those without (transformers 5 saves `CLIPTextModel` so), and
    /// a whole CLIP model, whose image side is left alone. A projection that the configuration does not ask for is
    /// left alone, too.
    ///
    /// # Errors
    /// As [`weights::load`].
    pub fn load_from(self, source: &dyn TensorSource) -> Result<Self, WeightsError> {
        let bare = source.layout("final_layer_norm.weight").is_some();
        let has_projection = self.text_projection.is_some();
        let own = Renamed::new(source, |name| {
            let is_projection = name == "text_projection.weight";
            if is_image_side(name) || (is_projection && !has_projection) {
                None
            } else if bare && !is_projection {
                Some(format!("text_model.{name}"))
            } else {
                Some(name.to_owned())
            }
        });
        weights::load_from(self, &own, "")
    }

    /// The context of a batch of captions.
    ///
    /// `token_ids` is `[B, L]` for any `L` up to `max_position_embeddings`, each row from its start to its end token
    /// and then filled with anything: attention is causal, so nothing behind the end token reaches the states before
    /// it. `tokens` is `[B, L, E]` (after the final norm), `padding_mask` is true behind the first end token, `pooled`
    /// is the state at the first end token, `[B, E]`, or its projection. A row without end token is pooled at its
    /// first position and has everything else masked, as `transformers` pools it.
    ///
    /// # Panics
    /// When `L` is longer than `max_position_embeddings` or an id lies outside the vocabulary; a tokenizer and a
    /// vocabulary that fit the model give neither.
    pub fn forward(&self, token_ids: Tensor<2, Int>) -> TextContext {
        let mut context = self.text_model.forward(token_ids);
        if let Some(projection) = &self.text_projection {
            context.pooled = fused::linear(projection, context.pooled);
        }
        context
    }
}

/// Whether a tensor of a whole CLIP model belongs to images, or to both sides.
fn is_image_side(name: &str) -> bool {
    name.starts_with("vision_model.") || matches!(name, "visual_projection.weight" | "logit_scale")
}

impl ClipTextTransformer {
    /// As [`ClipTextModel::forward`], without the projection.
    pub fn forward(&self, token_ids: Tensor<2, Int>) -> TextContext {
        let [batch, length] = token_ids.dims();
        let device = token_ids.device();
        let positions = Tensor::<1, Int>::arange(0..length as i64, &device).reshape([1, length]);
        let end = end_positions(self.eos_token_id, token_ids.clone(), positions.clone());

        let x = self.embeddings.forward(token_ids);
        let x = self.encoder.forward(x, None);
        let tokens = fused::layer_norm(&self.final_layer_norm, self.norm_epsilon, x);

        let width = tokens.dims()[2];
        let row_starts = Tensor::<1, Int>::arange(0..batch as i64, &device) * length as i64;
        let rows = row_starts + end.clone().squeeze_dim(1);
        let pooled = tokens.clone().reshape([batch * length, width]).select(0, rows);
        let padding_mask = positions.expand([batch, length]).greater(end.expand([batch, length]));
        TextContext { tokens, padding_mask, pooled }
    }
}

impl ClipTextEmbeddings {
    /// `[B, L]` ids to `[B, L, D]`.
    pub fn forward(&self, token_ids: Tensor<2, Int>) -> Tensor<3> {
        let [_, length] = token_ids.dims();
        let [available, width] = self.position_embedding.weight.dims();
        assert!(
            length <= available,
            "caption of {length} tokens, but the text encoder has {available} positions"
        );
        let positions =
            self.position_embedding.weight.val().narrow(0, 0, length).reshape([1, length, width]);
        self.token_embedding.forward(token_ids) + positions
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::clip::HiddenAct;
    use crate::tokenizer::pad_token_ids;
    use crate::weights::StoredDtype;

    const END: u32 = 19;

    fn model(device: &Device) -> ClipTextModel {
        let config = ClipTextConfig {
            architectures: Some(vec!["CLIPTextModelWithProjection".to_owned()]),
            vocab_size: 20,
            hidden_size: 16,
            intermediate_size: 32,
            num_hidden_layers: 3,
            num_attention_heads: 4,
            max_position_embeddings: 9,
            hidden_act: HiddenAct::QuickGelu,
            eos_token_id: END as usize,
            projection_dim: Some(12),
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
        let captions = [vec![18, 3, 4, 5, 6, END], vec![18, 7, END], vec![18, END]];
        let batch = model.forward(pad_token_ids(&captions, END, &device));
        assert_eq!((batch.tokens.dims(), batch.pooled.dims()), ([3, 6, 16], [3, 12]));

        for (row, caption) in captions.iter().enumerate() {
            let single = model.forward(pad_token_ids(&[caption], END, &device));
            let length = caption.len();
            let tokens = batch.tokens.clone().slice([row..row + 1, 0..length]);
            assert!(max_difference(tokens, single.tokens) < 1e-5);
            assert!(max_difference(batch.pooled.clone().narrow(0, row, 1), single.pooled) < 1e-5);
            let mask: Vec<bool> =
                batch.padding_mask.clone().narrow(0, row, 1).into_data().try_into_vec().unwrap();
            assert_eq!(mask, (0..6).map(|position| position >= length).collect::<Vec<_>>());
        }
    }

    #[test]
    fn a_token_reaches_later_states_only() {
        let device = Device::flex();
        let model = model(&device);
        let before = model.forward(pad_token_ids(&[[18, 3, 4, 5, END, 1]], END, &device));
        let changed = model.forward(pad_token_ids(&[[18, 3, 4, 6, END, 1]], END, &device));
        let difference = (before.tokens.clone() - changed.tokens).abs();
        assert_eq!(difference.clone().slice([0..1, 0..3]).max().into_scalar::<f32>(), 0.0);
        assert!(difference.slice([0..1, 3..4]).max().into_scalar::<f32>() > 1e-4);
        assert!(max_difference(before.pooled.clone(), changed.pooled) > 1e-4);

        let after_end = model.forward(pad_token_ids(&[[18, 3, 4, 5, END, 9]], END, &device));
        assert_eq!(max_difference(before.pooled, after_end.pooled), 0.0);
    }

    #[test]
    fn the_old_end_token_value_means_the_highest_id() {
        let device = Device::flex();
        let mut model = model(&device);
        let ids = pad_token_ids(&[vec![18, 3, 2, END], vec![18, END]], END, &device);
        let expected = model.forward(ids.clone());
        model.text_model.eos_token_id = 2;
        let old = model.forward(ids);
        assert_eq!(max_difference(expected.pooled, old.pooled), 0.0);
        assert_eq!(expected.padding_mask.into_data(), old.padding_mask.into_data());
    }

    #[test]
    fn every_spelling_of_the_weights_is_loaded() {
        let device = Device::flex();
        let (saved, other) = (model(&device), model(&device));
        let ids = pad_token_ids(&[vec![18, 3, 4, END]], END, &device);
        let expected = saved.forward(ids.clone());

        let bytes = weights::save(&saved, "", StoredDtype::F32, &[]).unwrap();
        let loaded = other.clone().load("model.safetensors", &bytes).unwrap().forward(ids.clone());
        assert_eq!(max_difference(expected.pooled.clone(), loaded.pooled), 0.0);
        assert!(other.clone().load("model.safetensors", &bytes[..bytes.len() / 2]).is_err());

        let bytes = weights::save(&saved.text_model, "", StoredDtype::F32, &[]).unwrap();
        let without_projection = ClipTextModel { text_projection: None, ..other.clone() };
        let loaded = without_projection.load("model.safetensors", &bytes).unwrap().forward(ids);
        assert_eq!(max_difference(expected.tokens, loaded.tokens), 0.0);
        assert!(matches!(
            other.load("model.safetensors", &bytes),
            Err(WeightsError::Missing { .. })
        ));
    }

    #[test]
    fn gradients_reach_every_weight() {
        let device = Device::flex().autodiff();
        let model = model(&device);
        let context =
            model.forward(pad_token_ids(&[vec![18, 3, 4, 5, 6, 7, 8, 9, END]], END, &device));
        let grads = (context.pooled * 2.0 + 1.0).powi_scalar(2).sum().backward();
        let embeddings = &model.text_model.embeddings;
        let attention = &model.text_model.encoder.layers[0].self_attn;
        for weight in [
            &embeddings.token_embedding.weight,
            &embeddings.position_embedding.weight,
            &attention.q_proj.weight,
        ] {
            let grad = weight.val().grad(&grads).expect("a gradient");
            assert!(grad.abs().sum().into_scalar::<f32>() > 0.0);
        }
    }
}
