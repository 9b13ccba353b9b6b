//! Transformer training that starts from trained networks.

use std::fmt::Write as _;
use std::fs;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::atomic::AtomicBool;

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{Device, Distribution, Tensor};
use safetensors::SafeTensors;
use stride::clip::ClipTextConfig;
use stride::dit::DitConfig;
use stride::image::RgbImage;
use stride::pipeline::{FILE_NAMES, GenerateRequest, Pipeline, PipelineFiles};
use stride::vae::AutoencoderTinyConfig;
use stride::weights::{self, StoredDtype};
use stride_train::{Progress, ProgressUpdate, RunStart, RunSummary, TrainError, run};
use tempfile::TempDir;

use crate::small::{DIT, write_images};
use crate::text_encoder::trained;

const SIDE: usize = 16;
const TOKENS: &str = "text_model.embeddings.token_embedding.weight";

/// Opens the gates of a transformer that was just drawn, which let nothing through to the text at first.
struct Jitter;

impl ModuleMapper for Jitter {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        param.map(|x| x.clone() + x.random_like(Distribution::Normal(0.0, 0.1)))
    }
}

/// What a run said.
#[derive(Default)]
struct Messages(String);

impl Progress for Messages {
    fn step(&mut self, _update: &ProgressUpdate<'_>) {}

    fn message(&mut self, text: &str) {
        let _ = writeln!(self.0, "{text}");
    }
}

fn text_config() -> ClipTextConfig {
    ClipTextConfig {
        hidden_size: 8,
        intermediate_size: 16,
        num_hidden_layers: 1,
        num_attention_heads: 2,
        ..ClipTextConfig::default()
    }
}

fn save<M: Module>(dir: &Path, config: &str, file: &str, model: &M) {
    fs::create_dir_all(dir).expect("writable");
    fs::write(dir.join("config.json"), config).expect("writable");
    let bytes = weights::save(model, "", StoredDtype::F32, &[]).expect("serialisable");
    fs::write(dir.join(file), bytes).expect("writable");
}

fn save_clip(dir: &Path, config: &ClipTextConfig) {
    let json = serde_json::to_string(config).expect("JSON");
    let model = config.init(&Device::flex()).expect("valid");
    save(dir, &json, "model.safetensors", &model);
}

fn dit_config() -> DitConfig {
    DitConfig {
        input_size: 4,
        hidden_size: 16,
        depth: 1,
        num_heads: 2,
        context_dim: 8,
        ..DitConfig::s(2)
    }
}

/// Images, a pipeline with an autoencoder, and a CLIP text encoder.
fn place() -> TempDir {
    let place = tempfile::tempdir().expect("folder");
    let pixels =
        |index: usize| (0..SIDE * SIDE * 3).map(|i| (i % 251) as u8 ^ (index as u8 * 40)).collect();
    write_images(&place.path().join("data"), SIDE, 6, pixels, |_| "\"text\":\"a man\"".to_owned());
    let vae = AutoencoderTinyConfig {
        encoder_block_out_channels: vec![8; 3],
        decoder_block_out_channels: vec![8; 3],
        num_encoder_blocks: vec![1; 3],
        num_decoder_blocks: vec![1; 3],
        ..AutoencoderTinyConfig::default()
    };
    let mut json = serde_json::to_value(&vae).expect("JSON");
    json["_class_name"] = "AutoencoderTiny".into();
    let model = vae.init(&Device::flex()).expect("valid");
    let file = "diffusion_pytorch_model.fp16.safetensors";
    save(&place.path().join("pipeline/vae"), &json.to_string(), file, &model);
    let index = r#"{"_class_name": "Other", "vae": ["diffusers", "AutoencoderTiny"]}"#;
    fs::write(place.path().join("pipeline/model_index.json"), index).expect("writable");
    save_clip(&place.path().join("clip"), &text_config());
    place
}

fn train(
    place: &TempDir,
    settings: &[&str],
    messages: &mut Messages,
) -> Result<RunSummary, TrainError> {
    let path = place.path().join("run.toml");
    fs::write(&path, DIT).expect("writable");
    let at = |name: &str| place.path().join(name).display().to_string();
    let mut overrides = vec![
        format!("data.dir={}", at("data")),
        format!("dit.autoencoder={}", at("pipeline")),
        format!("dit.latent_cache={}", at("latents.safetensors")),
        "dit.model.context_dim=8".to_owned(),
        "training.schedule.warmup_steps=1".to_owned(),
        "optimizer.learning_rate=0.01".to_owned(),
    ];
    overrides.extend(settings.iter().map(|setting| setting.replace("HERE", &at(""))));
    let run_dir = place.path().join("run");
    let begin = RunStart { overwrite: true, ..RunStart::default() };
    run(&path, &overrides, &begin, Some(&run_dir), messages, &AtomicBool::new(false))
}

fn refusal(place: &TempDir, settings: &[&str]) -> String {
    train(place, settings, &mut Messages::default()).expect_err("must be refused").to_string()
}

/// The rows of the token table in bf16.
fn token_rows(path: &Path) -> Vec<Vec<u8>> {
    let bytes = fs::read(path).expect("weights");
    let file = SafeTensors::deserialize(&bytes).expect("whole");
    let view = file.tensor(TOKENS).expect("token embeddings");
    let width = view.data().len() / view.shape()[0];
    let upper = |row: &[u8]| match width / 8 {
        // The upper half of an f32, which rounding to bf16 changes by one at most.
        4 => row.chunks_exact(4).flat_map(|b| [b[2], b[3]]).collect(),
        _ => row.to_vec(),
    };
    view.data().chunks_exact(width).map(upper).collect()
}

#[test]
fn a_clip_folder_is_trained_on_and_the_model_draws() {
    let place = place();
    let mut messages = Messages::default();
    let dit = dit_config().init(&Device::flex()).expect("valid").map(&mut Jitter);
    let file = "diffusion_pytorch_model.safetensors";
    save(&place.path().join("transformer"), "{}", file, &dit);
    let init = ["dit.init.text_encoder=HEREclip", "dit.init.transformer=HEREtransformer"];
    train(&place, &init, &mut messages).expect("trains");
    assert!(messages.0.contains("newly initialised: 0"), "{}", messages.0);
    let model = place.path().join("run/model");
    let vocabulary = fs::read_to_string(model.join("tokenizer/vocabulary.json")).expect("there");
    assert!(vocabulary.contains("full"), "{vocabulary}");

    let before = token_rows(&place.path().join("clip/model.safetensors"));
    let after = token_rows(&model.join("text_encoder/model.safetensors"));
    assert_eq!((before.len(), after.len()), (49_408, 49_408));
    let close = |a: &[u8], b: &[u8]| {
        let number = |b: &[u8]| i32::from(u16::from_le_bytes([b[0], b[1]]));
        a.chunks_exact(2).zip(b.chunks_exact(2)).all(|(a, b)| (number(a) - number(b)).abs() <= 1)
    };
    // Words of no caption have weight decay alone; the start token has a gradient.
    assert!(close(&before[30_000], &after[30_000]), "{:?} {:?}", before[30_000], after[30_000]);
    assert!(!close(&before[49_406], &after[49_406]), "the text encoder was not trained");

    let drawn = draw(&model);
    assert_eq!((drawn.width, drawn.height), (SIDE, SIDE));
}

/// What a model folder draws.
fn draw(model: &Path) -> RgbImage {
    let mut files = PipelineFiles::new();
    for name in FILE_NAMES {
        files.insert(name, fs::read(model.join(name)).expect(name));
    }
    let pipeline = Pipeline::from_files(&files, &Device::flex()).expect("a model");
    let request = GenerateRequest {
        prompt: "an unseen zeppelin".to_owned(),
        negative_prompt: None,
        num_steps: 2,
        cfg_scale: 1.0,
        seed: 1,
        count: 1,
        as_typed: false,
    };
    let images = pipeline.generate(&request, &mut |_| ControlFlow::Continue(())).expect("drawn");
    images.into_iter().next().expect("one").image
}

#[test]
fn a_text_encoder_trained_alone_is_trained_on_at_its_own_rate() {
    let place = place();
    let text = tempfile::tempdir().expect("folder");
    let start = trained(text.path());
    let init = format!("dit.init.text_encoder={}", start.display());
    let setting = |factor| format!("optimizer.lr_factors={{ text_encoder = {factor} }}");
    let tensors = |model: &Path| {
        let (_, encoder) = stride_models::text_encoder(model, &Device::flex()).expect("loads");
        weights::save(&encoder, "", StoredDtype::Bf16, &[]).expect("serialisable")
    };
    let model = place.path().join("run/model");
    for (factor, stays) in [("0.0", true), ("1.0", false)] {
        let factor = setting(factor);
        // The first steps open the gates of the transformer, before which no gradient comes through.
        let steps = "training.budget.max_steps=6";
        let settings = [&init, "dit.model.context_dim=16", steps, &factor];
        train(&place, &settings, &mut Messages::default()).expect("trains");
        assert_eq!(tensors(&start) == tensors(&model), stays, "{factor}");
    }
    let file = |name: &str| fs::read_to_string(model.join(name)).expect(name);
    assert!(file("text_encoder/config.json").contains("QueryTextModel"));
    assert!(file("model_index.json").contains("QueryTextModel"));
    let vocabulary = fs::read_to_string(start.join("tokenizer/vocabulary.json")).expect("there");
    assert_eq!(file("tokenizer/vocabulary.json"), vocabulary);
    let drawn = draw(&model);
    assert_eq!((drawn.width, drawn.height), (SIDE, SIDE));
}

#[test]
fn a_transformer_is_continued() {
    let place = place();
    let config = DitConfig { context_dim: 12, ..dit_config() };
    let model = config.init(&Device::flex()).expect("valid");
    // Another text: its projection cannot be taken, so it is not in the file.
    let bytes = weights::save(&model, "", StoredDtype::F32, &[]).expect("serialisable");
    let file = SafeTensors::deserialize(&bytes).expect("whole");
    let kept = file.iter().filter(|(name, _)| !name.starts_with("pooled_projection"));
    let bytes = safetensors::serialize(kept, None).expect("serialisable");
    let dir = place.path().join("transformer");
    fs::create_dir(&dir).expect("writable");
    fs::write(dir.join("config.json"), "{}").expect("writable");
    fs::write(dir.join("diffusion_pytorch_model.safetensors"), bytes).expect("writable");
    let mut messages = Messages::default();
    let init = ["dit.init.text_encoder=HEREclip", "dit.init.transformer=HEREtransformer"];
    train(&place, &init, &mut messages).expect("trains");
    let said = &messages.0;
    assert!(said.contains("newly initialised: 2 (pooled_projection.bias"), "{said}");
    assert!(said.contains("left out: 0"), "{said}");

    let text = refusal(&place, &[init[0], init[1], "dit.model.hidden_size=24"]);
    assert!(text.contains("expected shape") && text.contains("found [16"), "{text}");
    save_clip(&dir, &text_config());
    let text = refusal(&place, &init);
    assert!(text.contains("a diffusion transformer") || text.contains("found no tensor"), "{text}");
}

/// A text encoder from nothing.
const FRESH: [&str; 4] = [
    "dit.text_encoder.hidden_size=8",
    "dit.text_encoder.intermediate_size=16",
    "dit.text_encoder.num_hidden_layers=1",
    "dit.text_encoder.num_attention_heads=2",
];

#[test]
fn a_model_of_another_run_is_continued_with_its_vocabulary() {
    let place = place();
    train(&place, &FRESH, &mut Messages::default()).expect("trains");
    let (run, first) = (place.path().join("run"), place.path().join("first"));
    fs::rename(run.join("model"), &first).expect("there");
    fs::remove_dir_all(&run).expect("there");
    // A word that the first run never saw.
    let listing = place.path().join("data/metadata.jsonl");
    let lines =
        fs::read_to_string(&listing).expect("there").replace("a man", "a man with a zeppelin");
    fs::write(&listing, lines).expect("writable");
    let mut messages = Messages::default();
    let init = ["dit.init.text_encoder=HEREfirst", "dit.init.transformer=HEREfirst"];
    train(&place, &init, &mut messages).expect("trains");
    assert!(messages.0.contains("newly initialised: 0"), "{}", messages.0);
    let vocabulary = |model: &Path| fs::read_to_string(model.join("tokenizer/vocabulary.json"));
    let (before, after) = (vocabulary(&first), vocabulary(&run.join("model")));
    assert!(before.as_ref().is_ok_and(|json| json.contains("compact")), "{before:?}");
    assert_eq!(before.expect("there"), after.expect("there"));
    let weights = |model: &Path| fs::read(model.join("text_encoder/model.safetensors"));
    assert_ne!(weights(&first).expect("there"), weights(&run.join("model")).expect("there"));

    fs::write(first.join("tokenizer/vocabulary.json"), r#"{"kind": "full"}"#).expect("writable");
    let text = refusal(&place, &init);
    assert!(text.contains("vocab_size: expected 49408") && text.contains("found 5"), "{text}");
}

/// A flow-matching model begins a shortcut and a mean-flow model, with all that it has learned.
#[test]
fn a_flow_matching_model_becomes_a_few_step_model() {
    let place = place();
    let error = |settings: &[&str], messages: &mut Messages| {
        let summary = train(&place, settings, messages).expect("trains");
        summary.report.iter().find(|(name, _)| name.contains("flow_error")).expect("flow").1
    };
    let untrained = error(&FRESH, &mut Messages::default());
    let longer = [&FRESH[..], &["training.budget.max_steps=60"]].concat();
    let flow = error(&longer, &mut Messages::default());
    println!("held-out error {flow}, of an untrained model {untrained}");
    assert!(flow < 0.9 * untrained);
    let (run, first) = (place.path().join("run"), place.path().join("first"));
    fs::rename(run.join("model"), &first).expect("there");
    let base = [
        "dit.init.text_encoder=HEREfirst",
        "dit.init.transformer=HEREfirst",
        "optimizer.learning_rate=1e-9",
        "ema=[{name = \"teacher\", decay = 0.9}]",
    ];
    for (objective, model, new) in [
        (
            "dit.objective={kind = \"shortcut\", levels = \"random\"}",
            "dit.model.velocity_head=false",
            0,
        ),
        ("dit.objective={kind = \"mean_flow\"}", "dit.model.velocity_head=false", 0),
        (
            "dit.objective={kind = \"mean_flow\", tangent = \"predicted\"}",
            "dit.model.velocity_head=true",
            2,
        ),
    ] {
        let mut messages = Messages::default();
        let found = error(&[&base[..], &[objective, model]].concat(), &mut messages);
        let said = &messages.0;
        assert!(said.contains(&format!("newly initialised: {new}")), "{said}");
        println!("{objective}: {found}");
        // The model's weights are in bf16.
        assert!((found - flow).abs() < 0.02 * flow, "{objective}: {found} instead of {flow}");
    }
}

#[test]
fn folders_that_do_not_fit_are_named() {
    let place = place();
    let clip = "dit.init.text_encoder=HEREclip";
    let text = refusal(&place, &[clip, "dit.text_encoder.hidden_size=8"]);
    assert!(text.contains("either a section [dit.text_encoder] or init.text_encoder"), "{text}");
    assert!(refusal(&place, &[]).contains("either a section [dit.text_encoder]"));
    let text = refusal(&place, &[clip, "dit.model.context_dim=16"]);
    assert!(text.contains("width 8") && text.contains("set it to 8"), "{text}");
    let text = refusal(&place, &["dit.init.text_encoder=HEREnowhere"]);
    assert!(text.contains("nowhere") && text.contains("a text encoder"), "{text}");

    let small = ClipTextConfig { vocab_size: 50, eos_token_id: 49, ..text_config() };
    save_clip(&place.path().join("small"), &small);
    let text = refusal(&place, &["dit.init.text_encoder=HEREsmall"]);
    assert!(text.contains("vocab_size: expected 49408") && text.contains("found 50"), "{text}");
    let short = ClipTextConfig { max_position_embeddings: 16, ..text_config() };
    save_clip(&place.path().join("short"), &short);
    let text = refusal(&place, &["dit.init.text_encoder=HEREshort"]);
    assert!(text.contains("max_position_embeddings: expected at least 77"), "{text}");
}
