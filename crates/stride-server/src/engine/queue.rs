//! The way to the engine, which refuses what would wait too long.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Sender};
use std::thread;
use std::time::{Duration, Instant};

use stride::pipeline::Pipeline;
use tokio::sync::Semaphore;

use super::finisher::Finisher;
use super::outlook::Outlook;
use super::painter::{Accepted, Painter};
use crate::facts::Facts;
use crate::gallery::Gallery;
use crate::job::Job;
use crate::metrics::Metrics;
use crate::order::Order;

/// The engine's threads, and its queue of images that are drawn or wait.
#[derive(Debug)]
pub(crate) struct Engine {
    inbox: Sender<Accepted>,
    places: Arc<Semaphore>,
    capacity: usize,
    is_ready: Arc<AtomicBool>,
    is_closed: AtomicBool,
    outlook: Arc<Outlook>,
    metrics: Arc<Metrics>,
}

/// Why an order is not accepted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Refusal {
    /// So many images are drawn or wait.
    Full {
        /// Images.
        waiting: usize,
        /// Images that the queue takes.
        capacity: usize,
        /// Expected seconds until there is place.
        seconds: f64,
    },
    /// The server is about to end.
    Closed,
}

impl Engine {
    /// Starts the threads; the first order may be sent at once.
    ///
    /// # Errors
    /// The system refuses a thread.
    pub(crate) fn start(
        pipeline: Arc<Pipeline>,
        facts: Arc<Facts>,
        gallery: Option<Arc<Gallery>>,
        metrics: Arc<Metrics>,
        capacity: usize,
    ) -> io::Result<Self> {
        let (inbox, accepted) = mpsc::channel();
        let (finished, files) = mpsc::channel();
        let is_ready = Arc::new(AtomicBool::new(false));
        let finisher = Finisher {
            pipeline: Arc::clone(&pipeline),
            facts,
            gallery,
            metrics: Arc::clone(&metrics),
        };
        let ready = Arc::clone(&is_ready);
        let outlook = Arc::new(Outlook::default());
        let painter =
            Painter::new(pipeline, Arc::clone(&metrics), finished, ready, Arc::clone(&outlook));
        let spawn = |name: &str| thread::Builder::new().name(name.to_owned());
        spawn("stride-files").spawn(move || finisher.run(&files))?;
        spawn("stride-engine").spawn(move || painter.run(&accepted))?;
        let places = Arc::new(Semaphore::new(capacity));
        let is_closed = AtomicBool::new(false);
        Ok(Self { inbox, places, capacity, is_ready, is_closed, outlook, metrics })
    }

    /// Accepts an order, or refuses it at once.
    ///
    /// # Errors
    /// The queue is full, or closed.
    pub(crate) fn submit(&self, order: Order) -> Result<Arc<Job>, Refusal> {
        let full = || {
            let waiting = self.waiting();
            let share = order.request.count as f64 / waiting.max(1) as f64;
            let seconds = self.outlook.backlog() * share;
            Refusal::Full { waiting, capacity: self.capacity, seconds }
        };
        if self.is_closed.load(Ordering::Acquire) {
            return Err(Refusal::Closed);
        }
        let count = u32::try_from(order.request.count).map_err(|_| full())?;
        let places = Arc::clone(&self.places).try_acquire_many_owned(count).map_err(|_| full())?;
        let job = Arc::new(Job::new(order, places));
        let accepted = Accepted { job: Arc::clone(&job), at: Instant::now() };
        self.inbox.send(accepted).map_err(|_| Refusal::Closed)?;
        Ok(job)
    }

    /// Images that are drawn or wait.
    pub(crate) fn waiting(&self) -> usize {
        let waiting = self.capacity - self.places.available_permits();
        self.metrics.queue.set(i64::try_from(waiting).unwrap_or(i64::MAX));
        waiting
    }

    /// What the engine expects.
    pub(crate) fn outlook(&self) -> &Outlook {
        &self.outlook
    }

    /// Whether orders are drawn at once: the model has been measured, and the queue is open.
    pub(crate) fn is_ready(&self) -> bool {
        self.is_ready.load(Ordering::Acquire) && !self.is_closed.load(Ordering::Acquire)
    }

    /// Accepts no more orders, and waits for those that it has; says whether all of them were done in time.
    pub(crate) async fn close(&self, patience: Duration) -> bool {
        self.is_closed.store(true, Ordering::Release);
        let all = u32::try_from(self.capacity).unwrap_or(u32::MAX);
        let drained = self.places.acquire_many(all);
        tokio::time::timeout(patience, drained).await.is_ok()
    }
}
