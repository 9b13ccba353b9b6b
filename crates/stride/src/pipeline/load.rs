//! A pipeline and its way from and to the files of a model folder.

use burn::tensor::Device;
use serde::Serialize;
use serde::de::DeserializeOwned;
use stride_kernels::fused::Precision;
use stride_kernels::gemm::Compute;

use super::folder::{
    CLASS_NAME, COMPLETION_CONFIG, COMPLETION_VOCABULARY, COMPLETION_WEIGHTS, MODEL_INDEX,
    TEXT_ENCODER_CONFIG, TEXT_ENCODER_WEIGHTS, TRANSFORMER_CONFIG, TRANSFORMER_WEIGHTS, VAE_CONFIG,
    VAE_WEIGHTS, VOCABULARY,
};
use super::{ModelIndex, PipelineError, PipelineFiles};
use crate::completion::{Completion, CompletionConfig};
use crate::dit::{Dit, DitConfig};
use crate::sampler::{MAX_CFG_SCALE, StepPlan};
use crate::text::{TextEncoder, TextEncoderConfig};
use crate::tokenizer::{ClipTokenizer, Vocabulary};
use crate::vae::{Autoencoder, AutoencoderConfig};
use crate::weights::{self, SafetensorsBytes, StoredDtype, TensorSource};

/// Everything between a sentence and an image.
#[derive(Debug)]
pub struct Pipeline {
    pub(super) tokenizer: ClipTokenizer,
    pub(super) parts: PipelineParts,
    pub(super) device: Device,
    pub(super) precision: Precision,
}

/// The weights of a pipeline's networks.
#[derive(Clone, Copy)]
pub struct PipelineWeights<'a> {
    /// Of the transformer.
    pub transformer: &'a dyn TensorSource,
    /// Of the text encoder.
    pub text_encoder: &'a dyn TensorSource,
    /// Of the autoencoder.
    pub vae: &'a dyn TensorSource,
}

/// The trained parts of a pipeline with their configurations.
#[derive(Clone, Debug)]
pub struct PipelineParts {
    /// What the model is.
    pub index: ModelIndex,
    /// The transformer, which carries its configuration.
    pub dit: Dit,
    /// Configuration of the text encoder.
    pub text_config: TextEncoderConfig,
    /// The text encoder.
    pub text_encoder: TextEncoder,
    /// Rows of the text encoder's embedding table.
    pub vocabulary: Vocabulary,
    /// Configuration of the autoencoder.
    pub vae_config: AutoencoderConfig,
    /// The autoencoder.
    pub vae: Autoencoder,
    /// What completes prompts, if anything does.
    pub completion: Option<Completion>,
}

impl Pipeline {
    /// A pipeline of trained parts on a plain (not autodiff) device.
    ///
    /// # Errors
    /// Two parts contradict each other.
    pub fn from_parts(parts: PipelineParts, device: &Device) -> Result<Self, PipelineError> {
        check(
            &parts.index,
            parts.dit.config(),
            &parts.text_config,
            &parts.vocabulary,
            &parts.vae_config,
        )?;
        let is_there = |is_there: bool| if is_there { "one" } else { "none" }.to_owned();
        if parts.index.completion.is_some() != parts.completion.is_some() {
            return Err(PipelineError::Mismatch {
                file: MODEL_INDEX,
                field: "completion",
                other: COMPLETION_CONFIG,
                expected: is_there(parts.completion.is_some()),
                found: is_there(parts.index.completion.is_some()),
            });
        }
        let tokenizer = tokenizer(&parts.text_config)?;
        Ok(Self::of_checked(parts, tokenizer, device))
    }

    /// Reads a model folder that is in memory.
    ///
    /// # Errors
    /// A file is missing, broken, or contradicts another one or its weights.
    pub fn from_files(files: &PipelineFiles, device: &Device) -> Result<Self, PipelineError> {
        let open = |name| Ok::<_, PipelineError>(SafetensorsBytes::open(name, files.get(name)?)?);
        let weights = PipelineWeights {
            transformer: &open(TRANSFORMER_WEIGHTS)?,
            text_encoder: &open(TEXT_ENCODER_WEIGHTS)?,
            vae: &open(VAE_WEIGHTS)?,
        };
        Self::from_files_and_weights(files, weights, device)
    }

