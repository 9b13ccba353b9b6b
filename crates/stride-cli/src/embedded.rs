//! The model that is part of this program, and the judge of what it draws (Cargo feature `embedded-model`).

use stride::pipeline::PipelineFiles;

/// The files of `models/avatars/` as they were when the program was built.
#[cfg(feature = "embedded-model")]
pub(crate) fn files() -> anyhow::Result<PipelineFiles> {
    macro_rules! model_file {
        ($name:literal) => {
            include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/avatars/", $name))
                .as_slice()
        };
    }
    let mut files = PipelineFiles::new();
    for (name, bytes) in [
        ("model_index.json", model_file!("model_index.json")),
        ("tokenizer/vocabulary.json", model_file!("tokenizer/vocabulary.json")),
        ("text_encoder/config.json", model_file!("text_encoder/config.json")),
        ("text_encoder/model.safetensors", model_file!("text_encoder/model.safetensors")),
        ("transformer/config.json", model_file!("transformer/config.json")),
        (
            "transformer/diffusion_pytorch_model.safetensors",
            model_file!("transformer/diffusion_pytorch_model.safetensors"),
        ),
        ("vae/config.json", model_file!("vae/config.json")),
        (
            "vae/diffusion_pytorch_model.safetensors",
            model_file!("vae/diffusion_pytorch_model.safetensors"),
        ),
    ] {
        files.insert(name, bytes);
    }
    Ok(files)
}

/// The configuration and the weights of `models/avatars-classifier/`.
#[cfg(feature = "embedded-model")]
pub(crate) fn judge() -> anyhow::Result<[&'static [u8]; 2]> {
    macro_rules! judge_file {
        ($name:literal) => {
            include_bytes!(concat!(
                env!("CARGO_MANIFEST_DIR"),
                "/../../models/avatars-classifier/",
                $name
            ))
        };
    }
    Ok([judge_file!("config.json"), judge_file!("model.safetensors")])
}

/// Explains that there is no judge inside.
#[cfg(not(feature = "embedded-model"))]
pub(crate) fn judge() -> anyhow::Result<[&'static [u8]; 2]> {
    anyhow::bail!(
        "this program was built without a classifier inside; name a classifier's folder with \
         --classifier DIR, or build with --features embedded-model"
    )
}

/// Explains that there is no model inside.
#[cfg(not(feature = "embedded-model"))]
pub(crate) fn files() -> anyhow::Result<PipelineFiles> {
    anyhow::bail!(
        "this program was built without a model inside; name a model folder with --model DIR, \
         or build with --features embedded-model"
    )
}
