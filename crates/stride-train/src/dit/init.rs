//! Trained networks that transformer training starts from.

use std::path::{Path, PathBuf};

use burn::tensor::Device;
use serde::{Deserialize, Serialize};
use stride::dit::{Dit, DitConfig};
use stride::text::{TextEncoder, TextEncoderConfig};
use stride::tokenizer::{MAX_LENGTH, Vocabulary};
use stride_models::{Component, Role};

use crate::TrainError;
use crate::run::Progress;

/// Names of parameters that a message lists.
const SHOWN: usize = 6;

/// Folders of networks to start from; a network that is not named starts from random weights.
///
/// A run that is resumed reads them again, so they must stay where they are.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DitInitConfig {
    /// A CLIP text encoder, a whole CLIP model, or a folder that has a text encoder: a pipeline, such as the model of
    /// another run, or the model of a run that trained a text encoder alone. It is trained on with the vocabulary that it
    /// has; takes the place of `[dit.text_encoder]`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text_encoder: Option<PathBuf>,
    /// A transformer of Stride, diffusers or facebookresearch/DiT, or a pipeline that has one; the tensors that it has in common
    /// with `[dit.model]` are taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transformer: Option<PathBuf>,
}

impl DitInitConfig {
    /// Whether everything starts from random weights.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// A trained text encoder and the rows of its embedding table.
pub(crate) struct TrainedTextEncoder {
    pub(crate) config: TextEncoderConfig,
    pub(crate) model: TextEncoder,
    pub(crate) vocabulary: Vocabulary,
}

/// Loads the text encoder.
///
/// # Errors
/// The folder holds none; or its vocabulary does not fit it; or its positions or its width do not fit the run.
pub(crate) fn text_encoder(
    dir: &Path,
    transformer: &DitConfig,
    device: &Device,
) -> Result<TrainedTextEncoder, TrainError> {
    let vocabulary = stride_models::vocabulary_of(dir)?;
    let (config, model) = stride_models::text_encoder(dir, device)?;
    let check = |holds: bool, what: String| {
        let problem = |problem| TrainError::Weights { path: dir.to_owned(), problem };
        if holds { Ok(()) } else { Err(problem(what)) }
    };
    let (expected, rows) = (vocabulary.len(), config.vocab_size());
    check(
        rows == expected,
        format!("vocab_size: expected {expected}, the size of its vocabulary, found {rows}"),
    )?;
    let positions = config.max_position_embeddings();
    check(
        positions >= MAX_LENGTH,
        format!(
            "max_position_embeddings: expected at least {MAX_LENGTH}, the tokens of the longest \
             caption, found {positions}"
        ),
    )?;
    let conditioning = transformer.text_conditioning;
    for (is_used, width, name) in [
        (conditioning.uses_pooled(), config.pooled_size(), "pooled output"),
        (conditioning.uses_tokens(), config.hidden_size(), "hidden states"),
    ] {
        check(
            !is_used || width == transformer.context_dim,
            format!(
                "the {name} have width {width}, but dit.model.context_dim is {}; set it to {width}",
                transformer.context_dim
            ),
        )?;
    }
    Ok(TrainedTextEncoder { config, model, vocabulary })
}

/// Puts the weights of a trained transformer into one that was just drawn, and says what it did.
///
/// # Errors
/// The folder holds none; or a tensor has another shape than `[dit.model]` says; or nothing is shared.
pub(crate) fn transformer(
    dir: &Path,
    model: Dit,
    progress: &mut dyn Progress,
) -> Result<Dit, TrainError> {
    let component = Component::open(dir, Role::Transformer)?;
    component.config()?;
    let (model, report) =
        model.load_shared(&component.tensors()?).map_err(stride_models::ModelsError::from)?;
    if report.taken.is_empty() {
        return Err(TrainError::Weights {
            path: dir.to_owned(),
            problem:
                "expected a transformer of Stride, diffusers or facebookresearch/DiT, found no \
                      tensor of one"
                    .to_owned(),
        });
    }
    let list = |names: &[String]| {
        let mut shown = names.iter().take(SHOWN).cloned().collect::<Vec<_>>().join(", ");
        if names.len() > SHOWN {
            shown += ", ...";
        }
        let count = names.len();
        if count == 0 { "0".to_owned() } else { format!("{count} ({shown})") }
    };
    progress.message(&format!(
        "transformer from {}: {} tensors taken; left out: {}; newly initialised: {}",
        dir.display(),
        report.taken.len(),
        list(&report.left_out),
        list(&report.fresh)
    ));
    Ok(model)
}
