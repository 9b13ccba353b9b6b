//! How far a drawing is, for callbacks.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pyo3::prelude::*;
use stride::image::ImageMetadata;
use stride::pipeline::{Drawing, Pipeline};
use stride_kernels::workers::among_threads;

use crate::image::Image;

/// The state after a step of one image.
#[pyclass(frozen, module = "stride")]
pub(crate) struct Progress {
    /// The image, from 0.
    #[pyo3(get)]
    pub(crate) image: usize,
    /// Images in all.
    #[pyo3(get)]
    pub(crate) images: usize,
    /// Steps of it that are done.
    #[pyo3(get)]
    pub(crate) step: usize,
    /// Steps of it in all.
    #[pyo3(get)]
    pub(crate) steps: usize,
    pub(crate) pipeline: Arc<Pipeline>,
    pub(crate) drawing: Arc<Mutex<Drawing>>,
}

#[pymethods]
impl Progress {
    /// The image as it is now; decoding it takes about as long as a step.
    fn preview(&self, py: Python<'_>) -> Image {
        let Self { pipeline, drawing, .. } = self;
        let image =
            py.detach(|| among_threads(pipeline.device(), || pipeline.preview(&locked(drawing))));
        Image { image, metadata: ImageMetadata::default() }
    }

    fn __repr__(&self) -> String {
        let Self { image, images, step, steps, .. } = self;
        format!("<stride.Progress image={image} images={images} step={step} steps={steps}>")
    }
}

/// A drawing for one thread. A panic of another leaves it at its last step.
pub(crate) fn locked(drawing: &Mutex<Drawing>) -> MutexGuard<'_, Drawing> {
    drawing.lock().unwrap_or_else(PoisonError::into_inner)
}
