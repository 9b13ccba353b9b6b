//! Who may ask.

use axum::http::{HeaderValue, Method, StatusCode, header};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::json;
use stride_server::{Access, Settings};

use crate::client::{Reply, block_on, get, request, send, server};

#[test]
fn every_path_takes_the_key() {
    block_on(async {
        let access = Access { api_key: Some("secret".to_owned()), ..Access::default() };
        let routes = server(Settings { access, ..Settings::default() }).routes();
        let paths = [
            "/",
            "/page/main.js",
            "/v1/models",
            "/health",
            "/ready",
            "/info",
            "/metrics",
            "/openapi.json",
            "/gallery",
            "/jobs/x",
            "/nothing",
        ];
        for path in paths {
            let reply = get(&routes, path).await;
            assert_eq!(reply.status, StatusCode::UNAUTHORIZED, "{path}");
            assert!(
                reply.header("www-authenticate").is_some_and(|value| value.starts_with("Basic"))
            );
            assert!(!String::from_utf8_lossy(&reply.body).contains("secret"), "{path}");
        }
        let ask = async |value: String| {
            let mut request = request(Method::GET, "/info", "");
            request.headers_mut().insert(header::AUTHORIZATION, value.parse().expect("a header"));
            send(&routes, request).await
        };
        let basic = format!("Basic {}", BASE64_STANDARD.encode("me:secret"));
        for value in ["Bearer secret".to_owned(), basic] {
            let reply = ask(value).await;
            assert_eq!(reply.status, StatusCode::OK);
            assert!(!String::from_utf8_lossy(&reply.body).contains("secret"));
        }
        for wrong in ["Bearer secre", "Bearer secrets", "Bearer", "secret"] {
            assert_eq!(ask(wrong.to_owned()).await.status, StatusCode::UNAUTHORIZED, "{wrong}");
        }
    });
}

#[test]
fn pages_of_other_sites_may_not_ask() {
    block_on(async {
        let local = Access { is_local: true, ..Access::default() };
        let routes = server(Settings { access: local.clone(), ..Settings::default() }).routes();
        let origins = vec![HeaderValue::from_static("https://friend.example")];
        let friendly = Access { origins, ..local };
        let friendly = server(Settings { access: friendly, ..Settings::default() }).routes();
        let body = json!({"prompt": "a", "steps": 1}).to_string();
        let ask = async |routes, origin: &'static str, host: &'static str| -> Reply {
            let mut request = request(Method::POST, "/jobs", body.clone());
            request.headers_mut().insert(header::ORIGIN, HeaderValue::from_static(origin));
            request.headers_mut().insert(header::HOST, HeaderValue::from_static(host));
            send(routes, request).await
        };
        let own = ask(&routes, "http://localhost:7860", "localhost:7860").await;
        assert_eq!(own.status, StatusCode::ACCEPTED);
        assert!(own.header("access-control-allow-origin").is_none());
        for (origin, host) in [
            ("https://friend.example", "localhost:7860"),
            ("null", "localhost:7860"),
            // A name that somebody else points at this machine.
            ("http://evil.example", "evil.example"),
        ] {
            let reply = ask(&routes, origin, host).await;
            assert_eq!(reply.status, StatusCode::FORBIDDEN, "{origin}");
            assert!(reply.message().contains("start"), "{}", reply.message());
        }
        let friend = ask(&friendly, "https://friend.example", "localhost:7860").await;
        assert_eq!(friend.status, StatusCode::ACCEPTED);
        assert_eq!(friend.header("access-control-allow-origin"), Some("https://friend.example"));
        let evil = ask(&friendly, "https://evil.example", "localhost:7860").await;
        assert_eq!(evil.status, StatusCode::FORBIDDEN);
    });
}

#[test]
fn the_page_loads_nothing_from_elsewhere() {
    block_on(async {
        let routes = server(Settings::default()).routes();
        let page = get(&routes, "/").await;
        assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"));
        let policy = page.header("content-security-policy").expect("a policy");
        assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
        assert_eq!(page.header("x-content-type-options"), Some("nosniff"));
        let html = String::from_utf8(page.body).expect("text");
        assert!(!html.contains("style=") && !html.contains("onclick"), "the policy forbids them");
        let mut files = vec!["/page/api.js".to_owned()];
        for attribute in ["src=\"", "href=\""] {
            let values = html.split(attribute).skip(1).filter_map(|rest| rest.split('"').next());
            files.extend(values.filter(|value| value.starts_with('/')).map(str::to_owned));
            let others = html.split(attribute).skip(1).filter_map(|rest| rest.split('"').next());
            assert!(others.clone().all(|value| value.starts_with(['/', '#'])), "{attribute}");
        }
        for file in files {
            let reply = get(&routes, &file).await;
            assert_eq!(reply.status, StatusCode::OK, "{file}");
            let text = String::from_utf8(reply.body).expect("text");
            let foreign = text.replace("http://www.w3.org/2000/svg", "");
            assert!(!foreign.contains("http://") && !foreign.contains("https://"), "{file}");
        }
    });
}
