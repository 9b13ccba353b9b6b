//! A run that was stopped and resumed is the run that was not, bit for bit.

use std::fs;
use std::ops::Range;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn::tensor::{Device, Tensor, TensorData};
use stride::noise::{fill_normal, keyed_rng, purpose};
use stride_kernels::device::DeviceName;
use stride_kernels::fused;
use stride_kernels::gemm::Compute;
use stride_train::{
    Budget, Checkpoint, EmaConfig, EmaDecay, GuardConfig, LoopConfig, LrSchedule, OptimizerConfig,
    OutputConfig, Progress, ProgressUpdate, Ranks, Report, Resume, RunContext, RunSummary,
    StepInfo, StepLoss, TrainError, TrainState, TrainerState, TrainingTask, train_loop,
};

const STEPS: u64 = 20;
const ROWS: usize = 9;

#[derive(Module, Debug)]
struct Network {
    first: Linear,
    second: Linear,
}

/// Learns to double its input, from rows keyed by their step and index.
#[derive(Default)]
struct Doubling {
    /// Batches made.
    batches: AtomicU64,
    /// Steps and rows that are not finite.
    broken: Vec<(u64, usize)>,
    /// Steps whose numbers are larger by far.
    large: Vec<u64>,
}

impl TrainingTask for Doubling {
    type Model = Network;
    type Batch = Vec<f32>;

    fn batch_size(&self) -> usize {
        ROWS
    }

    fn num_train(&self) -> usize {
        50
    }

    fn sample_name(&self, _batch: &Vec<f32>, row: usize) -> String {
        format!("row {row}")
    }

    fn batch(&self, at: &StepInfo) -> Result<Vec<f32>, TrainError> {
        self.batches.fetch_add(1, Ordering::Relaxed);
        let mut values = vec![0.0; ROWS * 4];
        for (row, out) in values.chunks_exact_mut(4).enumerate() {
            fill_normal(&mut keyed_rng(7, purpose::TRAINING_ROW, at.step, row as u64), out);
            if self.broken.contains(&(at.step, row)) {
                out[2] = f32::NAN;
            }
            if self.large.contains(&at.step) {
                out.iter_mut().for_each(|value| *value *= 1e4);
            }
        }
        Ok(values)
    }

    fn loss(
        &self,
        model: &Network,
        state: &TrainState<Network>,
        batch: &Vec<f32>,
        rows: Range<usize>,
    ) -> StepLoss {
        assert!(state.ema("teacher").is_some());
        let values = batch[rows.start * 4..rows.end * 4].to_vec();
        let device = Device::flex().autodiff();
        let x = Tensor::<2>::from_data(TensorData::new(values, [rows.len(), 4]), &device);
        let y = fused::linear(&model.second, fused::linear(&model.first, x.clone()).tanh());
        let loss = y.sub(x.mul_scalar(2.0)).square().mean();
        StepLoss { loss, parts: Vec::new(), rows: Vec::new() }
    }

    fn report(
        &mut self,
        _state: &TrainState<Network>,
        _at: &StepInfo,
    ) -> Result<Report, TrainError> {
        Ok(Report::default())
    }

    fn export(&self, _state: &TrainState<Network>) -> Result<Vec<(String, Vec<u8>)>, TrainError> {
        Ok(Vec::new())
    }
}

/// Sets the stop flag after a step.
struct StopAfter<'a> {
    step: u64,
    stop: &'a AtomicBool,
    said: String,
}

impl Progress for StopAfter<'_> {
    fn step(&mut self, update: &ProgressUpdate<'_>) {
        self.stop.store(update.step >= self.step, Ordering::Relaxed);
    }

    fn message(&mut self, text: &str) {
        self.said += text;
        self.said += "\n";
    }
}

