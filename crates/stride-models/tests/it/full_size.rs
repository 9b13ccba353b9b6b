//! Networks of real size through files; a minute and a gigabyte, so only on demand.

use std::fs;
use std::process::Command;
use std::time::Instant;

use burn::module::Module;
use burn::tensor::Device;
use serde_json::Value;
use stride::clip::{ClipTextConfig, ClipVisionConfig};
use stride::vae::{AutoencoderConfig, AutoencoderKlConfig};
use stride::weights::{StoredDtype, save};
use stride_models::{Description, image_encoder, text_encoder, vae};

/// Writes a component, has it loaded again, and compares every byte.
fn round_trip<M: Module, N: Module>(
    class: &str,
    mut config: Value,
    model: &M,
    load: impl Fn(&std::path::Path) -> N,
) -> usize {
    let dir = tempfile::tempdir().expect("folder");
    let is_diffusers = class.starts_with("Autoencoder");
    let name = if is_diffusers { "diffusion_pytorch_model" } else { "model" };
    if is_diffusers {
        config["_class_name"] = class.into()
    } else {
        config["architectures"] = serde_json::json!([class])
    }
    fs::write(dir.path().join("config.json"), config.to_string()).expect("writable");
    let bytes = save(model, "", StoredDtype::F32, &[]).expect("serialisable");
    fs::write(dir.path().join(format!("{name}.safetensors")), &bytes).expect("writable");
    let start = Instant::now();
    let loaded = load(dir.path());
    println!("{class}: loaded in {:.1} s", start.elapsed().as_secs_f64());
    assert!(save(&loaded, "", StoredDtype::F32, &[]).expect("serialisable") == bytes, "{class}");
    let description = Description::of(dir.path()).expect("a component");
    assert_eq!(description.class.as_deref(), Some(class));
    assert_eq!(description.parameters, model.num_params());
    description.parameters
}

fn to_json(config: &impl serde::Serialize) -> Value {
    serde_json::to_value(config).expect("JSON")
}

const ALONE: &str = "STRIDE_TEST_ALONE";

#[test]
fn real_sizes_are_loaded_bit_by_bit() {
    if std::env::var_os("RUN_SLOW_TESTS").is_none() {
        return;
    }
    // In a process of its own: other tests have a bound on the memory of theirs.
    if std::env::var_os(ALONE).is_none() {
        let tests = std::env::current_exe().expect("a running program");
        let name = "full_size::real_sizes_are_loaded_bit_by_bit";
        let run =
            Command::new(tests).args([name, "--exact", "--nocapture"]).env(ALONE, "1").status();
        assert!(run.expect("the tests start").success());
        return;
    }
    let device = Device::flex();
    // openai/clip-vit-base-patch32: 63.4M and 87.8M parameters with their projections.
    let architectures = Some(vec!["CLIPTextModelWithProjection".to_owned()]);
    let text = ClipTextConfig { architectures, ..ClipTextConfig::default() };
    let model = text.init(&device).expect("valid");
    let load = |dir: &std::path::Path| text_encoder(dir, &Device::flex()).expect("loadable").1;
    let count = round_trip("CLIPTextModelWithProjection", to_json(&text), &model, load);
    assert_eq!(count, 63_428_096);
    let architectures = Some(vec!["CLIPVisionModelWithProjection".to_owned()]);
    let vision = ClipVisionConfig { architectures, ..ClipVisionConfig::default() };
    let model = vision.init(&device).expect("valid");
    let load = |dir: &std::path::Path| image_encoder(dir, &Device::flex()).expect("loadable").1;
    let count = round_trip("CLIPVisionModelWithProjection", to_json(&vision), &model, load);
    assert_eq!(count, 87_849_216);
    let config = AutoencoderConfig::Kl(AutoencoderKlConfig::default());
    let model = config.init(&device).expect("valid");
    let load = |dir: &std::path::Path| vae(dir, &Device::flex()).expect("loadable").1;
    let count = round_trip("AutoencoderKL", to_json(&config), &model, load);
    assert_eq!(count, 83_653_863);
}
