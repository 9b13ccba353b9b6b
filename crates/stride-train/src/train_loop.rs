//! The one training loop: steps, schedule, averages, metrics, checkpoints, stopping.

use std::ops::Range;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use burn::module::Module;
use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use stride::weights::{self, StoredDtype};
use stride_kernels::fused::Precision;
use stride_kernels::gemm::Compute;
use stride_kernels::workers::{Workers, split_evenly};

use crate::TrainError;
use crate::checkpoint::{Checkpoint, Resume, TrainerState};
use crate::ema::{Ema, EmaConfig};
use crate::gradients::{NamedGradients, with_own_leaves};
use crate::lr_schedule::{Budget, LrSchedule};
use crate::metrics::Metrics;
use crate::named_tensors::NamedTensors;
use crate::optimizer::{Optimizer, OptimizerConfig};
use crate::progress::{Progress, ProgressUpdate};

/// What one kind of training supplies to [`train_loop`].
pub trait TrainingTask: Sync {
    /// What is trained; several networks trained together are one module.
    type Model: Module + Sync;

    /// Rows of a batch.
    fn batch_size(&self) -> usize;

    /// The mean loss over a range of the rows `0..batch_size` of one step.
    ///
    /// The loop cuts a batch into one range per core and calls this for all of them at the same
    /// time, each with a `model` of its own to differentiate; averages are in `state`.
    /// Everything random must be drawn from a generator keyed by the seed, `at.step` and the row,
    /// so that neither a resume nor the number of cores changes the batch.
    ///
    /// # Errors
    /// When the batch cannot be made.
    fn loss(
        &self,
        model: &Self::Model,
        state: &TrainState<Self::Model>,
        at: &StepInfo,
        rows: Range<usize>,
    ) -> Result<StepLoss, TrainError>;

    /// Evaluates and writes images into the run folder, every so often and at the end.
    ///
    /// Returns named values for the metrics.
    ///
    /// # Errors
    /// When that fails.
    fn report(
        &mut self,
        state: &TrainState<Self::Model>,
        at: &StepInfo,
        run_dir: &Path,
    ) -> Result<Vec<(String, f64)>, TrainError>;

    /// Writes the trained model into the run folder after the last step.
    ///
    /// # Errors
    /// When that fails.
    fn export(&mut self, state: &TrainState<Self::Model>, run_dir: &Path)
    -> Result<(), TrainError>;
}

/// Which step it is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StepInfo {
    /// Number of the step, from 0.
    pub step: u64,
    /// Fraction of the budget used before it, in [0, 1].
    pub fraction: f64,
}

/// The mean loss over some rows of a batch.
#[derive(Debug)]
pub struct StepLoss {
    /// What is differentiated, a single number.
    pub loss: Tensor<1>,
    /// Named values for the record.
    pub parts: Vec<LossPart>,
}

/// A value for the record: the mean over some of the rows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LossPart {
    /// Its name.
    pub name: &'static str,
    /// The mean.
    pub mean: f64,
    /// How many rows it is the mean of.
    pub rows: usize,
}

impl LossPart {
    /// Joins the means over two sets of rows.
    pub(crate) fn add(&mut self, other: Self) {
        let rows = self.rows + other.rows;
        let sum = self.mean * self.rows as f64 + other.mean * other.rows as f64;
        (self.mean, self.rows) = (sum / rows.max(1) as f64, rows);
    }
}

/// What changes during training and is saved in a checkpoint.
#[derive(Debug)]
pub struct TrainState<M: Module> {
    model: Option<M>,
    optimizer: Optimizer,
    emas: Vec<Ema<M>>,
}

/// Settings of the loop.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LoopConfig {
    /// What products of the training steps round their factors to, `"f32"` or `"bf16"`; weights,
    /// gradients and moments are f32 either way, and reports are computed in f32.
    pub compute_dtype: Compute,
    /// Length of the run.
    pub budget: Budget,
    /// Learning rate over the run.
    pub schedule: LrSchedule,
    /// When to write what.
    pub output: OutputConfig,
}

/// When a run writes what.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OutputConfig {
    /// Steps between lines of `metrics.jsonl`, which hold averages over these steps.
    pub metrics_every_steps: u64,
    /// Seconds between checkpoints.
    pub checkpoint_every_seconds: f64,
    /// Seconds between reports: evaluation and images.
    pub report_every_seconds: f64,
    /// Checkpoints kept.
    pub keep_checkpoints: usize,
}

