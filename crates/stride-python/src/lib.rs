//! The Python package `stride`: pipelines that draw, images, and evaluation.
//!
//! `python/stride/` has the Python files around it: what the package exports, and its types. What a function does is said
//! there, in `_native.pyi`, where editors look for it, and in the docstrings here, where `help()` does.

#[cfg(feature = "python")]
mod error;
#[cfg(feature = "python")]
mod evaluation;
#[cfg(feature = "python")]
mod image;
#[cfg(feature = "python")]
mod in_background;
#[cfg(feature = "python")]
mod init_image;
#[cfg(feature = "python")]
mod pipeline;
#[cfg(feature = "python")]
mod progress;

#[cfg(feature = "python")]
#[pyo3::pymodule]
mod _native {
    use pyo3::prelude::*;

    #[pymodule_export]
    use crate::error::StrideError;
    #[pymodule_export]
    use crate::evaluation::evaluate;
    #[pymodule_export]
    use crate::image::Image;
    #[pymodule_export]
    use crate::pipeline::Pipeline;
    #[pymodule_export]
    use crate::progress::Progress;

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        stride_kernels::isa::Isa::check_environment().map_err(crate::error::wrong_value)?;
        module.add("__version__", env!("CARGO_PKG_VERSION"))
    }
}
