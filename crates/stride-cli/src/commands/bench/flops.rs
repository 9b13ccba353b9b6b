//! Arithmetic counted from shapes: the one place that says what a GFLOP of `stride bench` is.
//!
//! Counted are products of matrices and convolutions, at two operations a multiply-add. Left out
//! is what runs once per number (norms, activations, softmax, biases, residual sums, the optimizer),
//! since it is a small part of the operations, if not of the time. Causal attention counts in
//! full, and so do the padded borders of convolutions, since that is what the plain algorithms
//! compute. A backward pass counts twice the forward pass: one product for the gradient of the
//! input and one for that of the weights.

use stride::dit::{DitConfig, MlpKind};
use stride::text::TextEncoderConfig;
use stride::vae::{AutoencoderConfig, AutoencoderKlConfig, AutoencoderTinyConfig};

/// A product of `[rows, from]` with `[from, to]`.
fn product(rows: usize, from: usize, to: usize) -> f64 {
    2.0 * rows as f64 * from as f64 * to as f64
}

/// A convolution `from` to `to` channels with a `kernel` x `kernel` kernel that gives `side` x
/// `side` positions.
fn convolution(side: usize, from: usize, to: usize, kernel: usize) -> f64 {
    product(side * side, from * kernel * kernel, to)
}

/// Scores of `queries` against `keys` and the sum of values, over all heads of joint width `width`.
fn attention(queries: usize, keys: usize, width: usize) -> f64 {
    2.0 * product(queries, keys, width)
}

/// One caption through the text encoder, with `length` tokens of caption and queries.
pub(super) fn text_encoder(config: &TextEncoderConfig, length: usize) -> f64 {
    let width = config.hidden_size();
    let (inner, layers, projection) = match config {
        TextEncoderConfig::Clip(config) => (
            config.intermediate_size,
            config.num_hidden_layers,
            if config.has_projection() { product(1, width, config.pooled_size()) } else { 0.0 },
        ),
        TextEncoderConfig::Query(config) => {
            (config.intermediate_size, config.num_hidden_layers, 0.0)
        }
    };
    let layer = 4.0 * product(length, width, width)
        + attention(length, length, width)
        + 2.0 * product(length, width, inner);
    layers as f64 * layer + projection
}

/// One image through the transformer, with a caption of `length` tokens.
pub(super) fn transformer(config: &DitConfig, length: usize) -> f64 {
    /// Numbers in the sinusoid of a scalar embedder.
    const FREQUENCY_DIM: usize = 256;

    let (t, d, e) = (config.num_tokens(), config.hidden_size, config.context_dim);
    let patch = config.in_channels * config.patch_size.pow(2);
    let conditioning = config.text_conditioning;

    let embedders = 2.0 * (product(1, FREQUENCY_DIM, d) + product(1, d, d));
    let pooled = if conditioning.uses_pooled() { product(1, e, d) } else { 0.0 };
    let self_attention = 4.0 * product(t, d, d) + attention(t, t, d);
    let cross_attention = if conditioning.uses_tokens() {
        2.0 * product(t, d, d) + 2.0 * product(length, e, d) + attention(t, length, d)
    } else {
        0.0
    };
    let products_of_mlp = match config.mlp {
        MlpKind::Gelu => 2.0,
        MlpKind::Swiglu => 3.0,
    };
    let mlp = products_of_mlp * product(t, d, config.mlp_hidden_size());
    let block = product(1, d, 6 * d) + self_attention + cross_attention + mlp;
    let final_layer = product(1, d, 2 * d) + product(t, d, patch);
    product(t, patch, d) + embedders + pooled + config.depth as f64 * block + final_layer
}

/// One image of `resolution` x `resolution` pixels out of the decoder.
pub(super) fn decoder(config: &AutoencoderConfig, resolution: usize) -> f64 {
    let latent_side = resolution / config.downsampling_factor().max(1);
    match config {
        AutoencoderConfig::Kl(config) => kl_decoder(config, latent_side),
        AutoencoderConfig::Tiny(config) => tiny_decoder(config, latent_side),
    }
}

