//! What `stride generate` does, in order: check, load, compute, write.

use std::io::Write as _;
use std::mem::ManuallyDrop;
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow};
use stride::image::{ImageFormat, ImageMetadata, RgbImage, animated_webp, image_bytes};
use stride::pipeline::{GenerateRequest, InitImage, Record};
use stride_files::write_whole;
use stride_models::Model;

use super::Generate;
use super::draw::{Artist, Finished, images, way};
use super::plan::Planned;
use super::report::{Report, Timings, Written};
use super::sheet::{Grid, check_size};
use super::targets::{Defaults, Targets, format_of};
use super::warnings::warn_about_all;
use crate::interrupt;
use crate::terminal::print_json;
use crate::usage::usage;

/// White pixels between the images of a strip.
const STRIP_GAP: usize = 2;
/// How long an animation shows a frame.
const FRAME_MILLISECONDS: u32 = 80;

impl Generate {
    /// Makes the images and writes them.
    pub(crate) fn run(self) -> anyhow::Result<()> {
        let start = Instant::now();
        let plan = self.plan()?;
        self.check_strip_steps(&plan, None)?;
        self.check_interpolation(&plan)?;
        let targets = |defaults: Defaults| -> anyhow::Result<Targets> {
            let targets = self.targets(&plan, defaults)?;
            targets.check(self.no_clobber)?;
            Ok(targets)
        };
        // Before any work, unless the names depend on the model.
        let early = if self.names_need_model(&plan) { None } else { Some(targets((1, 1.0))?) };
        let device = self.compute.device()?;
        let stop = interrupt::stop_flag()?;

        let Model { pipeline, hash } = Model::load(self.model.as_deref(), &device)?;
        // Never dropped: the system takes the memory of a process back faster than the process gives it.
        let pipeline = ManuallyDrop::new(pipeline.with_compute(self.compute.dtype()));
        let index = pipeline.index();
        let defaults = (index.default_steps, index.default_cfg_scale);
        let targets = early.map_or_else(|| targets(defaults), Ok)?;
        self.check_strip_steps(&plan, Some(defaults.0))?;
        let requests: Vec<GenerateRequest> =
            plan.iter().map(|image| image.request(&pipeline)).collect();
        let init = self.read_init_image(index.resolution)?;
        let grid = self.grid.is_some().then(|| Grid::new(&plan, &requests));
        self.check_sheets(&requests, grid.as_ref(), index.resolution)?;
        warn_about_all(&pipeline, &requests)?;
        for request in &requests {
            pipeline.check(request)?;
        }
        let loaded = Instant::now();
        tracing::debug!(
            "loaded the model {} in {:.2} s",
            index.name,
            (loaded - start).as_secs_f64()
        );

        let record = Record { pipeline: &pipeline, hash: &hash, strength: self.strength };
        let mut drawn = Drawn::default();
        let work = Work { flags: &self, record: &record, targets: &targets, requests: &requests };
        let result = work.draw(grid.as_ref(), init.as_ref(), &stop, &mut drawn);
        let timings = Timings {
            load: milliseconds(loaded - start),
            generate: milliseconds(loaded.elapsed().saturating_sub(drawn.writing)),
            write: milliseconds(drawn.writing),
            total: milliseconds(start.elapsed()),
        };
        let written = Written {
            images: &targets.images[..drawn.prompts.len().min(targets.images.len())],
            strip: targets.strip.as_ref().filter(|_| drawn.sheets),
            grid: targets.grid.as_ref().filter(|_| drawn.sheets),
            interpolation: targets.interpolation.as_ref().filter(|_| drawn.sheets),
        };
        let mut stdout = crate::terminal::stdout();
        if targets.to_stdout {
            stdout.write_all(&drawn.for_stdout)?;
            stdout.flush()?;
        } else if !self.json {
            for path in written.iter() {
                writeln!(stdout, "{}", path.display())?;
            }
        } else if result.is_ok() || !written.images.is_empty() {
            let images = requests.iter().zip(&drawn.prompts);
            print_json(&Report::new(&record, images, &written, timings))?;
        }
        result
    }

