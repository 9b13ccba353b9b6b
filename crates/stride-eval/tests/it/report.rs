//! The pages of both reports: complete without other files, and no text of the data or model becomes markup.

use std::collections::BTreeMap;
use std::fs;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::atomic::AtomicBool;

use serde_json::json;
use stride::image::RgbImage;
use stride_eval::EvalError;
use stride_eval::attribute_accuracy::{AttributeAccuracy, Miss};
use stride_eval::comparison::{Quality, STEP_COUNTS, StepResult};
use stride_eval::evaluator::{
    CheckpointResult, EvaluationReport, Failure, PromptFailure, PromptMiss, PromptReport,
    PromptScores, Scores, Share, SplitResult,
};
use stride_eval::generator::{Generator, IntermediateStep, SampleRequest};
use stride_eval::protocol::Protocol;
use stride_eval::provenance::{Generation, Judgement, Provenance};
use stride_eval::report::comparison::{ComparedRun, ComparisonImages, ComparisonReport};
use stride_eval::report::evaluation::{self, EvaluationImages};
use stride_eval::report::prompts::{self, PromptImages};
use stride_eval::report::{Samples, Tile};
use stride_kernels::gemm::Compute;

/// Text that would run if it became markup, or leave an attribute.
const HOSTILE: &str = "</style><script>alert(\"x\")</script>' & co";
const ESCAPED: &str = "&lt;/style&gt;&lt;script&gt;alert(&quot;x&quot;)&lt;/script&gt;' &amp; co";

fn hostile() -> String {
    HOSTILE.to_owned()
}

fn image() -> RgbImage {
    RgbImage { width: 2, height: 2, pixels: vec![9; 12] }
}

fn accuracy() -> AttributeAccuracy {
    let tallies = json!({ "tallies": { HOSTILE: { "named": 4, "shown": 3 } } });
    serde_json::from_value(tallies).expect("counts")
}

fn scores(steps: Option<usize>, distance: f64) -> Scores {
    let provenance = Provenance {
        protocol: Protocol::PytorchFid,
        network: hostile(),
        pixels: "alpha over white".to_owned(),
        input: hostile(),
        weights_sha256: hostile(),
        width: 3,
        samples: 4,
        samples_sha256: hostile(),
        references: Some(4),
        references_sha256: hostile(),
        generation: steps.map(generation),
    };
    Scores {
        distance_name: hostile(),
        distance,
        distance_interval_95: Some([1.0, 3.0]),
        flag: Some(hostile()),
        kernel_distance: Some([-0.5, 0.1]),
        kernel_distance_subset_size: Some(2),
        inception_score: None,
        precision: Some(1.0),
        recall: Some(0.5),
        density: None,
        coverage: Some(f64::NAN),
        nearest: Some(0.25),
        attributes: Some(accuracy()),
        clip: None,
        provenance,
    }
}

fn generation(steps: usize) -> Generation {
    Generation { model: hostile(), steps, seed: 0, cfg_scale: 1.5, data: hostile() }
}

fn evaluation_report() -> EvaluationReport {
    let failure = Failure {
        index: 0,
        steps: 4,
        caption: hostile(),
        misses: vec![Miss { attribute: hostile(), wanted: hostile(), seen: hostile() }],
    };
    let split = |label: &str| SplitResult {
        label: label.to_owned(),
        folder: hostile(),
        fingerprint: hostile(),
        nearest_of_real: 1.0,
        real_attributes: Some(accuracy()),
        real_clip: None,
        failures: vec![failure.clone()],
        floor: scores(None, 1.0),
        rows: vec![scores(Some(1), 30.0), scores(Some(4), 20.0)],
    };
    EvaluationReport {
        version: "0.1.0".to_owned(),
        model: hostile(),
        model_hash: hostile(),
        samples: 4,
        seed: 0,
        cfg_scale: 1.5,
        features: hostile(),
        clip_sha256: None,
        splits: vec![split("data"), split("heldout")],
        diversity: None,
        checkpoints: vec![CheckpointResult { training_step: 10, scores: scores(Some(1), 40.0) }],
        losses: BTreeMap::from([(format!("loss{HOSTILE}"), vec![(1.0, 2.0)])]),
    }
}

fn read(dir: &Path, name: &str) -> String {
    fs::read_to_string(dir.join(name)).expect("written")
}

/// Fails where the hostile text is anywhere as it is, or is missing.
fn assert_escaped(text: &str) {
    assert!(text.contains(ESCAPED), "the text is not there");
    for part in ["<script", "alert(\"x\")", "' & co"] {
        let place = text.find(part);
        let around = place.map(|at| &text[at.saturating_sub(80)..at + part.len()]);
        assert_eq!(around, None, "{part} is not escaped");
    }
}

