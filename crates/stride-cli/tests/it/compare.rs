//! `stride compare`.

use std::fs;

use serde_json::Value;
use stride::image::{ImageMetadata, RgbImage, png_bytes};
use tempfile::TempDir;

use crate::model::{SIDE, workplace};
use crate::program::{Run, names_in, run};

pub(crate) const BASE: &str = r#"
kind = "dit"
run_dir = "runs/base"
[data]
dir = "data"
resolution = 16
held_out = 2
[training.budget]
max_seconds = 1000
[[ema]]
name = "teacher"
decay = 0.9
[dit]
batch_size = 8
autoencoder = "model/vae"
latent_cache = "latents"
[dit.objective]
kind = "flow_matching"
[dit.model]
input_size = 4
patch_size = 2
in_channels = 4
hidden_size = 16
depth = 1
num_heads = 2
context_dim = 16
[dit.text_encoder]
hidden_size = 16
intermediate_size = 32
num_hidden_layers = 1
num_attention_heads = 2
"#;

const SHORTCUT: &str = r#"
base = "flow.toml"
[dit.objective]
kind = "shortcut"
levels = "random"
"#;

/// A tiny autoencoder, a few images, and two configurations.
pub(crate) fn place() -> TempDir {
    let place = workplace();
    let data = place.path().join("data");
    fs::create_dir(&data).expect("writable");
    let mut lines = String::new();
    for k in 0..12u8 {
        let pixels = (0..SIDE * SIDE * 3).map(|i| (i % 251) as u8 ^ (k * 20)).collect();
        let image = RgbImage { width: SIDE, height: SIDE, pixels };
        let bytes = png_bytes(&image, &ImageMetadata::default()).expect("writable");
        fs::write(data.join(format!("{k}.png")), bytes).expect("writable");
        lines += &format!(
            "{{\"file_name\": \"{k}.png\", \"text\": \"a man\", \"attributes\": {{\"gender\": \"man\"}}}}\n"
        );
    }
    fs::write(data.join("metadata.jsonl"), lines).expect("writable");
    fs::write(place.path().join("flow.toml"), BASE).expect("writable");
    fs::write(place.path().join("shortcut.toml"), SHORTCUT).expect("writable");
    place
}

fn compare(place: &TempDir, more: &[&str]) -> Run {
    let base = ["compare", "--configs", "flow.toml,shortcut.toml", "--out", "out"];
    run(place.path(), &[&base[..], &["--passes", "300", "--samples", "4"], more].concat())
}

#[test]
fn a_comparison_works_from_any_folder() {
    let place = place();
    let elsewhere = place.path().join("elsewhere");
    fs::create_dir(&elsewhere).expect("writable");
    let base = ["compare", "--configs", "../flow.toml", "--passes", "48", "--samples", "4"];
    run(&elsewhere, &[&base[..], &["--out", "out"]].concat()).expect(0);
    assert!(elsewhere.join("out/report.json").is_file());
}

