//! What `stride generate` does, in order: check, load, compute, write.

use std::io::Write as _;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use anyhow::{anyhow, bail};
use serde::Serialize;
use stride::image::{PngMetadata, RgbImage, png_bytes};
use stride::pipeline::{GenerateError, GenerateRequest, GeneratedImage, Pipeline};
use stride_kernels::gemm::Compute;
use stride_kernels::workers::among_threads;

use super::arguments::Generate;
use super::parameters::Parameters;
use super::progress::Progress;
use super::targets::Targets;
use crate::interrupt;
use crate::model_folder::{self, Model};
use crate::output::write_whole;
use crate::usage::usage;

/// White pixels between the images of a strip.
const STRIP_GAP: usize = 2;

impl Generate {
    /// Makes the images and writes them.
    pub(crate) fn run(self) -> anyhow::Result<()> {
        let start = Instant::now();
        let prompt = self.prompt.join(" ");
        let seed = self.seed.map_or_else(random_seed, Ok)?;
        if seed.checked_add(self.count as u64).is_none() {
            return usage(format!(
                "--seed {seed}: too large for --count {}; the last seed is {}",
                self.count,
                u64::MAX
            ));
        }
        self.check_strip_steps(self.steps)?;
        let targets =
            Targets::new(self.output.as_deref(), self.strip.as_deref(), seed, self.count)?;
        targets.check()?;
        let device = self.compute.device();
        let stop = interrupt::stop_flag()?;

        let Model { pipeline, hash } = model_folder::load(self.model.as_deref(), &device)?;
        let pipeline = pipeline.with_compute(self.compute.dtype());
        let steps = self.steps.unwrap_or(pipeline.index().default_steps);
        self.check_strip_steps(Some(steps))?;
        let cfg_scale = self.cfg_scale.unwrap_or(pipeline.index().default_cfg_scale);
        let loaded = Instant::now();

        warn_about(&pipeline, "prompt", &prompt)?;
        if let Some(negative_prompt) = &self.negative_prompt {
            warn_about(&pipeline, "negative prompt", negative_prompt)?;
            if cfg_scale == 1.0 {
                tracing::warn!(
                    "the negative prompt has no effect at --cfg-scale 1; try --cfg-scale 2"
                );
            }
        }
        let request = GenerateRequest {
            prompt,
            negative_prompt: self.negative_prompt.clone(),
            num_steps: steps,
            cfg_scale,
            seed,
            count: self.count,
        };
        let (images, strip) = self.compute(&pipeline, &request, &stop)?;
        let computed = Instant::now();

        let record = Record { request: &request, pipeline: &pipeline, hash: &hash };
        for (image, path) in images.iter().zip(&targets.images) {
            let metadata = if self.disable_image_metadata {
                PngMetadata::default()
            } else {
                record.metadata(image)?
            };
            write_whole(path, &png_bytes(&image.image, &metadata)?)?;
        }
        if let Some(path) = &targets.strip {
            let image = RgbImage::sheet(&strip, STRIP_GAP);
            write_whole(path, &png_bytes(&image, &PngMetadata::default())?)?;
        }
        let timings = Timings {
            load: milliseconds(start, loaded),
            generate: milliseconds(loaded, computed),
            write: milliseconds(computed, Instant::now()),
            total: milliseconds(start, Instant::now()),
        };
        let mut stdout = std::io::stdout();
        if self.json {
            let report = record.report(&targets, &images, timings);
            writeln!(stdout, "{}", serde_json::to_string(&report)?)?;
        } else {
            for path in targets.images.iter().chain(&targets.strip) {
                writeln!(stdout, "{}", path.display())?;
            }
        }
        Ok(())
    }

    /// Steps of the strip must be among the steps that are taken, as soon as these are known.
    fn check_strip_steps(&self, steps: Option<usize>) -> anyhow::Result<()> {
        let beyond = self.strip_steps.iter().find(|&&step| steps.is_some_and(|steps| step > steps));
        match (beyond, steps) {
            (Some(step), Some(steps)) => usage(format!(
                "--strip-steps {step}: expected steps in 1..={steps}, since {steps} are taken"
            )),
            _ => Ok(()),
        }
    }

