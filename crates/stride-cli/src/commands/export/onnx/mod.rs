//! A model as ONNX files, which onnxruntime and its relatives run without Python or Stride.

mod decoder;
mod graph;
mod messages;
mod text_encoder;
mod transformer;

use std::path::Path;

use anyhow::Context as _;
use serde_json::json;
use stride::pipeline::{
    Pipeline, TEXT_ENCODER_WEIGHTS, TRANSFORMER_WEIGHTS, VAE_WEIGHTS, VOCABULARY,
};
use stride::tokenizer::ClipTokenizer;
use stride::weights::StoredDtype;
use stride_files::NewFolder;

use self::graph::{Graph, Weights};
use self::messages::{ModelProto, OperatorSetIdProto};
use super::sampling::SAMPLING;

/// The version of the operators: the first with GELU, which onnxruntime has since 1.17 of January 2024.
const OPSET: i64 = 20;
/// The version of the file format that goes with it.
const IR_VERSION: i64 = 9;
/// The most bytes of a file, which protocol buffers set.
const MOST_BYTES: usize = i32::MAX as usize;

/// Writes the folder and returns the names of its files. Weights are stored in f32.
pub(super) fn write(pipeline: &Pipeline, out: &Path) -> anyhow::Result<Vec<String>> {
    let files = pipeline.to_files(StoredDtype::F32)?;
    let parts = pipeline.parts();
    let network = |weights: &'static str| -> anyhow::Result<Weights<'_>> {
        Weights::open(files.get(weights)?).with_context(|| weights.to_owned())
    };
    let graphs = [
        text_encoder::graph(&parts.text_config, network(TEXT_ENCODER_WEIGHTS)?)?,
        transformer::graph(parts.dit.config(), network(TRANSFORMER_WEIGHTS)?)?,
        decoder::graph(&parts.vae_config, network(VAE_WEIGHTS)?)?,
    ];
    let vocabulary: serde_json::Value = serde_json::from_slice(files.get(VOCABULARY)?)?;
    let index = pipeline.index();
    let about = json!({
        "name": index.name,
        "resolution": index.resolution,
        "latent_shape": parts.vae_config.latent_shape(index.resolution),
        "default_steps": index.default_steps,
        "default_cfg_scale": index.default_cfg_scale,
        "guidance": index.guidance,
        "sampler": index.sampler,
        "max_tokens": parts.text_config.max_position_embeddings(),
        "token_rows": vocabulary["token_ids"],
    });
    let mut written = vec![
        ("model.json".to_owned(), serde_json::to_vec_pretty(&about)?),
        ("tokenizer.json".to_owned(), ClipTokenizer::new()?.to_json()?.into_bytes()),
        ("generate.py".to_owned(), include_bytes!("generate.py").to_vec()),
    ];
    written.push((SAMPLING.0.to_owned(), SAMPLING.1.to_vec()));
    for graph in graphs {
        let name = format!("{}.onnx", graph.name());
        written.push((name.clone(), to_bytes(graph).context(name)?));
    }
    let folder = NewFolder::create(out)?;
    for (name, bytes) in &written {
        folder.write(name, bytes)?;
    }
    folder.commit()?;
    Ok(written.into_iter().map(|(name, _)| name).collect())
}

fn to_bytes(graph: Graph<'_>) -> anyhow::Result<Vec<u8>> {
    use prost::Message as _;
    let model = ModelProto {
        ir_version: IR_VERSION,
        producer_name: "stride".to_owned(),
        producer_version: env!("CARGO_PKG_VERSION").to_owned(),
        graph: Some(graph.finish()),
        opset_import: vec![OperatorSetIdProto { domain: String::new(), version: OPSET }],
    };
    let bytes = model.encoded_len();
    anyhow::ensure!(
        bytes <= MOST_BYTES,
        "expected at most {MOST_BYTES} bytes, which an ONNX file holds, found {bytes}; export it with --to diffusers"
    );
    Ok(model.encode_to_vec())
}