fn state(seed: u64) -> TrainState<Network> {
    let device = Device::flex().autodiff();
    let mut values = vec![0.0; 64];
    fill_normal(&mut keyed_rng(seed, 0, 0, 0), &mut values);
    let linear = |values: &[f32], from, to| {
        let mut linear = LinearConfig::new(from, to).init(&device);
        let weight = Tensor::<2>::from_data(TensorData::new(values.to_vec(), [from, to]), &device);
        linear.weight = burn::module::Param::from_tensor(weight);
        linear.bias = None;
        linear
    };
    let model = Network { first: linear(&values[..32], 4, 8), second: linear(&values[32..], 8, 4) };
    let emas = [
        EmaConfig { name: "teacher".to_owned(), decay: EmaDecay::Constant(0.9) },
        EmaConfig { name: "slow".to_owned(), decay: EmaDecay::Power { gamma: 6.94 } },
    ];
    let optimizer = OptimizerConfig { learning_rate: 0.1, ..OptimizerConfig::default() };
    TrainState::new(model, optimizer, &emas)
}

/// All steps, in f32.
fn config() -> LoopConfig {
    LoopConfig {
        device: DeviceName::Cpu,
        compute_dtype: Compute::F32,
        budget: Budget { max_steps: Some(STEPS), ..Budget::default() },
        output: OutputConfig { metrics_every_steps: 1, ..OutputConfig::default() },
        schedule: LrSchedule { warmup_steps: 2, ..LrSchedule::default() },
        ..LoopConfig::default()
    }
}

fn train(run_dir: &Path, stop_after: u64, resume: Option<&Resume>, seed: u64) -> RunSummary {
    train_with(&config(), run_dir, stop_after, resume, seed).expect("trains")
}

fn train_with(
    config: &LoopConfig,
    run_dir: &Path,
    stop_after: u64,
    resume: Option<&Resume>,
    seed: u64,
) -> Result<RunSummary, TrainError> {
    let mut task = Doubling::default();
    let (summary, _) = train_task(&mut task, config, run_dir, stop_after, resume, seed);
    let summary = summary?;
    let first = if resume.is_some() { 9 } else { 0 };
    let batches = task.batches.into_inner();
    assert_eq!(batches, summary.steps - first, "one batch a step, for all workers");
    Ok(summary)
}

/// Trains on given rows; also what the run said.
fn train_task(
    task: &mut Doubling,
    config: &LoopConfig,
    run_dir: &Path,
    stop_after: u64,
    resume: Option<&Resume>,
    seed: u64,
) -> (Result<RunSummary, TrainError>, String) {
    let stop = AtomicBool::new(false);
    let mut state = state(seed);
    let at = match resume {
        Some(resume) => {
            let restored = Checkpoint::open(run_dir, resume).and_then(|from| state.restore(&from));
            match restored {
                Ok(at) => at,
                Err(error) => return (Err(error), String::new()),
            }
        }
        None => TrainerState::default(),
    };
    let mut progress = StopAfter { step: stop_after, stop: &stop, said: String::new() };
    let context = RunContext {
        config,
        config_text: "",
        run_dir,
        at,
        progress: &mut progress,
        stop: &stop,
        ranks: &Ranks::default(),
    };
    let summary = train_loop(task, state, context);
    (summary, progress.said)
}

#[test]
fn rows_in_parts_train_as_rows_at_once() {
    let [at_once, in_parts] = [1, 3].map(|gradient_accumulation| {
        let run = tempfile::tempdir().expect("folder");
        let config = LoopConfig { gradient_accumulation, ..config() };
        train_with(&config, run.path(), u64::MAX, None, 1).expect("trains");
        losses(run.path())
    });
    for (at_once, in_parts) in at_once.iter().zip(&in_parts) {
        assert!((at_once - in_parts).abs() < 1e-4 * at_once, "{at_once}, in parts {in_parts}");
    }
}

