//! The decoder of an autoencoder as a graph: latents of unit scale to pixels.

use stride::vae::{AutoencoderConfig, AutoencoderKlConfig, AutoencoderTinyConfig};

use super::graph::{Attribute, Graph, Value, Weights};
use super::messages::DataType;

/// `latents` [B, C, h, w] to `pixels` [B, 3, H, W] in [-1, 1].
pub(super) fn graph<'a>(
    config: &AutoencoderConfig,
    weights: Weights<'a>,
) -> anyhow::Result<Graph<'a>> {
    let mut graph = Graph::new("decoder", weights);
    let g = &mut graph;
    let channels = match config {
        AutoencoderConfig::Tiny(config) => config.latent_channels,
        AutoencoderConfig::Kl(config) => config.latent_channels,
    };
    let channels = channels.to_string();
    let latents = g.input("latents", DataType::Float, &["batch", &channels, "h", "w"]);
    let pixels = match config {
        AutoencoderConfig::Tiny(config) => tiny(g, &latents, config)?,
        AutoencoderConfig::Kl(config) => kl(g, &latents, config)?,
    };
    let channels = config.channels()[1].to_string();
    g.output(&pixels, "pixels", DataType::Float, &["batch", &channels, "H", "W"]);
    Ok(graph)
}

/// The same number for all, or one a channel.
fn column(g: &mut Graph<'_>, values: Option<&[f32]>, other: f32) -> Value {
    match values {
        Some(values) => g.floats(&[1, values.len(), 1, 1], values),
        None => g.float(other.into()),
    }
}

fn tiny(g: &mut Graph<'_>, latents: &str, config: &AutoencoderTinyConfig) -> anyhow::Result<Value> {
    /// Latents keep below it in the network.
    const MAGNITUDE: f64 = 3.0;
    let std = column(g, config.latents_std.as_deref(), 1.0);
    let mean = column(g, config.latents_mean.as_deref(), 0.0);
    let z = g.op("Mul", &[latents, &std]);
    let z = g.op("Add", &[&z, &mean]);
    let z = unscaled(g, &z, config.scaling_factor, config.shift_factor);
    let magnitude = g.float(MAGNITUDE);
    let z = g.op("Div", &[&z, &magnitude]);
    let z = g.op("Tanh", &[&z]);
    let z = g.op("Mul", &[&z, &magnitude]);

    let x = g.conv(&z, "decoder.layers.0")?;
    let mut x = g.op("Relu", &[&x]);
    // Layer 1 is the activation.
    let mut layer = 2;
    let stages = config.num_decoder_blocks.len();
    for (stage, &blocks) in config.num_decoder_blocks.iter().enumerate() {
        for block in layer..layer + blocks {
            let mut y = x.clone();
            for part in [0, 2, 4] {
                y = g.conv(&y, &format!("decoder.layers.{block}.conv.{part}"))?;
                if part < 4 {
                    y = g.op("Relu", &[&y]);
                }
            }
            let sum = g.op("Add", &[&y, &x]);
            x = g.op("Relu", &[&sum]);
        }
        layer += blocks;
        if stage + 1 < stages {
            x = g.enlarged(&x, 2);
            layer += 1;
        }
        x = g.conv(&x, &format!("decoder.layers.{layer}"))?;
        layer += 1;
    }
    let attributes = [
        ("blocksize", Attribute::Int(config.decoder_pixel_shuffle as i64)),
        ("mode", Attribute::Text("CRD")),
    ];
    let mut pixels = g.op_with("DepthToSpace", &[&x], &attributes);
    if config.color_skip {
        let color = g.conv(&z, "decoder_color")?;
        let color = g.enlarged(&color, config.downsampling_factor());
        pixels = g.op("Add", &[&pixels, &color]);
    }
    let [one, two] = [1.0, 2.0].map(|value| g.float(value));
    let pixels = g.op("Mul", &[&pixels, &two]);
    Ok(g.op("Sub", &[&pixels, &one]))
}

/// z / scaling_factor + shift_factor.
fn unscaled(g: &mut Graph<'_>, z: &str, scale: f64, shift: f64) -> Value {
    let [scale, shift] = [scale, shift].map(|value| g.float(value));
    let z = g.op("Div", &[z, &scale]);
    g.op("Add", &[&z, &shift])
}