#[test]
fn sides_of_equal_compute_are_trained_evaluated_and_reported() {
    let place = place();
    let out = place.path().join("out");
    let first = compare(&place, &["--seeds", "1,2"]).expect(0);
    for part in [
        "| flow | 2 | 13 | 104 | 3.00 | +0.0 % |",
        "| shortcut | 2 | 11 | 88 | 3.50 | +16.7 % |",
        "**",
        "features of the attribute classifier",
        "## Attribute accuracy",
    ] {
        assert!(first.stdout.contains(part), "{part} is not in:\n{}", first.stdout);
    }
    let report = fs::read(out.join("report.json")).expect("written");
    let report: Value = serde_json::from_slice(&report).expect("JSON");
    let runs = report["runs"].as_array().expect("a list");
    // 300 passes: 8 rows of 3 make 12 steps and a half, of 3.5 make 10 and a half.
    let steps: Vec<_> = runs.iter().map(|run| run["steps"].as_u64()).collect();
    assert_eq!(steps, [Some(13), Some(13), Some(11), Some(11)]);
    for run in runs {
        let results = run["results"].as_array().expect("a list");
        assert_eq!(results.len(), 7);
        let positive = |value: &Value| value.as_f64().is_some_and(|value| value > 0.0);
        assert!(results.iter().all(|result| positive(&result["frechet_distance"])), "{run}");
        // All four captions name the gender and nothing else.
        let named = |result: &Value| result["accuracy"]["tallies"]["gender"]["named"].as_u64();
        assert!(results.iter().all(|result| named(result) == Some(4)), "{run}");
    }
    let of = |index: usize, steps: usize| &runs[index]["results"][steps]["frechet_distance"];
    assert_ne!(of(0, 0), of(1, 0), "seeds");
    assert_ne!(of(0, 6), of(2, 6), "objectives");
    let files = names_in(&out);
    for file in ["curves.svg", "report.html", "report.md", "steps.jpg"] {
        assert!(files.contains(&file.to_owned()), "{file} is not in {files:?}");
    }

    // The same command finds everything done; it takes up what is missing.
    let checkpoint = |name: &str| out.join("runs").join(name).join("model/model_index.json");
    let written = fs::metadata(checkpoint("flow-seed1")).expect("there").modified().expect("time");
    fs::remove_file(checkpoint("shortcut-seed1")).expect("there");
    fs::remove_file(out.join("report.md")).expect("there");
    let second = compare(&place, &["--seeds", "1,2", "--json"]).expect(0);
    let second = second.says(&["[3 of 4, shortcut-seed1] resumed"]);
    let again = fs::metadata(checkpoint("flow-seed1")).expect("there").modified().expect("time");
    assert_eq!(written, again, "a finished run is left alone");
    assert!(checkpoint("shortcut-seed1").exists());
    let again = fs::read(out.join("report.json")).expect("written");
    let again: Value = serde_json::from_slice(&again).expect("JSON");
    assert_eq!(second.json(), again);
    for index in 0..4 {
        assert_eq!(again["runs"][index]["results"], runs[index]["results"]);
    }
}

/// Settings that make a preset fit the tiny workplace.
pub(crate) const TINY: [&str; 14] = [
    "data.dir=data",
    "data.resolution=16",
    "data.max_images=12",
    "data.held_out=2",
    "dit.autoencoder=model/vae",
    "dit.latent_cache=latents",
    "dit.batch_size=16",
    "dit.model.input_size=4",
    "dit.model.patch_size=2",
    "dit.model.hidden_size=16",
    "dit.model.depth=1",
    "dit.model.num_heads=2",
    "dit.model.context_dim=16",
    "dit.init.text_encoder=model",
];

