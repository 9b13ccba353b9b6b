//! A model as a folder of diffusers, with the Python code that runs it.

use std::path::Path;

use anyhow::Context as _;
use safetensors::SafeTensors;
use serde_json::{Value, json};
use stride::pipeline::{
    COMPLETION_CONFIG, COMPLETION_VOCABULARY, COMPLETION_WEIGHTS, MODEL_INDEX, Pipeline,
    TEXT_ENCODER_CONFIG, TEXT_ENCODER_WEIGHTS, TRANSFORMER_CONFIG, TRANSFORMER_WEIGHTS, VAE_CONFIG,
    VAE_WEIGHTS, VOCABULARY,
};
use stride::tokenizer::ClipTokenizer;
use stride::weights::StoredDtype;
use stride_files::NewFolder;

use super::sampling::SAMPLING;

/// The version of diffusers that the files were tested with.
const DIFFUSERS_VERSION: &str = "0.42.1";
/// The name of weights in every folder of diffusers.
const WEIGHTS: &str = "diffusion_pytorch_model.safetensors";

/// The Python files: where they go, and what they are.
const PYTHON: [(&str, &str); 6] = [
    ("pipeline.py", include_str!("diffusers/pipeline.py")),
    ("transformer/stride_transformer.py", include_str!("diffusers/stride_transformer.py")),
    ("text_encoder/stride_text_encoder.py", TEXT_ENCODER),
    ("vae/stride_autoencoder.py", include_str!("diffusers/stride_autoencoder.py")),
    ("completion/stride_completion.py", include_str!("diffusers/stride_completion.py")),
    ("completion/stride_text_encoder.py", TEXT_ENCODER),
];
const TEXT_ENCODER: &str = include_str!("diffusers/stride_text_encoder.py");

/// Writes the folder and returns the names of its files. Weights are stored in f32.
pub(super) fn write(pipeline: &Pipeline, out: &Path) -> anyhow::Result<Vec<String>> {
    let files = pipeline.to_files(StoredDtype::F32)?;
    let read = |name| -> anyhow::Result<Value> {
        serde_json::from_slice(files.get(name)?).with_context(|| format!("cannot read {name}"))
    };
    let mut written: Vec<(String, Vec<u8>)> = Vec::new();
    let mut add = |name: &str, bytes: Vec<u8>| written.push((name.to_owned(), bytes));

    let mut transformer = read(TRANSFORMER_CONFIG)?;
    transformer["_class_name"] = json!("Dit");
    add(TRANSFORMER_CONFIG, pretty(&transformer)?);
    add(TRANSFORMER_WEIGHTS, weights_of(files.get(TRANSFORMER_WEIGHTS)?)?);

    let text_weights = weights_of(files.get(TEXT_ENCODER_WEIGHTS)?)?;
    let has_projection =
        SafeTensors::deserialize(&text_weights)?.names().contains(&"text_projection.weight");
    let mut text = read(TEXT_ENCODER_CONFIG)?;
    text["_class_name"] = json!("StrideTextEncoder");
    if let Some(fields) = text.as_object_mut() {
        fields.remove("architectures");
        if !has_projection {
            fields.remove("projection_dim");
        }
    }
    add(TEXT_ENCODER_CONFIG, pretty(&text)?);
    add(&format!("text_encoder/{WEIGHTS}"), text_weights);

    let mut vae = read(VAE_CONFIG)?;
    let is_tiny = vae["_class_name"] == "AutoencoderTiny";
    if is_tiny {
        vae["_class_name"] = json!("StrideAutoencoder");
        if let Some(fields) = vae.as_object_mut() {
            for name in ["act_fn", "upsample_fn", "upsampling_scaling_factor"] {
                fields.remove(name);
            }
        }
    }
    add(VAE_CONFIG, pretty(&vae)?);
    add(VAE_WEIGHTS, weights_of(files.get(VAE_WEIGHTS)?)?);

    let has_completion = pipeline.parts().completion.is_some();
    if has_completion {
        let mut completion = read(COMPLETION_CONFIG)?;
        completion["_class_name"] = json!("StrideCompletion");
        completion["token_rows"] = read(COMPLETION_VOCABULARY)?["token_ids"].take();
        // Another name than the network's, which diffusers would hide behind it.
        let mut reader = completion["text_encoder"].take();
        if let Some(fields) = reader.as_object_mut() {
            fields.remove("architectures");
        }
        completion["text_encoder_config"] = reader;
        if let Some(fields) = completion.as_object_mut() {
            fields.remove("text_encoder");
        }
        add(COMPLETION_CONFIG, serde_json::to_vec(&completion)?);
        add(&format!("completion/{WEIGHTS}"), weights_of(files.get(COMPLETION_WEIGHTS)?)?);
    }

    add("tokenizer/tokenizer.json", ClipTokenizer::new()?.to_json()?.into_bytes());
    add("tokenizer/tokenizer_config.json", pretty(&tokenizer_config())?);
    let rows = read(VOCABULARY)?["token_ids"].take();
    add(MODEL_INDEX, pretty(&index(pipeline, rows, is_tiny)?)?);
    for (name, text) in PYTHON {
        let is_used = match name.split('/').next() {
            Some("vae") => is_tiny,
            Some("completion") => has_completion,
            _ => true,
        };
        if is_used {
            add(name, text.as_bytes().to_vec());
        }
    }

    let (name, text) = SAMPLING;
    add(name, text.to_vec());

    let folder = NewFolder::create(out)?;
    for (name, bytes) in &written {
        folder.write(name, bytes)?;
    }
    folder.commit()?;
    Ok(written.into_iter().map(|(name, _)| name).collect())
}

