//! An image that was drawn, for PIL, NumPy and files.

use std::path::PathBuf;

use pyo3::prelude::*;
use pyo3::types::{PyByteArray, PyBytes, PyDict};
use stride::image::{ImageFormat, ImageMetadata, RgbImage, image_bytes};
use stride_files::write_whole;

use crate::error::{unusable, wrong_value};

/// An image and how it was made.
#[pyclass(frozen, module = "stride")]
pub(crate) struct Image {
    pub(crate) image: RgbImage,
    pub(crate) metadata: ImageMetadata,
}

#[pymethods]
impl Image {
    /// Pixels in a row.
    #[getter]
    fn width(&self) -> usize {
        self.image.width
    }

    /// Rows.
    #[getter]
    fn height(&self) -> usize {
        self.image.height
    }

    /// How it was made, as files tell it: seed, prompt, completed_prompt, steps and the like. Empty for previews.
    #[getter]
    fn info<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        match &self.metadata.json {
            Some(json) => from_json(py, json),
            None => Ok(PyDict::new(py).into_any()),
        }
    }

    /// As an image of Pillow, in RGB.
    fn to_pil<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let size = (self.image.width, self.image.height);
        let pixels = PyBytes::new(py, &self.image.pixels);
        py.import("PIL.Image")?.call_method1("frombytes", ("RGB", size, pixels))
    }

    /// As an array of bytes with the axes height, width and colour, which may be written to.
    fn to_numpy<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let numpy = py.import("numpy")?;
        let pixels = PyByteArray::new(py, &self.image.pixels);
        let values = numpy.call_method1("frombuffer", (pixels, numpy.getattr("uint8")?))?;
        values.call_method1("reshape", (self.image.height, self.image.width, 3))
    }

    /// What `numpy.asarray` calls.
    #[pyo3(signature = (dtype=None, copy=None))]
    fn __array__<'py>(
        &self,
        py: Python<'py>,
        dtype: Option<Bound<'py, PyAny>>,
        copy: Option<bool>,
    ) -> PyResult<Bound<'py, PyAny>> {
        if copy == Some(false) {
            return Err(wrong_value(
                "the pixels become an array by a copy; expected no copy=False",
            ));
        }
        let array = self.to_numpy(py)?;
        match dtype {
            Some(dtype) => array.call_method1("astype", (dtype,)),
            None => Ok(array),
        }
    }

    /// The bytes of a file, the same that `stride generate` writes.
    #[pyo3(signature = (format="png", quality=90))]
    fn encode<'py>(
        &self,
        py: Python<'py>,
        format: &str,
        quality: u8,
    ) -> PyResult<Bound<'py, PyBytes>> {
        Ok(PyBytes::new(py, &self.file(py, format_of(format)?, quality)?))
    }

    /// Writes a file, PNG, JPEG or WebP by its ending, which says how the image was made.
    #[pyo3(signature = (path, quality=90))]
    fn save(&self, py: Python<'_>, path: PathBuf, quality: u8) -> PyResult<()> {
        let ending = path.extension().unwrap_or_default().to_string_lossy();
        let bytes = self.file(py, format_of(&ending)?, quality)?;
        py.detach(|| write_whole(&path, &bytes)).map_err(unusable)
    }

    /// What notebooks show.
    fn _repr_png_<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        self.encode(py, "png", 90)
    }

    fn __repr__(&self) -> String {
        let Self { image, metadata } = self;
        let about = metadata.json.as_ref().map(|json| format!(" {json}")).unwrap_or_default();
        format!("<stride.Image {}x{}{about}>", image.width, image.height)
    }
}

impl Image {
    fn file(&self, py: Python<'_>, format: ImageFormat, quality: u8) -> PyResult<Vec<u8>> {
        if !(1..=100).contains(&quality) {
            return Err(wrong_value(format!("quality: expected 1 to 100, found {quality}")));
        }
        py.detach(|| image_bytes(&self.image, format, quality, &self.metadata)).map_err(unusable)
    }
}

fn format_of(name: &str) -> PyResult<ImageFormat> {
    let problem = || wrong_value(format!("expected png, jpg, jpeg or webp, found {name:?}"));
    ImageFormat::from_extension(name).ok_or_else(problem)
}

/// An object of Python from JSON.
pub(crate) fn from_json<'py>(py: Python<'py>, json: &str) -> PyResult<Bound<'py, PyAny>> {
    py.import("json")?.call_method1("loads", (json,))
}
