//! An order on its way, as clients see it.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use axum::body::Bytes;
use serde::Serialize;
use tokio::sync::{OwnedSemaphorePermit, watch};
use utoipa::ToSchema;

use crate::error::ApiError;
use crate::facts::seconds_since_1970;
use crate::order::Order;

/// An order that was accepted: what the engine has done of it, and whether anybody still wants it.
#[derive(Debug)]
pub(crate) struct Job {
    /// What to draw.
    pub(crate) order: Order,
    /// In seconds since 1970.
    pub(crate) created: u64,
    state: watch::Sender<JobState>,
    is_cancelled: AtomicBool,
    /// Clients that look at previews.
    watchers: AtomicUsize,
    /// Its places in the queue, until it ends.
    places: Mutex<Option<OwnedSemaphorePermit>>,
}

/// How far a job is.
#[derive(Clone, Debug)]
pub(crate) struct JobState {
    /// Whether it waits, is drawn, or has ended.
    pub(crate) status: JobStatus,
    /// Jobs that came before and wait, too.
    pub(crate) ahead: usize,
    /// Expected time to its end.
    pub(crate) seconds_left: f64,
    /// Its images.
    pub(crate) images: Vec<ImageState>,
    /// Why it failed.
    pub(crate) error: Option<ApiError>,
}

/// Whether a job waits, is drawn, or has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum JobStatus {
    /// No step is done.
    Queued,
    /// Some are.
    Generating,
    /// Every image is there.
    Completed,
    /// `error` says why.
    Failed,
    /// Somebody asked for that, or the client has gone.
    Cancelled,
}

impl JobStatus {
    /// Whether nothing will change any more.
    pub(crate) fn has_ended(self) -> bool {
        !matches!(self, Self::Queued | Self::Generating)
    }
}

/// How far an image is.
#[derive(Clone, Debug, Default)]
pub(crate) struct ImageState {
    /// Steps done.
    pub(crate) step: usize,
    /// The newest preview.
    pub(crate) preview: Option<Preview>,
    /// The file, at the end.
    pub(crate) picture: Option<Picture>,
}

/// An image before its last step.
#[derive(Clone, Debug)]
pub(crate) struct Preview {
    /// Steps done.
    pub(crate) step: usize,
    /// A file in [`Format::PREVIEW`](crate::format::Format::PREVIEW).
    pub(crate) bytes: Bytes,
}

/// A finished image.
#[derive(Clone, Debug)]
pub(crate) struct Picture {
    /// Its own seed.
    pub(crate) seed: u64,
    /// The prompt that it was drawn from, where the model added to it.
    pub(crate) completed_prompt: Option<String>,
    /// A file in the order's format.
    pub(crate) bytes: Bytes,
    /// Its number in the gallery, if there is one.
    pub(crate) gallery_id: Option<i64>,
}

impl Job {
    /// A job that waits and holds its places in the queue.
    pub(crate) fn new(order: Order, places: OwnedSemaphorePermit) -> Self {
        let state = JobState {
            status: JobStatus::Queued,
            ahead: 0,
            seconds_left: 0.0,
            images: vec![ImageState::default(); order.request.count],
            error: None,
        };
        Self {
            order,
            created: seconds_since_1970(),
            state: watch::Sender::new(state),
            is_cancelled: AtomicBool::new(false),
            watchers: AtomicUsize::new(0),
            places: Mutex::new(Some(places)),
        }
    }

    /// The state as it changes.
    pub(crate) fn subscribe(&self) -> watch::Receiver<JobState> {
        self.state.subscribe()
    }

    /// The state now.
    pub(crate) fn state(&self) -> JobState {
        self.state.borrow().clone()
    }

    /// Whether the engine may forget it.
    pub(crate) fn is_unwanted(&self) -> bool {
        self.is_cancelled.load(Ordering::Relaxed) || self.state.borrow().status.has_ended()
    }

    /// Whether no step is done.
    pub(crate) fn is_queued(&self) -> bool {
        self.state.borrow().status == JobStatus::Queued
    }

    /// Gives the job up, unless it has ended.
    pub(crate) fn cancel(&self) {
        self.is_cancelled.store(true, Ordering::Relaxed);
        self.end(JobStatus::Cancelled, Some(ApiError::cancelled()));
    }

    /// Ends the job without its images.
    pub(crate) fn fail(&self, error: ApiError) {
        self.end(JobStatus::Failed, Some(error));
    }

    fn end(&self, status: JobStatus, error: Option<ApiError>) {
        self.change(|state| {
            if !state.status.has_ended() {
                (state.status, state.error) = (status, error);
            }
        });
    }

    /// What the engine expects.
    pub(crate) fn expect(&self, ahead: usize, seconds_left: f64) {
        self.state.send_if_modified(|state| {
            let has_changed =
                state.ahead != ahead || (state.seconds_left - seconds_left).abs() > 0.5;
            (state.ahead, state.seconds_left) = (ahead, seconds_left);
            has_changed && !state.status.has_ended()
        });
    }

    /// An image has gone a step.
    pub(crate) fn set_step(&self, image: usize, step: usize) {
        self.change(|state| {
            if state.status == JobStatus::Queued {
                state.status = JobStatus::Generating;
            }
            state.images[image].step = step;
        });
    }

    /// An image looks like this on its way.
    pub(crate) fn set_preview(&self, image: usize, preview: Preview) {
        self.change(|state| state.images[image].preview = Some(preview));
    }

    /// An image is finished.
    pub(crate) fn set_picture(&self, image: usize, picture: Picture) {
        self.change(|state| {
            state.images[image].picture = Some(picture);
            let is_complete = state.images.iter().all(|image| image.picture.is_some());
            if is_complete && !state.status.has_ended() {
                state.status = JobStatus::Completed;
            }
        });
    }

    /// Changes the state; a job that ends leaves the queue.
    fn change(&self, change: impl FnOnce(&mut JobState)) {
        self.state.send_modify(change);
        if self.state.borrow().status.has_ended() {
            let mut places = self.places.lock().unwrap_or_else(|error| error.into_inner());
            *places = None;
        }
    }

    /// Whether a preview of an image after `step` steps has somebody to look at it.
    pub(crate) fn wants_preview(&self, step: usize) -> bool {
        self.watchers.load(Ordering::Relaxed) > 0 || self.order.has_partial_image_at(step)
    }

    /// Somebody looks at every preview, or one less does.
    pub(crate) fn watch(&self, is_watching: bool) {
        if is_watching {
            self.watchers.fetch_add(1, Ordering::Relaxed);
        } else {
            self.watchers.fetch_sub(1, Ordering::Relaxed);
        }
    }
}
