//! Why a training run cannot start or go on.

use std::path::{Path, PathBuf};

use stride::weights::WeightsError;
use stride_data::DataError;
use thiserror::Error;

/// A training run that cannot start or go on.
#[derive(Debug, Error)]
pub enum TrainError {
    /// The configuration is not usable.
    #[error("{}: {problem}", path.display())]
    Config {
        /// The configuration file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// A setting does not fit the data, the weights or the others.
    #[error("{problem}")]
    Setting {
        /// Its name, and what is wrong with it.
        problem: String,
    },
    /// An override on the command line is not usable.
    #[error("--set {setting}: {problem}")]
    Override {
        /// The override as written.
        setting: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The data set is not usable.
    #[error(transparent)]
    Data(#[from] DataError),
    /// A file or folder cannot be written.
    #[error(transparent)]
    Files(#[from] stride_files::FileError),
    /// Weights do not fit the configured model.
    #[error(transparent)]
    Model(#[from] WeightsError),
    /// A trained model to start from cannot be used.
    #[error(transparent)]
    Folder(#[from] stride_models::ModelsError),
    /// The data set is too small for the configuration.
    #[error("{what}: expected at least {expected}, found {found}")]
    TooFew {
        /// What there is too little of.
        what: &'static str,
        /// How many are needed.
        expected: usize,
        /// How many there are.
        found: usize,
    },
    /// Settings ask for more memory than there is.
    #[error(
        "{what}: expected sizes that fit into {total:.0} GB of memory, found {needed:.0} GB at least; lower them"
    )]
    Memory {
        /// The settings.
        what: &'static str,
        /// Gigabytes that they take at least.
        needed: f64,
        /// Gigabytes of the machine.
        total: f64,
    },
    /// An autoencoder cannot take images of a size.
    #[error("{}: expected a resolution that is a multiple of {factor}, found {resolution}", path.display())]
    Resolution {
        /// The autoencoder.
        path: PathBuf,
        /// Pixels that one latent position stands for.
        factor: usize,
        /// Height and width asked for.
        resolution: usize,
    },
    /// A run that reads images has none.
    #[error(
        "data.dir: expected a folder of images, found none; a prepared folder (data.prepared) has no images in it"
    )]
    NoImages,
    /// Images of the data set cannot be used.
    #[error(
        "{}: {count} images cannot be used, the first: {first}; mend or remove them, or train on a folder made by \
         stride prepare, which leaves them out",
        path.display()
    )]
    BrokenImages {
        /// The data set.
        path: PathBuf,
        /// How many.
        count: usize,
        /// What is wrong with the first.
        first: String,
    },
    /// A prepared folder does not fit the configuration.
    #[error("{}: {field}: expected {expected}, found {found}; prepare the data for this configuration", path.display())]
    Prepared {
        /// The prepared folder.
        path: PathBuf,
        /// What does not fit.
        field: &'static str,
        /// What the configuration needs.
        expected: String,
        /// What the folder has.
        found: String,
    },
    /// A second listing of captions is not one of the training images.
    #[error(
        "{}: expected a metadata.jsonl of the training images, found {problem}; list them by the same names for \
         data.late_captions",
        path.display()
    )]
    LateCaptions {
        /// The folder of the listing.
        path: PathBuf,
        /// What does not fit.
        problem: String,
    },
    /// The run was stopped before its first step.
    #[error("stopped while latents were made; the same command goes on from there")]
    StoppedWhilePreparing,
    /// A caption cannot be tokenised.
    #[error(transparent)]
    Tokenizer(#[from] stride::tokenizer::TokenizerError),
    /// A file cannot be read or written.
    #[error("{}: {error}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The operating system's answer.
        error: std::io::Error,
    },
    /// A model or checkpoint file does not fit.
    #[error("{}: {problem}", path.display())]
    Weights {
        /// The file.
        path: PathBuf,
        /// What does not fit.
        problem: String,
    },
    /// An image cannot be written.
    #[error("{}: {error}", path.display())]
    Image {
        /// The file.
        path: PathBuf,
        /// The encoder's answer.
        error: stride::image::ImageError,
    },
    /// The trained networks do not make a pipeline.
    #[error(transparent)]
    Pipeline(#[from] stride::pipeline::PipelineError),
    /// A new run has no length in steps.
    #[error(
        "training.budget.max_steps: expected the number of steps, found none; max_seconds alone cannot drive the \
         learning rate (stride train --dry-run says how long a number of steps would take)"
    )]
    NoSteps,
    /// A new run was to begin where one is.
    #[error(
        "{}: holds a run{}; go on with --resume latest, remove it with --overwrite, or name another folder with \
         --run-dir",
        path.display(),
        step.map_or(String::new(), |step| format!(" with a checkpoint of step {step}"))
    )]
    HoldsRun {
        /// The run folder.
        path: PathBuf,
        /// Steps of its latest checkpoint, if it has one.
        step: Option<u64>,
    },
    /// A run was to go back to a checkpoint although there are later ones.
    #[error(
        "{}: the run has a later checkpoint, of step {step}; go on with --resume latest, remove the later ones with \
         --overwrite, or name another folder with --run-dir",
        path.display()
    )]
    LaterCheckpoints {
        /// The checkpoint.
        path: PathBuf,
        /// Steps of the latest one.
        step: u64,
    },
    /// Two runs at once in one folder.
    #[error("{}: another process trains in this folder; wait for it, or name another with --run-dir", path.display())]
    InUse {
        /// The run folder.
        path: PathBuf,
    },
    /// A checkpoint belongs to a run of another kind, data, network or optimizer.
    #[error(
        "{}: the run was begun with {}; set that as it was, or go on anyway with --allow-changes",
        path.display(), differences.join(", ")
    )]
    OtherRun {
        /// The checkpoint.
        path: PathBuf,
        /// What differs, setting by setting.
        differences: Vec<String>,
    },
    /// There is nothing to resume from.
    #[error("{}: no complete checkpoint to resume from; expected a folder checkpoint-NNNNNN with a file complete.json", path.display())]
    NoCheckpoint {
        /// The folder that was searched.
        path: PathBuf,
    },
    /// A checkpoint cannot be saved.
    #[error(
        "step {step} is not saved: {problem}; {}; make room or mend the folder, then go on with --resume latest",
        match latest {
            Some(latest) => format!("{} is whole and stays", latest.display()),
            None => "there is no earlier checkpoint".to_owned(),
        }
    )]
    Save {
        /// Steps made.
        step: u64,
        /// What went wrong.
        problem: Box<TrainError>,
        /// The latest checkpoint that there is.
        latest: Option<PathBuf>,
    },
    /// Processes that train together differ.
    #[error(
        "{what}: expected the same in all processes, found another in rank {rank} than in rank 0; start them all with the same \
         program, configuration and data"
    )]
    RanksDiffer {
        /// What differs.
        what: &'static str,
        /// The first process that differs.
        rank: usize,
    },
    /// A launcher started several processes of a program that cannot talk to others.
    #[error(
        "this program was built without MPI and was started as one of several processes; build it with --features mpi, or \
         start one process"
    )]
    NoMpi,
    /// The system refuses a thread.
    #[error("cannot start one worker per core: {problem}")]
    Threads {
        /// The system's answer.
        problem: String,
    },
    /// So many steps in a row would have spoiled the weights that the run ends.
    #[error(
        "step {step}: {reason}; {} left out (training.guard.max_skipped); mend the samples, lower \
         optimizer.learning_rate or set optimizer.max_grad_norm, then resume from the last checkpoint",
        if *count == 1 { "the step was".to_owned() } else { format!("{count} steps in a row were") }
    )]
    Skipped {
        /// The step, from 0.
        step: u64,
        /// Steps left out one after the other.
        count: u64,
        /// What was wrong with this one.
        reason: String,
    },
}