impl Default for OutputConfig {
    fn default() -> Self {
        Self {
            metrics_every_steps: 10,
            checkpoint_every_seconds: 300.0,
            report_every_seconds: 300.0,
            keep_checkpoints: 3,
        }
    }
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq)]
pub struct RunSummary {
    /// Steps made in all.
    pub steps: u64,
    /// Seconds in all.
    pub elapsed_seconds: f64,
    /// Whether the stop flag ended it before its budget did.
    pub was_stopped: bool,
    /// Values of the last report, if one was made.
    pub report: Vec<(String, f64)>,
}

impl<M: Module> TrainState<M> {
    /// The state before the first step; averages start at the present weights.
    pub fn new(model: M, optimizer: OptimizerConfig, emas: &[EmaConfig]) -> Self {
        let emas = emas.iter().map(|config| Ema::new(config.clone(), &model)).collect();
        Self { model: Some(model), optimizer: Optimizer::new(optimizer), emas }
    }

    /// The model, with gradients.
    pub fn model(&self) -> &M {
        self.model.as_ref().expect("the model is away only during an update")
    }

    /// The average of this name, if one was configured.
    pub fn ema(&self, name: &str) -> Option<&M> {
        self.emas.iter().find(|ema| ema.name() == name).map(Ema::module)
    }

    /// Updates weights and averages, and returns the gradient norm before clipping.
    ///
    /// Nothing changes when the norm is not finite.
    pub fn update(&mut self, gradients: NamedGradients, lr_factor: f64) -> f64 {
        let Some(model) = self.model.take() else {
            return f64::NAN;
        };
        let (model, norm) = self.optimizer.step(model, gradients, lr_factor);
        if norm.is_finite() {
            for ema in &mut self.emas {
                ema.update(&model, self.optimizer.steps());
            }
        }
        self.model = Some(model);
        norm
    }

    fn files(
        &self,
        state: &TrainerState,
        config: &str,
    ) -> Result<Vec<(String, Vec<u8>)>, TrainError> {
        let path = Path::new("checkpoint");
        let state = serde_json::to_vec_pretty(state).map_err(TrainError::weights(path))?;
        let moments = self.optimizer.state().to_safetensors().map_err(TrainError::weights(path))?;
        let mut files = vec![
            (
                "model.safetensors".to_owned(),
                weights::save(self.model(), "", StoredDtype::F32, &[])?,
            ),
            ("optimizer.safetensors".to_owned(), moments),
            ("trainer_state.json".to_owned(), state),
            ("config.toml".to_owned(), config.as_bytes().to_vec()),
        ];
        for ema in &self.emas {
            files.push((ema.file_name(), weights::save(ema.module(), "", StoredDtype::F32, &[])?));
        }
        Ok(files)
    }

    fn restore(&mut self, checkpoint: &Checkpoint, state: &TrainerState) -> Result<(), TrainError> {
        let model = load_module(self.model().clone(), &checkpoint.dir().join("model.safetensors"))?;
        let device = model.devices().into_iter().next().unwrap_or_default().inner();
        self.model = Some(model);
        let moments = NamedTensors::read(&checkpoint.dir().join("optimizer.safetensors"))?;
        self.optimizer.restore(state.optimizer_steps, moments, &device);
        for ema in &mut self.emas {
            let path = checkpoint.dir().join(ema.file_name());
            ema.set_module(load_module(ema.module().clone(), &path)?);
        }
        Ok(())
    }
}

/// Fills a module with the weights of a file.
///
/// # Errors
/// When the file is missing or does not fit.
pub fn load_module<M: Module>(module: M, path: &Path) -> Result<M, TrainError> {
    let bytes = std::fs::read(path).map_err(TrainError::io(path))?;
    Ok(weights::load(module, &path.display().to_string(), &bytes, "")?)
}

/// Everything around a run that is not the trainee.
pub struct RunContext<'a> {
    /// Settings of the loop.
    pub config: &'a LoopConfig,
    /// The whole resolved configuration as TOML, saved with every checkpoint.
    pub config_text: &'a str,
    /// Where metrics, checkpoints, images and the model go.
    pub run_dir: &'a Path,
    /// The checkpoint to go on from.
    pub resume: Option<&'a Resume>,
    /// Who watches.
    pub progress: &'a mut dyn Progress,
    /// Set to end the run after the present step, with a checkpoint.
    pub stop: &'a AtomicBool,
}

