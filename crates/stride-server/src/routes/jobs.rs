//! `/jobs`: requests that are watched, cancelled and fetched later.

use std::convert::Infallible;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use futures_util::stream;
use serde::Serialize;
use tokio::sync::watch;
use utoipa::ToSchema;

use super::reply::{bytes, event, json};
use crate::app::App;
use crate::body::{ImageBody, read_json};
use crate::error::{ApiError, ErrorBody, ErrorFields};
use crate::job::{Job, JobState, JobStatus};

/// A job.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct JobView {
    id: String,
    status: JobStatus,
    /// When it was accepted, in seconds since 1970.
    created: u64,
    /// While it waits: jobs that came before and wait, too.
    queue_position: Option<usize>,
    /// Expected seconds to its end.
    seconds_left: f64,
    /// Steps of all of its images that are done.
    steps_done: usize,
    /// Steps of all of its images.
    steps_total: usize,
    seed: u64,
    steps: usize,
    guidance_scale: f64,
    images: Vec<JobImage>,
    error: Option<ErrorFields>,
}

/// An image of a job.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct JobImage {
    index: usize,
    /// Its own seed.
    seed: u64,
    steps_done: usize,
    /// The prompt that it was drawn from, where the model added to it.
    completed_prompt: Option<String>,
    /// Where its file is, once it is finished.
    url: Option<String>,
    /// Its number in the gallery.
    gallery_id: Option<i64>,
}

/// A preview in a job's events.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct PreviewEvent {
    /// The image, from 0.
    image: usize,
    /// Steps done.
    step: usize,
    /// A JPEG file.
    b64_json: String,
}

fn view(id: &str, job: &Job, state: &JobState) -> JobView {
    let request = &job.order.request;
    let images = state.images.iter().enumerate().map(|(index, image)| JobImage {
        index,
        seed: request.seed.wrapping_add(index as u64),
        steps_done: image.step,
        completed_prompt: image
            .picture
            .as_ref()
            .and_then(|picture| picture.completed_prompt.clone()),
        url: image.picture.as_ref().map(|_| format!("/jobs/{id}/images/{index}")),
        gallery_id: image.picture.as_ref().and_then(|picture| picture.gallery_id),
    });
    JobView {
        id: id.to_owned(),
        status: state.status,
        created: job.created,
        queue_position: (state.status == JobStatus::Queued).then_some(state.ahead),
        seconds_left: if state.status.has_ended() { 0.0 } else { state.seconds_left },
        steps_done: state.images.iter().map(|image| image.step).sum(),
        steps_total: request.num_steps * request.count,
        seed: request.seed,
        steps: request.num_steps,
        guidance_scale: request.cfg_scale,
        images: images.collect(),
        error: state.error.as_ref().map(|error| error.body().error),
    }
}

/// Accepts a request and answers at once, with the job that draws it.
#[utoipa::path(
    post,
    path = "/jobs",
    request_body = ImageBody,
    responses(
        (status = 202, body = JobView),
        (status = 400, body = ErrorBody),
        (status = 413, body = ErrorBody),
        (status = 422, body = ErrorBody),
        (status = 429, body = ErrorBody),
    )
)]
pub(super) async fn submit(State(app): State<Arc<App>>, body: Body) -> Result<Response, ApiError> {
    let body: ImageBody = read_json(body, app.limits.body).await?;
    let job = app.submit(body.order(&app.pipeline, &app.facts, &app.limits)?)?;
    let id = app.jobs.insert(&job)?;
    Ok((StatusCode::ACCEPTED, json(&view(&id, &job, &job.state()))).into_response())
}

/// How far a job is.
#[utoipa::path(
    get,
    path = "/jobs/{id}",
    params(("id" = String, Path)),
    responses((status = 200, body = JobView), (status = 404, body = ErrorBody))
)]
pub(super) async fn get(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
) -> Result<Response, ApiError> {
    let job = app.jobs.get(&id)?;
    Ok(json(&view(&id, &job, &job.state())))
}

