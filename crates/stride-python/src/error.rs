//! Errors as Python has them, with the same messages as the program's.

use std::error::Error;
use std::fmt::Display;

use pyo3::create_exception;
use pyo3::exceptions::{PyException, PyValueError};
use pyo3::prelude::*;
use stride::pipeline::GenerateError;

create_exception!(
    stride,
    StrideError,
    PyException,
    "A model, image or data set that cannot be used; the message says what was expected, and what to do."
);

/// An argument that no model can take.
pub(crate) fn wrong_value(error: impl Display) -> PyErr {
    PyValueError::new_err(error.to_string())
}

/// A file, folder or model that cannot be used, with its causes; one that ends the message already is not told again.
pub(crate) fn unusable(error: impl Error) -> PyErr {
    let mut message = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let text = cause.to_string();
        if !message.ends_with(&text) {
            message = format!("{message}: {text}");
        }
        source = cause.source();
    }
    StrideError::new_err(message)
}

/// A request that cannot be fulfilled: but for damaged weights, its arguments are wrong.
pub(crate) fn cannot_generate(error: GenerateError) -> PyErr {
    match error {
        GenerateError::NotFinite { .. } => unusable(error),
        _ => wrong_value(error),
    }
}