    /// As [`from_files`](Self::from_files), with weights from anywhere instead of the weight files of the folder.
    ///
    /// # Errors
    /// As [`from_files`](Self::from_files).
    pub fn from_files_and_weights(
        files: &PipelineFiles,
        weights: PipelineWeights<'_>,
        device: &Device,
    ) -> Result<Self, PipelineError> {
        let index: ModelIndex = json(files, MODEL_INDEX)?;
        let dit_config: DitConfig = json(files, TRANSFORMER_CONFIG)?;
        let vocabulary: Vocabulary = json(files, VOCABULARY)?;
        let vae_config: AutoencoderConfig = json(files, VAE_CONFIG)?;
        let text_config = TextEncoderConfig::from_json(files.get(TEXT_ENCODER_CONFIG)?)
            .map_err(|error| config_error(TEXT_ENCODER_CONFIG, &error))?;

        let dit =
            dit_config.init(device).map_err(|error| config_error(TRANSFORMER_CONFIG, &error))?;
        let text_encoder =
            text_config.init(device).map_err(|error| config_error(TEXT_ENCODER_CONFIG, &error))?;
        let vae = vae_config.init(device).map_err(|error| config_error(VAE_CONFIG, &error))?;
        // Before the weights are read, since a contradiction explains more than a tensor's shape;
        // after the networks have refused impossible numbers.
        check(&index, &dit_config, &text_config, &vocabulary, &vae_config)?;
        // Beside each other, the two that take longest first.
        let ((dit, text_encoder), (tokenizer, (vae, completion))) = rayon::join(
            || {
                rayon::join(
                    || weights::load_from(dit, weights.transformer, ""),
                    || text_encoder.load_from(weights.text_encoder),
                )
            },
            || {
                rayon::join(
                    || tokenizer(&text_config),
                    || {
                        rayon::join(
                            || vae.load_from(weights.vae),
                            || index.completion.as_ref().map(|_| completion(files, device)),
                        )
                    },
                )
            },
        );
        let parts = PipelineParts {
            dit: dit?,
            text_encoder: text_encoder?,
            vae: vae?,
            completion: completion.transpose()?,
            index,
            text_config,
            vocabulary,
            vae_config,
        };
        Ok(Self::of_checked(parts, tokenizer?, device))
    }

    fn of_checked(parts: PipelineParts, tokenizer: ClipTokenizer, device: &Device) -> Self {
        let precision = Precision::inference(Compute::F32);
        Self { tokenizer, parts, device: device.clone(), precision }
    }

    /// The same pipeline with matrix products in the dtype `compute`.
    #[must_use]
    pub fn with_compute(self, compute: Compute) -> Self {
        Self { precision: Precision::inference(compute), ..self }
    }

    /// Where the networks are.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// The precision of the networks; code that runs [`parts`](Self::parts) by itself enters its scope.
    pub fn precision(&self) -> &Precision {
        &self.precision
    }

    /// The files of a model folder, with weights stored as `dtype`.
    ///
    /// # Errors
    /// The weights cannot be serialised, which names no case of ours.
    pub fn to_files(&self, dtype: StoredDtype) -> Result<PipelineFiles, PipelineError> {
        let PipelineParts {
            index,
            dit,
            text_config,
            text_encoder,
            vocabulary,
            vae_config,
            vae,
            completion,
        } = &self.parts;
        let mut files = PipelineFiles::new();
        files.insert(MODEL_INDEX, to_json(MODEL_INDEX, index)?);
        files.insert(TRANSFORMER_CONFIG, to_json(TRANSFORMER_CONFIG, dit.config())?);
        files.insert(TEXT_ENCODER_CONFIG, to_json(TEXT_ENCODER_CONFIG, text_config)?);
        files.insert(VOCABULARY, to_json(VOCABULARY, vocabulary)?);
        files.insert(VAE_CONFIG, to_json(VAE_CONFIG, vae_config)?);
        files.insert(TRANSFORMER_WEIGHTS, weights::save(dit, "", dtype, &[])?);
        files.insert(TEXT_ENCODER_WEIGHTS, weights::save(text_encoder, "", dtype, &[])?);
        files.insert(VAE_WEIGHTS, weights::save(vae, "", dtype, &[])?);
        if let Some(completion) = completion {
            // Thousands of numbers, which nobody wants on a line each.
            let config = serde_json::to_vec(completion.config());
            let config = config.map_err(|error| config_error(COMPLETION_CONFIG, &error))?;
            files.insert(COMPLETION_CONFIG, config);
            let vocabulary = to_json(COMPLETION_VOCABULARY, completion.vocabulary())?;
            files.insert(COMPLETION_VOCABULARY, vocabulary);
            let weights = weights::save(completion.reader(), "", dtype, &[])?;
            files.insert(COMPLETION_WEIGHTS, weights);
        }
        Ok(files)
    }

    /// What the model is.
    pub fn index(&self) -> &ModelIndex {
        &self.parts.index
    }

    /// The networks with their configurations.
    pub fn parts(&self) -> &PipelineParts {
        &self.parts
    }
}