impl TrainError {
    /// A thread that the system refuses.
    pub(crate) fn threads(source: impl std::fmt::Display) -> Self {
        Self::Threads { problem: source.to_string() }
    }

    /// A setting that only the data or the weights show to be wrong.
    pub(crate) fn setting(problem: impl std::fmt::Display) -> Self {
        Self::Setting { problem: problem.to_string() }
    }

    /// Names the configuration file that a setting stands in.
    pub(crate) fn in_file(self, file: &Path) -> Self {
        match self {
            Self::Setting { problem } => Self::Config { path: file.to_owned(), problem },
            other => other,
        }
    }

    /// Names the path an input or output error happened on.
    pub(crate) fn io(path: &Path) -> impl FnOnce(std::io::Error) -> Self + '_ {
        move |error| Self::Io { path: path.to_owned(), error }
    }

    /// Names the file an image was to go to.
    pub(crate) fn image(path: &Path) -> impl FnOnce(stride::image::ImageError) -> Self + '_ {
        move |error| Self::Image { path: path.to_owned(), error }
    }

    /// Names the file a weights error happened on.
    pub(crate) fn weights<E: std::fmt::Display>(path: &Path) -> impl FnOnce(E) -> Self + '_ {
        move |problem| Self::Weights { path: path.to_owned(), problem: problem.to_string() }
    }
}

/// Refuses a size outside `1..=most`.
pub(crate) fn check_size(field: &str, found: usize, most: usize) -> Result<(), String> {
    check((1..=most).contains(&found), field, &format!("1 to {most}, found {found}"))
}

/// Refuses a setting that does not hold, by its name and what is expected of it.
pub(crate) fn check(holds: bool, field: &str, expected: &str) -> Result<(), String> {
    if holds { Ok(()) } else { Err(format!("{field}: expected {expected}")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_step_that_is_left_out_is_no_row_of_steps() {
        let message = |count| {
            TrainError::Skipped { step: 7, count, reason: "loss is NaN".to_owned() }.to_string()
        };
        assert!(message(1).starts_with("step 7: loss is NaN; the step was left out (training"));
        assert!(message(3).starts_with("step 7: loss is NaN; 3 steps in a row were left out (tr"));
    }
}
