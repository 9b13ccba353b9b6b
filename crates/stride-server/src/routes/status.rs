//! What the server says about itself.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use serde::Serialize;
use utoipa::ToSchema;

use super::reply::{bytes, json};
use crate::app::App;
use crate::error::{ApiError, ErrorBody};
use crate::facts::Facts;

/// Whether the server is well.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub(super) struct Health {
    /// `ok`.
    status: &'static str,
}

/// What the server is, and what it gives.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct Info {
    version: &'static str,
    #[serde(flatten)]
    model: Facts,
    limits: LimitsView,
    /// Images that are drawn or wait.
    queue: usize,
    /// Time of a step of one image alone.
    step_seconds: f64,
    /// Time of decoding an image after its last step.
    decode_seconds: f64,
    /// Whether pictures are kept, and listed under `/gallery`.
    has_gallery: bool,
}

/// The bounds on requests.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub(super) struct LimitsView {
    /// Images that are drawn or wait, of all clients together.
    queue: usize,
    /// Images of one request.
    images: usize,
    /// Steps of an image.
    steps: usize,
    /// Characters of a prompt.
    prompt: usize,
    /// Bytes of a request's body.
    body: usize,
}

/// The process runs.
#[utoipa::path(get, path = "/health", responses((status = 200, body = Health)))]
pub(super) async fn health() -> Response {
    json(&Health { status: "ok" })
}

/// The model is loaded and measured, and the server is not about to end.
#[utoipa::path(
    get,
    path = "/ready",
    responses((status = 200, body = Health), (status = 503, body = ErrorBody))
)]
pub(super) async fn ready(State(app): State<Arc<App>>) -> Result<Response, ApiError> {
    if app.engine.is_ready() {
        Ok(json(&Health { status: "ok" }))
    } else {
        Err(ApiError::unavailable("the server has only begun, or is about to end"))
    }
}

/// The model, the limits, the queue.
#[utoipa::path(get, path = "/info", responses((status = 200, body = Info)))]
pub(super) async fn info(State(app): State<Arc<App>>) -> Response {
    let limits = app.limits;
    json(&Info {
        version: env!("CARGO_PKG_VERSION"),
        model: Facts::clone(&app.facts),
        limits: LimitsView {
            queue: limits.queue,
            images: limits.images,
            steps: limits.steps,
            prompt: limits.prompt,
            body: limits.body,
        },
        queue: app.engine.waiting(),
        step_seconds: app.engine.outlook().step(),
        decode_seconds: app.engine.outlook().decode(),
        has_gallery: app.gallery.is_some(),
    })
}

/// Counters and histograms for Prometheus.
#[utoipa::path(get, path = "/metrics", responses((status = 200, body = String, content_type = "application/openmetrics-text")))]
pub(super) async fn metrics(State(app): State<Arc<App>>) -> Response {
    app.engine.waiting();
    bytes(app.metrics.to_text(), "application/openmetrics-text; version=1.0.0; charset=utf-8")
}
