//! Transformer training on latents: made by the run itself, and from a prepared folder.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use burn::tensor::{Device, Tensor};
use stride::noise::keyed_rng;
use stride::tokenizer::ClipTokenizer;
use stride::vae::AutoencoderConfig;
use stride::weights::{self, StoredDtype};
use stride_data::{
    LatentEncoder as _, Limits, Preparation, PreparedSet, Record, Source, SourceOptions, View,
};
use stride_kernels::gemm::Compute;
use stride_train::{
    ImageEncoder, LogProgress, Progress, ProgressUpdate, Resume, RunStart, RunSummary, TrainError,
    dry_run, run,
};

use crate::small::{DIT, write_images};

/// The text encoder of the runs.
const TEXT_ENCODER: &str = r#"
[dit.text_encoder]
hidden_size = 16
intermediate_size = 32
num_hidden_layers = 1
num_attention_heads = 2
"#;

/// A variational autoencoder, as diffusers would describe it.
const KL: &str = r#"{
    "_class_name": "AutoencoderKL", "block_out_channels": [4, 4, 4], "layers_per_block": 1,
    "down_block_types": ["DownEncoderBlock2D", "DownEncoderBlock2D", "DownEncoderBlock2D"],
    "up_block_types": ["UpDecoderBlock2D", "UpDecoderBlock2D", "UpDecoderBlock2D"],
    "norm_num_groups": 2, "scaling_factor": 0.5, "shift_factor": 0.1
}"#;

/// One without variances.
const TINY: &str = r#"{
    "_class_name": "AutoencoderTiny",
    "encoder_block_out_channels": [4, 4, 4], "decoder_block_out_channels": [4, 4, 4],
    "num_encoder_blocks": [1, 1, 1], "num_decoder_blocks": [1, 1, 1]
}"#;

/// A folder with images in `data` and an autoencoder in `vae`.
fn place(vae: &str) -> tempfile::TempDir {
    let place = tempfile::tempdir().expect("folder");
    let pixels = |index: usize| (0..16 * 16 * 3).map(|i| (i * (index + 2)) as u8).collect();
    let fields = |index| format!("\"text\":\"image {index}\"");
    write_images(&place.path().join("data"), 16, 7, pixels, fields);
    let folder = place.path().join("vae");
    fs::create_dir(&folder).expect("writable");
    fs::write(folder.join("config.json"), vae).expect("writable");
    let config: AutoencoderConfig = serde_json::from_str(vae).expect("a configuration");
    let device = Device::flex();
    device.seed(3);
    let model = config.init(&device).expect("valid");
    let bytes = weights::save(&model, "", StoredDtype::F32, &[]).expect("writable");
    fs::write(folder.join("diffusion_pytorch_model.safetensors"), bytes).expect("writable");
    place
}

fn train_with(
    place: &Path,
    run_dir: &str,
    settings: &[&str],
    stop: &AtomicBool,
) -> Result<RunSummary, TrainError> {
    let mut progress = LogProgress::new(Duration::from_secs(60));
    train_from(place, run_dir, settings, None, &mut progress, stop)
}

fn train_from(
    place: &Path,
    run_dir: &str,
    settings: &[&str],
    resume: Option<Resume>,
    progress: &mut dyn Progress,
    stop: &AtomicBool,
) -> Result<RunSummary, TrainError> {
    let path = place.join("run.toml");
    fs::write(&path, [DIT, TEXT_ENCODER].concat()).expect("writable");
    let in_place = |(key, value): (&str, &str)| format!("{key}={}", place.join(value).display());
    let mut overrides = vec![in_place(("dit.autoencoder", "vae"))];
    overrides.extend(settings.iter().map(|setting| match setting.split_once("=@") {
        Some(pair) => in_place(pair),
        None => (*setting).to_owned(),
    }));
    let start = RunStart { resume, ..RunStart::default() };
    run(&path, &overrides, &start, Some(&place.join(run_dir)), progress, stop)
}

