//! Loads the networks of components.

use std::fmt::Display;
use std::path::Path;

use burn::tensor::Device;
use stride::classifier::{AttributeClassifier, AttributeClassifierConfig};
use stride::clip::{ClipTextConfig, ClipTextModel, ClipVisionConfig, ClipVisionModel};
use stride::completion::Completion;
use stride::pipeline::{COMPLETION_FILE_NAMES, PipelineFiles};
use stride::text::{TextEncoder, TextEncoderConfig};
use stride::vae::{Autoencoder, AutoencoderConfig};
use stride::weights;
use stride_files::ContentHash;

use crate::role::CONFIG;
use crate::{Component, FolderTensors, ModelsError, Role, WeightFiles, check_tokenizer_of};

/// Loads an autoencoder from its folder or a pipeline with `vae/`.
///
/// # Errors
/// The folder is not such a component, or its files do not fit each other.
pub fn vae(path: &Path, device: &Device) -> Result<(AutoencoderConfig, Autoencoder), ModelsError> {
    let component = Component::open(path, Role::Vae)?;
    let parse = |bytes: &[u8]| serde_json::from_slice::<AutoencoderConfig>(bytes);
    let (config, model) = untrained(&component, parse, |config| config.init(device))?;
    Ok((config, model.load_from(&component.tensors()?)?))
}

/// Loads a text encoder from its folder, from that of a whole CLIP model, or from a pipeline with `text_encoder/`.
///
/// # Errors
/// The folder is not such a component, or its files do not fit each other; or there is a tokenizer beside it that is
/// not CLIP's own.
pub fn text_encoder(
    path: &Path,
    device: &Device,
) -> Result<(TextEncoderConfig, TextEncoder), ModelsError> {
    let component = Component::open(path, Role::TextEncoder)?;
    check_tokenizer_of(component.root())?;
    let (config, model) =
        untrained(&component, TextEncoderConfig::from_json, |config| config.init(device))?;
    Ok((config, model.load_from(&component.tensors()?)?))
}

/// Loads what completes prompts from the model folder of a pipeline, or of a run that trained a text encoder with phrases.
///
/// # Errors
/// A file is missing or damaged, or two do not fit each other.
pub fn completion(folder: &Path, device: &Device) -> Result<Completion, ModelsError> {
    let mut files = PipelineFiles::new();
    for name in COMPLETION_FILE_NAMES {
        let path = folder.join(name);
        let bytes = stride_files::read_file(&path).map_err(|error| {
            let (of, problem) = ("what completes prompts", error.to_string());
            ModelsError::MissingFile { path, of, problem }
        })?;
        files.insert(name, bytes);
    }
    let what = || format!("what completes prompts in {}", folder.display());
    let completion = stride::pipeline::completion(&files, device);
    completion.map_err(|error| ModelsError::unusable(what)(error.into()))
}

/// As [`text_encoder`], of CLIP's kind alone: one whose pooled output shares a space with images.
///
/// # Errors
/// As [`text_encoder`]; or the text encoder is of another kind.
pub fn clip_text_encoder(
    path: &Path,
    device: &Device,
) -> Result<(ClipTextConfig, ClipTextModel), ModelsError> {
    match text_encoder(path, device)? {
        (TextEncoderConfig::Clip(config), TextEncoder::Clip(model)) => Ok((config, model)),
        (config, _) => Err(ModelsError::config(path)(format!(
            "expected a text encoder of CLIP, found {}",
            config.class_name()
        ))),
    }
}

/// Loads a CLIP image encoder from its folder, from that of a whole CLIP model, or from a pipeline with
/// `image_encoder/`.
///
/// # Errors
/// The folder is not such a component, or its files do not fit each other.
pub fn image_encoder(
    path: &Path,
    device: &Device,
) -> Result<(ClipVisionConfig, ClipVisionModel), ModelsError> {
    let component = Component::open(path, Role::ImageEncoder)?;
    let (config, model) =
        untrained(&component, ClipVisionConfig::from_json, |config| config.init(device))?;
    Ok((config, model.load_from(&component.tensors()?)?))
}

/// Loads a classifier of attributes from its folder, or the one inside the program, with the hash of its weights.
///
/// # Errors
/// There is no such folder, or nothing inside the program; a file is missing or damaged, or the two do not fit each
/// other.
pub fn attribute_classifier(
    folder: Option<&Path>,
    device: &Device,
) -> Result<(AttributeClassifier, ContentHash), ModelsError> {
    let Some(folder) = folder else { return embedded_classifier(device) };
    let path = folder.join(CONFIG);
    let config = stride_files::read_file(&path).map_err(|error| ModelsError::MissingFile {
        path: path.clone(),
        of: "a classifier's folder",
        problem: error.to_string(),
    })?;
    let load = || -> Result<_, ModelsError> {
        let files = WeightFiles::find(folder)?;
        let model = untrained_classifier(&config, &path, device)?;
        let model = weights::load_from(model, &FolderTensors::open(&files)?, "")?;
        Ok((model, files.content_hash()?))
    };
    load().map_err(ModelsError::unusable(|| format!("the classifier {}", folder.display())))
}

#[cfg(feature = "embedded-model")]
fn embedded_classifier(device: &Device) -> Result<(AttributeClassifier, ContentHash), ModelsError> {
    let [config, weights] = crate::embedded::classifier();
    let load = || -> Result<_, ModelsError> {
        let model = untrained_classifier(config, Path::new(CONFIG), device)?;
        Ok((model.load("model.safetensors", weights)?, ContentHash::of(weights)))
    };
    load().map_err(ModelsError::unusable(|| "the classifier inside this program".to_owned()))
}

#[cfg(not(feature = "embedded-model"))]
fn embedded_classifier(_: &Device) -> Result<(AttributeClassifier, ContentHash), ModelsError> {
    Err(ModelsError::NothingEmbedded {
        what: "a classifier",
        instead: "a classifier's folder with --classifier DIR",
    })
}

fn untrained_classifier(
    config: &[u8],
    path: &Path,
    device: &Device,
) -> Result<AttributeClassifier, ModelsError> {
    let config: AttributeClassifierConfig =
        serde_json::from_slice(config).map_err(ModelsError::config(path))?;
    config.init(device).map_err(ModelsError::config(path))
}

/// The network of a component's configuration, before it has its weights.
fn untrained<C, M, ParseError: Display, InitError: Display>(
    component: &Component,
    parse: impl FnOnce(&[u8]) -> Result<C, ParseError>,
    init: impl FnOnce(&C) -> Result<M, InitError>,
) -> Result<(C, M), ModelsError> {
    let path = component.config_path();
    let config = parse(&component.config()?).map_err(ModelsError::config(&path))?;
    let model = init(&config).map_err(ModelsError::config(&path))?;
    Ok((config, model))
}