fn kl(g: &mut Graph<'_>, latents: &str, config: &AutoencoderKlConfig) -> anyhow::Result<Value> {
    let groups = config.norm_num_groups;
    let mut z = unscaled(g, latents, config.scaling_factor, config.shift_factor);
    if config.use_post_quant_conv {
        z = g.conv(&z, "post_quant_conv")?;
    }
    let x = g.conv(&z, "decoder.conv_in")?;
    let x = resnet(g, &x, "decoder.mid_block.resnets.0", groups)?;
    let x = if config.mid_block_add_attention {
        attention(g, &x, "decoder.mid_block.attentions.0", groups, config)?
    } else {
        x
    };
    let mut x = resnet(g, &x, "decoder.mid_block.resnets.1", groups)?;
    let stages = config.block_out_channels.len();
    for stage in 0..stages {
        let name = format!("decoder.up_blocks.{stage}");
        for block in 0..=config.layers_per_block {
            x = resnet(g, &x, &format!("{name}.resnets.{block}"), groups)?;
        }
        if stage + 1 < stages {
            x = g.enlarged(&x, 2);
            x = g.conv(&x, &format!("{name}.upsamplers.0.conv"))?;
        }
    }
    let x = group_norm(g, &x, "decoder.conv_norm_out", groups)?;
    let x = g.silu(&x);
    g.conv(&x, "decoder.conv_out")
}

fn resnet(g: &mut Graph<'_>, x: &str, name: &str, groups: usize) -> anyhow::Result<Value> {
    let mut y = x.to_owned();
    for part in [1, 2] {
        y = group_norm(g, &y, &format!("{name}.norm{part}"), groups)?;
        y = g.silu(&y);
        y = g.conv(&y, &format!("{name}.conv{part}"))?;
    }
    let shortcut = format!("{name}.conv_shortcut");
    let x = if g.has(&format!("{shortcut}.weight")) { g.conv(x, &shortcut)? } else { x.to_owned() };
    Ok(g.op("Add", &[&x, &y]))
}

/// Attention of one head among all positions.
fn attention(
    g: &mut Graph<'_>,
    x: &str,
    name: &str,
    groups: usize,
    config: &AutoencoderKlConfig,
) -> anyhow::Result<Value> {
    let width = *config.block_out_channels.last().expect("a validated configuration has stages");
    let y = group_norm(g, x, &format!("{name}.group_norm"), groups)?;
    let shape = g.ints(&[0, width as i64, -1]);
    let y = g.op("Reshape", &[&y, &shape]);
    let y = g.op_with("Transpose", &[&y], &[("perm", Attribute::Ints(&[0, 2, 1]))]); // [B, hw, C]
    let mut of_heads = |part: &str| -> anyhow::Result<Value> {
        let y = g.linear(&y, &format!("{name}.to_{part}"))?;
        Ok(g.heads(&y, 1, width))
    };
    let [q, k, v] = [of_heads("q")?, of_heads("k")?, of_heads("v")?];
    let y = g.attend([&q, &k, &v], None, [1, width]);
    let y = g.linear(&y, &format!("{name}.to_out.0"))?;
    let y = g.op_with("Transpose", &[&y], &[("perm", Attribute::Ints(&[0, 2, 1]))]);
    let shape = g.op("Shape", &[x]);
    let y = g.op("Reshape", &[&y, &shape]);
    Ok(g.op("Add", &[x, &y]))
}

/// A group norm, by the norm of instances, which older versions of the operators have, too.
fn group_norm(g: &mut Graph<'_>, x: &str, name: &str, groups: usize) -> anyhow::Result<Value> {
    let shape = g.ints(&[0, groups as i64, -1]);
    let y = g.op("Reshape", &[x, &shape]);
    let ones = g.floats(&[groups], &vec![1.0; groups]);
    let zeros = g.floats(&[groups], &vec![0.0; groups]);
    let epsilon = [("epsilon", Attribute::Float(1e-6))];
    let y = g.op_with("InstanceNormalization", &[&y, &ones, &zeros], &epsilon);
    let shape = g.op("Shape", &[x]);
    let y = g.op("Reshape", &[&y, &shape]);
    let scale = g.channels(&format!("{name}.weight"))?;
    let shift = g.channels(&format!("{name}.bias"))?;
    let y = g.op("Mul", &[&y, &scale]);
    Ok(g.op("Add", &[&y, &shift]))
}
