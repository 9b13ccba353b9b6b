//! `/v1/models`: the one model that the server has.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::response::Response;
use serde::Serialize;
use utoipa::ToSchema;

use super::reply::json;
use crate::app::App;
use crate::error::{ApiError, ErrorBody};

/// A model, as OpenAI's service describes one.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct ModelView {
    id: String,
    /// `model`.
    object: &'static str,
    /// When the server began, in seconds since 1970.
    created: u64,
    owned_by: &'static str,
}

/// All models.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct ModelList {
    /// `list`.
    object: &'static str,
    data: Vec<ModelView>,
}

fn view(app: &App) -> ModelView {
    let (id, created) = (app.facts.model.clone(), app.facts.started);
    ModelView { id, object: "model", created, owned_by: "stride" }
}

/// The models of this server: one.
#[utoipa::path(get, path = "/v1/models", responses((status = 200, body = ModelList)))]
pub(super) async fn list(State(app): State<Arc<App>>) -> Response {
    json(&ModelList { object: "list", data: vec![view(&app)] })
}

/// One model.
#[utoipa::path(
    get,
    path = "/v1/models/{id}",
    params(("id" = String, Path)),
    responses((status = 200, body = ModelView), (status = 404, body = ErrorBody))
)]
pub(super) async fn get(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
) -> Result<Response, ApiError> {
    if id == app.facts.model {
        Ok(json(&view(&app)))
    } else {
        Err(ApiError::no_model(&id, &app.facts.model))
    }
}
