//! The thread that runs the networks.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender};
use std::time::Instant;

use stride::pipeline::{Drawing, GenerateRequest, Pipeline};
use stride_kernels::workers::among_threads;

use super::costs::{Costs, MAX_ROWS};
use super::finisher::Finish;
use super::outlook::Outlook;
use super::scheduler::{Scheduler, Turn};
use crate::error::ApiError;
use crate::job::Job;
use crate::metrics::Metrics;

/// Measurements of each batch size before the first request, of which the shortest counts.
const WARM_UP_RUNS: usize = 4;
/// Previews take at most this share of the time that steps take: of a job that has the engine for itself, and otherwise.
const PREVIEW_SHARES: [f64; 2] = [1.0, 0.25];
/// Seconds of steps after which what was spent before counts half.
const SPENT_WINDOW: f64 = 1.0;

/// An accepted job.
pub(super) struct Accepted {
    pub(super) job: Arc<Job>,
    pub(super) at: Instant,
}

/// Takes turns of the scheduler.
pub(super) struct Painter {
    pipeline: Arc<Pipeline>,
    metrics: Arc<Metrics>,
    finisher: Sender<Finish>,
    is_ready: Arc<AtomicBool>,
    outlook: Arc<Outlook>,
    scheduler: Scheduler,
    costs: Costs,
    images: HashMap<u64, Image>,
    next_id: u64,
    /// Seconds of steps and of previews, lately.
    spent: [f64; 2],
}

/// An image of a job.
struct Image {
    job: Arc<Job>,
    accepted: Instant,
    index: usize,
    /// Absent before the job's first turn, and while it takes a turn.
    drawing: Option<Drawing>,
    /// When it was last looked at.
    previewed: Option<Instant>,
}

impl Painter {
    /// With nothing to draw.
    pub(super) fn new(
        pipeline: Arc<Pipeline>,
        metrics: Arc<Metrics>,
        finisher: Sender<Finish>,
        is_ready: Arc<AtomicBool>,
        outlook: Arc<Outlook>,
    ) -> Self {
        Self {
            pipeline,
            metrics,
            finisher,
            is_ready,
            outlook,
            scheduler: Scheduler::default(),
            costs: Costs::default(),
            images: HashMap::new(),
            next_id: 0,
            spent: [0.0; 2],
        }
    }

    /// Draws until nobody can send jobs any more and all of them are done.
    pub(super) fn run(mut self, inbox: &Receiver<Accepted>) {
        if catch_unwind(AssertUnwindSafe(|| self.warm_up())).is_err() {
            tracing::error!("the model panicked while it was measured");
        }
        self.tell();
        self.is_ready.store(true, Ordering::Release);
        loop {
            if self.scheduler.is_empty() {
                match inbox.recv() {
                    Ok(accepted) => self.join(accepted),
                    Err(_) => return,
                }
            }
            while let Ok(accepted) = inbox.try_recv() {
                self.join(accepted);
            }
            self.forget_unwanted();
            match self.scheduler.next(self.costs.rows_of_next_pass()) {
                Some(Turn::Step(ids)) => {
                    self.step(&ids);
                    self.preview(&ids);
                }
                Some(Turn::Decode(id)) => self.decode(id),
                None => {}
            }
            self.tell();
        }
    }

    /// Measures steps and the decoder, and so brings everything into memory.
    fn warm_up(&mut self) {
        let request = GenerateRequest {
            prompt: String::new(),
            negative_prompt: None,
            num_steps: WARM_UP_RUNS,
            cfg_scale: 1.0,
            seed: 0,
            count: MAX_ROWS,
            as_typed: true,
        };
        let Ok(drawings) = self.pipeline.start(&request) else { return };
        let mut first: Vec<Drawing> = drawings.take(1).flatten().collect();
        let pipeline = &self.pipeline;
        let decode = shortest(|| {
            among_threads(pipeline.device(), || {
                first.iter_mut().for_each(|drawing| drop(pipeline.preview(drawing)))
            })
        });
        self.costs.record_decode(decode);
        for rows in (0..=MAX_ROWS.ilog2()).map(|log2| 1 << log2) {
            let Ok(drawings) = self.pipeline.start(&request) else { return };
            let mut drawings: Vec<Drawing> = drawings.take(rows).flatten().collect();
            let pipeline = &self.pipeline;
            let seconds =
                shortest(|| among_threads(pipeline.device(), || pipeline.advance(&mut drawings)));
            self.costs.record_step(rows, seconds);
            if self.costs.is_beyond(seconds) {
                break;
            }
        }
        tracing::info!(
            "a step takes {:.1} ms, the decoder {:.1} ms; up to {} rows go in a pass",
            1e3 * self.costs.step(),
            1e3 * self.costs.decode(),
            self.costs.rows(),
        );
    }

