//! `POST /v1/images/generations`, as OpenAI's clients speak it.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use futures_util::stream;
use serde::Serialize;
use tokio::sync::watch;
use utoipa::ToSchema;

use super::reply::{event, json};
use crate::app::App;
use crate::body::{ImageBody, read_json};
use crate::error::{ApiError, ErrorBody};
use crate::facts::seconds_since_1970;
use crate::format::Format;
use crate::job::{Job, JobState, JobStatus, Picture};

/// Images and how they were made.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct ImagesReply {
    /// In seconds since 1970.
    created: u64,
    data: Vec<ImageView>,
    #[serde(flatten)]
    about: About,
    usage: Usage,
    /// Seed of the first image.
    seed: u64,
    steps: usize,
    guidance_scale: f64,
}

/// An image.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct ImageView {
    #[serde(skip_serializing_if = "Option::is_none")]
    b64_json: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<String>,
    /// The prompt that it was drawn from, where the model added to it.
    #[serde(skip_serializing_if = "Option::is_none")]
    revised_prompt: Option<String>,
    /// Its own seed.
    seed: u64,
}

/// What OpenAI's clients expect to be told of every image.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct About {
    /// `opaque`.
    background: &'static str,
    output_format: &'static str,
    /// That of the request, or `high`.
    quality: String,
    size: String,
}

/// Tokens read and drawn.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub(super) struct Usage {
    input_tokens: usize,
    output_tokens: usize,
    total_tokens: usize,
    input_tokens_details: TokenKinds,
    output_tokens_details: TokenKinds,
}

/// Tokens of either kind.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub(super) struct TokenKinds {
    text_tokens: usize,
    image_tokens: usize,
}

/// An event of a stream: a preview (`image_generation.partial_image`), or an image (`image_generation.completed`).
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct ImageEvent {
    #[serde(rename = "type")]
    kind: &'static str,
    b64_json: String,
    created_at: u64,
    #[serde(flatten)]
    about: About,
    /// Of a preview, from 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    partial_image_index: Option<usize>,
    /// Of an image.
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<Usage>,
    seed: u64,
}

/// Cancels the job of a client that has gone.
struct CancelAtEnd(Arc<Job>);

impl Drop for CancelAtEnd {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

/// What replies about a job need.
struct Reply {
    app: Arc<App>,
    job: Arc<Job>,
    quality: String,
}

/// Draws images, and answers when they are there; with `stream`, tells about each of them on the way.
///
/// Previews are JPEG files whatever the format of the images, and are left out where the server has too much to do.
#[utoipa::path(
    post,
    path = "/v1/images/generations",
    request_body = ImageBody,
    responses(
        (status = 200, content((ImagesReply = "application/json"), (ImageEvent = "text/event-stream"))),
        (status = 400, body = ErrorBody),
        (status = 413, body = ErrorBody),
        (status = 422, body = ErrorBody),
        (status = 429, body = ErrorBody),
    )
)]
pub(super) async fn generate(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    let body: ImageBody = read_json(body, app.limits.body).await?;
    let wants_urls = body.wants_urls()?;
    let mut order = body.order(&app.pipeline, &app.facts, &app.limits)?;
    let is_stream = body.stream.unwrap_or(false);
    if !is_stream {
        order.partial_images = 0;
    }
    let job = app.submit(order)?;
    let guard = CancelAtEnd(Arc::clone(&job));
    let known = ["low", "medium", "high"];
    let quality = body.quality.filter(|quality| known.contains(&quality.as_str()));
    let quality = quality.unwrap_or_else(|| "high".to_owned());
    let reply = Reply { app, job, quality };
    if is_stream {
        return Ok(reply.stream(guard));
    }
    let mut state = reply.job.subscribe();
    let state = state
        .wait_for(|state| state.status.has_ended())
        .await
        .map_err(|_| ApiError::internal("the engine has ended"))?
        .clone();
    drop(guard);
    let base = if wants_urls { Some(reply.address(&headers)?) } else { None };
    reply.images(&state, base.as_deref())
}

impl Reply {
    /// Where the files of the job can be fetched for a while.
    fn address(&self, headers: &HeaderMap) -> Result<String, ApiError> {
        let id = self.app.jobs.insert(&self.job)?;
        let host =
            headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or("localhost");
        let is_secure = headers.get("x-forwarded-proto").is_some_and(|scheme| scheme == "https");
        let scheme = if is_secure { "https" } else { "http" };
        Ok(format!("{scheme}://{host}/jobs/{id}/images"))
    }

