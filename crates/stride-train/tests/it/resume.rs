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
    Budget, Checkpoint, EmaConfig, EmaDecay, LoopConfig, LrSchedule, OptimizerConfig, OutputConfig,
    Progress, ProgressUpdate, Resume, RunContext, RunSummary, StepInfo, StepLoss, TrainError,
    TrainState, TrainerState, TrainingTask, train_loop,
};

const STEPS: u64 = 20;

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
}

impl TrainingTask for Doubling {
    type Model = Network;
    type Batch = Vec<f32>;

    fn batch_size(&self) -> usize {
        5
    }

    fn batch(&self, at: &StepInfo) -> Result<Vec<f32>, TrainError> {
        self.batches.fetch_add(1, Ordering::Relaxed);
        let mut values = vec![0.0; 5 * 4];
        for (row, out) in values.chunks_exact_mut(4).enumerate() {
            fill_normal(&mut keyed_rng(7, purpose::TRAINING_ROW, at.step, row as u64), out);
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
        StepLoss { loss, parts: Vec::new() }
    }

    fn report(
        &mut self,
        _state: &TrainState<Network>,
        _at: &StepInfo,
        _run_dir: &Path,
    ) -> Result<Vec<(String, f64)>, TrainError> {
        Ok(Vec::new())
    }

    fn export(&self, _state: &TrainState<Network>) -> Result<Vec<(String, Vec<u8>)>, TrainError> {
        Ok(Vec::new())
    }
}

/// Sets the stop flag after a step.
struct StopAfter<'a> {
    step: u64,
    stop: &'a AtomicBool,
}

impl Progress for StopAfter<'_> {
    fn step(&mut self, update: &ProgressUpdate<'_>) {
        self.stop.store(update.step >= self.step, Ordering::Relaxed);
    }

    fn message(&mut self, _text: &str) {}
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
        budget: Budget { max_steps: Some(STEPS), max_seconds: None },
        output: OutputConfig { metrics_every_steps: 1, ..OutputConfig::default() },
        schedule: LrSchedule { warmup_steps: 2, decay_fraction: 0.4 },
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
    let stop = AtomicBool::new(false);
    let mut state = state(seed);
    let at = match resume {
        Some(resume) => state.restore(&Checkpoint::open(run_dir, resume)?)?,
        None => TrainerState::default(),
    };
    let context = RunContext {
        config,
        config_text: "",
        run_dir,
        at,
        progress: &mut StopAfter { step: stop_after, stop: &stop },
        stop: &stop,
    };
    let mut task = Doubling::default();
    let summary = train_loop(&mut task, state, context)?;
    let first = if resume.is_some() { 9 } else { 0 };
    let batches = task.batches.into_inner();
    assert_eq!(batches, summary.steps - first, "one batch a step, for all workers");
    Ok(summary)
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
        let budget = Budget { max_steps: Some(STEPS), max_seconds: Some(max_seconds) };
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
    let config = LoopConfig { budget: Budget { max_steps: None, max_seconds }, ..config() };
    let resumed =
        LoopConfig { budget: Budget { max_seconds: None, ..config.budget }, ..config.clone() };
    let error = train_with(&resumed, parts.path(), u64::MAX, Some(&Resume::Latest), 2);
    assert!(matches!(error, Err(TrainError::NoSteps)));
    let error = train_with(&config, new.path(), u64::MAX, None, 1).expect_err("new");
    assert!(error.to_string().contains("training.budget.max_steps"), "{error}");
    train_with(&config, parts.path(), u64::MAX, Some(&Resume::Latest), 2).expect("goes on");
    assert_same_end(whole.path(), parts.path());
}
