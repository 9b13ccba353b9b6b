//! Model folders on a disk, as they really occur: single files, variants, shards, pipelines, PyTorch's own files.
//!
//! A *component* is a network or tokenizer with its configuration: a folder with `config.json` and weights, alone or
//! as part of a pipeline with `model_index.json`. `stride` itself takes weights as they come; what touches the disk
//! is here.

mod component;
mod error;
mod networks;
mod role;
mod safetensors_file;
mod tensors;
mod weight_files;

pub use component::Component;
pub use error::ModelsError;
pub use networks::{text_encoder, vae};
pub use role::Role;
pub use tensors::FolderTensors;
pub use weight_files::WeightFiles;