#[test]
fn a_step_that_is_not_finite_is_left_out_and_its_rows_are_named() {
    let dir = tempfile::tempdir().expect("folder");
    let run = |name: &str, task: &mut Doubling, stop_after, resume| {
        train_task(task, &config(), &dir.path().join(name), stop_after, resume, 1)
    };
    let poisoned = || Doubling { broken: vec![(4, 3), (4, 7), (12, 0)], ..Doubling::default() };
    fs::create_dir(dir.path().join("whole")).expect("writable");
    let (summary, said) = run("whole", &mut poisoned(), u64::MAX, None);
    assert_eq!(summary.expect("goes on").steps, STEPS);
    let expected = "step 4 is left out: loss is NaN, because of 2 of 9 rows: row 3, row 7";
    assert!(said.contains(expected) && said.contains("1 of 9 rows: row 0"), "{said}");
    let metrics = fs::read_to_string(dir.path().join("whole/metrics.jsonl")).expect("written");
    assert_eq!(metrics.matches("skipped_steps").count(), 2, "{metrics}");
    let step = |name: &str| {
        let path = dir.path().join(name).join("checkpoint-000020/trainer_state.json");
        let state: TrainerState =
            serde_json::from_slice(&fs::read(path).expect("saved")).expect("a state");
        (state.step, state.optimizer_steps)
    };
    assert_eq!(step("whole"), (20, 18));
    // A resume in between, right after a step that was left out.
    fs::create_dir(dir.path().join("parts")).expect("writable");
    run("parts", &mut poisoned(), 5, None).0.expect("stops");
    run("parts", &mut poisoned(), u64::MAX, Some(&Resume::Latest)).0.expect("goes on");
    assert_same_end(&dir.path().join("whole"), &dir.path().join("parts"));

    let mut task = Doubling { broken: (3..20).map(|step| (step, 1)).collect(), ..poisoned() };
    let error = run("parts", &mut task, u64::MAX, None).0.expect_err("ends").to_string();
    assert!(
        error.contains("10 steps in a row were left out") && error.contains("row 1"),
        "{error}"
    );
    assert_eq!(task.batches.into_inner(), 13);
}

#[test]
fn a_spike_is_left_out_where_that_is_asked_for() {
    let run = |spike_factor| {
        let dir = tempfile::tempdir().expect("folder");
        let guard = GuardConfig { spike_factor, ..GuardConfig::default() };
        let budget = Budget { max_epochs: Some(8.0), ..Budget::default() };
        let config = LoopConfig { guard, budget, ..config() };
        let mut task = Doubling { large: vec![30], ..Doubling::default() };
        let (summary, said) = train_task(&mut task, &config, dir.path(), u64::MAX, None, 1);
        // 8 epochs of 50 in batches of 9.
        assert_eq!(summary.expect("trains").steps, 45);
        said
    };
    let said = run(Some(20.0));
    assert!(said.contains("step 30 is left out: grad_norm is"), "{said}");
    assert!(!run(None).contains("left out"));
}

#[test]
fn the_order_of_summation_is_fixed_where_that_is_asked_for() {
    // What one worker has is a part of the same sum for 1, 2, 4 and 8 of them: tests/it/ranks.rs of stride-cli.
    let [first, second, free] = [true, true, false].map(|deterministic| {
        let run = tempfile::tempdir().expect("folder");
        let config = LoopConfig { deterministic, ..config() };
        train_with(&config, run.path(), u64::MAX, None, 1).expect("trains");
        losses(run.path())
    });
    assert_eq!(first, second);
    for (fixed, free) in first.iter().zip(&free) {
        assert!((fixed - free).abs() < 1e-4 * free, "{fixed} and {free}");
    }
}

#[test]
fn settings_of_parameters_that_there_are_not_are_refused() {
    let dir = tempfile::tempdir().expect("folder");
    let lr_factors = [("third".to_owned(), 0.5)].into();
    let optimizer = OptimizerConfig { lr_factors, ..OptimizerConfig::default() };
    let state = TrainState::new(state(1).model().clone(), optimizer, &[]);
    let stop = AtomicBool::new(false);
    let context = RunContext {
        config: &config(),
        config_text: "",
        run_dir: dir.path(),
        at: TrainerState::default(),
        progress: &mut StopAfter { step: 1, stop: &stop, said: String::new() },
        stop: &stop,
        ranks: &Ranks::default(),
    };
    let error = train_loop(&mut Doubling::default(), state, context).expect_err("refused");
    let expected =
        "optimizer.lr_factors: expected names of parameters, such as first.weight, found \"third\"";
    assert_eq!(error.to_string(), expected);
}

