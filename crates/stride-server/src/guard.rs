//! What every request passes first: who may ask, and what every reply says to browsers.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderValue, Method, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use subtle::ConstantTimeEq as _;
use tower_http::cors::CorsLayer;

use crate::error::{ApiError, Cause};
use crate::metrics::Metrics;

/// The page loads what is its own and nothing else, and no other page may frame it.
const CONTENT_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; \
     connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
const HEADERS: [(&str, &str); 6] = [
    ("content-security-policy", CONTENT_POLICY),
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
    ("referrer-policy", "no-referrer"),
    ("cross-origin-opener-policy", "same-origin"),
    ("permissions-policy", "camera=(), microphone=(), geolocation=()"),
];

/// Who may ask.
#[derive(Clone, Debug, Default)]
pub struct Access {
    /// The key that every request must have.
    pub api_key: Option<String>,
    /// Origins of other pages that may ask, such as `https://example.org`.
    pub origins: Vec<HeaderValue>,
    /// Whether only this machine asks, so that any other name for it is a trick.
    pub is_local: bool,
}

struct Guard {
    access: Access,
    metrics: Arc<Metrics>,
}

/// The routes behind their guard.
pub(crate) fn guarded(routes: Router, access: Access, metrics: Arc<Metrics>) -> Router {
    let cors = (!access.origins.is_empty()).then(|| {
        CorsLayer::new()
            .allow_origin(access.origins.clone())
            .allow_methods([Method::GET, Method::POST, Method::DELETE])
            .allow_headers([header::AUTHORIZATION, header::CONTENT_TYPE])
    });
    let guard = Arc::new(Guard { access, metrics });
    let routes = routes.layer(middleware::from_fn_with_state(guard, check));
    match cors {
        Some(cors) => routes.layer(cors),
        None => routes,
    }
}

async fn check(State(guard): State<Arc<Guard>>, request: Request, next: Next) -> Response {
    let mut response = match guard.admit(&request) {
        Ok(()) => next.run(request).await,
        Err(error) => error.into_response(),
    };
    if response.status().is_client_error() && response.extensions().get::<Cause>().is_none() {
        // What the framework refuses: numbers in a path that are none, and the like.
        let message =
            "the path or the query cannot be read; /openapi.json tells what they may hold";
        response = ApiError::malformed(message).into_response();
    }
    if let Some(Cause(cause)) = response.extensions().get() {
        guard.metrics.count_failure(cause);
    }
    let headers = response.headers_mut();
    for (name, value) in HEADERS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

impl Guard {
    fn admit(&self, request: &Request) -> Result<(), ApiError> {
        let headers = request.headers();
        let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
        if self.access.is_local
            && self.access.api_key.is_none()
            && !host.is_none_or(is_this_machine)
        {
            return Err(ApiError::forbidden(
                "this server answers to localhost alone; to reach it by another name, start it with --host and a key",
            ));
        }
        let is_read = matches!(*request.method(), Method::GET | Method::HEAD);
        if let Some(origin) = headers.get(header::ORIGIN).filter(|_| !is_read)
            && !self.access.origins.contains(origin)
            && !is_same_origin(origin, host)
        {
            return Err(ApiError::forbidden(
                "pages of other sites may not ask this server, unless it is started with --cors-origin",
            ));
        }
        match &self.access.api_key {
            Some(key) if !has_key(headers, key) => Err(ApiError::unauthorized()),
            _ => Ok(()),
        }
    }
}

fn is_this_machine(host: &str) -> bool {
    let Ok(authority) = host.parse::<Authority>() else { return false };
    let name = authority.host().trim_start_matches('[').trim_end_matches(']');
    let is_loopback =
        || name.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback());
    name.eq_ignore_ascii_case("localhost") || is_loopback()
}

fn is_same_origin(origin: &HeaderValue, host: Option<&str>) -> bool {
    let origin = origin.to_str().ok().and_then(|origin| origin.split_once("://"));
    origin.is_some_and(|(_, place)| host.is_some_and(|host| host.eq_ignore_ascii_case(place)))
}

/// Whether the request has the key; how long that takes does not tell how much of it is right.
fn has_key(headers: &HeaderMap, key: &str) -> bool {
    let Some((scheme, value)) = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split_once(' '))
    else {
        return false;
    };
    let value = value.trim();
    let is_key = |found: &[u8]| bool::from(found.ct_eq(key.as_bytes()));
    match scheme.to_ascii_lowercase().as_str() {
        "bearer" => is_key(value.as_bytes()),
        "basic" => BASE64_STANDARD.decode(value).is_ok_and(|pair| {
            let colon = pair.iter().position(|byte| *byte == b':');
            colon.is_some_and(|colon| is_key(&pair[colon + 1..]))
        }),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_this_machine() {
        for host in ["localhost", "LocalHost:7860", "127.0.0.1:7860", "127.1.2.3", "[::1]:7860"] {
            assert!(is_this_machine(host), "{host}");
        }
        for host in ["example.org", "localhost.example.org", "10.0.0.1:7860", "", "[::2]", "a b"] {
            assert!(!is_this_machine(host), "{host}");
        }
    }

    #[test]
    fn keys_are_taken_whole_and_in_two_ways() {
        let has = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::AUTHORIZATION, value.parse().expect("a header"));
            has_key(&headers, "k:ey")
        };
        let basic = |text: &str| format!("Basic {}", BASE64_STANDARD.encode(text));
        assert!(has("Bearer k:ey") && has("bearer  k:ey") && has(&basic("anybody:k:ey")));
        for wrong in ["Bearer k:e", "Bearer k:ey2", "Bearer", "k:ey", "Digest k:ey", "Basic k:ey"] {
            assert!(!has(wrong), "{wrong}");
        }
        assert!(!has(&basic("k:ey")) && !has(&basic("")) && !has_key(&HeaderMap::new(), "k:ey"));
    }

    #[test]
    fn origins_are_compared_with_the_host() {
        let same = |origin: &str, host| is_same_origin(&origin.parse().expect("a header"), host);
        assert!(same("http://localhost:7860", Some("localhost:7860")));
        assert!(!same("http://localhost:7861", Some("localhost:7860")));
        assert!(!same("null", Some("localhost:7860")) && !same("http://a", None));
    }
}
