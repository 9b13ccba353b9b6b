//! Inception-v3 out of the npm package nsfwjs, as safetensors under PyTorch's names.

use std::collections::HashMap;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use safetensors::tensor::{Dtype, TensorView};

use super::layout::{self, ConvLayout};
use crate::EvalError;

/// Base64 runs of a shard are at least this long; the code around them has no such word.
const SHORTEST_RUN: usize = 10_000;

/// A tensor of the manifest: where its bytes lie and how they become numbers.
struct Quantized {
    shape: Vec<usize>,
    scale: f64,
    min: f64,
    start: usize,
}

/// The safetensors file of the Inception-v3 in nsfwjs 4 (folder `dist/models/inception_v3`).
///
/// The network was fine-tuned by its authors for another purpose than comparing images, and stored in 8 bits a
/// number: distances over it are no FID. Load it as [`Variant::Keras`](super::Variant::Keras).
///
/// value = byte * scale + min; kernels turn from HWIO to OIHW; gamma = 1. It takes pixels in [0, 1], so that the
/// first kernel is halved and its mean moved, after which it takes [-1, 1] like the others.
///
/// # Errors
/// A file is missing or is not as expected, or a tensor has another shape.
pub fn convert_nsfwjs(folder: &Path) -> Result<Vec<u8>, EvalError> {
    let manifest_path = folder.join("model.min.js");
    let name = manifest_path.display().to_string();
    let manifest =
        stride_files::read_text_file(&manifest_path).map_err(EvalError::io(&manifest_path))?;
    let (tensors, length) = read_manifest(&manifest).ok_or_else(|| {
        problem(&name, "no TensorFlow.js manifest with 8-bit weights; expected nsfwjs 4")
    })?;
    let mut bytes = Vec::with_capacity(length);
    for shard in 1.. {
        let path = folder.join(format!("group1-shard{shard}of6.min.js"));
        if bytes.len() >= length || shard > 6 {
            break;
        }
        let script = stride_files::read_text_file(&path).map_err(EvalError::io(&path))?;
        bytes.extend(decode(&script).ok_or_else(|| {
            problem(&path.display().to_string(), "no base64 text of weights; expected nsfwjs 4")
        })?);
    }
    if bytes.len() != length {
        let text = format!("the shards hold {} bytes, expected {length}", bytes.len());
        return Err(problem(&name, text));
    }

    let mut out: Vec<(String, Vec<usize>, Vec<f32>)> = Vec::new();
    for (index, (conv_name, conv, channels)) in layout::convs().into_iter().enumerate() {
        let number = index + 1;
        let read = |key: String, shape: &[usize]| {
            let found = tensors
                .get(&key)
                .ok_or_else(|| problem(&name, format!("tensor {key} is missing")))?;
            if found.shape != shape {
                let text =
                    format!("tensor {key}: expected shape {shape:?}, found {:?}", found.shape);
                return Err(problem(&name, text));
            }
            let count: usize = shape.iter().product();
            let values = bytes[found.start..found.start + count].iter();
            Ok(values.map(|&b| (f64::from(b) * found.scale + found.min) as f32).collect::<Vec<_>>())
        };
        let [height, width] = conv.kernel;
        let kernel = read(format!("conv2d_{number}/kernel"), &[height, width, channels, conv.out])?;
        let mut kernel = to_oihw(&kernel, conv, channels);
        let norm = |part: &str| read(format!("batch_normalization_{number}/{part}"), &[conv.out]);
        let mut mean = norm("moving_mean")?;
        if index == 0 {
            for (mean, weights) in
                mean.iter_mut().zip(kernel.chunks_exact_mut(channels * height * width))
            {
                weights.iter_mut().for_each(|weight| *weight *= 0.5);
                *mean -= weights.iter().sum::<f32>();
            }
        }
        out.push((
            format!("{conv_name}.conv.weight"),
            vec![conv.out, channels, height, width],
            kernel,
        ));
        for (part, values) in [
            ("weight", vec![1.0; conv.out]),
            ("bias", norm("beta")?),
            ("running_mean", mean),
            ("running_var", norm("moving_variance")?),
        ] {
            out.push((format!("{conv_name}.bn.{part}"), vec![conv.out], values));
        }
    }
    serialize(&out).map_err(|error| problem(&name, error.to_string()))
}

fn serialize(
    tensors: &[(String, Vec<usize>, Vec<f32>)],
) -> Result<Vec<u8>, safetensors::SafeTensorError> {
    let bytes: Vec<Vec<u8>> = tensors
        .iter()
        .map(|(_, _, values)| values.iter().flat_map(|value| value.to_le_bytes()).collect())
        .collect();
    let views = tensors.iter().zip(&bytes).map(|((name, shape, _), bytes)| {
        Ok((name.as_str(), TensorView::new(Dtype::F32, shape.clone(), bytes)?))
    });
    safetensors::serialize(views.collect::<Result<Vec<_>, safetensors::SafeTensorError>>()?, None)
}

fn to_oihw(kernel: &[f32], conv: ConvLayout, channels: usize) -> Vec<f32> {
    let places = conv.kernel[0] * conv.kernel[1];
    let at = |o: usize, i: usize, place: usize| kernel[(place * channels + i) * conv.out + o];
    (0..conv.out)
        .flat_map(|o| (0..channels).flat_map(move |i| (0..places).map(move |p| at(o, i, p))))
        .collect()
}

/// The tensors by name, in the order of their bytes, and the number of bytes.
fn read_manifest(script: &str) -> Option<(HashMap<String, Quantized>, usize)> {
    let (_, list) = script.split_once("weightsManifest:")?;
    let mut tensors = HashMap::new();
    let mut start = 0usize;
    for entry in list.split("{name:\"").skip(1) {
        let (name, rest) = entry.split_once('"')?;
        let shape = rest.split_once("shape:[")?.1.split(']').next()?;
        let shape: Vec<usize> =
            shape.split(',').map(|axis| axis.parse().ok()).collect::<Option<_>>()?;
        let quantization = rest.split_once("quantization:{")?.1.split('}').next()?;
        if !quantization.contains("dtype:\"uint8\"") {
            return None;
        }
        let number = |key: &str| {
            quantization.split(',').find_map(|pair| pair.strip_prefix(key)?.parse::<f64>().ok())
        };
        let (min, scale) = (number("min:")?, number("scale:")?);
        let length = shape.iter().try_fold(1usize, |a, &b| a.checked_mul(b))?;
        tensors.insert(name.to_owned(), Quantized { shape, scale, min, start });
        start = start.checked_add(length)?;
    }
    (!tensors.is_empty()).then_some((tensors, start))
}

/// The bytes of the longest base64 text in a script.
fn decode(script: &str) -> Option<Vec<u8>> {
    let is_outside = |c: char| !(c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '='));
    let run = script.split(is_outside).max_by_key(|run| run.len())?;
    (run.len() >= SHORTEST_RUN).then(|| STANDARD.decode(run).ok()).flatten()
}

fn problem(path: &str, problem: impl Into<String>) -> EvalError {
    EvalError::Format { path: path.to_owned(), problem: problem.into() }
}
