//! Errors as clients of OpenAI's service read them.

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

/// The body of every reply that is an error.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct ErrorBody {
    pub(crate) error: ErrorFields,
}

/// What went wrong.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct ErrorFields {
    /// What was expected, what was found, and what to do.
    message: String,
    /// `invalid_request_error`, `rate_limit_error` or `server_error`.
    #[serde(rename = "type")]
    kind: &'static str,
    /// The field of the request that is wrong.
    param: Option<String>,
    /// A name of the cause that programs can rely on.
    code: &'static str,
}

/// A request that is answered with an error.
#[derive(Clone, Debug)]
pub(crate) struct ApiError {
    status: StatusCode,
    code: &'static str,
    param: Option<String>,
    message: String,
    /// Seconds after which trying again makes sense.
    retry_after: Option<u64>,
}

impl ApiError {
    fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, param: None, message: message.into(), retry_after: None }
    }

    /// The body cannot be read as what it should be.
    pub(crate) fn malformed(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid_body", message)
    }

    /// A field has a value that means nothing, or that the model cannot draw.
    pub(crate) fn invalid(param: &str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid_value", message).about(param)
    }

    /// A field asks for more than this server gives.
    pub(crate) fn beyond_limit(param: &str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "beyond_limit", message).about(param)
    }

    /// The body is too long.
    pub(crate) fn too_large(limit: usize) -> Self {
        let message = format!("the body must have at most {limit} bytes; found more");
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", message)
    }

    /// The body does not arrive.
    pub(crate) fn slow_body(seconds: u64) -> Self {
        let message = format!("the body must arrive within {seconds} s; it did not");
        Self::new(StatusCode::REQUEST_TIMEOUT, "slow_body", message)
    }

    /// The key is missing or wrong.
    pub(crate) fn unauthorized() -> Self {
        let message = "expected this server's API key, as `Authorization: Bearer KEY` or as the password of \
                       basic authentication; found none, or another one";
        Self::new(StatusCode::UNAUTHORIZED, "invalid_api_key", message)
    }

    /// A page of another site asks.
    pub(crate) fn forbidden(message: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "foreign_origin", message)
    }

    /// There is nothing of that name.
    pub(crate) fn not_found(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", message)
    }

    /// The path takes other methods.
    pub(crate) fn method_not_allowed() -> Self {
        let message =
            "this path does not take the request's method; /openapi.json lists what it takes";
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", message)
    }

    /// No model of that name.
    pub(crate) fn no_model(found: &str, expected: &str) -> Self {
        let message = format!("model: expected {expected}, which this server has, found {found}");
        Self::new(StatusCode::NOT_FOUND, "model_not_found", message).about("model")
    }

    /// Too many images wait.
    pub(crate) fn queue_full(waiting: usize, limit: usize, retry_after: u64) -> Self {
        let message = format!(
            "{waiting} images are drawn or wait, and the queue takes {limit}; try again in about {retry_after} s"
        );
        let error = Self::new(StatusCode::TOO_MANY_REQUESTS, "queue_full", message);
        Self { retry_after: Some(retry_after), ..error }
    }

    /// The server is about to end, or has only begun.
    pub(crate) fn unavailable(message: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", message)
    }

    /// A job was cancelled by somebody else.
    pub(crate) fn cancelled() -> Self {
        Self::new(StatusCode::CONFLICT, "cancelled", "the job was cancelled")
    }

    /// Not the client's fault.
    pub(crate) fn internal(message: impl Into<String>) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal_error", message)
    }

    fn about(self, param: &str) -> Self {
        Self { param: Some(param.to_owned()), ..self }
    }

    /// The reply's body.
    pub(crate) fn body(&self) -> ErrorBody {
        let kind = match self.status {
            StatusCode::TOO_MANY_REQUESTS => "rate_limit_error",
            status if status.is_server_error() => "server_error",
            _ => "invalid_request_error",
        };
        let Self { message, param, code, .. } = self.clone();
        ErrorBody { error: ErrorFields { message, kind, param, code } }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let json = serde_json::to_vec(&self.body()).expect("texts are JSON");
        let mut response = (self.status, Body::from(json)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(seconds) = self.retry_after {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        if self.status == StatusCode::UNAUTHORIZED {
            // Browsers ask for it once, and send it along with everything that the page loads.
            let basic = HeaderValue::from_static("Basic realm=\"stride\", charset=\"UTF-8\"");
            headers.insert(header::WWW_AUTHENTICATE, basic);
        }
        response.extensions_mut().insert(Cause(self.code));
        response
    }
}

/// Why a reply is an error, for the metrics.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cause(pub(crate) &'static str);
