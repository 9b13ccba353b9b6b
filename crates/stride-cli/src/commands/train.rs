//! `stride train`: trains a model as a configuration file says.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;
use clap::Args;
use indicatif::ProgressBar;
use serde_json::json;
use stride_kernels::device::DeviceName;
use stride_train::{DryRun, LogProgress, Progress, ProgressUpdate, Ranks, Resume, RunStart};

use crate::compute::device_setting;
use crate::terminal::print_json;
use crate::{interrupt, progress};

/// Train an autoencoder, a text encoder, a diffusion transformer or an attribute classifier
#[derive(Debug, Args)]
pub(crate) struct Train {
    /// Configuration, a TOML file (see configs/)
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Override a setting of the configuration, e.g. --set optimizer.learning_rate=0.001
    #[arg(long = "set", value_name = "KEY=VALUE")]
    overrides: Vec<String>,
    /// Device to train on: auto, cpu, gpu, or gpu:N for the adapter that `stride doctor` lists under N; instead of the
    /// configuration's training.device
    #[arg(long)]
    device: Option<DeviceName>,
    /// Continue from the latest checkpoint of the run folder (auto: begin if there is none), from that of another run
    /// folder, in which the run then goes on, or from a checkpoint
    #[arg(long, alias = "resume_from_checkpoint", value_name = "auto|latest|PATH")]
    resume: Option<Resume>,
    /// Remove the run that the run folder holds; with --resume, its checkpoints of later steps
    #[arg(long)]
    overwrite: bool,
    /// With --resume: go on although the kind of run, data, networks or optimizer are not those of the checkpoint
    #[arg(long, requires = "resume")]
    allow_changes: bool,
    /// Folder for metrics, checkpoints and the model, instead of the configuration's run_dir
    #[arg(long, alias = "output_dir", value_name = "DIR")]
    run_dir: Option<PathBuf>,
    /// Check configuration, data and weights, make a few steps, and print the configuration, the size of the model, and the time
    /// and memory that the run would take; writes nothing
    #[arg(long, conflicts_with_all = ["resume", "overwrite"])]
    dry_run: bool,
    /// Print one JSON object at the end
    #[arg(long)]
    json: bool,
}

impl Train {
    /// Trains to the end of the budget, or until Ctrl-C or the request to end, which leave a checkpoint and succeed.
    pub(crate) fn run(mut self) -> Result<()> {
        self.overrides.extend(self.device.map(device_setting));
        let stop = interrupt::stop_flag()?;
        let ranks = Ranks::of_launcher()?;
        let mut progress: Box<dyn Progress> = if !ranks.is_leader() {
            Box::new(Silent)
        } else if progress::are_bars_seen() {
            Box::new(Bar::new())
        } else {
            Box::new(LogProgress::new(Duration::from_secs(15)))
        };
        if self.dry_run {
            let (file, overrides) = (&self.config, &self.overrides);
            let run = stride_train::dry_run(file, overrides, progress.as_mut(), &stop)?;
            if self.json {
                return print_json(&json!({
                    "parameters": run.parameters,
                    "batch_size": run.batch_size,
                    "seconds_per_step": run.seconds_per_step,
                    "loss": run.loss,
                    "total_seconds": run.total_seconds,
                }));
            }
            writeln!(crate::terminal::stdout(), "{}", describe(&run))?;
            return Ok(());
        }
        let begin = RunStart {
            resume: self.resume,
            overwrite: self.overwrite,
            allow_changes: self.allow_changes,
            ranks: ranks.clone(),
        };
        let summary = stride_train::run(
            &self.config,
            &self.overrides,
            &begin,
            self.run_dir.as_deref(),
            progress.as_mut(),
            &stop,
        );
        let summary = summary.inspect_err(|error| {
            if ranks.size() > 1 {
                tracing::error!("rank {}: {error}", ranks.rank());
                // The others would wait for this one.
                ranks.abort();
            }
        })?;
        interrupt::obeyed();
        let end = if summary.was_stopped { "stopped after" } else { "done:" };
        let memory = stride_train::peak_memory().map_or_else(String::new, |bytes| {
            format!(", {:.2} GB of memory at most", gigabytes(bytes))
        });
        let (steps, seconds) = (summary.steps, summary.elapsed_seconds);
        progress.message(&format!("{end} {steps} steps in {seconds:.0} s{memory}"));
        if summary.was_stopped {
            progress.message("the same command with --resume latest goes on from here");
        }
        if self.json {
            let report: BTreeMap<String, f64> = summary.report.into_iter().collect();
            print_json(&json!({
                "steps": summary.steps,
                "elapsed_seconds": summary.elapsed_seconds,
                "was_stopped": summary.was_stopped,
                "report": report,
            }))?;
        }
        Ok(())
    }
}

/// What a dry run says.
fn describe(run: &DryRun) -> String {
    let DryRun { config, parameters, parts, batch_size, seconds_per_step, loss, .. } = run;
    let millions = |numbers: usize| numbers as f64 / 1e6;
    let parts: String = parts
        .iter()
        .map(|(name, numbers)| format!("{:>10.3}M  {name}\n", millions(*numbers)))
        .collect();
    let memory = run
        .memory
        .map_or_else(String::new, |bytes| format!(", {:.2} GB of memory", gigabytes(bytes)));
    format!(
        "{config}\n{parts}{:.1}M parameters, {batch_size} rows a step, {seconds_per_step:.2} s a step ({:.1} rows/s), {:.1} hours in all for {} steps{memory}; loss {loss:.3}",
        millions(*parameters),
        *batch_size as f64 / seconds_per_step,
        run.total_seconds / 3600.0,
        run.steps,
    )
}

fn gigabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e9
}

/// Says nothing, in processes beside the one that writes.
struct Silent;

impl Progress for Silent {
    fn step(&mut self, _update: &ProgressUpdate<'_>) {}

    fn message(&mut self, _text: &str) {}
}

/// A bar over the budget of the run.
pub(crate) struct Bar(ProgressBar);

impl Bar {
    pub(crate) fn new() -> Self {
        Self(progress::bar(1000, "{bar:30} {msg}"))
    }
}

impl Progress for Bar {
    fn step(&mut self, update: &ProgressUpdate<'_>) {
        self.0.set_position((update.fraction() * 1000.0) as u64);
        self.0.set_message(update.to_string());
    }

    fn message(&mut self, text: &str) {
        self.0.println(text);
    }
}