    /// Steps of the strip must be among the steps that are taken, as soon as these are known.
    fn check_strip_steps(&self, plan: &[Planned], default: Option<usize>) -> anyhow::Result<()> {
        let known = plan.iter().filter_map(|image| image.steps.or(default));
        let Some(steps) = known.min() else { return Ok(()) };
        match self.strip_steps.iter().find(|&&step| step > steps) {
            Some(step) => usage(format!(
                "--strip-steps {step}: expected steps in 1..={steps}, since {steps} are taken"
            )),
            None => Ok(()),
        }
    }

    /// A way between images changes seeds and prompts alone.
    fn check_interpolation(&self, plan: &[Planned]) -> anyhow::Result<()> {
        if self.interpolate.is_none() {
            return Ok(());
        }
        if plan.len() < 2 {
            return usage(
                "--interpolate: expected at least two images, of several seeds (--seeds 1,2) or prompts (-p A -p B)",
            );
        }
        let others = |image: &Planned| (image.steps, image.cfg_scale.map(f64::to_bits));
        if plan.iter().any(|image| others(image) != others(&plan[0])) {
            return usage(
                "--interpolate: expected one step count and guidance scale for all images",
            );
        }
        Ok(())
    }

    /// Sheets have to fit into memory.
    fn check_sheets(
        &self,
        requests: &[GenerateRequest],
        grid: Option<&Grid>,
        resolution: usize,
    ) -> anyhow::Result<()> {
        if self.strip.is_some() {
            let most = requests.iter().map(|request| request.num_steps).max().unwrap_or(0);
            let columns = if self.strip_steps.is_empty() { most } else { self.strip_steps.len() };
            let remedy = "show fewer steps with --strip-steps, or draw fewer images";
            check_size("--strip", columns, requests.len(), resolution, remedy)?;
        }
        if let Some(grid) = grid {
            let [columns, rows] = grid.size();
            check_size("--grid", columns, rows, resolution, "draw fewer images")?;
        }
        if self.interpolate.is_some() {
            let frames = (requests.len() - 1).saturating_mul(self.frames) + 1;
            check_size("--interpolate", frames, 1, resolution, "take fewer --frames or images")?;
        }
        Ok(())
    }

    /// The image to begin with, as a square of the model's size.
    fn read_init_image(&self, resolution: usize) -> anyhow::Result<Option<InitImage>> {
        let (Some(path), Some(strength)) = (&self.init_image, self.strength) else {
            return Ok(None);
        };
        let bytes = stride_files::read_file(path)
            .with_context(|| format!("cannot read {}", path.display()))?;
        let image = stride_data::decode(&bytes, &stride_data::Limits::default())
            .map_err(|problem| anyhow!("{}: {problem}", path.display()))?;
        let square = stride_data::square(&image, resolution, stride_data::Filter::Bicubic);
        let image = RgbImage { width: resolution, height: resolution, pixels: square.into_raw() };
        Ok(Some(InitImage { image, strength }))
    }
}

/// What is to be drawn and written.
struct Work<'a> {
    flags: &'a Generate,
    record: &'a Record<'a>,
    targets: &'a Targets,
    requests: &'a [GenerateRequest],
}

/// What a run has written so far.
#[derive(Default)]
struct Drawn {
    /// What the images were drawn from, which are the first of all.
    prompts: Vec<String>,
    /// The only image, for stdout.
    for_stdout: Vec<u8>,
    /// Whether sheets and animations are written.
    sheets: bool,
    writing: Duration,
}

/// Images that sheets and animations will show.
#[derive(Default)]
struct Shown {
    strip: Vec<Vec<RgbImage>>,
    grid: Vec<RgbImage>,
    frames: Vec<RgbImage>,
}