    /// The images, and for the strip one row of images per image.
    fn compute(
        &self,
        pipeline: &Pipeline,
        request: &GenerateRequest,
        stop: &AtomicBool,
    ) -> anyhow::Result<(Vec<GeneratedImage>, Vec<Vec<RgbImage>>)> {
        let mut strip = vec![Vec::new(); request.count];
        let is_shown = |step| self.strip_steps.is_empty() || self.strip_steps.contains(&step);
        let total = request.count * request.num_steps;
        tracing::info!("seed {}, {} steps", request.seed, request.num_steps);
        let progress = Progress::new(total);
        let result = among_threads(|| {
            pipeline.generate(request, &mut |event| {
                if stop.load(Ordering::SeqCst) {
                    return ControlFlow::Break(());
                }
                progress.set(event.image * event.num_steps + event.step);
                if self.strip.is_some() && is_shown(event.step) {
                    strip[event.image].push(event.preview());
                }
                ControlFlow::Continue(())
            })
        });
        progress.finish();
        match result {
            // A stop that came after the last step counts too: whoever asked wants no files.
            Err(GenerateError::Stopped) => bail!("interrupted; no file was written"),
            Ok(_) if stop.load(Ordering::SeqCst) => bail!("interrupted; no file was written"),
            result => Ok((result?, strip)),
        }
    }
}

/// Says what the model does not understand.
fn warn_about(pipeline: &Pipeline, what: &str, prompt: &str) -> anyhow::Result<()> {
    let report = pipeline.prompt_report(prompt)?;
    if !report.unknown_words.is_empty() {
        tracing::warn!(
            "the model never saw these words of the {what}, and treats them as unknown: {}",
            report.unknown_words.join(", ")
        );
    }
    if report.dropped_tokens > 0 {
        tracing::warn!(
            "the {what} is too long for the model; its last {} tokens are left out: {}",
            report.dropped_tokens,
            shorten(&report.dropped_text)
        );
    }
    Ok(())
}

/// The start of a long text.
fn shorten(text: &str) -> String {
    const WIDTH: usize = 80;
    match text.char_indices().nth(WIDTH) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
}

/// A seed that nobody chose; ten digits at most, so that people can type it again.
fn random_seed() -> anyhow::Result<u64> {
    let seed = getrandom::u32().map_err(|error| anyhow!("no random seed: {error}; pass --seed"))?;
    Ok(u64::from(seed))
}

fn milliseconds(from: Instant, to: Instant) -> f64 {
    ((to - from).as_secs_f64() * 1e4).round() / 10.0
}

/// How the images of one run were made.
struct Record<'a> {
    request: &'a GenerateRequest,
    pipeline: &'a Pipeline,
    hash: &'a str,
}

/// What the JSON chunk of an image and `--json` have in common.
#[derive(Serialize)]
struct Settings<'a> {
    prompt: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    negative_prompt: Option<&'a str>,
    steps: usize,
    cfg_scale: f64,
    width: usize,
    height: usize,
    dtype: Compute,
    model: &'a str,
    model_hash: &'a str,
    version: &'static str,
}

/// The JSON chunk of an image.
#[derive(Serialize)]
struct ImageRecord<'a> {
    seed: u64,
    #[serde(flatten)]
    settings: Settings<'a>,
}

/// What `--json` prints.
#[derive(Serialize)]
struct Report<'a> {
    files: Vec<FileReport<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    strip: Option<&'a PathBuf>,
    #[serde(flatten)]
    settings: Settings<'a>,
    timings_ms: Timings,
}

#[derive(Serialize)]
struct FileReport<'a> {
    file: &'a PathBuf,
    seed: u64,
}

#[derive(Serialize)]
struct Timings {
    load: f64,
    generate: f64,
    write: f64,
    total: f64,
}

impl Record<'_> {
    fn settings(&self) -> Settings<'_> {
        let side = self.pipeline.index().resolution;
        Settings {
            prompt: &self.request.prompt,
            negative_prompt: self.request.negative_prompt.as_deref(),
            steps: self.request.num_steps,
            cfg_scale: self.request.cfg_scale,
            width: side,
            height: side,
            dtype: self.pipeline.precision().compute(),
            model: &self.pipeline.index().name,
            model_hash: self.hash,
            version: env!("CARGO_PKG_VERSION"),
        }
    }

    fn metadata(&self, image: &GeneratedImage) -> anyhow::Result<PngMetadata> {
        let settings = self.settings();
        let parameters = Parameters {
            prompt: settings.prompt,
            negative_prompt: settings.negative_prompt,
            steps: settings.steps,
            sampler: self.pipeline.index().sampler.description(),
            cfg_scale: settings.cfg_scale,
            seed: image.seed,
            width: image.image.width,
            height: image.image.height,
            model: settings.model,
            model_hash: settings.model_hash,
        };
        let record = ImageRecord { seed: image.seed, settings: self.settings() };
        Ok(PngMetadata {
            parameters: Some(parameters.to_text()),
            json: Some(serde_json::to_string(&record)?),
        })
    }

    fn report<'a>(
        &'a self,
        targets: &'a Targets,
        images: &[GeneratedImage],
        timings_ms: Timings,
    ) -> Report<'a> {
        let files = targets.images.iter().zip(images);
        Report {
            files: files.map(|(file, image)| FileReport { file, seed: image.seed }).collect(),
            strip: targets.strip.as_ref(),
            settings: self.settings(),
            timings_ms,
        }
    }
}