/// Trains two steps; `=@` in a setting stands for a path in the folder.
fn train(place: &Path, run_dir: &str, settings: &[&str]) -> Result<RunSummary, TrainError> {
    train_with(place, run_dir, settings, &AtomicBool::new(false))
}

fn encoder(place: &Path, compute: Compute) -> ImageEncoder {
    ImageEncoder::open(&place.join("vae"), 16, compute, &Device::flex()).expect("fits")
}

fn prepare(place: &Path, out: &str) {
    let source = Source::open(&place.join("data"), &SourceOptions::default()).expect("valid");
    let encoder = encoder(place, Compute::F32);
    let captions = |record: &Record| record.captions.clone();
    let stop = AtomicBool::new(false);
    let summary = Preparation::new(&source, &encoder, &captions, &stop)
        .run(&place.join(out), &mut |_| {})
        .expect("prepared");
    assert_eq!(summary.images, 7);
}

const CACHED: [&str; 2] = ["data.dir=@data", "dit.latent_cache=@latents"];

/// All that a run has learned.
fn model(place: &Path, run_dir: &str) -> Vec<u8> {
    let model = place.join(run_dir).join("model/transformer/diffusion_pytorch_model.safetensors");
    fs::read(model).expect("exported")
}

/// Whether this test has a process of its own; if not, runs it in one and fails with it.
///
/// Weights are drawn from a generator of the whole process, so that tests beside this one would change them.
fn has_own_process(test: &str) -> bool {
    if std::env::var_os(ALONE).is_some() {
        return true;
    }
    let tests = std::env::current_exe().expect("a running program");
    let run = Command::new(tests).args([test, "--exact"]).env(ALONE, "1").output();
    let run = run.expect("the tests start");
    let text = String::from_utf8_lossy(&run.stdout);
    assert!(run.status.success() && text.contains("1 passed"), "{text}");
    false
}

const ALONE: &str = "STRIDE_TEST_ALONE";

#[test]
fn a_prepared_folder_and_images_train_the_same_model() {
    if !has_own_process("dit::a_prepared_folder_and_images_train_the_same_model") {
        return;
    }
    for vae in [KL, TINY] {
        let place = place(vae);
        let place = place.path();
        let summary = train(place, "from-images", &CACHED).expect("trains");
        assert_eq!(summary.steps, 2);
        prepare(place, "prepared");
        fs::rename(place.join("data"), place.join("away")).expect("there");
        train(place, "prepared-run", &["data.prepared=@prepared"]).expect("trains");
        // Mirror images in the folder change nothing as long as nobody asks for them.
        assert_eq!(model(place, "from-images"), model(place, "prepared-run"));
        let flipped = ["data.prepared=@prepared", "data.flip=true"];
        train(place, "flipped", &flipped).expect("trains");
        assert_ne!(model(place, "flipped"), model(place, "prepared-run"));
        train(place, "again", &flipped).expect("trains");
        assert_eq!(model(place, "flipped"), model(place, "again"));
    }
}

#[test]
fn latents_in_bf16_are_close_to_those_in_f32() {
    for vae in [KL, TINY] {
        let place = place(vae);
        let pixels: Vec<f32> = (0..2 * 3 * 16 * 16).map(|i| (i % 89) as f32 / 44.5 - 1.0).collect();
        let [exact, rounded] = [Compute::F32, Compute::Bf16]
            .map(|compute| encoder(place.path(), compute).encode(pixels.clone()));
        let square = |values: &[f32]| values.iter().map(|v| f64::from(v * v)).sum::<f64>();
        let difference: Vec<f32> = exact.iter().zip(&rounded).map(|(a, b)| a - b).collect();
        let error = (square(&difference) / square(&exact)).sqrt();
        println!("relative error in bf16: {error:.1e}");
        assert!(error > 0.0 && error < 2e-2, "{error}");
    }
}