/// Trains until the budget is used or the stop flag is set, and leaves a checkpoint either way.
///
/// # Errors
/// When a loss is not finite, a checkpoint does not fit, or the disk refuses.
pub fn train_loop<T: TrainingTask>(
    trainee: &mut T,
    mut state: TrainState<T::Model>,
    around: RunContext<'_>,
) -> Result<RunSummary, TrainError> {
    let RunContext { config, config_text, run_dir, resume, progress, stop } = around;
    let mut at = TrainerState::default();
    if let Some(resume) = resume {
        let checkpoint = Checkpoint::open(run_dir, resume)?;
        at = checkpoint.trainer_state()?;
        state.restore(&checkpoint, &at)?;
        progress.message(&format!(
            "resumed from {} at step {}",
            checkpoint.dir().display(),
            at.step
        ));
    }
    let precision = Precision::training(config.compute_dtype);
    let workers = Workers::per_core()
        .map_err(|source| TrainError::Threads { problem: source.to_string() })?;
    let mut metrics = Metrics::open(run_dir, at.step)?;
    let clock = Clock { start: Instant::now(), before: at.elapsed_seconds, first_step: at.step };
    let mut averages = Averages::default();
    let (mut last_checkpoint, mut last_report) = (at.elapsed_seconds, at.elapsed_seconds);
    let mut report = Vec::new();
    let was_stopped = loop {
        let fraction = config.budget.fraction(at.step, clock.seconds());
        let info = StepInfo { step: at.step, fraction };
        if fraction >= 1.0 {
            break false;
        }
        if stop.load(Ordering::Relaxed) {
            break true;
        }
        let lr_factor = config.schedule.factor(at.step, fraction);
        averages.add(step(trainee, &mut state, &info, lr_factor, &precision, &workers)?);
        at.step += 1;
        at.optimizer_steps = state.optimizer.steps();
        at.elapsed_seconds = clock.seconds();
        progress.step(&averages.progress(&at, config.budget, &clock));
        if at.step.is_multiple_of(config.output.metrics_every_steps.max(1)) {
            metrics.write(at.step, at.elapsed_seconds, averages.take(lr_factor))?;
        }
        if at.elapsed_seconds - last_report >= config.output.report_every_seconds {
            let info = StepInfo { step: at.step, fraction };
            report = make_report(trainee, &state, &info, run_dir, &mut metrics, progress, &clock)?;
            last_report = clock.seconds();
        }
        if at.elapsed_seconds - last_checkpoint >= config.output.checkpoint_every_seconds {
            at.elapsed_seconds = clock.seconds();
            save(&state, &at, config_text, run_dir, config.output.keep_checkpoints, progress)?;
            last_checkpoint = at.elapsed_seconds;
        }
    };
    at.elapsed_seconds = clock.seconds();
    save(&state, &at, config_text, run_dir, config.output.keep_checkpoints, progress)?;
    if !was_stopped {
        let info = StepInfo { step: at.step, fraction: 1.0 };
        report = make_report(trainee, &state, &info, run_dir, &mut metrics, progress, &clock)?;
        trainee.export(&state, run_dir)?;
    }
    Ok(RunSummary { steps: at.step, elapsed_seconds: at.elapsed_seconds, was_stopped, report })
}

/// Makes steps whose results nobody keeps, as they are at the end of a run; returns the seconds of the fastest
/// and the loss of the last.
///
/// # Errors
/// When a loss is not finite.
pub(crate) fn time_steps<T: TrainingTask>(
    trainee: &T,
    mut state: TrainState<T::Model>,
    config: &LoopConfig,
    count: u64,
) -> Result<(f64, f64), TrainError> {
    let precision = Precision::training(config.compute_dtype);
    let workers = Workers::per_core()
        .map_err(|source| TrainError::Threads { problem: source.to_string() })?;
    let (mut fastest, mut loss) = (f64::INFINITY, f64::NAN);
    for number in 0..count {
        let start = Instant::now();
        let at = StepInfo { step: number, fraction: 1.0 };
        let values = step(trainee, &mut state, &at, 1.0, &precision, &workers)?;
        fastest = fastest.min(start.elapsed().as_secs_f64());
        loss = values.losses[0].1;
    }
    Ok((fastest, loss))
}

