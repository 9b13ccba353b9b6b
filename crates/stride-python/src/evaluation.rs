//! Images and models judged, as `stride evaluate` does it.

use std::path::{Path, PathBuf};

use burn::tensor::Device;
use pyo3::prelude::*;
use serde::Serialize;
use stride_data::Part;
use stride_eval::evaluator::{
    DataSplit, EvaluatedModel, EvaluationProgress, EvaluationSettings, Evaluator, FeatureNetworks,
    FeatureStore, Reference, SampleFeatures, Scores,
};
use stride_eval::images::ImageSet;
use stride_eval::inception::{Inception, Variant};
use stride_eval::npz::has_statistics;
use stride_eval::prompts::PromptSet;
use stride_eval::protocol::Protocol;
use stride_eval::provenance::{Provenance, Set};
use stride_eval::{AttributeClassifier, EvalError};
use stride_kernels::workers::Workers;

use crate::error::{unusable, wrong_value};
use crate::image::from_json;
use crate::in_background::{Line, run};

/// How images become features: by an attribute classifier, or by Inception-v3 where its weights are given, prepared as
/// pytorch-fid does it.
const PROTOCOL: Protocol = Protocol::PytorchFid;

/// Compares two sets of images, each a folder or an .npz archive; the second one may be an .npz file of statistics.
///
/// Returns what `stride evaluate SAMPLES REFERENCE --json` prints, as a dictionary.
#[pyfunction]
#[pyo3(signature = (samples, reference, *, inception=None, classifier=None, callback=None))]
pub(crate) fn evaluate<'py>(
    py: Python<'py>,
    samples: PathBuf,
    reference: PathBuf,
    inception: Option<PathBuf>,
    classifier: Option<PathBuf>,
    callback: Option<Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyAny>> {
    let judges = Judges { inception, classifier, device: Device::flex() };
    let workers = judges.workers()?;
    let scores = run(py, callback.as_ref(), |line| {
        let networks = judges.load(false)?;
        let extract = |path: &Path, what: &str| -> Result<SampleFeatures, EvalError> {
            let set = ImageSet::open(path, None)?;
            let mut done = 0;
            networks.extract_set(&workers, &set, PROTOCOL, &mut |images| {
                done += images;
                line.tell(what, done as f64 / set.len() as f64);
                line.check()
            })
        };
        let width = networks.feature_network().width();
        let reference = if has_statistics(&reference)? {
            Reference::of_statistics(&reference, width)?
        } else {
            Reference::of_samples(extract(&reference, "reference")?)?
        };
        let samples = extract(&samples, "samples")?;
        let sets = [Set { count: Some(samples.len()), sha256: samples.sha256() }, reference.set()];
        let provenance = Provenance::new(networks.feature_network(), PROTOCOL, sets, None);
        Scores::of(&samples, &reference, provenance, 0, 0)
    })?;
    to_python(py, &scores)
}

/// What decides the numbers of a model's evaluation besides its data.
pub(crate) struct Settings {
    pub(crate) steps: Vec<usize>,
    pub(crate) seed: u64,
    pub(crate) cfg_scale: Option<f64>,
}

impl Settings {
    fn with_samples(self, samples: usize) -> EvaluationSettings {
        let Self { steps, seed, cfg_scale } = self;
        EvaluationSettings { steps, samples, seed, cfg_scale, protocol: PROTOCOL, bootstrap: 0 }
    }
}

/// A model against the images of data folders, the second of which has combinations that training never saw.
pub(crate) fn on_data<'py>(
    py: Python<'py>,
    callback: Option<&Bound<'py, PyAny>>,
    model: EvaluatedModel,
    judges: &Judges,
    settings: Settings,
    folders: [(&str, Option<&Path>); 2],
    samples: usize,
) -> PyResult<Bound<'py, PyAny>> {
    let workers = judges.workers()?;
    let report = run(py, callback, |line| {
        let split = |(label, path): (&str, Option<&Path>)| {
            path.map(|path| DataSplit::open(label, path, samples))
        };
        let splits = folders.into_iter().filter_map(split).collect::<Result<_, _>>()?;
        let settings = settings.with_samples(samples);
        let evaluator = Evaluator::new(settings, vec![model], splits, judges.load(true)?, workers)?;
        evaluator.report(&collected(&evaluator, line)?)
    })?;
    to_python(py, &report)
}

/// A model on a file of prompts that ask for attributes, each drawn with several seeds.
pub(crate) fn on_prompts<'py>(
    py: Python<'py>,
    callback: Option<&Bound<'py, PyAny>>,
    model: EvaluatedModel,
    judges: &Judges,
    settings: Settings,
    prompts: &Path,
    seeds: usize,
) -> PyResult<Bound<'py, PyAny>> {
    let workers = judges.workers()?;
    let report = run(py, callback, |line| {
        let networks = judges.load(true)?;
        let known = networks.classifier().map_or(&[][..], |judge| &judge.config().attributes);
        let prompts = PromptSet::open(prompts, seeds, known)?;
        let settings = settings.with_samples(prompts.num_images());
        let evaluator = Evaluator::of_prompts(settings, model, prompts, networks, workers)?;
        evaluator.prompt_report(&collected(&evaluator, line)?)
    })?;
    to_python(py, &report)
}

/// The features of everything that a report needs.
fn collected(evaluator: &Evaluator, line: &Line) -> Result<FeatureStore, EvalError> {
    let mut store = FeatureStore::in_memory();
    let mut tell = |EvaluationProgress { set, done, total, .. }: EvaluationProgress<'_>| {
        line.tell(set, done as f64 / total.max(1) as f64);
    };
    evaluator.collect(Part::ALL, &mut store, line.stop(), &mut tell)?;
    Ok(store)
}

/// The networks that judge images.
pub(crate) struct Judges {
    /// Weights of Inception-v3, whose features are compared instead of the classifier's.
    pub(crate) inception: Option<PathBuf>,
    /// Folder of an attribute classifier in place of the one inside the package.
    pub(crate) classifier: Option<PathBuf>,
    /// Where they run.
    pub(crate) device: Device,
}

impl Judges {
    /// Images without captions need no classifier beside Inception.
    fn load(&self, has_captions: bool) -> Result<FeatureNetworks, EvalError> {
        let classifier = || AttributeClassifier::load(self.classifier.as_deref(), &self.device);
        let Some(path) = &self.inception else {
            return Ok(FeatureNetworks::of_classifier(classifier()?));
        };
        let inception = Inception::open(path, Variant::Fid, &self.device)?;
        let classifier = if has_captions { Some(classifier()?) } else { None };
        Ok(FeatureNetworks::new(Box::new(inception), classifier))
    }

    fn workers(&self) -> PyResult<Workers> {
        Workers::on(&self.device).map_err(unusable)
    }
}

/// A dictionary.
fn to_python<'py>(py: Python<'py>, report: &impl Serialize) -> PyResult<Bound<'py, PyAny>> {
    from_json(py, &serde_json::to_string(report).map_err(wrong_value)?)
}