#[test]
fn latents_are_scaled_once() {
    for vae in [KL, TINY] {
        let place = place(vae);
        prepare(place.path(), "prepared");
        let set = PreparedSet::open(&place.path().join("prepared"), None).expect("whole");
        let device = Device::flex();
        let encoder = encoder(place.path(), Compute::F32);
        let bytes = fs::read(place.path().join("data/3.png")).expect("there");
        let image = stride_data::decode(&bytes, &Limits::default()).expect("an image");
        let pixels: Vec<f32> = image.as_raw().iter().map(|&v| f32::from(v) / 127.5 - 1.0).collect();
        let pixels = burn::tensor::TensorData::new(pixels, [1, 16, 16, 3]);
        let pixels = Tensor::<4>::from_data(pixels, &device).permute([0, 3, 1, 2]);
        let check = |view, pixels: Tensor<4>| {
            let expected: Vec<f32> = encoder.model().encode(pixels).into_data().iter().collect();
            let mut found = vec![0.0; expected.len()];
            // What is drawn is spread around the latent; many draws have it as their mean.
            let draws = if encoder.is_variational() { 2000 } else { 1 };
            let mut mean = vec![0.0; expected.len()];
            for draw in 0..draws {
                set.write_sample(3, view, &mut keyed_rng(0, 0, 0, draw), &mut found);
                mean.iter_mut().zip(&found).for_each(|(mean, v)| *mean += v / draws as f32);
            }
            let error = mean.iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            println!("{view:?}: {error}");
            assert!(error < if draws > 1 { 0.1 } else { 2e-3 }, "{view:?}: {error}");
            if view == View::Plain {
                set.write_mean(3, &mut found);
                let error = found.iter().zip(&expected).map(|(a, b)| (a - b).abs());
                assert!(error.fold(0.0, f32::max) < 2e-3);
            }
        };
        check(View::Plain, pixels.clone());
        check(View::Mirrored, pixels.flip([3]));
    }
}

#[test]
fn latents_that_do_not_fit_are_named() {
    let place = place(TINY);
    let place = place.path();
    prepare(place, "prepared");
    let error = |settings: &[&str]| train(place, "run", settings).expect_err("misfit").to_string();
    let prepared = "data.prepared=@prepared";
    for (settings, expected) in [
        (&[prepared, "dit.latent_cache=@latents"][..], "either prepared"),
        (&["data.dir=@data"], "either prepared"),
        (&["dit.latent_cache=@latents"], "either prepared"),
        (&[prepared, "data.resolution=32", "dit.model.input_size=8"], "resolution"),
        (&[prepared, "data.held_out=7"], "at least 8, found 7"),
        (&[prepared, "data.resolution=18"], "multiple of 4"),
        (&["data.prepared=@nowhere"], "stride prepare"),
    ] {
        let error = error(settings);
        assert!(error.contains(expected), "{settings:?}: {error}");
    }
    // Other weights.
    let path = place.join("vae/diffusion_pytorch_model.safetensors");
    let mut bytes = fs::read(&path).expect("there");
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    fs::write(&path, bytes).expect("writable");
    let message = error(&[prepared]);
    assert!(message.contains("autoencoder") && message.contains("prepared"), "{message}");

    fs::write(place.join("data/5.png"), b"no image").expect("writable");
    let message = error(&CACHED);
    assert!(message.contains("5.png") && message.contains("stride prepare"), "{message}");
}

#[test]
fn a_run_stopped_while_latents_are_made_says_so() {
    let place = place(TINY);
    let stop = AtomicBool::new(true);
    let error = train_with(place.path(), "run", &CACHED, &stop).expect_err("stopped");
    assert!(matches!(error, TrainError::StoppedWhilePreparing), "{error}");
    stop.store(false, Ordering::Relaxed);
    train_with(place.path(), "run", &CACHED, &stop).expect("goes on");
}

