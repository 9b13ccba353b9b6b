//! Model folders on disk, as they occur in practice: single files, variants, shards, pipelines, PyTorch's own files.
//!
//! A *component* is a network or tokenizer with its configuration: a folder with `config.json` and weights, alone or
//! as part of a pipeline with `model_index.json`. A [`Model`] is a whole pipeline. `stride` itself takes bytes; whatever
//! touches the disk is here.

mod component;
mod describe;
#[cfg(feature = "embedded-model")]
mod embedded;
mod error;
mod fit;
mod hub;
mod import;
mod model;
mod networks;
mod pytorch;
mod role;
mod safetensors_file;
mod tensors;
mod tokenizer;
mod weight_files;
mod wrappers;

pub use component::Component;
pub use describe::Description;
pub use error::ModelsError;
pub use import::{ImportReport, import};
pub use model::Model;
pub use networks::{
    attribute_classifier, clip_text_encoder, completion, image_encoder, text_encoder, vae,
};
pub use pytorch::PytorchFile;
pub use role::Role;
pub use safetensors_file::SafetensorsFile;
pub use tensors::FolderTensors;
pub use tokenizer::{check_tokenizer, check_tokenizer_of, vocabulary_of};
pub use weight_files::WeightFiles;
