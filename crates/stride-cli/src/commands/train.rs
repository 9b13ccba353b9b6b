//! `stride train`: trains a model as a configuration file says.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;
use clap::Args;
use indicatif::ProgressBar;
use serde_json::json;
use stride_train::{DryRun, LogProgress, Progress, ProgressUpdate, Resume, RunStart};

use crate::terminal::print_json;
use stride_kernels::device::DeviceName;
use stride_train::{DryRun, LogProgress, Progress, ProgressUpdate, Resume, RunStart};

use crate::compute::device_setting;
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
    /// Check configuration, data and weights, make a few steps and say how long the run would take; writes nothing
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
        let mut progress: Box<dyn Progress> = if progress::are_bars_seen() {
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
        };
        let summary = stride_train::run(
            &self.config,
            &self.overrides,
            &begin,
            self.run_dir.as_deref(),
            progress.as_mut(),
            &stop,
        )?;
        interrupt::obeyed();
        let end = if summary.was_stopped { "stopped after" } else { "done:" };
        progress
            .message(&format!("{end} {} steps in {:.0} s", summary.steps, summary.elapsed_seconds));
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
    let DryRun { parameters, batch_size, seconds_per_step, loss, total_seconds } = run;
    format!(
        "{:.1}M parameters, {batch_size} rows a step, {seconds_per_step:.2} s a step ({:.1} rows/s), {:.1} hours in all; loss {loss:.3}",
        *parameters as f64 / 1e6,
        *batch_size as f64 / seconds_per_step,
        total_seconds / 3600.0,
    )
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
