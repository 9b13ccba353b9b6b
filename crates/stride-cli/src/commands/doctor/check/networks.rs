//! Every network, tiny and with random weights: outputs, and gradients of all weights.

use anyhow::Result;
use burn::module::Module;
use burn::tensor::{Device, Tensor};
use stride::classifier::{Attribute, AttributeClassifierConfig};
use stride::clip::{ClipTextConfig, ClipVisionConfig};
use stride::dit::{DitConfig, MlpKind, NormKind, TextConditioning};
use stride::objective::NetworkInput;
use stride::text::{QueryTextConfig, TextEncoder, TextEncoderConfig};
use stride::vae::{Autoencoder, AutoencoderConfig, AutoencoderKlConfig, AutoencoderTinyConfig};
use stride_train::TextToLatent;

use super::comparison::{Case, Computation, Outcome};
use super::samples::{VOCABULARY, captions, differentiated, on, opened, random};

/// Width of the text encoders.
const TEXT_WIDTH: usize = 16;

/// Everything, by name.
pub(super) fn all() -> Vec<Case> {
    let all: [Case; 10] = [
        ("CLIP text encoder", || text_encoder(&clip().into())),
        ("query text encoder", || text_encoder(&query().into())),
        ("CLIP image encoder", image_encoder),
        ("transformer", || transformer(plain_transformer())),
        ("transformer, all options", || transformer(full_transformer())),
        ("transformer, frozen text", frozen_text),
        ("KL autoencoder", || autoencoder(&kl(), false)),
        ("tiny autoencoder", || autoencoder(&tiny(), false)),
        ("decoder alone", || autoencoder(&tiny(), true)),
        ("classifier", classifier),
    ];
    all.into()
}

pub(super) fn clip() -> ClipTextConfig {
    ClipTextConfig {
        vocab_size: VOCABULARY,
        hidden_size: TEXT_WIDTH,
        intermediate_size: 32,
        num_hidden_layers: 2,
        num_attention_heads: 2,
        max_position_embeddings: 77,
        eos_token_id: VOCABULARY - 1,
        ..ClipTextConfig::default()
    }
}

fn query() -> QueryTextConfig {
    QueryTextConfig {
        vocab_size: VOCABULARY,
        num_queries: 3,
        hidden_size: TEXT_WIDTH,
        intermediate_size: 32,
        num_hidden_layers: 2,
        num_attention_heads: 2,
        eos_token_id: VOCABULARY - 1,
        ..QueryTextConfig::default()
    }
}

fn text_encoder(config: &TextEncoderConfig) -> Result<Computation> {
    let encoder = opened(config.init(&Device::flex().autodiff())?);
    Ok(Box::new(move |device| {
        let encoder = on(&encoder, device);
        let context = encoder.forward(captions(4, &device.clone().autodiff()));
        let all = [context.tokens.flatten::<1>(0, 2), context.pooled.flatten::<1>(0, 1)];
        Ok(differentiated(&encoder, "context", Tensor::cat(all.into(), 0)))
    }))
}

fn image_encoder() -> Result<Computation> {
    let config = ClipVisionConfig {
        hidden_size: 16,
        intermediate_size: 32,
        num_hidden_layers: 2,
        num_attention_heads: 2,
        image_size: 16,
        patch_size: 4,
        ..ClipVisionConfig::default()
    };
    let encoder = opened(config.init(&Device::flex().autodiff())?);
    Ok(Box::new(move |device| {
        let encoder = on(&encoder, device).valid();
        let output = encoder.forward(random(0, [2, 3, 16, 16], device));
        Ok(Outcome::of("tokens", output.tokens).with("pooled", output.pooled))
    }))
}

pub(super) fn plain_transformer() -> DitConfig {
    DitConfig {
        input_size: 4,
        patch_size: 2,
        in_channels: 4,
        hidden_size: 24,
        depth: 2,
        num_heads: 2,
        context_dim: TEXT_WIDTH,
        ..DitConfig::s(2)
    }
}

fn full_transformer() -> DitConfig {
    DitConfig {
        text_conditioning: TextConditioning::PooledAndTokens,
        time_scale: 1000.0,
        guidance_input: true,
        velocity_head: true,
        qk_norm: true,
        mlp: MlpKind::Swiglu,
        norm: NormKind::RmsNorm,
        rope: true,
        ..plain_transformer()
    }
}