/// The path of a preset.
pub(crate) fn preset(name: &str) -> String {
    format!("{}/../../configs/objectives/{name}.toml", env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn the_preset_of_every_objective_trains_and_is_sampled() {
    let place = place();
    let names = [
        "flow_matching",
        "diffusion",
        "shortcut",
        "data_anchored",
        "mean_flow",
        "improved_mean_flow",
        "consistency",
    ];
    let presets = names.map(preset).join(",");
    let mut arguments = vec!["compare", "--configs", presets.as_str(), "--out", "out"];
    arguments.extend(["--passes", "800", "--samples", "2"]);
    arguments.extend(TINY.iter().flat_map(|setting| ["--set", setting]));
    run(place.path(), &arguments).expect(0);
    for (name, sampler, loss) in [
        ("flow_matching", "euler", "loss_flow"),
        ("diffusion", "ddim", "loss_diffusion"),
        ("shortcut", "euler", "loss_d1/"),
        ("data_anchored", "euler", "loss_d1/"),
        ("mean_flow", "euler", "loss_d1/"),
        ("improved_mean_flow", "euler", "loss_velocity"),
        ("consistency", "consistency", "loss_d1"),
    ] {
        let run_dir = place.path().join("out/runs").join(format!("{name}-seed1"));
        let index = fs::read(run_dir.join("model/model_index.json")).expect("exported");
        let index: Value = serde_json::from_slice(&index).expect("JSON");
        assert_eq!(index["sampler"]["kind"], sampler, "{name}");
        let metrics = fs::read_to_string(run_dir.join("metrics.jsonl")).expect("recorded");
        assert!(metrics.contains(loss), "{name}: no {loss} in {metrics}");
    }
}

#[test]
fn a_guidance_scale_that_is_an_input_is_trained_and_has_its_range() {
    let place = place();
    let preset = preset("shortcut");
    let mut arguments = vec!["train", "--config", preset.as_str(), "--run-dir", "run"];
    let settings = [
        "training.budget.max_steps=12",
        "dit.objective.max_guidance_scale=4",
        "dit.model.guidance_input=true",
    ];
    arguments.extend(TINY.iter().chain(&settings).flat_map(|setting| ["--set", setting]));
    run(place.path(), &arguments).expect(0);
    let generate = |scale: &str, file: &str| {
        let base = ["generate", "a man", "--model", "run/model", "--steps", "2", "--seed", "1"];
        run(place.path(), &[&base[..], &["--cfg-scale", scale, "-o", file]].concat())
    };
    generate("1", "one.png").expect(0);
    generate("3", "three.png").expect(0);
    generate("9", "nine.png").expect(1).says(&["from 1 to 4", "found 9"]);
    // Improved mean flow was trained for it at every step count.
    let improved = self::preset("improved_mean_flow");
    let mut arguments = vec!["train", "--config", improved.as_str(), "--run-dir", "always"];
    let settings = ["training.budget.max_steps=12"];
    arguments.extend(TINY.iter().chain(&settings).flat_map(|setting| ["--set", setting]));
    run(place.path(), &arguments).expect(0);
    let draw = |scale: &str, file: &str| {
        let base = ["generate", "a man", "--model", "always/model", "--steps", "128"];
        run(place.path(), &[&base[..], &["--cfg-scale", scale, "-o", file]].concat())
    };
    draw("1", "always-one.png").expect(0);
    draw("3", "always-three.png").expect(0);
    draw("9", "always-nine.png").expect(1).says(&["from 1 to 4", "found 9"]);
    let png = |file: &str| fs::read(place.path().join(file)).expect("drawn");
    assert!(png("always-one.png") != png("always-three.png"));
    // The network must have the input and the output that the objective trains, and no other.
    let mut arguments = vec!["train", "--config", improved.as_str(), "--run-dir", "run3"];
    let settings = ["dit.model.velocity_head=false"];
    arguments.extend(TINY.iter().chain(&settings).flat_map(|setting| ["--set", setting]));
    run(place.path(), &arguments).expect(1).says(&["dit.model.velocity_head"]);
    let settings = ["dit.objective.max_guidance_scale=4"];
    let mut arguments = vec!["train", "--config", preset.as_str(), "--run-dir", "run2"];
    arguments.extend(TINY.iter().chain(&settings).flat_map(|setting| ["--set", setting]));
    run(place.path(), &arguments).expect(1).says(&["dit.model.guidance_input"]);
}

#[test]
fn unfair_comparisons_are_refused() {
    let place = place();
    let other = format!("{SHORTCUT}[dit.model]\ndepth = 2\n");
    fs::write(place.path().join("shortcut.toml"), other).expect("writable");
    compare(&place, &[]).expect(1).says(&["shortcut.toml: dit.model.depth differs from flow.toml"]);
    let other = SHORTCUT.replace("levels = \"random\"", "");
    fs::write(place.path().join("shortcut.toml"), other).expect("writable");
    compare(&place, &[]).expect(1).says(&["fewer than the 7 levels"]);
    compare(&place, &["--seeds", "x"]).expect(2).says(&["--seeds"]);
    fs::write(place.path().join("shortcut.toml"), SHORTCUT).expect("writable");
    let few = ["compare", "--configs", "flow.toml", "--out", "out", "--passes", "5"];
    run(place.path(), &few).expect(1).says(&["at least one step, 24 passes"]);
    assert!(!place.path().join("out/runs").exists());
}
