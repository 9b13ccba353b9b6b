//! Pictures that stay.

use axum::http::{Method, StatusCode};
use serde_json::json;
use stride_server::{Server, ServerError, Settings};

use crate::client::{block_on, generate, get, model, request, send, server};

#[test]
fn pictures_survive_the_server() {
    block_on(async {
        let dir = tempfile::tempdir().expect("a folder");
        let settings = || Settings { gallery: Some(dir.path().to_owned()), ..Settings::default() };
        let routes = server(settings()).routes();
        for (prompt, format) in [("a man with a hat", "png"), ("a woman", "jpeg")] {
            let body = json!({"prompt": prompt, "steps": 1, "seed": 11, "output_format": format});
            assert_eq!(generate(&routes, &body).await.status, StatusCode::OK);
        }
        let taken = Server::new(model(), settings()).expect_err("somebody has it");
        assert!(
            matches!(taken, ServerError::Gallery(_)) && taken.to_string().contains("--gallery")
        );
        drop(routes);
        // The engine's threads hold the folder for a moment longer.
        let server = loop {
            match Server::new(model(), settings()) {
                Ok(server) => break server,
                Err(_) => tokio::time::sleep(std::time::Duration::from_millis(10)).await,
            }
        };
        let routes = server.routes();
        let list = get(&routes, "/gallery?search=hat").await.json();
        let found = list["pictures"].as_array().expect("a list");
        assert_eq!((found.len(), &found[0]["seed"]), (1, &json!(11)));
        let path = format!("/gallery/{}", found[0]["id"]);
        assert!(get(&routes, &path).await.body.starts_with(b"\x89PNG"));
        assert_eq!(
            get(&routes, "/gallery?limit=1").await.json()["pictures"][0]["prompt"],
            "a woman"
        );
        let removed = send(&routes, request(Method::DELETE, &path, "")).await;
        assert_eq!(removed.status, StatusCode::NO_CONTENT);
        assert_eq!(get(&routes, &path).await.status, StatusCode::NOT_FOUND);
        assert_eq!(get(&routes, "/gallery?search=hat").await.json()["pictures"], json!([]));
    });
}