    fn images(&self, state: &JobState, base: Option<&str>) -> Result<Response, ApiError> {
        if state.status != JobStatus::Completed {
            return Err(state.error.clone().unwrap_or_else(ApiError::cancelled));
        }
        let pictures = state.images.iter().filter_map(|image| image.picture.as_ref()).enumerate();
        let view = |(index, picture): (usize, &Picture)| ImageView {
            b64_json: base.is_none().then(|| BASE64_STANDARD.encode(&picture.bytes)),
            url: base.map(|base| format!("{base}/{index}")),
            revised_prompt: picture.completed_prompt.clone(),
            seed: picture.seed,
        };
        let request = &self.job.order.request;
        Ok(json(&ImagesReply {
            created: seconds_since_1970(),
            data: pictures.map(view).collect(),
            about: self.about(self.job.order.format),
            usage: self.usage(request.count),
            seed: request.seed,
            steps: request.num_steps,
            guidance_scale: request.cfg_scale,
        }))
    }

    fn stream(self, guard: CancelAtEnd) -> Response {
        let told = vec![Told::default(); self.job.order.request.count];
        let progress = Progress {
            state: self.job.subscribe(),
            told,
            events: VecDeque::new(),
            is_over: false,
            reply: self,
            _guard: guard,
        };
        let events = stream::unfold(progress, |mut progress| async move {
            let event = progress.next().await?;
            Some((Ok::<Event, Infallible>(event), progress))
        });
        Sse::new(events).keep_alive(KeepAlive::default()).into_response()
    }

    fn about(&self, format: Format) -> About {
        let side = self.app.facts.resolution;
        About {
            background: "opaque",
            output_format: format.name(),
            quality: self.quality.clone(),
            size: format!("{side}x{side}"),
        }
    }

    fn usage(&self, images: usize) -> Usage {
        let request = &self.job.order.request;
        let tokens =
            |text: &str| self.app.pipeline.prompt_tokens(text).map_or(0, |tokens| tokens.len());
        let input = tokens(&request.prompt) + request.negative_prompt.as_deref().map_or(0, tokens);
        let output = images * self.app.facts.image_tokens;
        Usage {
            input_tokens: input,
            output_tokens: output,
            total_tokens: input + output,
            input_tokens_details: TokenKinds { text_tokens: input, image_tokens: 0 },
            output_tokens_details: TokenKinds { text_tokens: 0, image_tokens: output },
        }
    }
}

/// What a stream has told of an image.
#[derive(Clone, Copy, Default)]
struct Told {
    /// Steps of the newest preview.
    step: usize,
    previews: usize,
    is_complete: bool,
}

/// A stream on its way.
struct Progress {
    reply: Reply,
    state: watch::Receiver<JobState>,
    told: Vec<Told>,
    events: VecDeque<Event>,
    is_over: bool,
    _guard: CancelAtEnd,
}

impl Progress {
    async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.events.pop_front() {
                return Some(event);
            }
            if self.is_over {
                return None;
            }
            let state = self.state.borrow_and_update().clone();
            self.tell(&state);
            if self.events.is_empty() && !self.is_over && self.state.changed().await.is_err() {
                return None;
            }
        }
    }

    fn tell(&mut self, state: &JobState) {
        let (order, reply) = (&self.reply.job.order, &self.reply);
        let image_event = |kind, bytes: &[u8], format, seed| ImageEvent {
            kind,
            b64_json: BASE64_STANDARD.encode(bytes),
            created_at: seconds_since_1970(),
            about: reply.about(format),
            partial_image_index: None,
            usage: None,
            seed,
        };
        for (index, (image, told)) in state.images.iter().zip(&mut self.told).enumerate() {
            if told.is_complete {
                continue;
            }
            if let Some(picture) = &image.picture {
                told.is_complete = true;
                let kind = "image_generation.completed";
                let completed = image_event(kind, &picture.bytes, order.format, picture.seed);
                let usage = Some(reply.usage(1));
                self.events.push_back(event(kind, &ImageEvent { usage, ..completed }));
                continue;
            }
            let Some(preview) = image.preview.as_ref().filter(|preview| preview.step > told.step)
            else {
                continue;
            };
            let kind = "image_generation.partial_image";
            let seed = order.request.seed.wrapping_add(index as u64);
            let partial = image_event(kind, &preview.bytes, Format::PREVIEW, seed);
            let partial_image_index = Some(told.previews);
            self.events.push_back(event(kind, &ImageEvent { partial_image_index, ..partial }));
            told.step = preview.step;
            told.previews += 1;
        }
        if state.status.has_ended() {
            self.is_over = true;
            if state.status != JobStatus::Completed {
                let error = state.error.clone().unwrap_or_else(ApiError::cancelled);
                self.events.push_back(event("error", &error.body()));
            }
        }
    }
}
