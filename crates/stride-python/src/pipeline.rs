//! A model that draws.

use std::ffi::CString;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use pyo3::exceptions::PyUserWarning;
use pyo3::prelude::*;
use pyo3::types::PyType;
use serde::Deserialize as _;
use serde::de::IntoDeserializer as _;
use serde::de::value::{Error as ValueError, StrDeserializer};
use stride::pipeline::{Drawing, GenerateError, GenerateRequest, InitImage, Record};
use stride_eval::evaluator::EvaluatedModel;
use stride_kernels::device::DeviceName;
use stride_kernels::gemm::Compute;
use stride_kernels::workers::among_threads;
use stride_models::Model;

use crate::error::{cannot_generate, unusable, wrong_value};
use crate::evaluation::{Judges, Settings, on_data, on_prompts};
use crate::image::Image;
use crate::init_image;
use crate::progress::{Progress, locked};

/// Step counts of evaluations where none are named.
const STEPS: [usize; 7] = [1, 2, 4, 8, 16, 32, 128];

/// One prompt or several.
#[derive(FromPyObject)]
pub(crate) enum Prompts {
    One(String),
    Several(Vec<String>),
}

/// A model that draws images from prompts.
#[pyclass(frozen, module = "stride")]
pub(crate) struct Pipeline {
    pub(crate) pipeline: Arc<stride::pipeline::Pipeline>,
    pub(crate) hash: String,
}

#[pymethods]
impl Pipeline {
    /// Loads the model in a folder, or the one inside this package.
    #[classmethod]
    #[pyo3(signature = (path=None, *, device="auto", dtype="f32"))]
    fn load(
        _class: &Bound<'_, PyType>,
        py: Python<'_>,
        path: Option<PathBuf>,
        device: &str,
        dtype: &str,
    ) -> PyResult<Self> {
        let compute = compute(dtype)?;
        let device: DeviceName = device.parse().map_err(wrong_value)?;
        let device = device.device_for(compute).map_err(wrong_value)?;
        let model = py.detach(|| Model::load(path.as_deref(), &device)).map_err(unusable)?;
        let Model { pipeline, hash } = model;
        Ok(Self { pipeline: Arc::new(pipeline.with_compute(compute)), hash })
    }

    /// A short name, such as `avatars`.
    #[getter]
    fn name(&self) -> &str {
        &self.pipeline.index().name
    }

    /// What the model draws, and what it was trained on.
    #[getter]
    fn description(&self) -> &str {
        &self.pipeline.index().description
    }

    /// Height and width of its images.
    #[getter]
    fn resolution(&self) -> usize {
        self.pipeline.index().resolution
    }

    /// Steps where none are asked for.
    #[getter]
    fn default_steps(&self) -> usize {
        self.pipeline.index().default_steps
    }

    /// Guidance scale where none is asked for; 1 disables guidance.
    #[getter]
    fn default_cfg_scale(&self) -> f64 {
        self.pipeline.index().default_cfg_scale
    }

    /// The start of the SHA-256 of its weights.
    #[getter]
    fn hash(&self) -> &str {
        &self.hash
    }

