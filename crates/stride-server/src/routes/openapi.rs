//! `/openapi.json`: every path that programs use.

use std::sync::LazyLock;

use axum::response::Response;
use utoipa::OpenApi;

use super::{gallery, images, jobs, models, reply, status, words};

#[derive(OpenApi)]
#[openapi(
    info(title = "Stride", description = "Few-step text-to-image generation"),
    paths(
        images::generate,
        models::list,
        models::get,
        jobs::submit,
        jobs::get,
        jobs::events,
        jobs::cancel,
        jobs::image,
        gallery::list,
        gallery::file,
        gallery::remove,
        words::words,
        status::health,
        status::ready,
        status::info,
        status::metrics,
    ),
    components(schemas(images::ImageEvent, jobs::PreviewEvent))
)]
struct Api;

static TEXT: LazyLock<String> =
    LazyLock::new(|| Api::openapi().to_json().expect("a description of types is JSON"));

/// The description.
pub(super) async fn openapi() -> Response {
    reply::bytes(TEXT.as_str(), "application/json")
}