/// The numbers of one step: loss first, then its parts and the gradient norm.
struct StepValues {
    losses: Vec<(&'static str, f64)>,
    rows: usize,
}

fn step<T: TrainingTask>(
    trainee: &T,
    state: &mut TrainState<T::Model>,
    at: &StepInfo,
    lr_factor: f64,
    precision: &Precision,
    workers: &Workers,
) -> Result<StepValues, TrainError> {
    let rows = trainee.batch_size();
    let shares = workers.run(split_evenly(rows, workers.count()), |range| {
        let share = range.len();
        let model = with_own_leaves(state.model());
        let StepLoss { loss, parts } =
            precision.scope(|| trainee.loss(&model, state, at, range))?;
        let weighted = loss.clone().mul_scalar(share as f64 / rows as f64);
        let gradients = NamedGradients::of(&weighted, &model);
        let mean = loss.inner().into_data().iter::<f64>().sum();
        Ok::<_, TrainError>((gradients, LossPart { name: "loss", mean, rows: share }, parts))
    });
    let mut gradients = NamedGradients::default();
    let mut parts: Vec<LossPart> = Vec::new();
    for share in shares {
        let (share_gradients, loss, share_parts) = share?;
        gradients = gradients.plus(share_gradients);
        for part in std::iter::once(loss).chain(share_parts) {
            match parts.iter_mut().find(|other| other.name == part.name) {
                Some(other) => other.add(part),
                None => parts.push(part),
            }
        }
    }
    // In the order of their names, whichever rows the first share had.
    parts[1..].sort_unstable_by_key(|part| part.name);
    let mut losses: Vec<_> = parts.iter().map(|part| (part.name, part.mean)).collect();
    losses.push(("grad_norm", state.update(gradients, lr_factor)));
    match losses.iter().find(|(_, value)| !value.is_finite()) {
        Some(&(what, value)) => Err(TrainError::NotFinite { step: at.step, what, value }),
        None => Ok(StepValues { losses, rows }),
    }
}

fn make_report<T: TrainingTask>(
    trainee: &mut T,
    state: &TrainState<T::Model>,
    at: &StepInfo,
    run_dir: &Path,
    metrics: &mut Metrics,
    progress: &mut dyn Progress,
    clock: &Clock,
) -> Result<Vec<(String, f64)>, TrainError> {
    let report = trainee.report(state, at, run_dir)?;
    metrics.write(at.step, clock.seconds(), report.clone())?;
    let values: Vec<String> =
        report.iter().map(|(name, value)| format!("{name} {value:.4}")).collect();
    progress.message(&format!("report at step {}: {}", at.step, values.join(", ")));
    Ok(report)
}

fn save<M: Module>(
    state: &TrainState<M>,
    at: &TrainerState,
    config_text: &str,
    run_dir: &Path,
    keep: usize,
    progress: &mut dyn Progress,
) -> Result<(), TrainError> {
    let files = state.files(at, config_text)?;
    let checkpoint = Checkpoint::write(run_dir, at.step, &files, keep)?;
    progress.message(&format!("saved {}", checkpoint.dir().display()));
    Ok(())
}

/// Seconds of the run, over resumes.
struct Clock {
    start: Instant,
    before: f64,
    first_step: u64,
}

impl Clock {
    fn seconds(&self) -> f64 {
        self.before + self.start.elapsed().as_secs_f64()
    }
}

/// Averages between two lines of the record, and the speed.
#[derive(Default)]
struct Averages {
    latest: Vec<(&'static str, f64)>,
    sums: Vec<(&'static str, f64, u32)>,
    rows: usize,
    since: Option<Instant>,
    last_speed: f64,
}

impl Averages {
    fn add(&mut self, values: StepValues) {
        for &(name, value) in &values.losses {
            match self.sums.iter_mut().find(|(other, ..)| *other == name) {
                Some((_, sum, count)) => {
                    *sum += value;
                    *count += 1;
                }
                None => self.sums.push((name, value, 1)),
            }
        }
        if self.since.is_some() {
            self.rows += values.rows;
        } else {
            // The first step warms up; the speed is measured from its end.
            self.since = Some(Instant::now());
        }
        self.latest = values.losses;
    }

    fn speed(&self) -> f64 {
        let seconds = self.since.map_or(0.0, |since| since.elapsed().as_secs_f64());
        if self.rows > 0 && seconds > 0.0 { self.rows as f64 / seconds } else { self.last_speed }
    }

    fn progress<'a>(
        &'a self,
        at: &TrainerState,
        budget: Budget,
        clock: &Clock,
    ) -> ProgressUpdate<'a> {
        let fraction = budget.fraction(at.step, at.elapsed_seconds);
        let by_time = budget.max_seconds.map(|max| max - at.elapsed_seconds);
        let per_step =
            (at.elapsed_seconds - clock.before) / (at.step - clock.first_step).max(1) as f64;
        let by_steps = budget.max_steps.map(|max| per_step * max.saturating_sub(at.step) as f64);
        ProgressUpdate {
            step: at.step,
            max_steps: budget.max_steps,
            fraction,
            losses: &self.latest,
            rows_per_second: self.speed(),
            seconds_left: by_time
                .into_iter()
                .chain(by_steps)
                .fold(f64::INFINITY, f64::min)
                .max(0.0),
        }
    }

    fn take(&mut self, lr_factor: f64) -> Vec<(String, f64)> {
        self.last_speed = self.speed();
        let mut values: Vec<(String, f64)> = self
            .sums
            .drain(..)
            .map(|(name, sum, count)| (name.to_owned(), sum / f64::from(count)))
            .collect();
        values.push(("lr_factor".to_owned(), lr_factor));
        values.push(("rows_per_second".to_owned(), self.last_speed));
        (self.rows, self.since) = (0, Some(Instant::now()));
        values
    }
}