/// Whether the parts fit each other.
fn check(
    index: &ModelIndex,
    dit: &DitConfig,
    text: &TextEncoderConfig,
    vocabulary: &Vocabulary,
    vae: &AutoencoderConfig,
) -> Result<(), PipelineError> {
    let same = |file, field, other, found: String, expected: String| {
        if found == expected {
            Ok(())
        } else {
            Err(PipelineError::Mismatch { file, field, other, expected, found })
        }
    };
    same(
        MODEL_INDEX,
        "_class_name",
        "this program",
        index.class_name.clone(),
        CLASS_NAME.to_owned(),
    )?;
    StepPlan::new(index.default_steps)
        .map_err(|error| config_error(MODEL_INDEX, &format!("default_steps: {error}")))?;
    if !(0.0..=MAX_CFG_SCALE).contains(&index.default_cfg_scale) {
        let problem = format!(
            "default_cfg_scale: expected a number of at least 0 and at most {MAX_CFG_SCALE}, found {}",
            index.default_cfg_scale
        );
        return Err(config_error(MODEL_INDEX, &problem));
    }
    index.sampler.validate().map_err(|error| config_error(MODEL_INDEX, &error))?;
    let (found, expected) = (dit.guidance_input, index.guidance.needs_scale_input());
    let (found, expected) = (found.to_string(), expected.to_string());
    same(TRANSFORMER_CONFIG, "guidance_input", MODEL_INDEX, found, expected)?;
    let number = |value: usize| value.to_string();
    // The transformer reads the pooled vector, the tokens, or both.
    let conditioning = dit.text_conditioning;
    for (is_used, width) in [
        (conditioning.uses_pooled(), text.pooled_size()),
        (conditioning.uses_tokens(), text.hidden_size()),
    ] {
        if is_used {
            let (found, expected) = (number(dit.context_dim), number(width));
            same(TRANSFORMER_CONFIG, "context_dim", TEXT_ENCODER_CONFIG, found, expected)?;
        }
    }
    let (found, expected) = (number(text.vocab_size()), number(vocabulary.len()));
    same(TEXT_ENCODER_CONFIG, "vocab_size", VOCABULARY, found, expected)?;
    // Old files of CLIP's own vocabulary say 2 and mean the highest id, which is the end token.
    let is_clip = matches!(text, TextEncoderConfig::Clip(_));
    let is_old_clip = is_clip && text.eos_token_id() == 2 && *vocabulary == Vocabulary::full();
    if !is_old_clip {
        let (found, expected) = (number(text.eos_token_id()), vocabulary.end_row().to_string());
        same(TEXT_ENCODER_CONFIG, "eos_token_id", VOCABULARY, found, expected)?;
    }
    let factor = vae.downsampling_factor();
    if factor == 0 || index.resolution == 0 || !index.resolution.is_multiple_of(factor) {
        let problem = format!(
            "resolution: expected a multiple of {factor}, by which the autoencoder downsamples, found {}",
            index.resolution
        );
        return Err(config_error(MODEL_INDEX, &problem));
    }
    let latents = format!("{:?}", vae.latent_shape(index.resolution));
    let found = format!("{:?}", [dit.in_channels, dit.input_size, dit.input_size]);
    same(TRANSFORMER_CONFIG, "in_channels and input_size", VAE_CONFIG, found, latents)
}

/// CLIP's tokenizer with captions of a length that the text encoder takes.
fn tokenizer(text_config: &TextEncoderConfig) -> Result<ClipTokenizer, PipelineError> {
    let tokenizer = ClipTokenizer::new()?;
    let max_length = tokenizer.max_length().min(text_config.max_position_embeddings());
    tokenizer.with_max_length(max_length).map_err(|error| {
        config_error(TEXT_ENCODER_CONFIG, &format!("max_position_embeddings: {error}"))
    })
}

/// What completes prompts, in a folder whose index names it.
///
/// # Errors
/// A file is missing, broken, or contradicts another one.
pub fn completion(files: &PipelineFiles, device: &Device) -> Result<Completion, PipelineError> {
    let config: CompletionConfig = json(files, COMPLETION_CONFIG)?;
    let vocabulary: Vocabulary = json(files, COMPLETION_VOCABULARY)?;
    let completion = config.init(vocabulary, device);
    let completion = completion.map_err(|error| config_error(COMPLETION_CONFIG, &error))?;
    let weights = SafetensorsBytes::open(COMPLETION_WEIGHTS, files.get(COMPLETION_WEIGHTS)?)?;
    Ok(completion.load_from(&weights)?)
}

fn json<T: DeserializeOwned>(
    files: &PipelineFiles,
    name: &'static str,
) -> Result<T, PipelineError> {
    serde_json::from_slice(files.get(name)?).map_err(|error| config_error(name, &error))
}

fn to_json<T: Serialize>(name: &'static str, value: &T) -> Result<Vec<u8>, PipelineError> {
    serde_json::to_vec_pretty(value).map_err(|error| config_error(name, &error))
}

fn config_error(file: &'static str, problem: &impl ToString) -> PipelineError {
    PipelineError::Config { file, problem: problem.to_string() }
}