/// A transformer with CLIP's text encoder.
pub(super) fn text_to_latent(config: &DitConfig) -> Result<TextToLatent> {
    let cpu = Device::flex().autodiff();
    let text_encoder = TextEncoder::Clip(clip().init(&cpu)?);
    Ok(opened(TextToLatent { dit: config.init(&cpu)?, text_encoder }))
}

fn transformer(config: DitConfig) -> Result<Computation> {
    let network = text_to_latent(&config)?;
    Ok(Box::new(move |device| compute_transformer(&on(&network, device), device)))
}

fn frozen_text() -> Result<Computation> {
    let TextToLatent { dit, text_encoder } = text_to_latent(&plain_transformer())?;
    let network = TextToLatent { dit, text_encoder: text_encoder.no_grad() };
    Ok(Box::new(move |device| compute_transformer(&on(&network, device), device)))
}

fn compute_transformer(network: &TextToLatent, device: &Device) -> Result<Outcome> {
    let column = |values: [f32; 4]| Tensor::<1>::from_floats(values, device);
    let config = network.dit.config();
    let input = NetworkInput {
        x_t: random(0, [4, config.in_channels, config.input_size, config.input_size], device),
        t: column([0.0, 0.25, 0.5, 0.9]),
        log2_steps: column([0.0, 1.0, 3.0, 7.0]),
        guidance_scale: config.guidance_input.then(|| column([1.0, 2.0, 1.5, 4.0])),
    };
    let captions = captions(4, &device.clone().autodiff());
    let input = input.for_student();
    let output = if config.velocity_head {
        Tensor::cat(network.forward_both(input, captions).into(), 0)
    } else {
        network.forward(input, captions)
    };
    Ok(differentiated(network, "velocity", output))
}

fn kl() -> AutoencoderConfig {
    AutoencoderConfig::Kl(AutoencoderKlConfig {
        down_block_types: vec!["DownEncoderBlock2D".to_owned(); 2],
        up_block_types: vec!["UpDecoderBlock2D".to_owned(); 2],
        block_out_channels: vec![8, 12],
        layers_per_block: 1,
        norm_num_groups: 4,
        ..AutoencoderKlConfig::default()
    })
}

fn tiny() -> AutoencoderConfig {
    AutoencoderConfig::Tiny(AutoencoderTinyConfig {
        encoder_block_out_channels: vec![8; 2],
        decoder_block_out_channels: vec![8; 2],
        num_encoder_blocks: vec![1; 2],
        num_decoder_blocks: vec![1; 2],
        encoder_pixel_shuffle: 2,
        decoder_pixel_shuffle: 2,
        color_skip: true,
        ..AutoencoderTinyConfig::default()
    })
}

fn autoencoder(config: &AutoencoderConfig, decoder_alone: bool) -> Result<Computation> {
    let network = opened(config.init(&Device::flex().autodiff())?);
    Ok(Box::new(move |device| {
        let network = on(&network, device);
        let encoder = if decoder_alone { network.clone().no_grad() } else { network.clone() };
        let pixels = random(0, [2, 3, 16, 16], device);
        let moments = encoder.encode_moments(Tensor::from_inner(pixels.clone()));
        let latents = encoder.encode(Tensor::from_inner(pixels));
        let pixels = network.decode(latents);
        let all = [moments.flatten::<1>(0, 3), pixels.flatten::<1>(0, 3)];
        Ok(differentiated::<Autoencoder, 1>(
            &network,
            "moments and pixels",
            Tensor::cat(all.into(), 0),
        ))
    }))
}

fn classifier() -> Result<Computation> {
    let attribute = |name: &str, count: usize| Attribute {
        name: name.to_owned(),
        values: (0..count).map(|value| value.to_string()).collect(),
    };
    let config = AttributeClassifierConfig {
        resolution: 16,
        widths: vec![8, 16],
        feature_size: 12,
        attributes: vec![attribute("hair", 3), attribute("hat", 2)],
    };
    let network = opened(config.init(&Device::flex().autodiff())?);
    Ok(Box::new(move |device| {
        let network = on(&network, device);
        let pixels = Tensor::from_inner(random(0, [2, 3, 16, 16], device));
        Ok(differentiated(&network, "logits", network.forward(pixels).logits))
    }))
}
