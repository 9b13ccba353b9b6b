//! `/gallery`: pictures that stay.

use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::reply::{bytes, json};
use crate::app::App;
use crate::error::{ApiError, ErrorBody};
use crate::gallery::{Entry, Gallery, GalleryError};

/// Pictures of a reply, at most.
const MAX_PAGE: usize = 200;

/// Which pictures to list.
#[derive(Clone, Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct ListQuery {
    /// Beginnings of words that their prompts hold.
    #[serde(default)]
    search: String,
    /// Only those before this number, which is the last of the page before.
    before: Option<i64>,
    /// Pictures to list, at most 200.
    limit: Option<usize>,
}

/// Pictures, the newest first.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct Entries {
    pictures: Vec<Entry>,
}

/// Lists pictures, the newest first.
#[utoipa::path(
    get,
    path = "/gallery",
    params(ListQuery),
    responses((status = 200, body = Entries), (status = 404, body = ErrorBody))
)]
pub(super) async fn list(
    State(app): State<Arc<App>>,
    query: Result<Query<ListQuery>, axum::extract::rejection::QueryRejection>,
) -> Result<Response, ApiError> {
    let Query(query) = query.map_err(|error| ApiError::malformed(error.body_text()))?;
    let limit = query.limit.unwrap_or(MAX_PAGE).clamp(1, MAX_PAGE);
    let list = move |gallery: &Gallery| gallery.list(&query.search, query.before, limit);
    Ok(json(&Entries { pictures: on_disk(app, list).await? }))
}

/// The file of a picture.
#[utoipa::path(
    get,
    path = "/gallery/{id}",
    params(("id" = i64, Path)),
    responses((status = 200, body = Vec<u8>, content_type = "image/png"), (status = 404, body = ErrorBody))
)]
pub(super) async fn file(
    State(app): State<Arc<App>>,
    Path(id): Path<i64>,
) -> Result<Response, ApiError> {
    let file = on_disk(app, move |gallery| gallery.file(id)).await?;
    let mut response = bytes(file.ok_or_else(no_picture)?, "image/png");
    // A number names one picture for good.
    let forever = HeaderValue::from_static("private, max-age=31536000, immutable");
    response.headers_mut().insert(header::CACHE_CONTROL, forever);
    Ok(response)
}

/// Removes a picture for good.
#[utoipa::path(
    delete,
    path = "/gallery/{id}",
    params(("id" = i64, Path)),
    responses((status = 204), (status = 404, body = ErrorBody))
)]
pub(super) async fn remove(
    State(app): State<Arc<App>>,
    Path(id): Path<i64>,
) -> Result<Response, ApiError> {
    if on_disk(app, move |gallery| gallery.remove(id)).await? {
        Ok(StatusCode::NO_CONTENT.into_response())
    } else {
        Err(no_picture())
    }
}

/// Works on the gallery beside the threads that serve.
async fn on_disk<T: Send + 'static>(
    app: Arc<App>,
    work: impl FnOnce(&Gallery) -> Result<T, GalleryError> + Send + 'static,
) -> Result<T, ApiError> {
    let Some(gallery) = app.gallery.clone() else {
        return Err(ApiError::not_found(
            "this server keeps no pictures; it does when it is started with --gallery DIR",
        ));
    };
    tokio::task::spawn_blocking(move || work(&gallery))
        .await
        .map_err(|error| ApiError::internal(error.to_string()))?
        .map_err(|error| ApiError::internal(error.to_string()))
}

fn no_picture() -> ApiError {
    ApiError::not_found("expected a picture of the gallery, found none of that number")
}
