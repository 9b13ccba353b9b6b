//! A client inside the test, and servers with the model inside the program.

use std::future::Future;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Method, Request, StatusCode, header};
use burn::tensor::Device;
use futures_util::StreamExt as _;
use serde_json::{Value, json};
use stride_models::Model;
use stride_server::{Server, Settings};
use tower::ServiceExt as _;

/// Runs the test's future.
pub(crate) fn block_on<T>(work: impl Future<Output = T>) -> T {
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    runtime.worker_threads(2).enable_all().build().expect("threads").block_on(work)
}

pub(crate) fn model() -> Model {
    Model::load(None, &Device::flex()).expect("part of the program")
}

pub(crate) fn server(settings: Settings) -> Server {
    Server::new(model(), settings).expect("starts")
}

/// A reply.
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&self.body)))
    }

    /// The message of an error, which has all of its fields.
    pub(crate) fn message(&self) -> String {
        let error = &self.json()["error"];
        assert!(error["type"].is_string() && error["code"].is_string(), "{error}");
        assert!(error.get("param").is_some(), "{error}");
        error["message"].as_str().expect("a message").to_owned()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().expect("text"))
    }
}

/// Sends a request that has everything, and reads the whole reply.
pub(crate) async fn send(routes: &Router, request: Request<Body>) -> Reply {
    let response = routes.clone().oneshot(request).await.expect("always a reply");
    let (parts, body) = response.into_parts();
    let body = to_bytes(body, usize::MAX).await.expect("arrives").to_vec();
    Reply { status: parts.status, headers: parts.headers, body }
}

pub(crate) fn request(method: Method, path: &str, body: impl Into<Body>) -> Request<Body> {
    let request =
        Request::builder().method(method).uri(path).header(header::HOST, "localhost:7860");
    request.body(body.into()).expect("a request")
}

pub(crate) async fn get(routes: &Router, path: &str) -> Reply {
    send(routes, request(Method::GET, path, "")).await
}

pub(crate) async fn post(routes: &Router, path: &str, body: &Value) -> Reply {
    send(routes, request(Method::POST, path, body.to_string())).await
}

pub(crate) const GENERATIONS: &str = "/v1/images/generations";

pub(crate) async fn generate(routes: &Router, body: &Value) -> Reply {
    post(routes, GENERATIONS, body).await
}

/// Names and data of all events of a stream.
pub(crate) async fn events(routes: &Router, request: Request<Body>) -> Vec<(String, Value)> {
    let response = routes.clone().oneshot(request).await.expect("always a reply");
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.headers()[header::CONTENT_TYPE], "text/event-stream");
    let mut text = String::new();
    let mut chunks = response.into_body().into_data_stream();
    while let Some(chunk) = chunks.next().await {
        text.push_str(std::str::from_utf8(&chunk.expect("arrives")).expect("UTF-8"));
    }
    let event = |event: &str| {
        let field = |name: &str| event.lines().find_map(|line| line.strip_prefix(name));
        let data = field("data: ")?;
        Some((field("event: ")?.to_owned(), serde_json::from_str(data).expect("JSON")))
    };
    text.split("\n\n").filter_map(event).collect()
}

/// Waits until nothing is drawn and nothing waits.
pub(crate) async fn until_idle(routes: &Router, within: Duration) {
    let start = Instant::now();
    loop {
        let queue = get(routes, "/info").await.json()["queue"].as_u64().expect("a number");
        if queue == 0 {
            return;
        }
        assert!(start.elapsed() < within, "{queue} images still wait");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Waits until the model has been measured.
pub(crate) async fn until_ready(routes: &Router) {
    while get(routes, "/ready").await.status != StatusCode::OK {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// A request that takes long.
pub(crate) fn long(n: usize) -> Value {
    json!({"prompt": "a man with glasses", "steps": 128, "n": n, "seed": 1})
}
