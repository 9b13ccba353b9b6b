//! What was measured, as a table or as JSON.

use std::fmt::Write as _;
use std::fs;

use anyhow::Result;
use serde::Serialize;
use stride_kernels::peak::Peak;

use super::stopwatch::{Limits, Timing, repeat, seconds};
use crate::compute::ComputeOptions;

/// What `--json` prints.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    pub(super) version: &'static str,
    /// Name of the model or preset.
    pub(super) model: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) cpu: Option<String>,
    /// The GPU, if it computes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) gpu: Option<String>,
    #[serde(flatten)]
    pub(super) compute: ComputeOptions,
    pub(super) threads: usize,
    /// Tokens of the caption.
    pub(super) caption_length: usize,
    /// The peak of the processor, if it computes.
    #[serde(flatten)]
    pub(super) peak: Option<PeakOfProcessor>,
    pub(super) rows: Vec<Row>,
}

/// How much arithmetic the processor does at most.
#[derive(Debug, Serialize)]
pub(super) struct PeakOfProcessor {
    #[serde(rename = "peak_gflop_per_s")]
    pub(super) gflop_per_s: f64,
    #[serde(rename = "peak_instructions")]
    pub(super) instructions: &'static str,
}

/// One row of the table.
#[derive(Debug, Serialize)]
pub(super) struct Row {
    pub(super) name: String,
    pub(super) reps: usize,
    pub(super) min_s: f64,
    pub(super) median_s: f64,
    /// Arithmetic of one repetition; 0 where no products are counted.
    pub(super) gflop: f64,
    /// At the median time.
    pub(super) gflop_per_s: f64,
    #[serde(rename = "share_of_peak", skip_serializing_if = "Option::is_none")]
    pub(super) fraction_of_peak: Option<f64>,
    /// The most that the process had held when the row was done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) peak_memory_mib: Option<f64>,
}

/// Measures and keeps rows.
#[derive(Debug)]
pub(super) struct Recorder {
    limits: Limits,
    peak: Option<Peak>,
    rows: Vec<Row>,
}

impl Recorder {
    pub(super) fn new(limits: Limits, peak: Option<Peak>) -> Self {
        Self { limits, peak, rows: Vec::new() }
    }

    /// Measures a row whose work does `flops` operations.
    pub(super) fn row<T>(
        &mut self,
        name: &str,
        flops: f64,
        mut work: impl FnMut() -> Result<T>,
    ) -> Result<()> {
        self.rows(&[name], &[flops], || Ok([seconds(&mut work)?]))
    }

    /// Measures several rows at once: `work` returns the seconds of each.
    pub(super) fn rows<const N: usize>(
        &mut self,
        names: &[&str; N],
        flops: &[f64; N],
        work: impl FnMut() -> Result<[f64; N]>,
    ) -> Result<()> {
        tracing::info!("measuring {}", names[0]);
        let times = repeat(self.limits, work)?;
        let peak_memory_mib = peak_memory_mib();
        for (index, (name, flops)) in names.iter().zip(flops).enumerate() {
            let timing = Timing::of(times.iter().map(|times| times[index]).collect());
            // A clock that does not advance leaves no rate.
            let rate = if timing.median > 0.0 { flops / timing.median } else { 0.0 };
            self.rows.push(Row {
                name: (*name).to_owned(),
                reps: timing.reps,
                min_s: timing.min,
                median_s: timing.median,
                gflop: flops / 1e9,
                gflop_per_s: rate / 1e9,
                fraction_of_peak: self.peak.map(|peak| rate / peak.flops_per_second),
                peak_memory_mib,
            });
        }
        Ok(())
    }

    pub(super) fn into_rows(self) -> Vec<Row> {
        self.rows
    }
}

impl Report {
    /// A line about the machine and a Markdown table.
    pub(super) fn to_text(&self) -> String {
        let peak = self.peak.as_ref().map_or("peak unknown".to_owned(), |peak| {
            let PeakOfProcessor { gflop_per_s, instructions } = peak;
            format!("{} threads, peak {gflop_per_s:.0} GFLOP/s ({instructions})", self.threads)
        });
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "{} on {}, {}, {}, stride {}\n",
            self.model,
            self.gpu.as_deref().or(self.cpu.as_deref()).unwrap_or("an unknown processor"),
            self.compute,
            peak,
            self.version,
        );
        text += "| row                | reps |      min |   median |    GFLOP | GFLOP/s | of peak |  memory |\n";
        text += "|--------------------|-----:|---------:|---------:|---------:|--------:|--------:|--------:|\n";
        for row in &self.rows {
            let _ = writeln!(
                text,
                "| {:18} | {:4} | {:>8} | {:>8} | {:>8} | {:>7} | {:>7} | {:>7} |",
                row.name,
                row.reps,
                duration(row.min_s),
                duration(row.median_s),
                counted(row, &format!("{:.3}", row.gflop)),
                counted(row, &format!("{:.1}", row.gflop_per_s)),
                counted(row, &row.fraction_of_peak.map_or("-".to_owned(), percent)),
                row.peak_memory_mib.map_or("-".to_owned(), |mib| format!("{mib:.0} M")),
            );
        }
        text
    }
}

/// The largest amount of memory that the process ever held, in MiB; known on Linux only.
fn peak_memory_mib() -> Option<f64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: f64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib / 1024.0)
}

/// The text, or a dash where no arithmetic is counted.
fn counted<'a>(row: &Row, text: &'a str) -> &'a str {
    if row.gflop > 0.0 { text } else { "-" }
}

fn percent(fraction: f64) -> String {
    format!("{:.1} %", 100.0 * fraction)
}

/// Three or four digits with a unit.
fn duration(seconds: f64) -> String {
    match seconds {
        s if s >= 10.0 => format!("{s:.1} s"),
        s if s >= 1.0 => format!("{s:.2} s"),
        s if s >= 0.01 => format!("{:.1} ms", 1e3 * s),
        s if s >= 0.001 => format!("{:.2} ms", 1e3 * s),
        s => format!("{:.0} us", 1e6 * s),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_fit_their_column() {
        for (seconds, text) in [
            (123.45, "123.5 s"),
            (1.234, "1.23 s"),
            (0.9994, "999.4 ms"),
            (0.0123, "12.3 ms"),
            (0.00123, "1.23 ms"),
            (0.000_12, "120 us"),
        ] {
            assert_eq!(duration(seconds), text);
        }
    }
}
