//! Jobs: watched, cancelled, refused.

use std::time::Duration;

use axum::http::{Method, StatusCode};
use serde_json::json;
use stride_server::{Limits, Settings};

use crate::client::{block_on, events, generate, get, long, post, request, server, until_idle};

#[test]
fn a_job_is_watched_to_its_end() {
    block_on(async {
        let routes = server(Settings::default()).routes();
        let body = json!({"prompt": "a woman with glasses", "steps": 16, "n": 2, "seed": 5});
        let accepted = post(&routes, "/jobs", &body).await;
        assert_eq!(accepted.status, StatusCode::ACCEPTED);
        let id = accepted.json()["id"].as_str().expect("a name").to_owned();
        let told = events(&routes, request(Method::GET, &format!("/jobs/{id}/events"), "")).await;
        let states: Vec<_> =
            told.iter().filter(|(name, _)| name == "state").map(|(_, data)| data).collect();
        let previews = told.iter().filter(|(name, _)| name == "preview").count();
        assert!(states.len() > 2 && previews > 0, "{} states, {previews} previews", states.len());
        let steps: Vec<u64> =
            states.iter().filter_map(|state| state["steps_done"].as_u64()).collect();
        assert!(steps.is_sorted() && steps.last() == Some(&32), "{steps:?}");
        let (name, last) = told.last().expect("events");
        assert_eq!((name.as_str(), &last["status"]), ("state", &json!("completed")));
        for (k, image) in last["images"].as_array().expect("a list").iter().enumerate() {
            assert_eq!(image["seed"], 5 + k);
            let file = get(&routes, image["url"].as_str().expect("an address")).await;
            assert!(file.body.starts_with(b"\x89PNG"));
        }
        // Whoever comes late learns the end at once.
        let late = events(&routes, request(Method::GET, &format!("/jobs/{id}/events"), "")).await;
        assert_eq!(late.len(), 1);
        let cancelled = post(&routes, &format!("/jobs/{id}/cancel"), &json!({})).await.json();
        assert_eq!(cancelled["status"], "completed");
    });
}

#[test]
fn cancelled_jobs_leave_within_a_step() {
    block_on(async {
        let routes = server(Settings::default()).routes();
        for wait in [0, 20, 60] {
            let job = post(&routes, "/jobs", &long(10)).await.json();
            tokio::time::sleep(Duration::from_millis(wait)).await;
            let id = job["id"].as_str().expect("a name");
            let cancelled = post(&routes, &format!("/jobs/{id}/cancel"), &json!({})).await.json();
            assert_eq!(cancelled["status"], "cancelled");
            assert_eq!(get(&routes, "/info").await.json()["queue"], 0);
            let told =
                events(&routes, request(Method::GET, &format!("/jobs/{id}/events"), "")).await;
            assert_eq!(told.last().expect("an event").1["error"]["code"], "cancelled");
        }
        // What comes afterwards does not wait for what nobody wants.
        let quick = generate(&routes, &json!({"prompt": "a man", "steps": 1})).await;
        assert_eq!(quick.status, StatusCode::OK);
    });
}

#[test]
fn a_full_queue_refuses_and_says_when() {
    block_on(async {
        let limits = Limits { queue: 4, ..Limits::default() };
        let routes = server(Settings { limits, ..Settings::default() }).routes();
        let job = post(&routes, "/jobs", &long(3)).await.json();
        let full = generate(&routes, &json!({"prompt": "a", "n": 2})).await;
        assert_eq!(full.status, StatusCode::TOO_MANY_REQUESTS);
        assert!(full.message().contains("3 images are drawn or wait, and the queue takes 4"));
        assert_eq!(full.json()["error"]["type"], "rate_limit_error");
        let seconds: u64 = full.header("retry-after").expect("a time").parse().expect("seconds");
        assert!((1..=60).contains(&seconds), "{seconds}");
        assert_eq!(
            generate(&routes, &json!({"prompt": "a", "steps": 1})).await.status,
            StatusCode::OK
        );
        let id = job["id"].as_str().expect("a name");
        post(&routes, &format!("/jobs/{id}/cancel"), &json!({})).await;
        assert_eq!(
            generate(&routes, &json!({"prompt": "a", "n": 2, "steps": 1})).await.status,
            StatusCode::OK
        );
        until_idle(&routes, Duration::from_secs(5)).await;
    });
}
