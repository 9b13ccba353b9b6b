//! Prompts that are judged by the classifier, of a generator whose images are known.

use std::collections::BTreeMap;
use std::fs;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use serde_json::{Value, json};
use stride::image::RgbImage;
use stride_data::Part;
use stride_eval::EvalError;
use stride_eval::evaluator::{
    EvaluatedModel, EvaluationSettings, Evaluator, FeatureNetworks, FeatureStore,
};
use stride_eval::generator::{Generator, IntermediateStep, SampleRequest};
use stride_eval::prompts::PromptSet;
use stride_eval::protocol::Protocol;
use stride_kernels::gemm::Compute;
use stride_kernels::workers::Workers;

use crate::attribute_classifier::{classifier, drawings};

/// Images of each prompt.
const SEEDS: usize = 2;
const WHOLE: Part = Part { index: 0, count: 1 };

/// Gives drawings back: that of the prompt's number, or in one step and from an odd seed the next one.
#[derive(Clone)]
struct Gallery {
    drawings: Arc<Vec<RgbImage>>,
    generated: Arc<AtomicUsize>,
}

impl Gallery {
    fn place(&self, prompt: &str, num_steps: usize, seed: u64) -> usize {
        let number: usize =
            prompt.rsplit(' ').next().and_then(|n| n.parse().ok()).expect("a number");
        let is_next = num_steps == 1 && !seed.is_multiple_of(2);
        (number + usize::from(is_next)) % self.drawings.len()
    }
}

impl Generator for Gallery {
    fn name(&self) -> &str {
        "gallery"
    }

    fn resolution(&self) -> usize {
        self.drawings[0].width
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
        _: &mut dyn FnMut(IntermediateStep<'_>) -> ControlFlow<()>,
    ) -> Result<RgbImage, EvalError> {
        self.generated.fetch_add(1, Ordering::Relaxed);
        let place = self.place(request.prompt, request.num_steps, request.seed);
        Ok(self.drawings[place].clone())
    }

    fn reconstruct(&self, images: &[RgbImage]) -> Vec<RgbImage> {
        images.to_vec()
    }
}

/// A prompt for every drawing, which asks for all that the classifier tells of it; hair of any colour will do.
fn prompts(dir: &Path) -> PromptSet {
    let classifier = classifier();
    let known = &classifier.config().attributes;
    let mut lines = String::new();
    for (number, drawing) in drawings().1.into_iter().enumerate() {
        let is_known = |name: &String| known.iter().any(|attribute| attribute.name == *name);
        let asked = drawing.attributes.into_iter().filter(|(name, _)| is_known(name));
        let mut asked: BTreeMap<String, Value> =
            asked.map(|(name, value)| (name, json!(value))).collect();
        let colours = known.iter().find(|attribute| attribute.name == "hair_color");
        asked.insert("hair_color".to_owned(), json!(colours.expect("known").values));
        lines +=
            &format!("{}\n", json!({ "text": format!("drawing {number}"), "attributes": asked }));
    }
    let path = dir.join("prompts.jsonl");
    fs::write(&path, lines).expect("writable");
    PromptSet::open(&path, SEEDS, known).expect("valid")
}

fn gallery() -> Gallery {
    Gallery { drawings: Arc::new(drawings().0), generated: Arc::default() }
}

fn evaluator(gallery: &Gallery, prompts: PromptSet, seed: u64, workers: usize) -> Evaluator {
    evaluator_at(&[1, 4], gallery, prompts, seed, workers)
}

fn evaluator_at(
    steps: &[usize],
    gallery: &Gallery,
    prompts: PromptSet,
    seed: u64,
    workers: usize,
) -> Evaluator {
    let settings = EvaluationSettings {
        steps: steps.to_vec(),
        samples: 0,
        seed,
        cfg_scale: None,
        protocol: Protocol::PytorchFid,
        bootstrap: 0,
    };
    let model = EvaluatedModel {
        generator: Box::new(gallery.clone()),
        hash: "abc".to_owned(),
        training_step: None,
    };
    let networks = FeatureNetworks::of_classifier(classifier());
    let workers = Workers::new(workers).expect("threads");
    Evaluator::of_prompts(settings, model, prompts, networks, workers).expect("valid")
}

fn report(evaluator: &Evaluator) -> Value {
    let mut store = FeatureStore::in_memory();
    let go = AtomicBool::new(false);
    evaluator.collect(WHOLE, &mut store, &go, &mut |_| {}).expect("generated");
    let report = evaluator.prompt_report(&store).expect("complete");
    assert!(evaluator.report(&store).is_err(), "there is no data");
    serde_json::to_value(report).expect("JSON")
}

#[test]
fn shares_are_those_of_a_plain_count() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let (set, gallery) = (prompts(dir.path()), gallery());
    let report = report(&evaluator(&gallery, set.clone(), 0, 2));
    assert_eq!(gallery.generated.load(Ordering::Relaxed), 2 * set.num_images());
    assert_eq!(report["count"], set.prompts.len());

