//! Why a model on disk cannot be used.

use std::path::{Path, PathBuf};

use stride::pipeline::PipelineError;
use stride::weights::WeightsError;
use thiserror::Error;

/// A folder or file that cannot be used; every variant names it, and the entry where there is one.
#[derive(Debug, Error)]
pub enum ModelsError {
    /// A file or folder cannot be read or written.
    #[error("{}: {error}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The operating system's answer.
        error: std::io::Error,
    },
    /// A file cannot be read or written.
    #[error(transparent)]
    Files(#[from] stride_files::FileError),
    /// There is no folder of a model.
    #[error(
        "{}: expected a model folder, found none; --model takes the folder with model_index.json",
        path.display()
    )]
    NoModel {
        /// The path.
        path: PathBuf,
    },
    /// The folder is not a model, but one inside it is, as in the folder of a training run.
    #[error(
        "{}: expected a model folder, found one that has its model inside; use {}",
        path.display(), inside.display()
    )]
    ModelInside {
        /// The path.
        path: PathBuf,
        /// The folder of the model.
        inside: PathBuf,
    },
    /// A file of a folder cannot be read.
    #[error("cannot read {}; {of} needs this file: {problem}", path.display())]
    MissingFile {
        /// The file.
        path: PathBuf,
        /// What it is a part of.
        of: &'static str,
        /// Why not.
        problem: String,
    },
    /// A model cannot be used.
    #[error("cannot use {what}: {problem}")]
    Unusable {
        /// The model.
        what: String,
        /// Why not.
        problem: Box<ModelsError>,
    },
    /// The program was built without the model that is asked for.
    #[error(
        "this program was built without {what} inside; name {instead}, or build with --features embedded-model"
    )]
    NothingEmbedded {
        /// What is not inside.
        what: &'static str,
        /// What may be named instead.
        instead: &'static str,
    },
    /// Configurations and weights do not fit each other.
    #[error(transparent)]
    Pipeline(#[from] PipelineError),
    /// There is no such folder.
    #[error("{}: expected the folder of {what}, found {found}", path.display())]
    NoFolder {
        /// The path.
        path: PathBuf,
        /// What was to be loaded.
        what: &'static str,
        /// What is there instead.
        found: &'static str,
    },
    /// A model of the hub cannot be loaded.
    #[error("{id}: {problem}")]
    Hub {
        /// The model's id.
        id: String,
        /// Why not.
        problem: String,
    },
    /// The folder is neither a component nor a pipeline.
    #[error(
        "{}: expected config.json (a component) or model_index.json (a pipeline), found neither; \
         name the folder that has one of them",
        path.display()
    )]
    NotAComponent {
        /// The folder.
        path: PathBuf,
    },
    /// The pipeline has no such component.
    #[error("{}: expected a component {role}, found {}", path.display(), found.join(", "))]
    NoRole {
        /// The index of the pipeline.
        path: PathBuf,
        /// The component looked for.
        role: &'static str,
        /// The components there are.
        found: Vec<String>,
    },
    /// The component is of another class.
    #[error("{}: expected {what}, one of {}, found {found}", path.display(), expected.join(", "))]
    Class {
        /// The configuration.
        path: PathBuf,
        /// What was to be loaded.
        what: &'static str,
        /// The supported classes.
        expected: &'static [&'static str],
        /// The class of the folder.
        found: String,
    },
    /// A JSON file is broken or describes something unsupported.
    #[error("{}: {problem}", path.display())]
    Config {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// The folder has no weights.
    #[error(
        "{}: expected weights such as model.safetensors or diffusion_pytorch_model.safetensors, found none",
        path.display()
    )]
    NoWeights {
        /// The folder.
        path: PathBuf,
    },
    /// The folder has weights in several variants, and none without one.
    #[error(
        "{}: expected one set of weights, found {}; leave one of them in the folder",
        path.display(),
        found.join(", ")
    )]
    SeveralVariants {
        /// The folder.
        path: PathBuf,
        /// The files.
        found: Vec<String>,
    },
    /// The weights are in a format that can carry code.
    #[error(
        "{}: PyTorch's own format can carry code and is not loaded; run `stride import {} --out DIR` and use DIR",
        path.display(),
        import.display()
    )]
    Pickle {
        /// The file.
        path: PathBuf,
        /// What to import.
        import: PathBuf,
    },
    /// A PyTorch file cannot be read.
    #[error("{}: not a readable PyTorch file ({problem})", path.display())]
    Pytorch {
        /// The file.
        path: PathBuf,
        /// What the reader says.
        problem: String,
    },
    /// An index names a file that must not or cannot be opened.
    #[error("{}: weight_map[{tensor:?}] = {entry:?}: {problem}", path.display())]
    Shard {
        /// The index.
        path: PathBuf,
        /// The tensor of the entry.
        tensor: String,
        /// The file that the entry names.
        entry: String,
        /// What is wrong with it.
        problem: String,
    },
    /// Weights do not fit their configuration.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// The tokenizer is not CLIP's.
    #[error("{}: {problem}", path.display())]
    Tokenizer {
        /// The file or folder.
        path: PathBuf,
        /// What differs.
        problem: String,
    },
}

impl ModelsError {
    /// Names the path an input or output error happened on.
    pub(crate) fn io(path: &Path) -> impl FnOnce(std::io::Error) -> Self + '_ {
        move |error| Self::Io { path: path.to_owned(), error }
    }

    /// Names the model that cannot be used.
    pub(crate) fn unusable(what: impl FnOnce() -> String) -> impl FnOnce(Self) -> Self {
        move |problem| Self::Unusable { what: what(), problem: Box::new(problem) }
    }

    /// Names the file with a problem.
    pub(crate) fn config<E: std::fmt::Display>(path: &Path) -> impl FnOnce(E) -> Self + '_ {
        move |problem| Self::Config { path: path.to_owned(), problem: problem.to_string() }
    }
}
