//! Which path is answered by what.

use std::sync::Arc;

use axum::Router;
use axum::routing::{get, post};

use super::{gallery, images, jobs, models, openapi, page, status, words};
use crate::app::App;
use crate::error::ApiError;

/// All paths; whoever comes from outside passes the [`guard`](crate::guard) first.
pub(crate) fn router(app: Arc<App>) -> Router {
    Router::new()
        .route("/", get(page::html))
        .route("/page/{name}", get(page::file))
        .route("/v1/images/generations", post(images::generate))
        .route("/v1/models", get(models::list))
        .route("/v1/models/{id}", get(models::get))
        .route("/jobs", post(jobs::submit))
        .route("/jobs/{id}", get(jobs::get))
        .route("/jobs/{id}/events", get(jobs::events))
        .route("/jobs/{id}/cancel", post(jobs::cancel))
        .route("/jobs/{id}/images/{index}", get(jobs::image))
        .route("/gallery", get(gallery::list))
        .route("/gallery/{id}", get(gallery::file).delete(gallery::remove))
        .route("/words", post(words::words))
        .route("/health", get(status::health))
        .route("/ready", get(status::ready))
        .route("/info", get(status::info))
        .route("/metrics", get(status::metrics))
        .route("/openapi.json", get(openapi::openapi))
        .fallback(|| async { ApiError::not_found("no such path; /openapi.json lists all of them") })
        .method_not_allowed_fallback(|| async { ApiError::method_not_allowed() })
        .with_state(app)
}