/// Gives a job up, whether it waits or is drawn; one that has ended stays as it is.
#[utoipa::path(
    post,
    path = "/jobs/{id}/cancel",
    params(("id" = String, Path)),
    responses((status = 200, body = JobView), (status = 404, body = ErrorBody))
)]
pub(super) async fn cancel(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
) -> Result<Response, ApiError> {
    let job = app.jobs.get(&id)?;
    job.cancel();
    Ok(json(&view(&id, &job, &job.state())))
}

/// A file of a finished image.
#[utoipa::path(
    get,
    path = "/jobs/{id}/images/{index}",
    params(("id" = String, Path), ("index" = usize, Path)),
    responses((status = 200, body = Vec<u8>, content_type = "image/png"), (status = 404, body = ErrorBody))
)]
pub(super) async fn image(
    State(app): State<Arc<App>>,
    Path((id, index)): Path<(String, usize)>,
) -> Result<Response, ApiError> {
    let job = app.jobs.get(&id)?;
    let picture = job.state().images.get(index).and_then(|image| image.picture.clone());
    let picture = picture.ok_or_else(|| {
        ApiError::not_found(format!(
            "expected a finished image of the job, found none of index {index}"
        ))
    })?;
    let mut response = bytes(picture.bytes, job.order.format.content_type());
    let forever = HeaderValue::from_static("private, max-age=600, immutable");
    response.headers_mut().insert(header::CACHE_CONTROL, forever);
    Ok(response)
}

/// A job as it goes: `state` with the job, `preview` with an image on its way; the last `state` ends the stream.
#[utoipa::path(
    get,
    path = "/jobs/{id}/events",
    params(("id" = String, Path)),
    responses(
        (status = 200, body = JobView, content_type = "text/event-stream"),
        (status = 404, body = ErrorBody)
    )
)]
pub(super) async fn events(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
) -> Result<Response, ApiError> {
    let job = app.jobs.get(&id)?;
    let mut state = job.subscribe();
    // The first event tells the state as it is.
    state.mark_changed();
    let seen = vec![0; job.order.request.count];
    let watcher = Watcher::new(Arc::clone(&job));
    let progress = Progress { id, state, seen, pending: Vec::new(), is_over: false, watcher };
    let events = stream::unfold(progress, |mut progress| async move {
        let event = progress.next().await?;
        Some((Ok::<Event, Infallible>(event), progress))
    });
    Ok(Sse::new(events).keep_alive(KeepAlive::default()).into_response())
}

/// Somebody who looks at previews, until it is dropped.
struct Watcher(Arc<Job>);

impl Watcher {
    fn new(job: Arc<Job>) -> Self {
        job.watch(true);
        Self(job)
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.0.watch(false);
    }
}

/// A stream on its way. What a slow client has not read is replaced by what is newer.
struct Progress {
    id: String,
    state: watch::Receiver<JobState>,
    /// Steps of the newest preview of each image that was told.
    seen: Vec<usize>,
    /// Events of the state that was looked at last, the next one at the end.
    pending: Vec<Event>,
    is_over: bool,
    watcher: Watcher,
}

impl Progress {
    async fn next(&mut self) -> Option<Event> {
        if let Some(event) = self.pending.pop() {
            return Some(event);
        }
        if self.is_over {
            return None;
        }
        self.state.changed().await.ok()?;
        let state = self.state.borrow_and_update().clone();
        self.is_over = state.status.has_ended();
        for (image, (state, seen)) in state.images.iter().zip(&mut self.seen).enumerate() {
            let Some(preview) = state.preview.as_ref() else { continue };
            if self.is_over || state.picture.is_some() || preview.step <= *seen {
                continue;
            }
            *seen = preview.step;
            let b64_json = BASE64_STANDARD.encode(&preview.bytes);
            let preview = PreviewEvent { image, step: preview.step, b64_json };
            self.pending.push(event("preview", &preview));
        }
        Some(event("state", &view(&self.id, &self.watcher.0, &state)))
    }
}
