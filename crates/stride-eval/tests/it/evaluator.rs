//! Evaluation and comparison of a generator that is no pipeline: in one go, stopped and continued, and in parts.

use std::collections::BTreeSet;
use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use serde_json::Value;
use stride::image::{ImageMetadata, RgbImage, png_bytes};
use stride_data::{ImageFolder, Part};
use stride_eval::comparison::{STEP_COUNTS, StepEvaluator};
use stride_eval::evaluator::{
    DataSplit, EvaluatedModel, EvaluationSettings, Evaluator, FeatureNetworks, FeatureStore,
    JobIdentity,
};
use stride_eval::generator::{Generator, IntermediateStep, SampleRequest};
use stride_eval::network::{FeatureNetwork, NetworkOutput};
use stride_eval::protocol::Protocol;
use stride_eval::{EvalError, Features};
use stride_kernels::gemm::Compute;
use stride_kernels::workers::Workers;
use tempfile::TempDir;

use crate::attribute_classifier::classifier;

/// Side of an image.
const SIDE: usize = 8;
/// Samples of an evaluation: more than a block of the store holds.
const SAMPLES: usize = 130;
const WHOLE: Part = Part { index: 0, count: 1 };

/// An image whose colour follows its numbers.
fn image(numbers: [usize; 3]) -> RgbImage {
    let colour = numbers.map(|number| (number * 37 % 251) as u8);
    RgbImage { width: SIDE, height: SIDE, pixels: colour.repeat(SIDE * SIDE) }
}

/// Generates images of one colour, and counts them.
#[derive(Clone, Default)]
struct Colours {
    generated: Arc<AtomicUsize>,
}

impl Generator for Colours {
    fn name(&self) -> &str {
        "colours"
    }

    fn resolution(&self) -> usize {
        SIDE
    }

    fn default_cfg_scale(&self) -> f64 {
        1.5
    }

    fn compute(&self) -> Compute {
        Compute::F32
    }

    fn generate(
        &self,
        request: &SampleRequest<'_>,
        observer: &mut dyn FnMut(IntermediateStep<'_>) -> ControlFlow<()>,
    ) -> Result<RgbImage, EvalError> {
        let image = image([request.seed as usize, request.num_steps, request.prompt.len()]);
        for step in 1..=request.num_steps {
            if observer(IntermediateStep { step, preview: &|| image.clone() }).is_break() {
                return Err(EvalError::Interrupted);
            }
        }
        self.generated.fetch_add(1, Ordering::Relaxed);
        Ok(image)
    }

    fn reconstruct(&self, images: &[RgbImage]) -> Vec<RgbImage> {
        images.to_vec()
    }
}

/// The mean colour of an image as its features.
struct MeanColour;

impl FeatureNetwork for MeanColour {
    fn name(&self) -> String {
        "mean colour".to_owned()
    }

    fn weights_sha256(&self) -> &str {
        "none"
    }

    fn width(&self) -> usize {
        3
    }

    fn input(&self, _: Protocol) -> String {
        "pixels".to_owned()
    }

    fn features(&self, images: &[RgbImage], _: Protocol) -> Result<NetworkOutput, EvalError> {
        let mean = |image: &RgbImage, channel| {
            let values = image.pixels.iter().skip(channel).step_by(3);
            values.map(|&value| f32::from(value)).sum::<f32>() / (SIDE * SIDE) as f32
        };
        let values = images.iter().flat_map(|image| (0..3).map(move |c| mean(image, c)));
        Ok(NetworkOutput { features: Features::new("colour", 3, values.collect())?, logits: None })
    }
}

/// A folder of captioned images.
fn data(count: usize) -> TempDir {
    let dir = tempfile::tempdir().expect("temporary folder");
    let mut listing = String::new();
    for k in 0..count {
        let bytes = png_bytes(&image([k, k / 3, 5 * k]), &ImageMetadata::default()).expect("a PNG");
        fs::write(dir.path().join(format!("{k}.png")), bytes).expect("writable");
        let gender = ["man", "woman"][k % 2];
        listing += &format!(
            "{{\"file_name\": \"{k}.png\", \"text\": \"a {gender}\", \"attributes\": {{\"gender\": \"{gender}\"}}}}\n"
        );
    }
    fs::write(dir.path().join("metadata.jsonl"), listing).expect("writable");
    dir
}

/// An evaluator of a model and one checkpoint.
fn evaluator(data: &Path, generator: &Colours, seed: u64) -> Evaluator {
    let settings = EvaluationSettings {
        steps: vec![2, 1],
        samples: SAMPLES,
        seed,
        cfg_scale: None,
        protocol: Protocol::PytorchFid,
        bootstrap: 2,
    };
    let model = |hash: &str, training_step| EvaluatedModel {
        generator: Box::new(generator.clone()),
        hash: hash.to_owned(),
        training_step,
    };
    let models = vec![model("abc", None), model("def", Some(7))];
    let splits = vec![DataSplit::open("data", data, SAMPLES).expect("a listing")];
    let networks = FeatureNetworks::new(Box::new(MeanColour), None);
    let workers = Workers::new(2).expect("threads");
    Evaluator::new(settings, models, splits, networks, workers).expect("valid")
}

/// What an evaluation in one go and in memory finds.
fn whole(data: &Path, generator: &Colours) -> Value {
    let evaluator = evaluator(data, generator, 0);
    let mut store = FeatureStore::in_memory();
    let go = AtomicBool::new(false);
    let mut last = None;
    let mut observer = |at: stride_eval::evaluator::EvaluationProgress<'_>| {
        assert!(last <= Some(at.done) && at.done <= at.total, "{at:?} after {last:?}");
        last = Some(at.done);
    };
    evaluator.collect(WHOLE, &mut store, &go, &mut observer).expect("generated");
    assert_eq!(evaluator.missing(&store), None);
    report(&evaluator, &store)
}

