//! Drawing, several images at a time, until all are done or somebody stops it.

use std::iter;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressFinish};
use stride::image::RgbImage;
use stride::pipeline::{
    Drawing, GenerateError, GenerateRequest, GeneratedImage, InitImage, Pipeline,
};
use stride_kernels::workers::among_threads;

use super::plan::joined;
use crate::progress;

/// Time between lines where nobody watches a bar.
const LOG_INTERVAL: Duration = Duration::from_secs(30);

/// What is drawn, in order.
pub(super) enum Part {
    /// Images that were asked for.
    Images(GenerateRequest),
    /// A frame on the way between two of them.
    Between(Box<[GenerateRequest; 2]>, f64),
}

/// The images alone.
pub(super) fn images(requests: &[GenerateRequest]) -> Vec<Part> {
    joined(requests).into_iter().map(Part::Images).collect()
}

/// The images, and `frames - 1` frames between each and the next.
pub(super) fn way(requests: &[GenerateRequest], frames: usize) -> Vec<Part> {
    let between = requests.windows(2).flat_map(|pair| {
        let inner = (1..frames).map(move |k| {
            let ends = Box::new([pair[0].clone(), pair[1].clone()]);
            Part::Between(ends, k as f64 / frames as f64)
        });
        iter::once(Part::Images(pair[0].clone())).chain(inner)
    });
    between.chain(requests.last().cloned().map(Part::Images)).collect()
}

impl Part {
    /// Images, and steps of each.
    fn size(&self) -> [usize; 2] {
        match self {
            Self::Images(request) => [request.count, request.num_steps],
            Self::Between(ends, _) => [1, ends[0].num_steps],
        }
    }
}

/// An image that is done.
pub(super) struct Finished {
    /// Whether it was asked for, or is a frame between two that were.
    pub(super) is_asked_for: bool,
    /// As the model completed it.
    pub(super) prompt: String,
    pub(super) image: RgbImage,
    /// After the steps that are shown.
    pub(super) previews: Vec<RgbImage>,
}

/// Drawings at their beginning, each with whether it was asked for.
type Started<'a> = Box<dyn Iterator<Item = Result<(bool, Drawing), GenerateError>> + 'a>;

/// How images are drawn.
pub(super) struct Artist<'a> {
    pub(super) pipeline: &'a Pipeline,
    pub(super) init: Option<&'a InitImage>,
    /// Images in one pass.
    pub(super) batch: usize,
    /// Whether the image after a step is shown.
    pub(super) is_shown: &'a (dyn Fn(usize) -> bool + Sync),
    pub(super) stop: &'a AtomicBool,
}

