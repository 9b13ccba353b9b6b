//! The one training loop: steps, schedule, averages, metrics, checkpoints, stopping.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use burn::module::Module;
use stride_files::{ContentHash, NewFolder};

use super::checkpoint::{Checkpoint, Retention, TrainerState};
use super::config::{LoopConfig, OutputConfig};
use super::guard::GuardState;
use super::metrics::{Averages, Clock};
use super::progress::Progress;
use super::ranks::Ranks;
use super::record::Record;
use super::state::TrainState;
use super::step::{FIXED_PARTS, StepOrder, Stepper};
use super::task::{StepInfo, TrainingTask};
use crate::TrainError;

/// Steps between two looks at whether all processes have the same weights.
const CHECKED_EVERY: u64 = 100;

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

/// What surrounds a task in a run.
pub struct RunContext<'a> {
    /// Settings of the loop.
    pub config: &'a LoopConfig,
    /// The whole resolved configuration as TOML, saved with every checkpoint.
    pub config_text: &'a str,
    /// Where metrics, checkpoints, images and the model go.
    pub run_dir: &'a Path,
    /// Where the state stands: at the beginning, or where [`TrainState::restore`] says.
    pub at: TrainerState,
    /// Who watches.
    pub progress: &'a mut dyn Progress,
    /// Set to end the run after the present step, with a checkpoint.
    pub stop: &'a AtomicBool,
    /// Who trains together.
    pub ranks: &'a Ranks,
}

/// Trains until the budget is used up or the stop flag is set, and leaves a checkpoint either way.
///
/// # Errors
/// When a new run has no number of steps, a loss is not finite, or the disk refuses.
pub fn train_loop<T: TrainingTask>(
    task: &mut T,
    mut state: TrainState<T::Model>,
    context: RunContext<'_>,
) -> Result<RunSummary, TrainError> {
    let RunContext { config, config_text, run_dir, mut at, progress, stop, ranks } = context;
    state.check_names()?;
    let budget = config.budget.in_steps(task.num_train(), task.batch_size());
    let max_steps = budget.steps(at.step, at.elapsed_seconds).ok_or(TrainError::NoSteps)?;
    let max_seconds = budget.seconds_bound();
    if let Some(epochs) = budget.max_epochs {
        progress.message(&format!("{epochs} epochs at most: the run has {max_steps} steps"));
    }
    if budget.max_steps.is_none() {
        progress.message(&format!(
            "the budget is in seconds alone, which are {max_steps} steps at the speed so far; the run has that many"
        ));
    }
    let stepper = Stepper::new(config)?;
    let is_over = |at: &TrainerState, seconds: f64| {
        at.step >= max_steps || max_seconds.is_some_and(|max| seconds >= max)
    };
    if config.deterministic {
        ranks.check_fixed(FIXED_PARTS, task.batch_size())?;
    }
    if ranks.size() > 1 {
        let first = StepInfo { step: at.step, fraction: at.step as f64 / max_steps as f64 };
        check_ranks(task, &state, &first, config_text, ranks)?;
    }
    let ends_at_once = is_over(&at, at.elapsed_seconds);
    let open = || Record::open(run_dir, at.step, ends_at_once, &config.output);
    let mut record = ranks.is_leader().then(open).transpose()?;
    if let Some(record) = &mut record {
        record.show_text(at.step, "configuration", &format!("```toml\n{config_text}\n```"))?;
    }
    let clock = Clock { start: Instant::now(), before: at.elapsed_seconds, first_step: at.step };
    let mut averages = Averages::default();
    let (mut last_checkpoint, mut last_report) = (at.elapsed_seconds, at.elapsed_seconds);
    let mut report = Vec::new();
    let was_stopped = loop {
        if ranks.leader_says(is_over(&at, clock.seconds())) {
            if at.step < max_steps {
                progress.message(&format!(
                    "training.budget.max_seconds is used up after {} of {max_steps} steps",
                    at.step
                ));
            }
            break false;
        }
        let fraction = at.step as f64 / max_steps as f64;
        let info = StepInfo { step: at.step, fraction };
        if ranks.any(stop.load(Ordering::Relaxed)) {
            break true;
        }
        let lr_factor = config.schedule.factor(at.step, fraction);
        let with_norms = (at.step + 1).is_multiple_of(config.output.metrics_every_steps.max(1));
        let order = StepOrder { at: &info, lr_factor, with_norms, ranks };
        let mut values = stepper.step(task, &mut state, &mut at.guard, &order)?;
        if let Some(reason) = &values.skipped {
            progress.message(&format!("step {} is left out: {reason}", at.step));
        }
        let norms = std::mem::take(&mut values.norms);
        if let Some(record) = &mut record {
            record.add_rows(&values);
        }
        averages.add(values);
        at.step += 1;
        at.optimizer_steps = state.optimizer.steps();
        at.elapsed_seconds = clock.seconds();
        progress.step(&averages.progress(&at, max_steps, max_seconds, &clock));
        if at.step.is_multiple_of(config.output.metrics_every_steps.max(1)) {
            let values = averages.take(lr_factor).into_iter().chain(norms);
            if let Some(record) = &mut record {
                record.write(at.step, at.elapsed_seconds, "train", values.collect())?;
            }
        }
        let is_due = at.elapsed_seconds - last_report >= config.output.report_every_seconds;
        if ranks.leader_says(is_due) {
            let info = StepInfo { step: at.step, fraction };
            if let Some(record) = &mut record {
                report = make_report(task, &state, &info, record, progress, &clock)?;
            }
            last_report = clock.seconds();
        }
        let by_steps = config.output.checkpoint_every_steps;
        let is_due = at.elapsed_seconds - last_checkpoint >= config.output.checkpoint_every_seconds
            || by_steps.is_some_and(|every| at.step.is_multiple_of(every));
        if ranks.leader_says(is_due) {
            at.elapsed_seconds = clock.seconds();
            if ranks.is_leader() {
                save(&state, &at, config_text, run_dir, &config.output, progress)?;
            }
            last_checkpoint = at.elapsed_seconds;
        }
        if ranks.size() > 1 && at.step.is_multiple_of(CHECKED_EVERY) {
            ranks.check_same([("weights", state.hash())])?;
        }
    };
    at.elapsed_seconds = clock.seconds();
    if ranks.size() > 1 {
        ranks.check_same([("weights", state.hash())])?;
    }
    if ranks.is_leader() {
        save(&state, &at, config_text, run_dir, &config.output, progress)?;
    }
    if let Some(record) = record.as_mut().filter(|_| !was_stopped) {
        let info = StepInfo { step: at.step, fraction: 1.0 };
        report = make_report(task, &state, &info, record, progress, &clock)?;
        let folder = NewFolder::create(&run_dir.join("model"))?;
        for (name, bytes) in task.export(&state)? {
            folder.write(name, &bytes)?;
        }
        folder.commit()?;
    }
    // Who ends first would take the leader's writing for its end.
    ranks.meet();
    Ok(RunSummary { steps: at.step, elapsed_seconds: at.elapsed_seconds, was_stopped, report })
}

