//! What can be wrong with the things a metric is computed from.

use thiserror::Error;

/// An evaluation that cannot be done; every variant names the file or the metric.
#[derive(Debug, Error)]
pub enum EvalError {
    /// A file or folder cannot be read or written.
    #[error("{path}: {error}")]
    Io {
        /// The file or folder.
        path: String,
        /// The operating system's answer.
        error: std::io::Error,
    },
    /// An image cannot be decoded, or exceeds a bound.
    #[error("{path}: not a readable image ({problem})")]
    BrokenImage {
        /// The file.
        path: String,
        /// What is wrong with it.
        problem: String,
    },
    /// An image of a report cannot be encoded.
    #[error("an image of the report cannot be written as JPEG ({0})")]
    Jpeg(image::ImageError),
    /// Images of one set differ in size.
    #[error(
        "{path}: expected {expected_width}x{expected_height} like the images before it, found {width}x{height}; \
         bring all images to one size first, since resizing decides the result"
    )]
    MixedSizes {
        /// The file.
        path: String,
        /// Width of the first image.
        expected_width: usize,
        /// Height of the first image.
        expected_height: usize,
        /// Width of this one.
        width: usize,
        /// Height of this one.
        height: usize,
    },
    /// A metric needs more samples.
    #[error("{what}: expected at least {expected} samples, found {found}; add images")]
    TooFew {
        /// The set or metric.
        what: String,
        /// The least number.
        expected: usize,
        /// The number there is.
        found: usize,
    },
    /// More is asked for than anybody needs.
    #[error("{what}: expected at most {most}, found {found}")]
    TooMany {
        /// What.
        what: &'static str,
        /// The largest number.
        most: usize,
        /// The number asked for.
        found: usize,
    },
    /// Two things that are compared have different widths or lengths.
    #[error(
        "{what}: expected {expected}, found {found}; both sides must come from the same feature network and protocol"
    )]
    Width {
        /// What is compared.
        what: String,
        /// The expected number.
        expected: usize,
        /// The number found.
        found: usize,
    },
    /// A number is infinite or not a number.
    #[error("{what}: value {index} is {value}; the file or network is damaged")]
    NotFinite {
        /// What holds it.
        what: String,
        /// Its position in row-major order.
        index: usize,
        /// The value.
        value: f64,
    },
    /// A file is damaged or holds something else.
    #[error("{path}: {problem}")]
    Format {
        /// The file.
        path: String,
        /// What is wrong.
        problem: String,
    },
    /// A file cannot be written.
    #[error(transparent)]
    File(#[from] stride_files::FileError),
    /// A data set cannot be used.
    #[error(transparent)]
    Data(#[from] stride_data::DataError),
    /// A caption cannot be tokenised.
    #[error(transparent)]
    Tokenizer(#[from] stride::tokenizer::TokenizerError),
    /// A generator cannot make an image.
    #[error(transparent)]
    Generator(Box<dyn std::error::Error + Send + Sync>),
    /// The caller asked to stop; what is done stays.
    #[error("interrupted")]
    Interrupted,
    /// A file of weights cannot be read.
    #[error(transparent)]
    WeightsFile(#[from] stride_models::ModelsError),
    /// Weights of a feature network do not fit.
    #[error(transparent)]
    Weights(#[from] stride::weights::WeightsError),
}

impl EvalError {
    /// Names the path an input or output error happened on.
    pub fn io(path: &std::path::Path) -> impl FnOnce(std::io::Error) -> Self + '_ {
        move |error| Self::Io { path: path.display().to_string(), error }
    }
}

/// Checks that a set is large enough.
pub(crate) fn at_least(what: &str, expected: usize, found: usize) -> Result<(), EvalError> {
    if found < expected {
        return Err(EvalError::TooFew { what: what.to_owned(), expected, found });
    }
    Ok(())
}

/// Checks that two numbers agree.
pub(crate) fn same(what: &str, expected: usize, found: usize) -> Result<(), EvalError> {
    if expected != found {
        return Err(EvalError::Width { what: what.to_owned(), expected, found });
    }
    Ok(())
}