impl Work<'_> {
    /// Draws and writes one image after the other, then the sheets. What is done stays, however this ends.
    fn draw(
        &self,
        grid: Option<&Grid>,
        init: Option<&InitImage>,
        stop: &AtomicBool,
        drawn: &mut Drawn,
    ) -> anyhow::Result<()> {
        let Self { flags, targets, requests, .. } = self;
        let parts = match targets.interpolation {
            Some(_) => way(requests, flags.frames),
            None => images(requests),
        };
        self.announce(init)?;
        let is_shown = |step: usize| {
            targets.strip.is_some()
                && (flags.strip_steps.is_empty() || flags.strip_steps.contains(&step))
        };
        let artist = Artist {
            pipeline: self.record.pipeline,
            init,
            batch: flags.batch,
            is_shown: &is_shown,
            stop,
        };
        let mut shown = Shown::default();
        let is_complete =
            artist.draw(&parts, |Finished { is_asked_for, prompt, image, previews }| {
                if targets.interpolation.is_some() {
                    shown.frames.push(image.clone());
                }
                if !is_asked_for {
                    return Ok(());
                }
                self.write_image(&image, prompt, drawn)?;
                if targets.strip.is_some() {
                    shown.strip.push(previews);
                }
                if grid.is_some() {
                    shown.grid.push(image);
                }
                Ok(())
            })?;
        if !is_complete {
            return Err(self.interrupted(drawn.prompts.len()));
        }
        self.write_sheets(grid, shown, drawn)
    }

    /// Says what is drawn, and with which seed.
    fn announce(&self, init: Option<&InitImage>) -> anyhow::Result<()> {
        let Some(first) = self.requests.first() else { return Ok(()) };
        let (seed, steps) = (first.seed, first.num_steps);
        match init {
            Some(init) => {
                let taken = steps - init.num_skipped(steps)?;
                tracing::info!("seed {seed}, the last {taken} of {steps} steps");
            }
            None if super::plan::joined(self.requests).len() == 1 => {
                tracing::info!("seed {seed}, {steps} steps");
            }
            None => tracing::info!("{} images, the first with seed {seed}", self.requests.len()),
        }
        Ok(())
    }

    /// Writes an image where it belongs, if anywhere.
    fn write_image(
        &self,
        image: &RgbImage,
        prompt: String,
        drawn: &mut Drawn,
    ) -> anyhow::Result<()> {
        let Self { flags, targets, .. } = self;
        let index = drawn.prompts.len();
        let (request, path) = (&self.requests[index], targets.images.get(index));
        if prompt != request.prompt {
            tracing::info!("seed {}: {prompt}", request.seed);
        }
        drawn.prompts.push(prompt);
        let format = match path {
            Some(path) => format_of(path, flags.format)?,
            None if targets.to_stdout => flags.format.unwrap_or_default(),
            None => return Ok(()),
        };
        let start = Instant::now();
        let metadata = if flags.disable_image_metadata {
            ImageMetadata::default()
        } else {
            self.record.metadata(request, request.seed, &drawn.prompts[index])
        };
        let bytes = image_bytes(image, format, flags.quality, &metadata)?;
        match path {
            Some(path) => write_whole(path, &bytes)?,
            None => drawn.for_stdout = bytes,
        }
        drawn.writing += start.elapsed();
        Ok(())
    }

    fn write_sheets(
        &self,
        grid: Option<&Grid>,
        shown: Shown,
        drawn: &mut Drawn,
    ) -> anyhow::Result<()> {
        let start = Instant::now();
        if let Some(path) = &self.targets.strip {
            self.write_sheet(path, &RgbImage::sheet(&shown.strip, STRIP_GAP))?;
        }
        if let (Some(path), Some(grid)) = (&self.targets.grid, grid) {
            self.write_sheet(path, &grid.draw(shown.grid))?;
        }
        if let Some(path) = &self.targets.interpolation {
            if format_of(path, None)? == ImageFormat::Webp {
                write_whole(path, &animated_webp(&shown.frames, FRAME_MILLISECONDS)?)?;
            } else {
                self.write_sheet(path, &RgbImage::sheet(&[shown.frames], STRIP_GAP))?;
            }
        }
        drawn.sheets = true;
        drawn.writing += start.elapsed();
        Ok(())
    }

    fn write_sheet(&self, path: &Path, sheet: &RgbImage) -> anyhow::Result<()> {
        let format = format_of(path, None)?;
        let bytes = image_bytes(sheet, format, self.flags.quality, &ImageMetadata::default())?;
        Ok(write_whole(path, &bytes)?)
    }

    /// Says what an interruption has left.
    fn interrupted(&self, drawn: usize) -> anyhow::Error {
        let Targets { images, strip, grid, interpolation, .. } = self.targets;
        let missing = [("strip", strip), ("grid", grid), ("interpolation", interpolation)];
        let missing = missing.iter().filter(|(_, path)| path.is_some());
        let missing: String = missing.map(|(name, _)| format!(", and no {name}")).collect();
        match drawn.min(images.len()) {
            0 => anyhow!("interrupted; no file was written"),
            written => {
                anyhow!("interrupted; {written} of {} images were written{missing}", images.len())
            }
        }
    }
}

fn milliseconds(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e4).round() / 10.0
}
