//! What `stride generate` does, in order: check, load, compute, write.

use std::io::Write as _;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::anyhow;
use indicatif::ProgressFinish;
use stride::image::{PngMetadata, RgbImage, png_bytes};
use stride::pipeline::{Drawing, GenerateRequest, GeneratedImage, Pipeline};
use stride_files::write_whole;
use stride_kernels::device::is_cpu;
use stride_kernels::workers::among_threads;
use stride_models::Model;

use super::Generate;
use super::record::{Origin, Record, Timings};
use super::targets::Targets;
use crate::terminal::printable_json;
use crate::usage::usage;
use crate::{interrupt, progress};

/// Images that take their steps together on a GPU.
const GPU_BATCH: usize = 16;
/// White pixels between the images of a strip.
const STRIP_GAP: usize = 2;
/// The most pixels of a strip, without gaps; at the end it is in memory three times, with 3 bytes a pixel.
const MAX_STRIP_PIXELS: usize = 100_000_000;

impl Generate {
    /// Makes the images and writes them.
    pub(crate) fn run(self) -> anyhow::Result<()> {
        let start = Instant::now();
        let prompt = self.prompt.join(" ");
        let seed = self.seed.map_or_else(random_seed, Ok)?;
        // Image k has seed + k, so the last one of all is the last.
        if seed.checked_add(self.count as u64 - 1).is_none() {
            return usage(format!(
                "--seed {seed}: too large for --count {}; the last seed is {}",
                self.count,
                u64::MAX
            ));
        }
        self.check_strip_steps(self.steps)?;
        let targets =
            Targets::new(self.output.as_deref(), self.strip.as_deref(), seed, self.count)?;
        targets.check(self.no_clobber)?;
        let device = self.compute.device()?;
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
            as_typed: self.as_typed,
        };
        if self.strip.is_some() {
            let columns = if self.strip_steps.is_empty() { steps } else { self.strip_steps.len() };
            check_strip_size(columns, self.count, pipeline.index().resolution)?;
        }
        let record = Record { request: &request, pipeline: &pipeline, hash: &hash };
        let mut drawn = Drawn::default();
        let result = self.draw(&record, &targets, &stop, &mut drawn);
        let written = &targets.images[..drawn.images.len()];
        let strip = targets.strip.as_ref().filter(|_| drawn.has_strip);
        let timings = Timings {
            load: milliseconds(loaded - start),
            generate: milliseconds(loaded.elapsed().saturating_sub(drawn.writing)),
            write: milliseconds(drawn.writing),
            total: milliseconds(start.elapsed()),
        };
        let mut stdout = crate::terminal::stdout();
        if !self.json {
            for path in written.iter().chain(strip) {
                writeln!(stdout, "{}", path.display())?;
            }
        } else if result.is_ok() || !written.is_empty() {
            let report = record.report(written.iter().zip(&drawn.images), strip, timings);
            writeln!(stdout, "{}", printable_json(&serde_json::to_string(&report)?))?;
        }
        result
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

