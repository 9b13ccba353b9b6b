//! Components as transformers and diffusers save them compute what they compute there.

use burn::tensor::{Device, Tensor};
use stride_models::{Component, Role, WeightFiles, image_encoder, text_encoder, vae};

use crate::expected::{check, expected, folder, token_ids};

fn check_text(folder_name: &str, case: &str) {
    let (_, model) = text_encoder(&folder(folder_name), &Device::flex()).expect("loadable");
    let context = model.forward(token_ids());
    check(&format!("{case} tokens"), context.tokens, expected(&format!("{case}.tokens")));
    check(&format!("{case} pooled"), context.pooled, expected(&format!("{case}.pooled")));
}

#[test]
fn text_encoders_agree_single_sharded_and_in_variants() {
    for case in ["text_plain", "text_sharded", "text_fp16", "text_fp16_sharded"] {
        check_text(case, case);
    }
    let component = Component::open(&folder("text_sharded"), Role::TextEncoder).expect("there");
    let files = component.weight_files().expect("weights");
    assert!(matches!(files, WeightFiles::Sharded { .. }));
    assert_eq!(component.files().expect("files").len(), 1 + 1 + 4);
}

#[test]
fn a_pipeline_serves_its_parts() {
    check_text("pipeline", "pipeline/text_encoder");
    check_vae("pipeline", "vae_fp16");
}

fn check_vae(folder_name: &str, case: &str) {
    let (_, model) = vae(&folder(folder_name), &Device::flex()).expect("loadable");
    let latents = model.encode(expected(&format!("{case}.pixels")));
    check(&format!("{case} latents"), latents.clone(), expected(&format!("{case}.latents")));
    check(&format!("{case} decoded"), model.decode(latents), expected(&format!("{case}.decoded")));
}

#[test]
fn autoencoders_agree_with_old_names_and_without_quantising_convolutions() {
    check_vae("vae_old", "vae_old");
    check_vae("taesd", "taesd");
}

fn normalised(x: Tensor<2>) -> Tensor<2> {
    let length = x.clone().powi_scalar(2).sum_dim(1).sqrt();
    x / length
}

#[test]
fn a_whole_clip_gives_both_encoders() {
    let device = Device::flex();
    let (_, text) = text_encoder(&folder("clip"), &device).expect("loadable");
    let context = text.forward(token_ids());
    check("clip tokens", context.tokens, expected("clip.tokens"));
    check("clip text_embeds", normalised(context.pooled), expected("clip.text_embeds"));
    let (_, image) = image_encoder(&folder("clip"), &device).expect("loadable");
    let output = image.forward(expected("clip.pixels"));
    let embeds = output.image_embeds.expect("a projection");
    check("clip image_embeds", normalised(embeds), expected("clip.image_embeds"));
}

#[test]
fn an_image_encoder_agrees() {
    let (config, model) = image_encoder(&folder("vision"), &Device::flex()).expect("loadable");
    assert_eq!(config.num_patches(), 4);
    let output = model.forward(expected("clip.pixels"));
    check("vision hidden", output.tokens, expected("vision.hidden"));
    check("vision pooled", output.pooled, expected("vision.pooled"));
    let embeds = output.image_embeds.expect("a projection");
    check("vision image_embeds", embeds, expected("vision.image_embeds"));
}
