//! A whole model: the pipeline in a folder, or the one inside the program.

use std::path::Path;

use burn::tensor::Device;
use stride::pipeline::{
    COMPLETION_FILE_NAMES, FILE_NAMES, Pipeline, PipelineFiles, PipelineWeights,
};
use stride_files::ContentHash;

use crate::{FolderTensors, ModelsError, Role, WeightFiles};

/// What a missing file belongs to.
const OF_MODEL: &str = "a model folder";

/// A pipeline, ready to use.
#[derive(Debug)]
pub struct Model {
    /// The pipeline.
    pub pipeline: Pipeline,
    /// The [`short_hash`](Self::short_hash) of the transformer's weights, which names the model.
    pub hash: String,
}

impl Model {
    /// Loads the pipeline in a folder, or the one inside the program.
    ///
    /// # Errors
    /// There is no such folder, or nothing inside the program; a file is missing or damaged, or two contradict each
    /// other.
    pub fn load(folder: Option<&Path>, device: &Device) -> Result<Self, ModelsError> {
        match folder {
            Some(folder) => Self::in_folder(folder, device),
            None => Self::embedded(device),
        }
    }

    /// The first ten digits of a hash of weights, as web interfaces show it.
    pub fn short_hash(weights: ContentHash) -> String {
        weights.to_string().chars().take(10).collect()
    }

    fn in_folder(folder: &Path, device: &Device) -> Result<Self, ModelsError> {
        if !folder.is_dir() {
            return Err(ModelsError::NoModel { path: folder.to_owned() });
        }
        let inside = folder.join("model");
        let has_index = |folder: &Path| folder.join("model_index.json").exists();
        if !has_index(folder) && has_index(&inside) {
            return Err(ModelsError::ModelInside { path: folder.to_owned(), inside });
        }
        let mut files = PipelineFiles::new();
        let has_completion = |name: &&str| folder.join(name).exists();
        let completion = COMPLETION_FILE_NAMES.into_iter().filter(has_completion);
        let names = FILE_NAMES.into_iter().filter(|name| !is_weights(name)).chain(completion);
        for name in names {
            let path = folder.join(name);
            let bytes = stride_files::read_file(&path).map_err(|error| {
                let problem = error.to_string();
                ModelsError::MissingFile { path, of: OF_MODEL, problem }
            })?;
            files.insert(name, bytes);
        }
        let transformer = weight_files(folder, Role::Transformer)?;
        let text_encoder = weight_files(folder, Role::TextEncoder)?;
        let vae = weight_files(folder, Role::Vae)?;
        let load = || -> Result<Pipeline, ModelsError> {
            let weights = PipelineWeights {
                transformer: &FolderTensors::open(&transformer)?,
                text_encoder: &FolderTensors::open(&text_encoder)?,
                vae: &FolderTensors::open(&vae)?,
            };
            Ok(Pipeline::from_files_and_weights(&files, weights, device)?)
        };
        let what = || format!("the model {}", folder.display());
        let (pipeline, hash) = rayon::join(load, || transformer.content_hash());
        let pipeline = pipeline.map_err(ModelsError::unusable(what))?;
        Ok(Self { pipeline, hash: Self::short_hash(hash?) })
    }

    #[cfg(feature = "embedded-model")]
    fn embedded(device: &Device) -> Result<Self, ModelsError> {
        let files = crate::embedded::pipeline();
        let load = || -> Result<Self, ModelsError> {
            let weights = files.get(usual_weights(Role::Transformer))?;
            let (pipeline, hash) =
                rayon::join(|| Pipeline::from_files(&files, device), || ContentHash::of(weights));
            Ok(Self { pipeline: pipeline?, hash: Self::short_hash(hash) })
        };
        load().map_err(ModelsError::unusable(|| "the model inside this program".to_owned()))
    }

    #[cfg(not(feature = "embedded-model"))]
    fn embedded(_: &Device) -> Result<Self, ModelsError> {
        Err(ModelsError::NothingEmbedded {
            what: "a model",
            instead: "a model folder with --model DIR",
        })
    }
}

fn is_weights(name: &str) -> bool {
    name.ends_with(".safetensors")
}

/// The usual name of a network's weights in a pipeline.
fn usual_weights(role: Role) -> &'static str {
    let is_it = |name: &&str| name.starts_with(role.folder()) && is_weights(name);
    FILE_NAMES.into_iter().find(is_it).expect("every network of a pipeline has weights")
}

/// The weights of a network in a pipeline, in whatever files they are.
fn weight_files(folder: &Path, role: Role) -> Result<WeightFiles, ModelsError> {
    let dir = folder.join(role.folder());
    WeightFiles::find(&dir).map_err(|error| match error {
        ModelsError::Io { path, error } if path != dir => ModelsError::Io { path, error },
        ModelsError::NoWeights { .. } | ModelsError::Io { .. } => ModelsError::MissingFile {
            path: folder.join(usual_weights(role)),
            of: OF_MODEL,
            problem: "no such file, and no shards or variant of it".to_owned(),
        },
        other => other,
    })
}
