//! What `stride generate` does, in order: check, load, compute, write.

use std::io::Write as _;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use anyhow::{anyhow, bail};
use stride::image::{PngMetadata, RgbImage, png_bytes};
use stride::pipeline::{GenerateError, GenerateRequest, GeneratedImage, Pipeline};
use stride_files::write_whole;
use stride_kernels::workers::among_threads;
use stride_models::Model;

use super::Generate;
use super::record::{Record, Timings};
use super::targets::Targets;
use crate::usage::usage;
use crate::{interrupt, progress};

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

        let Model { pipeline, hash } = Model::load(self.model.as_deref(), &device)?;
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
        let progress = progress::bar(total as u64, "{bar:30} {pos}/{len} steps  {eta} left");
        let result = among_threads(|| {
            pipeline.generate(request, &mut |event| {
                if stop.load(Ordering::SeqCst) {
                    return ControlFlow::Break(());
                }
                progress.set_position((event.image * event.num_steps + event.step) as u64);
                if self.strip.is_some() && is_shown(event.step) {
                    strip[event.image].push(event.preview());
                }
                ControlFlow::Continue(())
            })
        });
        progress.finish_and_clear();
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
