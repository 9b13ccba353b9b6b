//! `stride train`.

use std::fs;
use std::path::Path;

use stride::image::{PngMetadata, RgbImage, png_bytes};
use tempfile::TempDir;

use crate::program::{names_in, run};

const CONFIG: &str = r#"
kind = "vae"
run_dir = "run"
[data]
dir = "data"
resolution = 16
held_out = 2
[training.budget]
max_steps = 2
[vae]
batch_size = 2
crop_size = 16
[vae.model]
_class_name = "AutoencoderTiny"
encoder_block_out_channels = [8, 8]
decoder_block_out_channels = [8, 8]
num_encoder_blocks = [1, 1]
num_decoder_blocks = [1, 1]
"#;

/// A folder with a configuration and a few images.
fn workplace() -> TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let data = folder.path().join("data");
    fs::create_dir(&data).expect("writable");
    let mut lines = String::new();
    for k in 0..6u8 {
        let pixels = (0..16 * 16 * 3).map(|i| (i % 251) as u8 ^ (k * 40)).collect();
        let image = RgbImage { width: 16, height: 16, pixels };
        let bytes = png_bytes(&image, &PngMetadata::default()).expect("writable");
        fs::write(data.join(format!("{k}.png")), bytes).expect("writable");
        lines += &format!("{{\"file_name\": \"{k}.png\", \"text\": \"a man\"}}\n");
    }
    fs::write(data.join("metadata.jsonl"), lines).expect("writable");
    fs::write(folder.path().join("run.toml"), CONFIG).expect("writable");
    folder
}

fn checkpoints(run_dir: &Path) -> Vec<String> {
    names_in(run_dir).into_iter().filter(|name| name.starts_with("checkpoint-")).collect()
}

#[test]
fn a_dry_run_says_what_a_run_would_be_and_leaves_nothing() {
    let place = workplace();
    let before = names_in(place.path());
    let run = run(place.path(), &["train", "--config", "run.toml", "--dry-run"]).expect(0);
    for part in ["M parameters", "2 rows a step", "hours in all", "loss"] {
        assert!(run.stdout.contains(part), "{}", run.stdout);
    }
    assert_eq!(names_in(place.path()), before);
}

#[test]
fn a_run_trains_and_goes_on() {
    let place = workplace();
    let run_dir = place.path().join("elsewhere");
    let base = ["train", "--config", "run.toml", "--run-dir", "elsewhere"];
    let first = run(place.path(), &base).expect(0).says(&["2 steps"]);
    assert_eq!(first.stdout, "");
    assert_eq!(checkpoints(&run_dir), ["checkpoint-000002"]);
    let more =
        [&base[..], &["--set", "training.budget.max_steps=3", "--resume", "latest"]].concat();
    run(place.path(), &more).expect(0).says(&["3 steps"]);
    assert!(checkpoints(&run_dir).contains(&"checkpoint-000003".to_owned()));
    assert!(!place.path().join("run").exists());
}

#[test]
fn wrong_settings_are_named() {
    let place = workplace();
    let base = ["train", "--config", "run.toml"];
    run(place.path(), &["train"]).expect(2).says(&["--config"]);
    run(place.path(), &["train", "--config", "nowhere.toml"])
        .expect(1)
        .says(&["error: ", "nowhere.toml"]);
    for (arguments, expected) in [
        (["--set", "vae.no_such_thing=1"], "no_such_thing"),
        (["--set", "novalue"], "key=value"),
        (["--set", "data.dir=nowhere"], "nowhere"),
        (["--resume", "latest"], "no complete checkpoint"),
    ] {
        run(place.path(), &[&base[..], &arguments].concat()).expect(1).says(&["error: ", expected]);
    }
}

#[cfg(unix)]
#[test]
fn an_interruption_saves_a_checkpoint() {
    let place = workplace();
    let arguments = ["train", "--config", "run.toml", "--set", "training.budget.max_steps=1000000"];
    let mut program = crate::program::command(place.path(), &arguments)
        .stderr(std::process::Stdio::piped())
        .spawn()
        .expect("the program starts");
    let stderr = program.stderr.take().expect("piped");
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(stderr)).map_while(Result::ok);
    // The first line about a step comes when training has begun.
    let begun = lines.by_ref().any(|line| line.contains("step "));
    assert!(begun, "the program ended early");
    let kill =
        std::process::Command::new("kill").args(["-TERM", &program.id().to_string()]).status();
    assert!(kill.expect("the system has kill").success());
    let rest: Vec<String> = lines.collect();
    assert_eq!(program.wait().expect("ends").code(), Some(0), "{rest:?}");
    assert!(rest.iter().any(|line| line.contains("--resume latest")), "{rest:?}");
    assert!(!checkpoints(&place.path().join("run")).is_empty());
}