#[test]
fn an_evaluation_page_escapes_every_text() {
    let report = evaluation_report();
    let samples = Samples::generate(vec![hostile()], &[1, 4], |_, _, steps, observer| {
        for step in 1..=steps {
            observer(IntermediateStep { step, preview: &image });
        }
        Ok(image())
    });
    let tile = Tile::new(&image()).expect("a tile");
    let images = EvaluationImages {
        samples: samples.expect("generated"),
        failures: vec![vec![tile.clone()], vec![tile]],
    };
    let dir = tempfile::tempdir().expect("temporary folder");
    evaluation::write(&report, &images, dir.path()).expect("written");
    let page = read(dir.path(), "report.html");
    assert_escaped(&page);
    // 2 in the grid, 2 + 4 + 8 in strips, and 2 failures.
    assert_eq!(page.matches("data:image/jpeg;base64,").count(), 18);
    // Three of each split, of which the one of attributes and the two of distances have a level; two of training.
    assert_eq!(page.matches("<figure").count(), 8);
    assert_eq!(page.matches("class=\"level\"").count(), 4);
    // The better of both step counts is bold, and both where they are equal.
    for (cell, count) in [("20", 2), ("1.000", 4)] {
        assert_eq!(
            page.matches(&format!("<td class=\"best\">{cell}</td>")).count(),
            count,
            "{cell}"
        );
    }
    assert!(!page.contains("<td class=\"best\">30</td>"));
    for name in ["report.md", "report.json", "steps.jpg"] {
        assert!(dir.path().join(name).exists(), "{name}");
    }
}

#[test]
fn a_page_of_prompts_escapes_every_text() {
    let share = Share { right: 3, of: 4, fraction: 0.75, interval_95: Some([0.5, 1.0]) };
    let row = |steps| PromptScores {
        steps,
        attributes_shown: share.clone(),
        images_right: Share { interval_95: None, ..share.clone() },
        attributes: accuracy(),
        provenance: Judgement {
            classifier_sha256: hostile(),
            samples: 4,
            samples_sha256: hostile(),
            generation: generation(steps),
        },
    };
    let failure = PromptFailure {
        line: 3,
        text: format!("{HOSTILE}\n| a | b |"),
        shown: 1,
        asked: 4,
        worst_image: 7,
        misses: vec![PromptMiss {
            attribute: hostile(),
            wanted: hostile(),
            seen: BTreeMap::from([(hostile(), 2)]),
        }],
    };
    let report = PromptReport {
        version: "0.1.0".to_owned(),
        model: hostile(),
        model_hash: hostile(),
        prompts: hostile(),
        fingerprint: hostile(),
        count: 2,
        seeds: 2,
        seed: 10,
        cfg_scale: 1.5,
        classifier: hostile(),
        rows: vec![row(1), row(4)],
        failure_steps: 4,
        failures: vec![failure],
    };
    let tile = || Tile::new(&image()).expect("a tile");
    let images = PromptImages {
        prompts: vec![hostile()],
        rows: vec![vec![tile(), tile()]],
        failures: vec![tile()],
    };
    let dir = tempfile::tempdir().expect("temporary folder");
    prompts::write(&report, &images, dir.path()).expect("written");
    let page = read(dir.path(), "report.html");
    assert_escaped(&page);
    assert_eq!(page.matches("data:image/jpeg;base64,").count(), 3);
    assert!(page.contains("(line 3, 1 of 4, seed 17)"), "the image can be drawn again");
    assert_eq!(page.matches("75.0 % (3 of 4)").count(), 4);
    let markdown = read(dir.path(), "report.md");
    assert!(
        markdown.contains("& co \\| a \\| b \\| | 1 of 4 |"),
        "one row of four cells:\n{markdown}"
    );
    for name in ["report.json", "steps.jpg"] {
        assert!(dir.path().join(name).exists(), "{name}");
    }
}

/// Generates one image again and again.
struct Same;

impl Generator for Same {
    fn name(&self) -> &str {
        "same"
    }

    fn resolution(&self) -> usize {
        2
    }

    fn default_cfg_scale(&self) -> f64 {
        1.0
    }

    fn compute(&self) -> Compute {
        Compute::F32
    }

    fn generate(
        &self,
        _: &SampleRequest<'_>,
        _: &mut dyn FnMut(IntermediateStep<'_>) -> ControlFlow<()>,
    ) -> Result<RgbImage, EvalError> {
        Ok(image())
    }

    fn reconstruct(&self, images: &[RgbImage]) -> Vec<RgbImage> {
        images.to_vec()
    }
}

#[test]
fn a_comparison_page_escapes_every_text() {
    let quality = |frechet_distance| Quality { frechet_distance, accuracy: accuracy() };
    let result = |steps| StepResult { steps, quality: quality(9.0), seconds_per_image: 0.1 };
    let run = |seed| ComparedRun {
        name: hostile(),
        objective: hostile(),
        settings: json!({}),
        seed,
        steps: 3,
        rows: 24,
        passes_per_row: 3.0,
        milliseconds_per_row: Some(1.0),
        loss: vec![(1.0, f64::NAN), (2.0, 1.0), (3.0, 0.5)],
        results: STEP_COUNTS.map(result).to_vec(),
    };
    let report = ComparisonReport {
        version: "0.1.0".to_owned(),
        passes: 72,
        samples: 4,
        features: hostile(),
        real_images: quality(1.0),
        base: hostile(),
        runs: vec![run(1), run(2)],
    };
    let mut images = ComparisonImages::default();
    images.generate(HOSTILE, &Same, &AtomicBool::new(false)).expect("generated");
    let dir = tempfile::tempdir().expect("temporary folder");
    report.write(&images, dir.path()).expect("written");
    let page = read(dir.path(), "report.html");
    assert_escaped(&page);
    assert_escaped(&read(dir.path(), "curves.svg"));
    // Two measures and the loss.
    assert_eq!(page.matches("<figure").count(), 3);
    for name in ["report.md", "report.json", "steps.jpg"] {
        assert!(dir.path().join(name).exists(), "{name}");
    }
    assert!(read(dir.path(), "report.json").contains("\"real_pictures\""));
}