/// Whether two runs ended with the same weights, averages and moments.
fn assert_same_end(a: &Path, b: &Path) {
    let files = [
        "model.safetensors",
        "optimizer.safetensors",
        "ema-teacher.safetensors",
        "ema-slow.safetensors",
    ];
    for file in files {
        let read = |dir: &Path| fs::read(dir.join("checkpoint-000020").join(file)).expect("saved");
        assert!(read(a) == read(b), "{file} differs");
    }
}

/// The losses in a run's metrics.
fn losses(run_dir: &Path) -> Vec<f64> {
    let text = fs::read_to_string(run_dir.join("metrics.jsonl")).expect("written");
    let lines = text.lines().map(|l| serde_json::from_str::<serde_json::Value>(l).expect("JSON"));
    lines.filter_map(|line| line["loss"].as_f64()).collect()
}

#[test]
fn training_in_bf16_follows_training_in_f32_at_a_distance() {
    let [full, half] = [Compute::F32, Compute::Bf16].map(|compute| {
        let run = tempfile::tempdir().expect("folder");
        let config = LoopConfig { compute_dtype: compute, ..config() };
        train_with(&config, run.path(), u64::MAX, None, 1).expect("trains");
        losses(run.path())
    });
    assert_ne!(full, half);
    for (full, half) in full.iter().zip(&half) {
        assert!((full - half).abs() < 2e-2 * full, "{full} in f32, {half} in bf16");
    }
}

#[test]
fn a_resumed_run_is_the_uninterrupted_one() {
    let (whole, parts) =
        (tempfile::tempdir().expect("folder"), tempfile::tempdir().expect("folder"));
    assert!(!train(whole.path(), u64::MAX, None, 1).was_stopped);
    let first = train(parts.path(), 9, None, 1);
    assert!(first.was_stopped && first.steps == 9);
    // Other weights at the start must not matter: everything comes from the checkpoint.
    let second = train(parts.path(), u64::MAX, Some(&Resume::Latest), 2);
    assert!(!second.was_stopped && second.steps == STEPS);
    assert_same_end(whole.path(), parts.path());
    let (whole, parts) = (losses(whole.path()), losses(parts.path()));
    assert_eq!(whole.len() as u64, STEPS);
    assert_eq!(whole, parts);
    assert!(whole[19] < whole[0], "it learns: {whole:?}");
}

#[test]
fn seconds_end_a_run_and_drive_nothing() {
    let [whole, bounded, short] = [(); 3].map(|()| tempfile::tempdir().expect("folder"));
    train(whole.path(), u64::MAX, None, 1);
    let with = |max_seconds| {
        let budget =
            Budget { max_steps: Some(STEPS), max_seconds: Some(max_seconds), ..Budget::default() };
        LoopConfig { budget, ..config() }
    };
    // A bound that most of a schedule in seconds would be used up by.
    let summary = train_with(&with(1e3), bounded.path(), u64::MAX, None, 1).expect("trains");
    assert_eq!(summary.steps, STEPS);
    assert_same_end(whole.path(), bounded.path());
    let summary = train_with(&with(1e-9), short.path(), u64::MAX, None, 1).expect("ends");
    assert!(!summary.was_stopped && summary.steps == 0);
}

#[test]
fn a_run_begun_with_seconds_goes_on_in_steps() {
    let [whole, parts, new] = [(); 3].map(|()| tempfile::tempdir().expect("folder"));
    train(whole.path(), u64::MAX, None, 1);
    let first = train(parts.path(), 9, None, 1);
    // Seconds of 20 steps at the speed of the first 9.
    let max_seconds = Some(first.elapsed_seconds * STEPS as f64 / 9.0);
    let config = LoopConfig { budget: Budget { max_seconds, ..Budget::default() }, ..config() };
    let resumed =
        LoopConfig { budget: Budget { max_seconds: None, ..config.budget }, ..config.clone() };
    let error = train_with(&resumed, parts.path(), u64::MAX, Some(&Resume::Latest), 2);
    assert!(matches!(error, Err(TrainError::NoSteps)));
    let error = train_with(&config, new.path(), u64::MAX, None, 1).expect_err("new");
    assert!(error.to_string().contains("training.budget.max_steps"), "{error}");
    train_with(&config, parts.path(), u64::MAX, Some(&Resume::Latest), 2).expect("goes on");
    assert_same_end(whole.path(), parts.path());
}