    /// Draws and writes the images in turn, then the strip. What is done stays, however this ends.
    fn draw(
        &self,
        record: &Record<'_>,
        targets: &Targets,
        stop: &AtomicBool,
        drawn: &mut Drawn,
    ) -> anyhow::Result<()> {
        let Record { request, pipeline, .. } = record;
        let is_shown = |step| {
            self.strip.is_some()
                && (self.strip_steps.is_empty() || self.strip_steps.contains(&step))
        };
        let mut strip = Vec::new();
        tracing::info!("seed {}, {} steps", request.seed, request.num_steps);
        let total = request.count * request.num_steps;
        let progress = progress::bar(total as u64, "{bar:30} {pos}/{len} steps  {eta} left")
            .with_finish(ProgressFinish::AndClear);
        let device = pipeline.device();
        // One by one on the CPU, so that an image is the same to the byte whatever the count.
        let at_once = if is_cpu(device) { 1 } else { GPU_BATCH };
        let (mut drawings, mut paths) = (pipeline.start(request)?, targets.images.iter());
        loop {
            let group = drawings.by_ref().take(at_once).collect::<Result<Vec<Drawing>, _>>();
            let mut group = group?;
            if group.is_empty() {
                break;
            }
            for drawing in group.iter().filter(|drawing| drawing.prompt() != request.prompt) {
                tracing::info!("seed {}: {}", drawing.seed(), drawing.prompt());
            }
            let images = among_threads(device, || {
                let mut rows: Vec<_> = group.iter().map(|_| Vec::new()).collect();
                while group.iter().any(|drawing| !drawing.is_done()) {
                    pipeline.advance(&mut group);
                    progress.inc(group.len() as u64);
                    if stop.load(Ordering::SeqCst) {
                        return Ok(None);
                    }
                    for (row, drawing) in rows.iter_mut().zip(&group) {
                        if is_shown(drawing.num_done()) {
                            row.push(pipeline.preview(drawing));
                        }
                    }
                }
                strip.extend(rows);
                let images = group.iter().map(|drawing| pipeline.finish(drawing));
                images.collect::<Result<Vec<_>, _>>().map(Some)
            });
            let Some(images) = images? else {
                return Err(interrupted(drawn.images.len(), request.count, targets));
            };
            for (image, path) in images.into_iter().zip(&mut paths) {
                drawn.write(path, || self.png(record, &image))?;
                drawn.images.push(Origin { seed: image.seed, prompt: image.prompt });
            }
        }
        drop(progress);
        if let Some(path) = &targets.strip {
            let sheet = RgbImage::sheet(&strip, STRIP_GAP);
            drop(strip);
            drawn.write(path, || Ok(png_bytes(&sheet, &PngMetadata::default())?))?;
            drawn.has_strip = true;
        }
        Ok(())
    }

    /// An image as a file that says how it was made.
    fn png(&self, record: &Record<'_>, image: &GeneratedImage) -> anyhow::Result<Vec<u8>> {
        let metadata = if self.disable_image_metadata {
            PngMetadata::default()
        } else {
            record.metadata(image)?
        };
        Ok(png_bytes(&image.image, &metadata)?)
    }
}

/// A strip has to fit into memory.
fn check_strip_size(columns: usize, rows: usize, resolution: usize) -> anyhow::Result<()> {
    let pixels = columns.saturating_mul(rows).saturating_mul(resolution.saturating_pow(2));
    if pixels > MAX_STRIP_PIXELS {
        return usage(format!(
            "--strip: {columns} steps of {rows} images are {} million pixels, expected at most {}; show fewer \
             steps with --strip-steps, or fewer images with --count",
            pixels.div_ceil(1_000_000),
            MAX_STRIP_PIXELS / 1_000_000
        ));
    }
    Ok(())
}

/// What a run has written so far.
#[derive(Default)]
struct Drawn {
    /// Of the images, which are the first of all.
    images: Vec<Origin>,
    has_strip: bool,
    writing: Duration,
}

impl Drawn {
    fn write(
        &mut self,
        path: &Path,
        bytes: impl FnOnce() -> anyhow::Result<Vec<u8>>,
    ) -> anyhow::Result<()> {
        let start = Instant::now();
        write_whole(path, &bytes()?)?;
        self.writing += start.elapsed();
        Ok(())
    }
}

/// Says what an interruption has left.
fn interrupted(written: usize, count: usize, targets: &Targets) -> anyhow::Error {
    let strip = if targets.strip.is_some() { ", and no strip" } else { "" };
    match written {
        0 => anyhow!("interrupted; no file was written"),
        _ => anyhow!("interrupted; {written} of {count} images were written{strip}"),
    }
}

/// Says what the model does not understand.
fn warn_about(pipeline: &Pipeline, what: &str, prompt: &str) -> anyhow::Result<()> {
    let report = pipeline.prompt_report(prompt)?;
    if let Some(read) = &report.without_weights {
        tracing::warn!(
            "brackets and weights, as in (word:1.3) or ((word)), have no effect; the {what} is read as: {}",
            shorten(read)
        );
    }
    if !report.unknown_words.is_empty() {
        let words: Vec<String> = report.unknown_words.iter().map(ToString::to_string).collect();
        tracing::warn!(
            "the model never saw these words of the {what}, and treats them as unknown: {}",
            words.join(", ")
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

fn milliseconds(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e4).round() / 10.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_strip_that_fits_no_memory_is_refused() {
        check_strip_size(128, 11, 256).expect("fits");
        let error = check_strip_size(128, 1000, 256).expect_err("72 GB").to_string();
        assert!(error.contains("8389 million pixels, expected at most 100; show fewer"), "{error}");
        check_strip_size(usize::MAX, 2, usize::MAX).expect_err("too large");
    }
}