/// What `from_pretrained` reads first; the fields that name no component are arguments of the pipeline.
fn index(pipeline: &Pipeline, token_rows: Value, is_tiny: bool) -> anyhow::Result<Value> {
    let index = pipeline.index();
    let vae = if is_tiny {
        ["stride_autoencoder", "StrideAutoencoder"]
    } else {
        ["diffusers", "AutoencoderKL"]
    };
    let completion = match &index.completion {
        Some(_) => json!(["stride_completion", "StrideCompletion"]),
        None => json!([null, null]),
    };
    Ok(json!({
        "_class_name": ["pipeline", "StridePipeline"],
        "_diffusers_version": DIFFUSERS_VERSION,
        "transformer": ["stride_transformer", "Dit"],
        "text_encoder": ["stride_text_encoder", "StrideTextEncoder"],
        "tokenizer": ["transformers", "PreTrainedTokenizerFast"],
        "vae": vae,
        "completion": completion,
        "token_rows": token_rows,
        "resolution": index.resolution,
        "default_steps": index.default_steps,
        "default_cfg_scale": index.default_cfg_scale,
        "guidance": serde_json::to_value(index.guidance)?,
        "sampler": serde_json::to_value(index.sampler)?,
    }))
}

fn tokenizer_config() -> Value {
    let [start, end] = ["<|startoftext|>", "<|endoftext|>"];
    json!({
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": start,
        "eos_token": end,
        "pad_token": end,
        "unk_token": end,
        "model_max_length": 77,
    })
}

/// The same tensors without CLIP's outer name, and with the note that diffusers looks for.
fn weights_of(bytes: &[u8]) -> anyhow::Result<Vec<u8>> {
    let tensors = SafeTensors::deserialize(bytes)?;
    let named = tensors
        .iter()
        .map(|(name, view)| (name.strip_prefix("text_model.").unwrap_or(name).to_owned(), view));
    let metadata = [("format".to_owned(), "pt".to_owned())].into();
    Ok(safetensors::serialize(named, Some(metadata))?)
}

fn pretty(value: &Value) -> anyhow::Result<Vec<u8>> {
    Ok(serde_json::to_vec_pretty(value)?)
}