fn report(evaluator: &Evaluator, store: &FeatureStore) -> Value {
    serde_json::to_value(evaluator.report(store).expect("complete")).expect("JSON")
}

#[test]
fn a_report_has_every_step_count_the_floor_and_the_checkpoints() {
    let (data, generator) = (data(SAMPLES), Colours::default());
    let report = whole(data.path(), &generator);
    // Two step counts of the model and one of its checkpoint (4 is not asked for); 16 of one caption at both.
    assert_eq!(generator.generated.load(Ordering::Relaxed), 3 * SAMPLES + 2 * 16);
    let split = &report["studies"][0];
    let floor = &split["floor"];
    // The autoencoder gives back what it gets.
    assert!(floor["distance"].as_f64().expect("a number").abs() < 1e-6, "{floor}");
    assert_eq!(floor["nearest"], 0.0);
    assert!(floor["certificate"]["drawing"].is_null());
    let rows = split["rows"].as_array().expect("a list");
    let steps: Vec<&Value> =
        rows.iter().map(|row| &row["certificate"]["drawing"]["steps"]).collect();
    assert_eq!(steps, [2, 1]);
    assert_eq!(rows[0]["certificate"]["drawing"]["cfg_scale"], 1.5);
    assert_ne!(rows[0]["distance"], rows[1]["distance"]);
    assert!(rows[0]["distance_interval_95"].is_array() && rows[0]["attributes"].is_null());
    // The checkpoint generates what the model does.
    let checkpoint = &report["checkpoints"][0];
    assert_eq!(checkpoint["training_step"], 7);
    assert_eq!(checkpoint["scores"]["distance"], rows[1]["distance"]);
    assert_eq!(report["diversity"]["by_steps"].as_array().map(Vec::len), Some(2));
}

#[test]
fn a_stopped_evaluation_goes_on_where_it_was() {
    let (data, out) = (data(SAMPLES), tempfile::tempdir().expect("temporary folder"));
    let generator = Colours::default();
    let expected = whole(data.path(), &generator);
    let images_of_whole = generator.generated.swap(0, Ordering::Relaxed);

    // Stopped again and again after every second block.
    let mut runs = 0;
    let last = loop {
        let evaluator = evaluator(data.path(), &generator, 0);
        let mut store =
            FeatureStore::open(out.path(), &evaluator.identity("job".to_owned())).expect("same");
        let (stop, mut calls) = (AtomicBool::new(false), 0);
        let result = evaluator.collect(WHOLE, &mut store, &stop, &mut |_| {
            calls += 1;
            stop.store(calls == 4, Ordering::Relaxed);
        });
        runs += 1;
        match result {
            Ok(()) => break report(&evaluator, &store),
            Err(error) => assert!(matches!(error, EvalError::Interrupted), "{error}"),
        }
    };
    assert!(runs > 3, "{runs}");
    assert_eq!(last, expected);
    assert_eq!(generator.generated.load(Ordering::Relaxed), images_of_whole, "nothing twice");

    // Stopped within a block, nothing of the block stays.
    let other = tempfile::tempdir().expect("temporary folder");
    let evaluator = evaluator(data.path(), &generator, 0);
    let mut store =
        FeatureStore::open(other.path(), &evaluator.identity("job".to_owned())).expect("new");
    let stop = AtomicBool::new(false);
    let result = evaluator.collect(WHOLE, &mut store, &stop, &mut |at| {
        stop.store(at.set == "data/steps-2", Ordering::Relaxed);
    });
    assert!(matches!(result, Err(EvalError::Interrupted)));
    let missing = evaluator.missing(&store).expect("the set at work");
    assert_eq!(missing, ("data/steps-2".to_owned(), 0..SAMPLES.min(100)));
    assert!(!other.path().join("features/data/steps-2").exists());
}

