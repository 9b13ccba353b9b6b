//! `stride compare`: objectives side by side on the same data, network, seeds and compute.

mod plan;
mod report;
mod training;

use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context as _, Result};
use clap::Args;
use stride_data::ImageFolder;
use stride_eval::AttributeClassifier;
use stride_eval::comparison::StepEvaluator;
use stride_eval::report::comparison::ComparisonImages;
use stride_kernels::device::DeviceName;
use stride_kernels::workers::Workers;
use stride_models::Model;

use crate::compute::device_setting;
use crate::interrupt;
use crate::terminal::print_json;
use plan::Plan;

/// Train objectives on the same data, network, seeds and compute, and compare them
///
/// The configurations must agree in everything but the objective. A stopped comparison is continued
/// by the same command.
#[derive(Debug, Args)]
pub(crate) struct Compare {
    /// Configurations to compare, comma-separated (see configs/objectives/)
    #[arg(long, value_name = "FILES", value_delimiter = ',', required = true)]
    configs: Vec<PathBuf>,
    /// Folder for runs, images and the report
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Network passes that every run may spend; a training row takes three, and a teacher evaluation
    /// one
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    passes: u64,
    /// Seeds, comma-separated; every configuration is trained once with each
    #[arg(long, value_name = "SEEDS", value_delimiter = ',', default_values_t = [1])]
    seeds: Vec<u64>,
    /// Folder of an attribute classifier [default: the classifier inside this program]
    #[arg(long, value_name = "DIR")]
    classifier: Option<PathBuf>,
    /// Images per step count
    #[arg(long, value_name = "N", default_value_t = 512, value_parser = parse_samples)]
    samples: usize,
    /// Override a setting of all configurations, e.g. --set dit.batch_size=32
    #[arg(long = "set", value_name = "KEY=VALUE")]
    overrides: Vec<String>,
    /// Device to train and evaluate on: auto, cpu, gpu, or gpu:N for the adapter that `stride doctor` lists under N
    #[arg(long)]
    device: Option<DeviceName>,
    /// Print one JSON object instead of text, the content of report.json
    #[arg(long)]
    json: bool,
}

/// A covariance takes two images.
fn parse_samples(text: &str) -> Result<usize, String> {
    let count: usize = text.parse().map_err(|error| format!("{error}"))?;
    if count < 2 { Err("expected at least 2".to_owned()) } else { Ok(count) }
}

impl Compare {
    /// Trains what is not trained, evaluates what is not evaluated, and writes the report.
    pub(crate) fn run(mut self) -> Result<()> {
        self.overrides.extend(self.device.map(device_setting));
        let stop = interrupt::stop_flag()?;
        let plan = Plan::read(&self.configs, &self.overrides, &self.seeds, self.passes, &self.out)?;
        fs::create_dir_all(&self.out)
            .with_context(|| format!("cannot make the folder {}", self.out.display()))?;
        let start = Instant::now();
        let total = plan.sides.len();
        for (index, side) in plan.sides.iter().enumerate() {
            training::train(side, &format!("{} of {total}, {}", index + 1, side.name), &stop)?;
            // All sides have the same compute, so that the time so far tells the time to come.
            let left =
                start.elapsed().as_secs_f64() / (index + 1) as f64 * (total - index - 1) as f64;
            tracing::info!("{} is trained; about {} of training left", side.name, hours(left));
        }
        // All sides have the same device.
        let device = plan.config().training.device()?;
        let classifier = AttributeClassifier::load(self.classifier.as_deref(), &device)?;
        let num_features = classifier.config().feature_size;
        if self.samples < 2 * num_features {
            tracing::warn!(
                "{} images for {num_features} features: distances will be more noise than anything else",
                self.samples,
            );
        }
        let data = &plan.config().data;
        let dir = data.dir()?;
        let evaluator = StepEvaluator::new(
            &ImageFolder::open(dir, data.max_images)?,
            data.resolution,
            classifier,
            self.samples,
            Workers::on(&device)?,
        )
        .with_context(|| dir.display().to_string())?;
        let mut report = report::empty(self.passes, self.samples, &plan, &evaluator);
        let mut images = ComparisonImages::default();
        let start = Instant::now();
        for (index, side) in plan.sides.iter().enumerate() {
            let mut model = Model::load(Some(&side.model_dir()), &device)?;
            model.pipeline = model.pipeline.with_compute(side.config.training.compute_dtype);
            let file = side.config.run_dir.join("evaluation.json");
            let (pipeline, hash) = (&model.pipeline, &model.hash);
            let results = evaluator.evaluate(pipeline, hash, &file, &stop, &mut |result| {
                tracing::info!(
                    "{}, {} steps: distance {:.3}, {:.3} s an image",
                    side.name,
                    result.steps,
                    result.quality.frechet_distance,
                    result.seconds_per_image
                );
            });
            training::stop_here(&stop)?;
            let generated = images.generate(&side.objective, &model.pipeline, &stop);
            training::stop_here(&stop)?;
            generated?;
            report.runs.push(report::run(side, results?)?);
            let left =
                start.elapsed().as_secs_f64() / (index + 1) as f64 * (total - index - 1) as f64;
            tracing::info!("{} is evaluated; about {} left", side.name, hours(left));
        }
        report.write(&images, &self.out)?;
        if self.json {
            return print_json(&report);
        }
        write!(crate::terminal::stdout(), "{}", report.tables())?;
        Ok(())
    }
}

/// A duration for people.
fn hours(seconds: f64) -> String {
    let minutes = (seconds / 60.0).ceil() as u64;
    format!("{}:{:02} h", minutes / 60, minutes % 60)
}