/// A folder of the same images as `data`, listed in other words.
fn list_again(place: &Path, folder: &str, words: &str, count: usize) {
    let dir = place.join(folder);
    fs::create_dir_all(&dir).expect("writable");
    let line = |index| format!("{{\"file_name\":\"{index}.png\",\"text\":\"{words}\"}}\n");
    let lines: String = (0..count).map(line).collect();
    fs::write(dir.join("metadata.jsonl"), lines).expect("writable");
}

/// Sets the stop flag after a step.
struct StopAfter<'a> {
    step: u64,
    stop: &'a AtomicBool,
}

impl Progress for StopAfter<'_> {
    fn step(&mut self, update: &ProgressUpdate<'_>) {
        self.stop.store(update.step >= self.step, Ordering::Relaxed);
    }

    fn message(&mut self, _text: &str) {}
}

#[test]
fn late_captions_change_the_run_from_their_start_on_and_resume_exactly() {
    if !has_own_process("dit::late_captions_change_the_run_from_their_start_on_and_resume_exactly")
    {
        return;
    }
    let place = place(TINY);
    let place = place.path();
    list_again(place, "short", "a green hat", 7);
    let base = [CACHED[0], CACHED[1], "training.budget.max_steps=6"];
    let late =
        [&base[..], &["data.late_captions.dir=@short", "data.late_captions.start=0.5"]].concat();
    train(place, "whole", &late).expect("trains");
    let whole = model(place, "whole");
    // The same draws, but no late caption among them.
    train(place, "none", &[&late[..], &["data.late_captions.fraction=0.0"]].concat())
        .expect("trains");
    assert!(whole != model(place, "none"), "half of the rows of three steps");

    for stop_after in [2, 4] {
        let (run_dir, stop) = (format!("stopped-{stop_after}"), AtomicBool::new(false));
        let mut progress = StopAfter { step: stop_after, stop: &stop };
        let summary = train_from(place, &run_dir, &late, None, &mut progress, &stop);
        assert_eq!(summary.expect("stops").steps, stop_after);
        stop.store(false, Ordering::Relaxed);
        let mut progress = LogProgress::new(Duration::from_secs(60));
        let resume = Some(Resume::Latest);
        train_from(place, &run_dir, &late, resume, &mut progress, &stop).expect("goes on");
        assert!(model(place, &run_dir) == whole, "stopped after {stop_after}");
    }

    // The model knows the words of both listings.
    let vocabulary = stride_models::vocabulary_of(&place.join("whole/model")).expect("there");
    let tokenizer = ClipTokenizer::new().expect("built in");
    for (text, unknown) in [("image 3", 0), ("a green hat", 0), ("a violet hat", 1)] {
        let mapped = vocabulary.map(&tokenizer.encode(text).expect("short"));
        assert_eq!(mapped.unknown_words.len(), unknown, "{text}");
    }
}

#[test]
fn masks_weigh_the_loss_and_are_there_for_every_image() {
    if !has_own_process("dit::masks_weigh_the_loss_and_are_there_for_every_image") {
        return;
    }
    let place = place(KL);
    let place = place.path();
    let write = |name: &str, count, white: usize| {
        let pixels = |_| (0..8 * 8 * 3).map(|at| if at < white { 255 } else { 0 }).collect();
        write_images(&place.join(name), 8, count, pixels, |_| "\"text\":\"\"".to_owned());
    };
    write("black", 7, 0);
    write("half", 7, 8 * 8 * 3 / 2);
    write("few", 6, 0);
    let flipped = [CACHED[0], CACHED[1], "data.flip=true"];
    let with = |masks: &str| {
        let dir = format!("data.masks.dir=@{masks}");
        train(place, &format!("with-{masks}"), &[&flipped[..], &[&dir]].concat())
    };
    train(place, "plain", &flipped).expect("trains");
    with("black").expect("trains");
    with("half").expect("trains");
    assert!(model(place, "plain") == model(place, "with-black"), "weights of 1 change nothing");
    assert!(model(place, "plain") != model(place, "with-half"));

    let message = with("few").expect_err("a mask is missing").to_string();
    assert!(message.contains("data.masks.dir") && message.contains("6.png"), "{message}");
    write("broken", 7, 0);
    fs::write(place.join("broken/3.png"), "no image").expect("writable");
    let message = with("broken").expect_err("a mask is broken").to_string();
    assert!(message.contains("data.masks.dir") && message.contains("3.png"), "{message}");
}