impl Artist<'_> {
    /// Draws everything and hands it on in order; says whether it came to its end.
    pub(super) fn draw(
        &self,
        parts: &[Part],
        mut hand_on: impl FnMut(Finished) -> anyhow::Result<()>,
    ) -> anyhow::Result<bool> {
        let progress = Progress::new(self.total_steps(parts)?);
        let mut drawings = parts.iter().flat_map(|part| self.start(part));
        loop {
            let batch: Vec<(bool, Drawing)> =
                drawings.by_ref().take(self.batch).collect::<Result<_, _>>()?;
            if batch.is_empty() {
                return Ok(true);
            }
            match among_threads(self.pipeline.device(), || self.finish(batch, &progress))? {
                Some(finished) => finished.into_iter().try_for_each(&mut hand_on)?,
                None => return Ok(false),
            }
        }
    }

    fn total_steps(&self, parts: &[Part]) -> anyhow::Result<usize> {
        let mut total = 0;
        for [count, steps] in parts.iter().map(Part::size) {
            let skipped = self.init.map_or(Ok(0), |init| init.num_skipped(steps))?;
            total += count * (steps - skipped);
        }
        Ok(total)
    }

    /// The drawings of a part at their beginning.
    fn start<'a>(&'a self, part: &'a Part) -> Started<'a> {
        fn all<'a>(
            drawings: Result<
                impl Iterator<Item = Result<Drawing, GenerateError>> + 'a,
                GenerateError,
            >,
        ) -> Started<'a> {
            match drawings {
                Ok(drawings) => {
                    Box::new(drawings.map(|drawing| drawing.map(|drawing| (true, drawing))))
                }
                Err(error) => Box::new(iter::once(Err(error))),
            }
        }
        match (part, self.init) {
            (Part::Images(request), None) => all(self.pipeline.start(request)),
            (Part::Images(request), Some(init)) => all(self.pipeline.start_at_image(request, init)),
            (Part::Between(ends, fraction), _) => {
                let drawing = self.pipeline.start_between(&ends[0], &ends[1], *fraction);
                Box::new(iter::once(drawing.map(|drawing| (false, drawing))))
            }
        }
    }

    /// Takes all steps of a batch; nothing if somebody stops it.
    fn finish(
        &self,
        mut batch: Vec<(bool, Drawing)>,
        progress: &Progress,
    ) -> Result<Option<Vec<Finished>>, GenerateError> {
        let mut previews: Vec<Vec<RgbImage>> = batch.iter().map(|_| Vec::new()).collect();
        loop {
            let undone: Vec<bool> = batch.iter().map(|(_, drawing)| !drawing.is_done()).collect();
            let taken = undone.iter().filter(|undone| **undone).count();
            if taken == 0 {
                break;
            }
            self.pipeline.advance(batch.iter_mut().map(|(_, drawing)| drawing));
            progress.advance(taken);
            if self.stop.load(Ordering::SeqCst) {
                return Ok(None);
            }
            for (((_, drawing), previews), undone) in batch.iter().zip(&mut previews).zip(undone) {
                if undone && (self.is_shown)(drawing.num_done()) {
                    previews.push(self.pipeline.preview(drawing));
                }
            }
        }
        let finish = |((is_asked_for, drawing), previews): ((bool, Drawing), _)| {
            let GeneratedImage { image, prompt, .. } = self.pipeline.finish(&drawing)?;
            Ok::<_, GenerateError>(Finished { is_asked_for, prompt, image, previews })
        };
        batch.into_iter().zip(previews).map(finish).collect::<Result<_, _>>().map(Some)
    }
}

/// How far a run is: a bar on a terminal, a line now and then elsewhere.
struct Progress {
    bar: ProgressBar,
    start: Instant,
    logged: std::sync::Mutex<Instant>,
}

impl Progress {
    fn new(total: usize) -> Self {
        let bar = progress::bar(total as u64, "{bar:30} {pos}/{len} steps  {eta} left")
            .with_finish(ProgressFinish::AndClear);
        let now = Instant::now();
        Self { bar, start: now, logged: std::sync::Mutex::new(now) }
    }

    fn advance(&self, steps: usize) {
        self.bar.inc(steps as u64);
        let Ok(mut logged) = self.logged.lock() else { return };
        if !self.bar.is_hidden() || logged.elapsed() < LOG_INTERVAL {
            return;
        }
        *logged = Instant::now();
        let (done, total) = (self.bar.position(), self.bar.length().unwrap_or_default());
        let left = self.start.elapsed().as_secs_f64() / done as f64 * (total - done) as f64;
        let left = if left < 90.0 {
            format!("{left:.0} seconds")
        } else {
            format!("{:.0} minutes", (left / 60.0).ceil())
        };
        tracing::info!("{done} of {total} steps, about {left} left");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_way_leads_from_image_to_image() {
        let request = |seed| GenerateRequest {
            prompt: String::new(),
            negative_prompt: None,
            num_steps: 4,
            cfg_scale: 1.0,
            seed,
            count: 1,
            as_typed: false,
        };
        let told = |part: &Part| match part {
            Part::Images(request) => (request.seed, 0.0),
            Part::Between(ends, fraction) => (ends[0].seed, *fraction),
        };
        let way = way(&[request(1), request(5), request(7)], 2);
        let found: Vec<_> = way.iter().map(told).collect();
        assert_eq!(found, [(1, 0.0), (1, 0.5), (5, 0.0), (5, 0.5), (7, 0.0)]);
    }
}
