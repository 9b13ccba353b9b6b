//! Everything that a run writes for people to look at: metrics, TensorBoard's events, losses by time, images.

use std::fs;
use std::path::{Path, PathBuf};

use stride_files::write_whole;

use super::config::OutputConfig;
use super::events::{Events, Shown};
use super::loss_map::LossMap;
use super::metrics::{Metrics, StepValues};
use super::run_folder::SAMPLES;
use super::task::Report;
use crate::TrainError;

/// The open files of a run folder.
#[derive(Debug)]
pub(super) struct Record {
    run_dir: PathBuf,
    metrics: Metrics,
    events: Option<Events>,
    loss_map: LossMap,
}

impl Record {
    /// Opens the files of a run that goes on at `step`, and at once reports there if it is over.
    ///
    /// # Errors
    /// A file cannot be read or written.
    pub(super) fn open(
        run_dir: &Path,
        step: u64,
        is_over: bool,
        output: &OutputConfig,
    ) -> Result<Self, TrainError> {
        Ok(Self {
            run_dir: run_dir.to_owned(),
            metrics: Metrics::open(run_dir, step, is_over)?,
            events: output.tensorboard.then(|| Events::new(run_dir, step)),
            loss_map: LossMap::open(run_dir, step, is_over)?,
        })
    }

    /// Counts the losses of a step by time and step size.
    pub(super) fn add_rows(&mut self, values: &StepValues) {
        if values.skipped.is_none() {
            self.loss_map.add(&values.row_losses);
        }
    }

    /// Writes a line of metrics.
    ///
    /// # Errors
    /// A file cannot be written.
    pub(super) fn write(
        &mut self,
        step: u64,
        seconds: f64,
        group: &str,
        values: Vec<(String, f64)>,
    ) -> Result<(), TrainError> {
        if let Some(events) = &mut self.events {
            // A slash makes a group; those of step sizes are none.
            let tag = |name: &str| {
                let is_grouped = name.contains("_norm/");
                if is_grouped {
                    name.to_owned()
                } else {
                    format!("{group}/{}", name.replace('/', "_"))
                }
            };
            let shown = values.iter().map(|(name, value)| (tag(name), Shown::Scalar(*value)));
            events.write(step, shown)?;
        }
        self.metrics.write(step, seconds, values)
    }

    /// Shows a text in Markdown.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(super) fn show_text(&mut self, step: u64, tag: &str, text: &str) -> Result<(), TrainError> {
        match &mut self.events {
            Some(events) => events.write(step, [(tag.to_owned(), Shown::Text(text))]),
            None => Ok(()),
        }
    }

    /// Writes the images of a report, and the losses by time since the last one.
    ///
    /// # Errors
    /// A file cannot be written.
    pub(super) fn write_images(&mut self, step: u64, report: &Report) -> Result<(), TrainError> {
        self.loss_map.write(step)?;
        if report.images.is_empty() {
            return Ok(());
        }
        let dir = self.run_dir.join(SAMPLES);
        fs::create_dir_all(&dir).map_err(TrainError::io(&dir))?;
        for (name, png) in &report.images {
            write_whole(&dir.join(format!("{name}-{step:06}.png")), png)?;
            if let Some(events) = &mut self.events {
                events.write(step, [(format!("samples/{name}"), Shown::Image(png))])?;
            }
        }
        if !report.prompts.is_empty() {
            let list = report.prompts.join("\n");
            write_whole(&dir.join("prompts.txt"), list.as_bytes())?;
            self.show_text(step, "samples/prompts", &report.prompts.join("\n\n"))?;
        }
        Ok(())
    }
}