    // What the classifier says of every drawing, counted without the evaluator.
    let classifier = classifier();
    let labels = classifier.predict(&gallery.drawings).expect("finite").labels;
    let shows = |drawing: usize, name: &str, wanted: &[String]| {
        let attributes = &classifier.config().attributes;
        let place = attributes.iter().position(|attribute| attribute.name == name).expect("known");
        wanted.contains(&attributes[place].values[labels[drawing][place]])
    };
    for (row, steps) in [1, 4].into_iter().enumerate() {
        let (mut shown, mut asked, mut right) = (0, 0, 0);
        for (number, prompt) in set.prompts.iter().enumerate() {
            for seed in (number * SEEDS..).take(SEEDS) {
                let drawing = gallery.place(&prompt.text, steps, seed as u64);
                let hits = prompt.attributes.iter();
                let hits = hits.filter(|(name, wanted)| shows(drawing, name, wanted)).count();
                shown += hits;
                asked += prompt.attributes.len();
                right += usize::from(hits == prompt.attributes.len());
            }
        }
        let row = &report["rows"][row];
        println!("{steps} steps: {shown} of {asked}, {right} images");
        assert_eq!(row["steps"], steps);
        for (share, expected) in
            [("attributes_shown", [shown, asked]), ("images_right", [right, set.num_images()])]
        {
            let share = &row[share];
            assert_eq!([&share["right"], &share["of"]], expected.map(Value::from).each_ref());
            let [low, high] =
                [0, 1].map(|end| share["interval_95"][end].as_f64().expect("a number"));
            let fraction = share["fraction"].as_f64().expect("a number");
            assert!(low <= fraction && fraction <= high, "{share}");
        }
        let tallies = row["attributes"]["tallies"].as_object().expect("by name");
        let sum = |key: &str| tallies.values().filter_map(|tally| tally[key].as_u64()).sum::<u64>();
        assert_eq!([sum("shown"), sum("named")], [shown as u64, asked as u64]);
        let hair = &tallies["hair_color"];
        assert_eq!(hair["shown"], hair["named"], "any colour will do");
        assert_eq!(row["certificate"]["samples"], set.num_images());
        assert_eq!(row["certificate"]["drawing"]["cfg_scale"], 1.5);
    }
    let shown = |row: usize| report["rows"][row]["attributes_shown"]["fraction"].as_f64();
    assert!(shown(0) < Some(0.85) && shown(1) > Some(0.95), "{:?} {:?}", shown(0), shown(1));
}

#[test]
fn failures_say_what_was_asked_for_and_seen() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let set = prompts(dir.path());
    let report = report(&evaluator_at(&[1], &gallery(), set.clone(), 0, 1));
    assert_eq!(report["failure_steps"], 1);
    // Every second image is another drawing.
    let failures = report["failures"].as_array().expect("a list");
    assert!(failures.len() > set.prompts.len() / 2, "{}", failures.len());
    let share = |failure: &Value| {
        let [shown, asked] = ["shown", "asked"].map(|key| failure[key].as_f64().expect("a number"));
        shown / asked
    };
    assert!(failures.is_sorted_by(|a, b| share(a) <= share(b)), "the worst first");
    for failure in failures {
        let prompt = set.prompts.iter().find(|prompt| failure["line"] == prompt.line);
        let prompt = prompt.expect("a line of the file");
        assert_eq!(failure["text"], prompt.text);
        assert_eq!(failure["asked"], SEEDS * prompt.attributes.len());
        let missed = failure["misses"].as_array().expect("a list").iter().map(|miss| {
            let name = miss["attribute"].as_str().expect("a name");
            assert_eq!(miss["wanted"], prompt.attributes[name].join(" or "));
            let seen = miss["seen"].as_object().expect("by value");
            assert!(seen.keys().all(|value| !prompt.attributes[name].contains(value)), "{miss}");
            seen.values().filter_map(Value::as_u64).sum::<u64>()
        });
        let [shown, asked] = ["shown", "asked"].map(|key| failure[key].as_u64().expect("a count"));
        assert_eq!(missed.sum::<u64>(), asked - shown);
    }
}

#[test]
fn a_report_depends_on_its_seed_and_on_nothing_else() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let (set, gallery) = (prompts(dir.path()), gallery());
    let expected = report(&evaluator(&gallery, set.clone(), 0, 1));
    assert_eq!(report(&evaluator(&gallery, set.clone(), 0, 3)), expected, "workers");
    let images = gallery.generated.swap(0, Ordering::Relaxed);

    // Stopped after every block and continued.
    let out = dir.path().join("out");
    let (mut runs, mut last) = (0, None);
    while last.is_none() {
        let evaluator = evaluator(&gallery, set.clone(), 0, 2);
        let identity = evaluator.identity("job".to_owned());
        let mut store = FeatureStore::open(&out, &identity).expect("the same job");
        let stop = AtomicBool::new(false);
        let mut calls = 0;
        let result = evaluator.collect(WHOLE, &mut store, &stop, &mut |_| {
            calls += 1;
            stop.store(calls == 2, Ordering::Relaxed);
        });
        runs += 1;
        match result {
            Ok(()) => last = Some(evaluator.prompt_report(&store).expect("complete")),
            Err(error) => assert!(matches!(error, EvalError::Interrupted), "{error}"),
        }
    }
    assert!(runs > 2, "{runs}");
    assert_eq!(serde_json::to_value(last).expect("JSON"), expected);
    assert_eq!(2 * gallery.generated.load(Ordering::Relaxed), images, "nothing twice");

    // From the next seed on, the other images of one step are wrong.
    let other = evaluator(&gallery, set.clone(), 1, 2);
    let text = FeatureStore::open(&out, &other.identity("job".to_owned())).err().expect("refused");
    assert!(text.to_string().contains("seed is 0, expected 1"), "{text}");
    let other = report(&other);
    let hash =
        |report: &Value, row: usize| report["rows"][row]["certificate"]["samples_sha256"].clone();
    assert_ne!(hash(&other, 0), hash(&expected, 0));
    assert_eq!(hash(&other, 1), hash(&expected, 1), "four steps do not look at the seed");

    let more = PromptSet { seeds: SEEDS + 1, ..set };
    let more = evaluator(&gallery, more, 0, 1).identity("job".to_owned());
    let text = FeatureStore::open(&out, &more).err().expect("refused").to_string();
    assert!(text.contains("job.json"), "{text}");
}
