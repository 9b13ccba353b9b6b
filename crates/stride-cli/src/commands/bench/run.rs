//! What `stride bench` does, in order: load, measure the peak, measure the rows, print.

use std::io::Write as _;
use std::thread;
use std::time::Duration;

use clap::ValueEnum as _;
use stride_kernels::peak;
use stride_kernels::workers::among_threads;

use super::arguments::{Bench, Group};
use super::report::{Recorder, Report};
use super::stopwatch::Limits;
use super::subject::Subject;
use super::{generation, machine, training};
use crate::compute::typed;

/// Seconds of each of the trials that measure the peak: long enough for a clock rate to settle.
const PEAK_SECONDS: f64 = 0.2;

impl Bench {
    /// Measures and prints.
    pub(crate) fn run(self) -> anyhow::Result<()> {
        let subject = Subject::load(&self)?;
        let threads = thread::available_parallelism().map_or(1, usize::from);
        tracing::info!("measuring the peak of {threads} threads");
        let peak = peak::measure(subject.compute(), threads, Duration::from_secs_f64(PEAK_SECONDS));

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
            among_threads(|| generation(&subject, &mut recorder))?;
        }

        let report = Report {
            version: env!("CARGO_PKG_VERSION"),
            model: subject.name.clone(),
            cpu: machine::cpu_name(),
            device: typed(self.compute.device),
            dtype: typed(self.compute.dtype),
            threads,
            caption_length: subject.caption_length(),
            peak_gflop_per_s: peak.flops_per_second / 1e9,
            peak_instructions: peak.instructions,
            rows: recorder.into_rows(),
        };
        let mut stdout = std::io::stdout();
        if self.json {
            writeln!(stdout, "{}", serde_json::to_string(&report)?)?;
        } else {
            write!(stdout, "{}", report.to_text())?;
        }
        Ok(())
    }
}