#[test]
fn merged_parts_are_the_whole() {
    let (data, out) = (data(SAMPLES), tempfile::tempdir().expect("temporary folder"));
    let generator = Colours::default();
    let expected = whole(data.path(), &generator);
    let images_of_whole = generator.generated.swap(0, Ordering::Relaxed);
    let go = AtomicBool::new(false);
    let evaluator = evaluator(data.path(), &generator, 0);
    let parts: Vec<PathBuf> = (0..2).map(|index| out.path().join(index.to_string())).collect();
    for (index, part) in parts.iter().enumerate() {
        let mut store =
            FeatureStore::open(part, &evaluator.identity("job".to_owned())).expect("new");
        let part = Part { index, count: 2 };
        evaluator.collect(part, &mut store, &go, &mut |_| {}).expect("generated");
        assert!(evaluator.missing(&store).is_some());
        assert!(evaluator.report(&store).is_err(), "half of the blocks are missing");
    }
    let merged = out.path().join("merged");
    let identity: JobIdentity<String> = FeatureStore::merge(&parts, &merged).expect("one job");
    assert_eq!(identity.job, "job");
    let store = FeatureStore::open(&merged, &evaluator.identity("job".to_owned())).expect("same");
    assert_eq!(evaluator.missing(&store), None);
    assert_eq!(report(&evaluator, &store), expected);
    assert_eq!(generator.generated.load(Ordering::Relaxed), images_of_whole, "nothing twice");
}

#[test]
fn what_does_not_fit_is_refused() {
    let (data, out) = (data(SAMPLES), tempfile::tempdir().expect("temporary folder"));
    let generator = Colours::default();
    let open = |seed| {
        let identity = evaluator(data.path(), &generator, seed).identity("job".to_owned());
        FeatureStore::open(out.path(), &identity)
    };
    assert!(open(0).is_ok() && open(0).is_ok());
    let text = open(3).err().expect("another seed").to_string();
    assert!(text.contains("job.json") && text.contains("seed is 0, expected 3"), "{text}");
    let nothing = out.path().join("nothing");
    let text =
        FeatureStore::merge::<String>(&[nothing], out.path()).expect_err("no job").to_string();
    assert!(text.contains("stride evaluate --out"), "{text}");

    let settings = EvaluationSettings {
        steps: vec![1],
        samples: SAMPLES + 1,
        seed: 0,
        cfg_scale: None,
        protocol: Protocol::PytorchFid,
        bootstrap: 0,
    };
    let splits = vec![DataSplit::open("data", data.path(), SAMPLES + 1).expect("a listing")];
    let model =
        EvaluatedModel { generator: Box::new(generator), hash: String::new(), training_step: None };
    let networks = FeatureNetworks::new(Box::new(MeanColour), None);
    let workers = Workers::new(1).expect("threads");
    let text = Evaluator::new(settings, vec![model], splits, networks, workers)
        .err()
        .expect("too few images")
        .to_string();
    assert!(text.contains("at least 131 samples, found 130"), "{text}");
}

#[test]
fn a_comparison_measures_every_step_count_once() {
    let (data, out) = (data(12), tempfile::tempdir().expect("temporary folder"));
    let folder = ImageFolder::open(data.path(), None).expect("a listing");
    let workers = Workers::new(2).expect("threads");
    let evaluator = StepEvaluator::new(&folder, SIDE, classifier(), 4, workers).expect("enough");
    assert_eq!(evaluator.real().accuracy.total().named, 4);
    assert!(evaluator.features().starts_with("attribute classifier"));

    let (generator, file) = (Colours::default(), out.path().join("evaluation.json"));
    let go = AtomicBool::new(false);
    let evaluate = |hash: &str, stop: &AtomicBool, at: usize| {
        let mut seen = BTreeSet::new();
        let results = evaluator.evaluate(&generator, hash, &file, stop, &mut |result| {
            seen.insert(result.steps);
            if result.steps == at {
                stop.store(true, Ordering::Relaxed);
            }
        });
        (results, seen)
    };
    let stop = AtomicBool::new(false);
    let (stopped, _) = evaluate("abc", &stop, 8);
    assert!(matches!(stopped, Err(EvalError::Interrupted)));
    let (results, seen) = evaluate("abc", &go, 0);
    let results = results.expect("generated");
    assert_eq!(seen, BTreeSet::from([16, 32, 128]), "the others are in the file");
    let steps: Vec<usize> = results.iter().map(|result| result.steps).collect();
    assert_eq!(steps, STEP_COUNTS);
    assert!(results.iter().all(|result| result.quality.accuracy.total().named == 4));
    assert_eq!(generator.generated.load(Ordering::Relaxed), 4 * STEP_COUNTS.len(), "nothing twice");
    let (again, seen) = evaluate("abc", &go, 0);
    assert_eq!((again.expect("all there"), seen), (results, BTreeSet::new()));
    assert_eq!(evaluate("def", &go, 0).1.len(), STEP_COUNTS.len(), "another model");

    let few = ImageFolder { images: folder.images[..3].to_vec() };
    let workers = Workers::new(1).expect("threads");
    let text = StepEvaluator::new(&few, SIDE, classifier(), 4, workers).err().expect("too few");
    assert!(text.to_string().contains("at least 4 samples, found 3"), "{text}");
}