fn kl_decoder(config: &AutoencoderKlConfig, latent_side: usize) -> f64 {
    let widths: Vec<usize> = config.block_out_channels.iter().rev().copied().collect();
    let (Some(&first), Some(&last)) = (widths.first(), widths.last()) else {
        return 0.0;
    };
    let resnet = |side: usize, from: usize, to: usize| {
        let shortcut = if from == to { 0.0 } else { convolution(side, from, to, 1) };
        convolution(side, from, to, 3) + convolution(side, to, to, 3) + shortcut
    };
    let mut side = latent_side;
    let positions = side * side;
    let latents = config.latent_channels;

    let post_quant =
        if config.use_post_quant_conv { convolution(side, latents, latents, 1) } else { 0.0 };
    let mut sum = post_quant + convolution(side, latents, first, 3);
    sum += 2.0 * resnet(side, first, first);
    if config.mid_block_add_attention {
        sum += 4.0 * product(positions, first, first) + attention(positions, positions, first);
    }
    for (stage, &width) in widths.iter().enumerate() {
        let before = widths[stage.saturating_sub(1)];
        sum += resnet(side, before, width);
        sum += config.layers_per_block as f64 * resnet(side, width, width);
        if stage + 1 < widths.len() {
            side *= 2;
            sum += convolution(side, width, width, 3);
        }
    }
    sum + convolution(side, last, config.out_channels, 3)
}

fn tiny_decoder(config: &AutoencoderTinyConfig, latent_side: usize) -> f64 {
    let widths = &config.decoder_block_out_channels;
    let (latents, pixels) = (config.latent_channels, config.out_channels);
    let mut side = latent_side;
    let mut sum = widths.first().map_or(0.0, |&first| convolution(side, latents, first, 3));
    for (stage, (&width, &blocks)) in widths.iter().zip(&config.num_decoder_blocks).enumerate() {
        sum += 3.0 * blocks as f64 * convolution(side, width, width, 3);
        sum += if let Some(&next) = widths.get(stage + 1) {
            side *= 2;
            convolution(side, width, next, 3)
        } else {
            convolution(side, width, pixels * config.decoder_pixel_shuffle.pow(2), 3)
        };
    }
    let color = if config.color_skip { convolution(latent_side, latents, pixels, 1) } else { 0.0 };
    sum + color
}

#[cfg(test)]
mod tests {
    use stride::clip::ClipTextConfig;
    use stride::dit::TextConditioning;
    use stride::text::QueryTextConfig;

    use super::*;

    /// Tokens of the caption.
    const LENGTH: usize = 16;

    fn assert_close(name: &str, counted: f64, gflop: f64) {
        let error = counted / 1e9 / gflop - 1.0;
        assert!(error.abs() < 1e-9, "{name}: {} for {gflop}, {error:e} off", counted / 1e9);
    }

    /// `python benches/peers/pytorch.py --preset dit-b2 --count-flops`, which lets PyTorch 2.15 count.
    #[test]
    fn the_counts_are_those_of_pytorch() {
        assert_close(
            "text",
            text_encoder(&ClipTextConfig::default().into(), LENGTH),
            1.214_251_008,
        );
        assert_close("DiT-S/2", transformer(&DitConfig::s(2), LENGTH), 12.109_086_72);
        assert_close("DiT-B/2", transformer(&DitConfig::b(2), LENGTH), 46.006_272);
        let kl = AutoencoderConfig::Kl(AutoencoderKlConfig::default());
        assert_close("AutoencoderKL", decoder(&kl, 256), 622.187_282_432);
        let tiny = AutoencoderConfig::Tiny(AutoencoderTinyConfig::default());
        assert_close("AutoencoderTiny", decoder(&tiny, 256), 35.337_535_488);
    }

    #[test]
    fn encoders_of_one_shape_cost_the_same_a_token() {
        let query = QueryTextConfig::default();
        let clip = ClipTextConfig {
            hidden_size: query.hidden_size,
            intermediate_size: query.intermediate_size,
            num_hidden_layers: query.num_hidden_layers,
            ..ClipTextConfig::default()
        };
        assert_eq!(text_encoder(&query.into(), LENGTH), text_encoder(&clip.into(), LENGTH));
    }

    #[test]
    fn attention_to_the_text_adds_to_the_pooled_vector() {
        let pooled = DitConfig::s(2);
        let both =
            DitConfig { text_conditioning: TextConditioning::PooledAndTokens, ..DitConfig::s(2) };
        let (t, d, e, length) = (256.0, 384.0, 512.0, 10.0);
        let per_block = 4.0 * (t * d * d + length * e * d + t * length * d);
        let added = transformer(&both, 10) - transformer(&pooled, 10);
        assert!((added / (12.0 * per_block) - 1.0).abs() < 1e-9, "{added}");
    }
}
