//! Replies of JSON and events.

use axum::body::Body;
use axum::http::{HeaderValue, header};
use axum::response::sse::Event;
use axum::response::{IntoResponse as _, Response};
use serde::Serialize;

/// A reply of JSON.
pub(super) fn json(value: &impl Serialize) -> Response {
    bytes(to_json(value).into_bytes(), "application/json")
}

/// A reply of bytes that are not looked into.
pub(super) fn bytes(bytes: impl Into<Body>, content_type: &'static str) -> Response {
    let mut response = bytes.into().into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

/// An event of a stream.
pub(super) fn event(name: &str, value: &impl Serialize) -> Event {
    Event::default().event(name).data(to_json(value))
}

fn to_json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("replies hold texts, numbers and lists")
}