/// Refuses processes that would train something else, or on something else.
fn check_ranks<T: TrainingTask>(
    task: &T,
    state: &TrainState<T::Model>,
    at: &StepInfo,
    config_text: &str,
    ranks: &Ranks,
) -> Result<(), TrainError> {
    let batch = task.batch(at)?;
    let names: Vec<String> =
        (0..task.batch_size()).map(|row| task.sample_name(&batch, row)).collect();
    let program = match std::env::current_exe() {
        Ok(path) => ContentHash::of_files(&[path])?,
        Err(_) => ContentHash::of(env!("CARGO_PKG_VERSION").as_bytes()),
    };
    let data = format!("{} {at:?} {}", task.num_train(), names.join("\n"));
    ranks.check_same([
        ("the program", program),
        ("the configuration", ContentHash::of(config_text.as_bytes())),
        ("the data", ContentHash::of(data.as_bytes())),
        ("the weights at the start", state.hash()),
    ])
}

/// Makes steps whose results nobody keeps, as they are at the end of a run; returns the seconds of the fastest
/// and the loss of the last.
///
/// # Errors
/// When a loss is not finite.
pub(crate) fn time_steps<T: TrainingTask>(
    task: &T,
    mut state: TrainState<T::Model>,
    config: &LoopConfig,
    count: u64,
) -> Result<(f64, f64), TrainError> {
    state.check_names()?;
    let stepper = Stepper::new(config)?;
    let alone = Ranks::default();
    let (mut fastest, mut loss) = (f64::INFINITY, f64::NAN);
    for number in 0..count {
        let start = Instant::now();
        let at = StepInfo { step: number, fraction: 1.0 };
        let order = StepOrder { at: &at, lr_factor: 1.0, with_norms: false, ranks: &alone };
        let values = stepper.step(task, &mut state, &mut GuardState::default(), &order)?;
        if let Some(reason) = values.skipped {
            return Err(TrainError::Skipped { step: number, count: 1, reason });
        }
        fastest = fastest.min(start.elapsed().as_secs_f64());
        loss = values.losses[0].1;
    }
    Ok((fastest, loss))
}

fn make_report<T: TrainingTask>(
    task: &mut T,
    state: &TrainState<T::Model>,
    at: &StepInfo,
    record: &mut Record,
    progress: &mut dyn Progress,
    clock: &Clock,
) -> Result<Vec<(String, f64)>, TrainError> {
    let report = task.report(state, at)?;
    record.write_images(at.step, &report)?;
    record.write(at.step, clock.seconds(), "report", report.values.clone())?;
    let values: Vec<String> =
        report.values.iter().map(|(name, value)| format!("{name} {value:.4}")).collect();
    progress.message(&format!("report at step {}: {}", at.step, values.join(", ")));
    Ok(report.values)
}

fn save<M: Module>(
    state: &TrainState<M>,
    at: &TrainerState,
    config_text: &str,
    run_dir: &Path,
    output: &OutputConfig,
    progress: &mut dyn Progress,
) -> Result<(), TrainError> {
    let files = state.files(at, config_text)?;
    let keep = Retention { latest: output.keep_checkpoints, every_steps: output.keep_every_steps };
    let checkpoint =
        Checkpoint::write(run_dir, at.step, &files, keep).map_err(|problem| TrainError::Save {
            step: at.step,
            problem: Box::new(problem),
            latest: Checkpoint::all(run_dir).pop().map(|(_, dir)| dir),
        })?;
    progress.message(&format!("saved {}", checkpoint.dir().display()));
    Ok(())
}