    /// Draws images: of every prompt `count`, of which image k has `seed` + k.
    ///
    /// The lock of the interpreter is free while it draws. `callback` gets a `Progress` after every step; what it raises
    /// ends the drawing, as Ctrl-C does.
    #[pyo3(signature = (
        prompt, *, steps=None, seed=None, cfg_scale=None, count=1, negative_prompt=None, as_typed=false,
        init_image=None, strength=None, callback=None,
    ))]
    #[allow(clippy::too_many_arguments)] // They have names in Python.
    fn generate(
        &self,
        py: Python<'_>,
        prompt: Prompts,
        steps: Option<usize>,
        seed: Option<u64>,
        cfg_scale: Option<f64>,
        count: usize,
        negative_prompt: Option<String>,
        as_typed: bool,
        init_image: Option<Bound<'_, PyAny>>,
        strength: Option<f64>,
        callback: Option<Bound<'_, PyAny>>,
    ) -> PyResult<Vec<Image>> {
        let index = self.pipeline.index();
        let prompts = match prompt {
            Prompts::One(prompt) => vec![prompt],
            Prompts::Several(prompts) => prompts,
        };
        let seed = seed.map_or_else(random_seed, Ok)?;
        if count == 0 {
            return Err(wrong_value("count: expected at least 1, found 0"));
        }
        if seed.checked_add(count as u64 - 1).is_none() {
            return Err(wrong_value(format!(
                "seed {seed}: too large for count {count}; the last seed is {}",
                u64::MAX
            )));
        }
        let init = init_image::read(init_image.as_ref(), strength, index.resolution)?;
        let request = |prompt| GenerateRequest {
            prompt,
            negative_prompt: negative_prompt.clone(),
            num_steps: steps.unwrap_or(index.default_steps),
            cfg_scale: cfg_scale.unwrap_or(index.default_cfg_scale),
            seed,
            count,
            as_typed,
        };
        let requests: Vec<GenerateRequest> = prompts.into_iter().map(request).collect();
        for request in &requests {
            self.pipeline.check(request).map_err(cannot_generate)?;
            self.warn(py, request)?;
        }
        let easel = Easel {
            pipeline: &self.pipeline,
            init: init.as_ref(),
            callback: callback.as_ref(),
            images: requests.len() * count,
        };
        let record = Record { pipeline: &self.pipeline, hash: &self.hash, strength };
        let mut images = Vec::new();
        for request in &requests {
            easel.draw(py, &record, request, &mut images)?;
        }
        Ok(images)
    }

    /// Compares images of the first captions of a data folder with the folder's own, at every step count.
    ///
    /// Returns what `stride evaluate --data DATA --json` prints, as a dictionary.
    #[pyo3(signature = (
        data, *, heldout=None, steps=None, samples=1000, seed=0, cfg_scale=None, inception=None,
        classifier=None, callback=None,
    ))]
    #[allow(clippy::too_many_arguments)] // They have names in Python.
    fn evaluate<'py>(
        &self,
        py: Python<'py>,
        data: PathBuf,
        heldout: Option<PathBuf>,
        steps: Option<Vec<usize>>,
        samples: usize,
        seed: u64,
        cfg_scale: Option<f64>,
        inception: Option<PathBuf>,
        classifier: Option<PathBuf>,
        callback: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let judges = Judges { inception, classifier, device: self.pipeline.device().clone() };
        let settings = self.settings(steps, seed, cfg_scale)?;
        let folders = [("data", Some(data.as_path())), ("heldout", heldout.as_deref())];
        on_data(py, callback.as_ref(), self.evaluated()?, &judges, settings, folders, samples)
    }

    /// Draws the prompts of a file, each with `seeds` seeds at every step count, and counts which of the attributes that a
    /// prompt asks for the images show.
    ///
    /// Returns what `stride evaluate --prompts FILE --json` prints, as a dictionary.
    #[pyo3(signature = (
        prompts, *, steps=None, seeds=4, seed=0, cfg_scale=None, classifier=None, callback=None,
    ))]
    #[allow(clippy::too_many_arguments)] // They have names in Python.
    fn evaluate_prompts<'py>(
        &self,
        py: Python<'py>,
        prompts: PathBuf,
        steps: Option<Vec<usize>>,
        seeds: usize,
        seed: u64,
        cfg_scale: Option<f64>,
        classifier: Option<PathBuf>,
        callback: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let judges = Judges { inception: None, classifier, device: self.pipeline.device().clone() };
        let settings = self.settings(steps, seed, cfg_scale)?;
        if seeds == 0 {
            return Err(wrong_value("seeds: expected at least 1, found 0"));
        }
        on_prompts(py, callback.as_ref(), self.evaluated()?, &judges, settings, &prompts, seeds)
    }

    fn __repr__(&self) -> String {
        format!("<stride.Pipeline {} {}>", self.name(), self.hash)
    }
}

impl Pipeline {
    /// Warns, as Python does, of what the model does not understand of a request.
    fn warn(&self, py: Python<'_>, request: &GenerateRequest) -> PyResult<()> {
        let negative = request.negative_prompt.as_deref();
        let category = py.get_type::<PyUserWarning>();
        for (what, text) in [("prompt", Some(&*request.prompt)), ("negative prompt", negative)] {
            let Some(text) = text else { continue };
            for warning in self.pipeline.prompt_report(text).map_err(wrong_value)?.warnings(what) {
                let warning = CString::new(warning.replace('\0', " ")).map_err(wrong_value)?;
                PyErr::warn(py, &category, &warning, 1)?;
            }
        }
        Ok(())
    }