    fn join(&mut self, accepted: Accepted) {
        let Accepted { job, at: accepted } = accepted;
        for index in 0..job.order.request.count {
            let id = self.next_id;
            self.next_id += 1;
            self.scheduler.join(id, job.order.request.num_steps, job.order.rows);
            let job = Arc::clone(&job);
            self.images.insert(id, Image { job, accepted, index, drawing: None, previewed: None });
        }
    }

    /// Drops the images of jobs that ended or were cancelled.
    fn forget_unwanted(&mut self) {
        self.images.retain(|_, image| !image.job.is_unwanted());
        self.scheduler.retain(|id| self.images.contains_key(&id));
    }

    fn step(&mut self, ids: &[u64]) {
        let mut drawings: Vec<(u64, Drawing)> = Vec::with_capacity(ids.len());
        for &id in ids {
            if let Some(drawing) = self.take_drawing(id) {
                drawings.push((id, drawing));
            }
        }
        if drawings.is_empty() {
            return;
        }
        let advance = || self.pipeline.advance(drawings.iter_mut().map(|(_, drawing)| drawing));
        let (result, seconds) = timed(|| {
            catch_unwind(AssertUnwindSafe(|| among_threads(self.pipeline.device(), advance)))
        });
        if result.is_err() {
            for &id in ids {
                self.fail(
                    id,
                    ApiError::internal("the model panicked; the server's log says where"),
                );
            }
            return;
        }
        let rows: usize = drawings.iter().map(|(id, _)| self.images[id].job.order.rows).sum();
        self.costs.record_step(rows, seconds);
        self.spent[0] += seconds;
        if self.spent[0] > SPENT_WINDOW {
            self.spent = self.spent.map(|seconds| seconds / 2.0);
        }
        self.metrics.batch_rows.observe(rows as f64);
        self.metrics.step_seconds.observe(seconds);
        for (id, drawing) in drawings {
            let Some(image) = self.images.get_mut(&id) else { continue };
            image.job.set_step(image.index, drawing.num_done());
            image.drawing = Some(drawing);
        }
    }

    /// The drawing of an image; all of its job begin together, since they have one prompt.
    fn take_drawing(&mut self, id: u64) -> Option<Drawing> {
        let image = self.images.get_mut(&id)?;
        if let Some(drawing) = image.drawing.take() {
            return Some(drawing);
        }
        let job = Arc::clone(&image.job);
        let request = &job.order.request;
        let start = || self.pipeline.start(request)?.collect::<Result<Vec<_>, _>>();
        match catch_unwind(AssertUnwindSafe(|| among_threads(self.pipeline.device(), start))) {
            Ok(Ok(drawings)) => {
                let first = id - self.images[&id].index as u64;
                for (id, drawing) in (first..).zip(drawings) {
                    if let Some(image) = self.images.get_mut(&id) {
                        image.drawing = Some(drawing);
                    }
                }
            }
            Ok(Err(error)) => self.fail(id, ApiError::invalid("prompt", error.to_string())),
            Err(_) => {
                self.fail(
                    id,
                    ApiError::internal("the model panicked; the server's log says where"),
                );
            }
        }
        self.images.get_mut(&id)?.drawing.take()
    }

