//! `stride bench`: how fast this machine runs each part of a model.

mod flops;
mod generation;
mod report;
mod stopwatch;
mod subject;
mod training;

use std::io::Write as _;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use clap::{Args, ValueEnum};
use stride_kernels::device::is_cpu;
use stride_kernels::peak;
use stride_kernels::workers::among_threads;

use self::report::{PeakOfProcessor, Recorder, Report};
use self::stopwatch::Limits;
use self::subject::{Preset, Subject};
use crate::compute::ComputeOptions;
use crate::processor::cpu_name;

/// Measure how fast this machine runs each part of a model
///
/// Prints one row per part: repetitions, shortest and median time, arithmetic (GFLOP, counted from
/// the shapes), its rate, that rate as a fraction of the processor's measured peak (unknown for GPUs),
/// and the peak memory of the process so far.
#[derive(Debug, Args)]
pub(crate) struct Bench {
    /// Model folder [default: the model inside this program]
    #[arg(long, value_name = "DIR", conflicts_with = "preset")]
    model: Option<PathBuf>,
    /// Standard networks with random weights, instead of a model
    #[arg(long, value_enum)]
    preset: Option<Preset>,
    /// Measure only these groups of rows
    #[arg(long, value_enum, value_name = "GROUPS", value_delimiter = ',')]
    only: Vec<Group>,
    /// Repetitions per row, after one to warm up
    #[arg(long, value_name = "N", default_value = "10", value_parser = parse_reps)]
    reps: usize,
    /// Start no further repetition of a row after this many seconds
    #[arg(long, value_name = "S", default_value = "20", value_parser = parse_seconds)]
    seconds: f64,
    #[command(flatten)]
    compute: ComputeOptions,
    /// Print one JSON object instead of a table
    #[arg(long)]
    json: bool,
}

/// Rows that belong together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Group {
    /// Encoding a caption
    Text,
    /// One sampling step for 1, 4 and 16 images at once
    Denoise,
    /// Decoding latents to an image
    Decode,
    /// From prompt to image in memory, in 1, 4 and 128 steps
    E2e,
    /// One step of shortcut training, and its phases
    Train,
}

/// Seconds of each of the trials that measure the peak: long enough for a clock rate to settle.
const PEAK_SECONDS: f64 = 0.2;

impl Bench {
    /// Measures and prints.
    pub(crate) fn run(self) -> anyhow::Result<()> {
        let subject = match self.preset {
            Some(preset) => Subject::of_preset(preset, self.compute)?,
            None => Subject::of_model(self.model.as_deref(), self.compute)?,
        };
        let threads = thread::available_parallelism().map_or(1, usize::from);
        let peak = is_cpu(&subject.device).then(|| {
            tracing::info!("measuring the peak of {threads} threads");
            peak::measure(subject.compute(), threads, Duration::from_secs_f64(PEAK_SECONDS))
        });

        let limits = Limits { reps: self.reps, time: Duration::from_secs_f64(self.seconds) };
        let mut recorder = Recorder::new(limits, peak);
        for &group in Group::value_variants() {
            if !self.wants(group) {
                continue;
            }
            let generation = match group {
                Group::Text => generation::text,
                Group::Denoise => generation::denoise,
                Group::Decode => generation::decode,
                Group::E2e => generation::end_to_end,
                Group::Train => {
                    training::training(&subject, &mut recorder)?;
                    continue;
                }
            };
            among_threads(&subject.device, || generation(&subject, &mut recorder))?;
        }

        let report = Report {
            version: env!("CARGO_PKG_VERSION"),
            model: subject.name.clone(),
            cpu: cpu_name(),
            gpu: self.compute.gpu_name(),
            compute: self.compute,
            threads,
            caption_length: subject.caption_length(),
            peak: peak.map(|peak| PeakOfProcessor {
                gflop_per_s: peak.flops_per_second / 1e9,
                instructions: peak.instructions,
            }),
            rows: recorder.into_rows(),
        };
        let mut stdout = crate::terminal::stdout();
        if self.json {
            writeln!(stdout, "{}", serde_json::to_string(&report)?)?;
        } else {
            write!(stdout, "{}", report.to_text())?;
        }
        Ok(())
    }

    /// Whether the rows of a group are wanted.
    fn wants(&self, group: Group) -> bool {
        self.only.is_empty() || self.only.contains(&group)
    }
}

fn parse_reps(text: &str) -> Result<usize, String> {
    match text.trim().parse() {
        Ok(reps) if reps >= 1 => Ok(reps),
        _ => Err("expected a whole number of at least 1".to_owned()),
    }
}

fn parse_seconds(text: &str) -> Result<f64, String> {
    match text.trim().parse::<f64>() {
        // A year, which a duration can hold.
        Ok(seconds) if (0.0..=3.2e7).contains(&seconds) => Ok(seconds),
        _ => Err("expected a number of seconds".to_owned()),
    }
}
