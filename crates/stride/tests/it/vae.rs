//! The autoencoders against diffusers (`parity/export_vae.py`).

use burn::module::Module;
use burn::tensor::{Device, Distribution, Tensor, Tolerance};
use safetensors::SafeTensors;
use safetensors::tensor::TensorView;
use stride::vae::{AutoencoderKl, AutoencoderKlConfig, AutoencoderTinyConfig};
use stride::weights::{self, StoredDtype};

fn assert_close(found: Tensor<4>, expected: Tensor<4>) {
    let error: f32 = (found.clone() - expected.clone()).abs().max().into_scalar();
    let largest: f32 = expected.clone().abs().max().into_scalar();
    println!("largest value {largest:.3}, largest error {error:.2e}");
    found
        .into_data()
        .assert_approx_eq::<f32>(&expected.into_data(), Tolerance::rel_abs(1e-4, 1e-4));
}

fn kl_config() -> AutoencoderKlConfig {
    AutoencoderKlConfig {
        block_out_channels: vec![8, 16],
        down_block_types: vec!["DownEncoderBlock2D".to_owned(); 2],
        up_block_types: vec!["UpDecoderBlock2D".to_owned(); 2],
        layers_per_block: 1,
        norm_num_groups: 4,
        latent_channels: 3,
        scaling_factor: 0.5,
        ..AutoencoderKlConfig::default()
    }
}

fn check_kl(name: &str, bytes: &[u8], config: &AutoencoderKlConfig) {
    let device = Device::flex();
    let tensor = |key| weights::tensor::<4>(name, bytes, key, &device).expect("fixture");
    let model = config.init(&device).expect("valid");
    let model: AutoencoderKl = weights::load(model, name, bytes, "model.").expect("fixture fits");
    let posterior = model.posterior(tensor("pixels"));
    assert_close(posterior.mean.clone(), tensor("mean"));
    assert_close(posterior.logvar, tensor("logvar"));
    let latents = model.encode(tensor("pixels"));
    assert_close(latents.clone(), (posterior.mean - config.shift_factor) * 0.5);
    assert_close(model.decode(latents), tensor("decoded"));
}

#[test]
fn kl_agrees_with_diffusers() {
    let bytes = include_bytes!("../fixtures/autoencoder_kl.safetensors");
    check_kl("autoencoder_kl", bytes, &kl_config());
}

#[test]
fn kl_without_attention_and_quant_convolutions_agrees_with_diffusers() {
    let bytes = include_bytes!("../fixtures/autoencoder_kl_plain.safetensors");
    let config = AutoencoderKlConfig {
        mid_block_add_attention: false,
        use_quant_conv: false,
        use_post_quant_conv: false,
        shift_factor: 0.25,
        ..kl_config()
    };
    check_kl("autoencoder_kl_plain", bytes, &config);
}

#[test]
fn tiny_agrees_with_diffusers() {
    let bytes: &[u8] = include_bytes!("../fixtures/autoencoder_tiny.safetensors");
    let device = Device::flex();
    let tensor =
        |key| weights::tensor::<4>("autoencoder_tiny", bytes, key, &device).expect("fixture");
    let config = AutoencoderTinyConfig {
        encoder_block_out_channels: vec![8; 3],
        decoder_block_out_channels: vec![8; 3],
        num_encoder_blocks: vec![1, 2, 1],
        num_decoder_blocks: vec![1, 2, 1],
        ..AutoencoderTinyConfig::default()
    };
    let model = config.init(&device).expect("valid");
    let model = weights::load(model, "autoencoder_tiny", bytes, "model.").expect("fixture fits");
    assert_close(model.encode(tensor("pixels")), tensor("latents"));
    assert_close(model.decode(tensor("latents") * 2.0), tensor("decoded"));
}

#[test]
fn old_names_and_shapes_of_attention_are_read() {
    let device = Device::flex();
    let model = kl_config().init(&device).expect("valid");
    let present = weights::save(&model, "", StoredDtype::F32, &[]).expect("serialisable");
    let file = SafeTensors::deserialize(&present).expect("valid");
    let renamed = file.iter().map(|(name, view)| {
        if !name.contains(".attentions.") || name.contains("group_norm") {
            return (name.to_owned(), view);
        }
        let names = [
            (".to_q.", ".query."),
            (".to_k.", ".key."),
            (".to_v.", ".value."),
            (".to_out.0.", ".proj_attn."),
        ];
        let name = names.iter().fold(name.to_owned(), |n, (new, old)| n.replace(new, old));
        let mut shape = view.shape().to_vec();
        if shape.len() == 2 {
            shape.extend([1, 1]);
        }
        (name, TensorView::new(view.dtype(), shape, view.data()).expect("same numbers"))
    });
    let old = safetensors::serialize(renamed.collect::<Vec<_>>(), None).expect("serialisable");
    assert!(
        SafeTensors::deserialize(&old)
            .expect("valid")
            .names()
            .iter()
            .any(|n| n.contains(".query."))
    );
    let loaded = kl_config().init(&device).expect("valid").load("old", &old).expect("fits");
    assert_eq!(weights::save(&loaded, "", StoredDtype::F32, &[]).expect("serialisable"), present);
}

#[test]
fn a_batch_of_images_equals_its_images_alone() {
    let device = Device::flex();
    let model = kl_config().init(&device).expect("valid");
    let pixels = Tensor::<4>::random([3, 3, 16, 16], Distribution::Uniform(-1.0, 1.0), &device);
    let together = model.decode(model.encode(pixels.clone()));
    for i in 0..3 {
        let alone = model.decode(model.encode(pixels.clone().narrow(0, i, 1)));
        assert_close(alone, together.clone().narrow(0, i, 1));
    }
}

/// Shapes of the full autoencoder of Stable Diffusion; a minute of work, so only on demand.
#[test]
fn stable_diffusion_shapes() {
    if std::env::var_os("RUN_SLOW_TESTS").is_none() {
        return;
    }
    let device = Device::flex();
    let model = AutoencoderKlConfig::default().init(&device).expect("valid");
    assert_eq!(model.num_params(), 83_653_863);
    let latents = model.encode(Tensor::zeros([1, 3, 256, 256], &device));
    assert_eq!(latents.dims(), [1, 4, 32, 32]);
    let start = std::time::Instant::now();
    let pixels = model.decode(latents);
    assert_eq!(pixels.dims(), [1, 3, 256, 256]);
    assert!(pixels.into_data().iter::<f32>().all(f32::is_finite));
    println!("decoding at 256: {:.1} s", start.elapsed().as_secs_f64());
}