#[test]
fn late_captions_of_other_images_are_refused() {
    let place = place(TINY);
    let place = place.path();
    let error = |settings: &[&str]| train(place, "run", settings).expect_err("misfit").to_string();
    let late = [CACHED[0], CACHED[1], "data.late_captions.dir=@other"];
    assert!(error(&late).contains("other: "));
    list_again(place, "other", "a hat", 6);
    let message = error(&late);
    assert!(message.contains("6.png") && message.contains("late_captions"), "{message}");
    assert!(!place.join("latents").exists(), "refused before latents are made");

    let pixels = |index: usize| (0..16 * 16 * 3).map(|i| (i * (index + 3)) as u8).collect();
    write_images(&place.join("other"), 16, 7, pixels, |_| "\"text\":\"a hat\"".to_owned());
    let message = error(&late);
    assert!(message.contains("other/0.png") && message.contains("late_captions"), "{message}");
    for setting in ["data.late_captions.start=1.5", "data.late_captions.fraction=-1"] {
        let message = error(&[&late[..], &[setting]].concat());
        assert!(message.contains("in [0, 1]"), "{message}");
    }
}

#[test]
fn a_dry_run_knows_the_words_of_late_captions() {
    let place = place(TINY);
    let place = place.path();
    list_again(place, "short", "a green hat", 7);
    let path = place.join("run.toml");
    fs::write(&path, [DIT, TEXT_ENCODER].concat()).expect("writable");
    let parameters = |late: &[String]| {
        let of = |name: &str| place.join(name).display().to_string();
        let mut settings = vec![
            format!("dit.autoencoder={}", of("vae")),
            format!("data.dir={}", of("data")),
            format!("dit.latent_cache={}", of("latents")),
        ];
        settings.extend_from_slice(late);
        let mut progress = LogProgress::new(Duration::from_secs(60));
        let dry = dry_run(&path, &settings, &mut progress, &AtomicBool::new(false));
        dry.expect("fits").parameters
    };
    let late = format!("data.late_captions.dir={}", place.join("short").display());
    // Three words of 16 numbers each.
    assert_eq!(parameters(&[late]), parameters(&[]) + 3 * 16);
}

#[test]
fn a_dry_run_misses_the_mask_of_an_image_that_it_does_not_look_at() {
    let place = place(TINY);
    let place = place.path();
    let pixels = |index: usize| (0..16 * 16 * 3).map(|i| (i * (index + 3)) as u8).collect();
    write_images(&place.join("many"), 16, 80, pixels, |_| "\"text\":\"a hat\"".to_owned());
    write_images(&place.join("masks"), 16, 79, pixels, |_| "\"text\":\"\"".to_owned());
    let path = place.join("run.toml");
    fs::write(&path, [DIT, TEXT_ENCODER].concat()).expect("writable");
    let settings = [
        ("dit.autoencoder", "vae"),
        ("data.dir", "many"),
        ("dit.latent_cache", "latents"),
        ("data.masks.dir", "masks"),
    ];
    let settings = settings.map(|(name, dir)| format!("{name}={}", place.join(dir).display()));
    let mut progress = LogProgress::new(Duration::from_secs(60));
    let dry = dry_run(&path, &settings, &mut progress, &AtomicBool::new(false));
    let message = dry.expect_err("a mask is missing").to_string();
    assert!(message.contains("data.masks.dir") && message.contains("79.png"), "{message}");
}
