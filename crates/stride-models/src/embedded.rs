//! The models that are part of the program (Cargo feature `embedded-model`), as they were when it was built.

use stride::pipeline::PipelineFiles;

/// The bytes of files of a folder in `models/`, with their names.
macro_rules! embed {
    ($folder:literal: $($name:literal),+ $(,)?) => {
        [$((
            $name,
            include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/", $folder, "/", $name)).as_slice(),
        )),+]
    };
}

/// The pipeline that draws avatars.
pub(crate) fn pipeline() -> PipelineFiles {
    let mut files = PipelineFiles::new();
    for (name, bytes) in embed!("avatars":
        "model_index.json",
        "tokenizer/vocabulary.json",
        "text_encoder/config.json",
        "text_encoder/model.safetensors",
        "transformer/config.json",
        "transformer/diffusion_pytorch_model.safetensors",
        "vae/config.json",
        "vae/diffusion_pytorch_model.safetensors",
        "completion/config.json",
        "completion/vocabulary.json",
        "completion/model.safetensors",
    ) {
        files.insert(name, bytes);
    }
    files
}

/// Configuration and weights of the classifier of avatars' attributes.
pub(crate) fn classifier() -> [&'static [u8]; 2] {
    embed!("avatars-classifier": "config.json", "model.safetensors").map(|(_, bytes)| bytes)
}
