//! The rows about generating: text, denoising step, decoding, and all of it.

use std::ops::ControlFlow;

use anyhow::Result;
use burn::tensor::{Bool, Tensor, TensorData};
use stride::context::TextContext;
use stride::pipeline::GenerateRequest;
use stride::vae::{Autoencoder, AutoencoderConfig};

use super::flops;
use super::report::Recorder;
use super::subject::{PROMPT, Subject, draw_weights, random};

/// Images at once of the denoising rows.
const DENOISE_BATCHES: [usize; 3] = [1, 4, 16];
/// Steps of the rows from sentence to image.
const STEP_COUNTS: [usize; 3] = [1, 4, 128];

/// One caption's tokens to its context.
pub(super) fn text(subject: &Subject, recorder: &mut Recorder) -> Result<()> {
    let parts = subject.parts();
    draw_weights(&parts.text_encoder);
    let captions = subject.captions(1, &subject.device);
    recorder.row("text", subject.text_flops(), || {
        let encode = || parts.text_encoder.forward(captions.clone());
        Ok(subject.pipeline.precision().scope(encode).pooled.into_data())
    })
}

/// One Euler step for several images at once.
pub(super) fn denoise(subject: &Subject, recorder: &mut Recorder) -> Result<()> {
    let dit = &subject.parts().dit;
    draw_weights(dit);
    for batch in DENOISE_BATCHES {
        let context = random_context(subject, batch);
        let x = random(subject.latent_shape(batch), &subject.device);
        let column = |value: f64| Tensor::<1>::full([batch], value, &subject.device);
        // The second of four steps.
        let (t, log2_steps, step_size) = (column(0.25), column(2.0), 0.25);
        recorder.row(&format!("denoise_b{batch}"), batch as f64 * subject.dit_flops(), || {
            let velocity = subject
                .pipeline
                .precision()
                .scope(|| dit.forward(x.clone(), t.clone(), log2_steps.clone(), &context));
            Ok((x.clone() + velocity * step_size).into_data())
        })?;
    }
    Ok(())
}

/// Latents of one image to pixels, with every decoder there is.
pub(super) fn decode(subject: &Subject, recorder: &mut Recorder) -> Result<()> {
    let parts = subject.parts();
    decode_with(subject, "decode", (&parts.vae_config, &parts.vae), recorder)?;
    match &subject.tiny {
        Some((config, tiny)) => decode_with(subject, "decode_taesd", (config, tiny), recorder),
        None => Ok(()),
    }
}

fn decode_with(
    subject: &Subject,
    name: &str,
    (config, autoencoder): (&AutoencoderConfig, &Autoencoder),
    recorder: &mut Recorder,
) -> Result<()> {
    draw_weights(autoencoder);
    let latents = random(subject.latent_shape(1), &subject.device);
    let counted = flops::decoder(config, subject.pipeline.index().resolution);
    let decode = || autoencoder.decode(latents.clone()).into_data();
    recorder.row(name, counted, || Ok(subject.pipeline.precision().scope(decode)))
}

/// A sentence to an image in memory, for several step counts, without guidance.
pub(super) fn end_to_end(subject: &Subject, recorder: &mut Recorder) -> Result<()> {
    let parts = subject.parts();
    draw_weights(&parts.text_encoder);
    draw_weights(&parts.dit);
    draw_weights(&parts.vae);
    let decoder = flops::decoder(&parts.vae_config, parts.index.resolution);
    for num_steps in STEP_COUNTS {
        let counted = subject.text_flops() + num_steps as f64 * subject.dit_flops() + decoder;
        let request = GenerateRequest {
            prompt: PROMPT.to_owned(),
            negative_prompt: None,
            num_steps,
            cfg_scale: 1.0,
            seed: 0,
            count: 1,
            as_typed: true,
        };
        recorder.row(&format!("e2e_{num_steps}"), counted, || {
            Ok(subject.pipeline.generate(&request, &mut |_| ControlFlow::Continue(()))?)
        })?;
    }
    Ok(())
}

/// What a text encoder could have said about `batch` captions without padding.
fn random_context(subject: &Subject, batch: usize) -> TextContext {
    let (length, device) = (subject.context_length(), &subject.device);
    let width = subject.parts().dit.config().context_dim;
    let no_padding = TensorData::new(vec![false; batch * length], [batch, length]);
    TextContext {
        tokens: random([batch, length, width], device),
        padding_mask: Tensor::<2, Bool>::from_data(no_padding, device),
        pooled: random([batch, width], device),
    }
}