    /// Settings that the model can draw.
    fn settings(
        &self,
        steps: Option<Vec<usize>>,
        seed: u64,
        cfg_scale: Option<f64>,
    ) -> PyResult<Settings> {
        let steps = steps.unwrap_or_else(|| STEPS.to_vec());
        for &num_steps in &steps {
            self.pipeline
                .check(&GenerateRequest {
                    prompt: String::new(),
                    negative_prompt: None,
                    num_steps,
                    cfg_scale: cfg_scale.unwrap_or(self.pipeline.index().default_cfg_scale),
                    seed,
                    count: 1,
                    as_typed: false,
                })
                .map_err(cannot_generate)?;
        }
        Ok(Settings { steps, seed, cfg_scale })
    }

    /// The model for an evaluation, which takes it along to other threads.
    fn evaluated(&self) -> PyResult<EvaluatedModel> {
        let Self { pipeline, hash } = self;
        let (parts, device) = (pipeline.parts().clone(), pipeline.device());
        let copy = stride::pipeline::Pipeline::from_parts(parts, device).map_err(unusable)?;
        let generator = Box::new(copy.with_compute(pipeline.precision().compute()));
        Ok(EvaluatedModel { generator, hash: hash.clone(), training_step: None })
    }
}

/// Where the images of a call are drawn.
struct Easel<'a, 'py> {
    pipeline: &'a Arc<stride::pipeline::Pipeline>,
    init: Option<&'a InitImage>,
    callback: Option<&'a Bound<'py, PyAny>>,
    /// Images in all.
    images: usize,
}

impl Easel<'_, '_> {
    /// Adds the images of a request, and listens to Python between their steps.
    fn draw(
        &self,
        py: Python<'_>,
        record: &Record<'_>,
        request: &GenerateRequest,
        images: &mut Vec<Image>,
    ) -> PyResult<()> {
        let Self { pipeline, init, .. } = *self;
        let mut drawings = py.detach(|| start(pipeline, request, init)).map_err(cannot_generate)?;
        while let Some(drawing) = py.detach(|| drawings.next()) {
            let drawing = Arc::new(Mutex::new(drawing.map_err(cannot_generate)?));
            let mut is_done = false;
            while !is_done {
                let (step, steps) = py.detach(|| {
                    among_threads(pipeline.device(), || {
                        let mut drawing = locked(&drawing);
                        pipeline.advance([&mut *drawing]);
                        (drawing.num_done(), drawing.num_steps())
                    })
                });
                is_done = step == steps;
                py.check_signals()?;
                let Some(callback) = self.callback else { continue };
                callback.call1((Progress {
                    image: images.len(),
                    images: self.images,
                    step,
                    steps,
                    pipeline: Arc::clone(pipeline),
                    drawing: Arc::clone(&drawing),
                },))?;
            }
            let finish = || pipeline.finish(&locked(&drawing));
            let drawn = py.detach(|| among_threads(pipeline.device(), finish));
            let drawn = drawn.map_err(cannot_generate)?;
            let metadata = record.metadata(request, drawn.seed, &drawn.prompt);
            images.push(Image { image: drawn.image, metadata });
        }
        Ok(())
    }
}

/// Drawings at their beginning.
type Started<'a> = Box<dyn Iterator<Item = Result<Drawing, GenerateError>> + Send + 'a>;

/// The drawings of a request.
fn start<'a>(
    pipeline: &'a stride::pipeline::Pipeline,
    request: &'a GenerateRequest,
    init: Option<&'a InitImage>,
) -> Result<Started<'a>, GenerateError> {
    Ok(match init {
        None => Box::new(pipeline.start(request)?),
        Some(init) => Box::new(pipeline.start_at_image(request, init)?),
    })
}

/// A dtype by its name.
fn compute(name: &str) -> PyResult<Compute> {
    let name: StrDeserializer<'_, ValueError> = name.into_deserializer();
    Compute::deserialize(name).map_err(|error| wrong_value(format!("dtype: {error}")))
}

/// Ten digits at most, so that people can type it again.
fn random_seed() -> PyResult<u64> {
    let drawn = getrandom::u32().map(u64::from);
    drawn.map_err(|error| wrong_value(format!("no random seed: {error}; name one with seed=")))
}
