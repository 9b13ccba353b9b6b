//! `POST /words`: what the model makes of the words of a prompt.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::reply::json;
use crate::app::App;
use crate::body::{check_text, read_json};
use crate::error::{ApiError, ErrorBody};

/// A prompt.
#[derive(Clone, Debug, Deserialize, ToSchema)]
pub(super) struct WordsBody {
    prompt: String,
}

/// What the model makes of a prompt.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct WordsReply {
    /// Words that it never saw in training, each once.
    unknown_words: Vec<Unknown>,
    /// The end of the prompt that is left out since the model reads no further.
    dropped_text: String,
}

/// A word that the model never saw.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct Unknown {
    word: String,
    /// A word that it saw, and that is spelled nearly so.
    meant: Option<String>,
}

/// Words that the model never saw, and what is cut off.
#[utoipa::path(
    post,
    path = "/words",
    request_body = WordsBody,
    responses((status = 200, body = WordsReply), (status = 400, body = ErrorBody))
)]
pub(super) async fn words(State(app): State<Arc<App>>, body: Body) -> Result<Response, ApiError> {
    let WordsBody { prompt } = read_json(body, app.limits.body).await?;
    check_text("prompt", &prompt, app.limits.prompt)?;
    let report = tokio::task::spawn_blocking(move || app.pipeline.prompt_report(&prompt))
        .await
        .map_err(|error| ApiError::internal(error.to_string()))?
        .map_err(|error| ApiError::invalid("prompt", error.to_string()))?;
    let unknown = report.unknown_words.into_iter();
    Ok(json(&WordsReply {
        unknown_words: unknown.map(|word| Unknown { word: word.word, meant: word.meant }).collect(),
        dropped_text: report.dropped_text,
    }))
}