    /// Decodes one of the images that just took a step, if somebody wants to look at it and nobody waits for it.
    fn preview(&mut self, ids: &[u64]) {
        let [steps, previews] = self.spent;
        let job = |id: &u64| self.images.get(id).map(|image| Arc::as_ptr(&image.job));
        let is_alone = self.images.keys().all(|id| job(id) == job(&ids[0]));
        let share = PREVIEW_SHARES[usize::from(!is_alone)];
        if previews > share * steps {
            return;
        }
        let wanted = ids.iter().filter_map(|id| {
            let image = self.images.get(id)?;
            let drawing = image.drawing.as_ref()?;
            let is_wanted = !drawing.is_done() && image.job.wants_preview(drawing.num_done());
            is_wanted.then_some((image.previewed, *id))
        });
        let Some((_, id)) = wanted.min() else { return };
        let pipeline = &self.pipeline;
        let Some(image) = self.images.get_mut(&id) else { return };
        let Some(drawing) = &mut image.drawing else { return };
        let (job, index, step) = (Arc::clone(&image.job), image.index, drawing.num_done());
        let decode = move || among_threads(pipeline.device(), move || pipeline.preview(drawing));
        let (Ok(picture), seconds) = timed(|| catch_unwind(AssertUnwindSafe(decode))) else {
            return;
        };
        image.previewed = Some(Instant::now());
        self.spent[1] += seconds;
        self.metrics.decode_seconds.observe(seconds);
        self.hand_over(Finish::Preview { job, index, step, image: picture });
    }

    fn decode(&mut self, id: u64) {
        let Some(Image { job, accepted, index, drawing: Some(drawing), .. }) =
            self.images.remove(&id)
        else {
            return;
        };
        let pipeline = &self.pipeline;
        let finish = || among_threads(pipeline.device(), move || pipeline.finish(&drawing));
        let (result, seconds) = timed(|| catch_unwind(AssertUnwindSafe(finish)));
        self.costs.record_decode(seconds);
        self.metrics.decode_seconds.observe(seconds);
        match result {
            Ok(Ok(image)) => self.hand_over(Finish::Image { job, index, image, accepted }),
            Ok(Err(error)) => job.fail(ApiError::internal(error.to_string())),
            Err(_) => {
                job.fail(ApiError::internal("the decoder panicked; the server's log says where"));
            }
        }
    }

    fn fail(&self, id: u64, error: ApiError) {
        if let Some(image) = self.images.get(&id) {
            image.job.fail(error);
        }
    }

    fn hand_over(&self, finish: Finish) {
        // The finisher ends after the engine.
        let _ = self.finisher.send(finish);
    }

    /// Tells every job how many wait before it, and how long it will take.
    fn tell(&self) {
        let mut jobs: HashMap<*const Job, (u64, &Arc<Job>, f64)> = HashMap::new();
        let forecasts = self.scheduler.forecasts();
        let backlog = forecasts.last().map(|all| self.costs.seconds(all.rows, all.decodes));
        self.outlook.set(backlog.unwrap_or(0.0), self.costs.step(), self.costs.decode());
        for forecast in forecasts {
            let Some(image) = self.images.get(&forecast.id) else { continue };
            let seconds = self.costs.seconds(forecast.rows, forecast.decodes);
            let job = jobs.entry(Arc::as_ptr(&image.job)).or_insert((forecast.id, &image.job, 0.0));
            job.0 = job.0.min(forecast.id);
            job.2 = job.2.max(seconds);
        }
        let mut jobs: Vec<_> = jobs.into_values().collect();
        jobs.sort_by_key(|(first, ..)| *first);
        let mut ahead = 0;
        for (_, job, seconds) in jobs {
            job.expect(ahead, seconds);
            ahead += usize::from(job.is_queued());
        }
    }
}

/// The shortest time of several runs, the rest of which were disturbed.
fn shortest(mut work: impl FnMut()) -> f64 {
    (0..WARM_UP_RUNS).map(|_| timed(&mut work).1).fold(f64::INFINITY, f64::min)
}

fn timed<T>(work: impl FnOnce() -> T) -> (T, f64) {
    let start = Instant::now();
    let result = work();
    (result, start.elapsed().as_secs_f64())
}
