//! Bodies that are wrong are answered with what is wrong, and never bring anything down.

use axum::http::{Method, StatusCode};
use serde_json::{Value, json};
use stride::noise::{below, keyed_rng};
use stride_server::{Limits, Settings};

use crate::client::{GENERATIONS, block_on, generate, get, post, request, send, server};

fn settings() -> Settings {
    // Bodies that turn out right are drawn, as quickly as possible.
    let limits = Limits { steps: 1, images: 2, prompt: 1000, body: 200_000, ..Limits::default() };
    Settings { limits, ..Settings::default() }
}

#[test]
fn wrong_fields_are_named() {
    block_on(async {
        let routes = server(settings()).routes();
        let cases = [
            (json!({}), 400, "prompt", "expected a text, found none"),
            (json!({"prompt": 7}), 400, "prompt", "expected a string"),
            (json!({"prompt": "a", "n": 0}), 422, "n", "expected 1 to 2, found 0"),
            (json!({"prompt": "a", "n": 3}), 422, "n", "found 3"),
            (json!({"prompt": "a", "n": -1}), 400, "n", "-1"),
            (json!({"prompt": "a", "n": 1.5}), 400, "n", "1.5"),
            (json!({"prompt": "a", "n": "2"}), 400, "n", "string"),
            (json!({"prompt": "a", "steps": 129}), 422, "steps", "129"),
            (
                json!({"prompt": "a", "num_inference_steps": 0}),
                422,
                "num_inference_steps",
                "found 0",
            ),
            (json!({"prompt": "a", "seed": -1}), 400, "seed", "-1"),
            (json!({"prompt": "a", "seed": u64::MAX, "n": 2}), 400, "seed", "last seed"),
            (json!({"prompt": "a", "guidance_scale": 1e9}), 422, "guidance_scale", "1000000000"),
            (json!({"prompt": "a", "guidance_scale": -1}), 422, "guidance_scale", "-1"),
            (json!({"prompt": "a", "size": "1024x1024"}), 400, "size", "1024x1024"),
            (json!({"prompt": "a", "size": 256}), 400, "size", "256"),
            (json!({"prompt": "a", "response_format": {}}), 400, "response_format", "map"),
            (json!({"prompt": "a", "response_format": "tiff"}), 400, "response_format", "tiff"),
            (json!({"prompt": "a", "output_format": "gif"}), 400, "output_format", "gif"),
            (json!({"prompt": "a", "output_compression": 101}), 422, "output_compression", "101"),
            (json!({"prompt": "a", "partial_images": 4}), 422, "partial_images", "found 4"),
            (json!({"prompt": "a", "stream": "yes"}), 400, "stream", "string"),
            (json!({"prompt": "a", "model": "gpt-image-1"}), 404, "model", "gpt-image-1"),
            (json!({"prompt": "a\u{0}b"}), 400, "prompt", "control character"),
            (
                json!({"prompt": "a".repeat(1001)}),
                422,
                "prompt",
                "at most 1000 characters, found 1001",
            ),
            (
                json!({"prompt": "a", "negative_prompt": "\u{1b}"}),
                400,
                "negative_prompt",
                "control",
            ),
        ];
        for (body, status, param, part) in cases {
            let reply = generate(&routes, &body).await;
            assert_eq!(reply.status, status, "{body}: {}", reply.message());
            assert_eq!(reply.json()["error"]["param"], param, "{body}");
            assert!(reply.message().contains(part), "{body}: {}", reply.message());
        }
        for body in [
            "",
            "{",
            "[]",
            "null",
            "7",
            "{\"prompt\":\"\\ud800\"}",
            "{\"prompt\":\"a\"} x",
            "{\"n\":1e999}",
        ] {
            let reply = send(&routes, request(Method::POST, GENERATIONS, body)).await;
            assert_eq!(reply.status, StatusCode::BAD_REQUEST, "{body}: {}", reply.message());
        }
        let large = send(&routes, request(Method::POST, GENERATIONS, vec![b' '; 200_001])).await;
        assert_eq!(large.status, StatusCode::PAYLOAD_TOO_LARGE, "{}", large.message());
    });
}

#[test]
fn wrong_paths_are_answered_in_the_same_shape() {
    block_on(async {
        let routes = server(settings()).routes();
        for (method, path, status) in [
            (Method::GET, "/nothing", 404),
            (Method::GET, "/..%2f..%2fetc%2fpasswd", 404),
            (Method::GET, "/page/..%2findex.html", 404),
            (Method::GET, "/v1/models/other", 404),
            (Method::GET, GENERATIONS, 405),
            (Method::DELETE, "/jobs", 405),
            (Method::GET, "/jobs/abc", 404),
            (Method::GET, "/jobs/abc/images/x", 400),
            (Method::GET, "/jobs/%ff", 400),
            (Method::GET, "/gallery", 404),
            (Method::GET, "/gallery?before=x", 400),
            (Method::GET, "/gallery/..%2f1", 400),
            (Method::POST, "/words", 400),
        ] {
            let reply = send(&routes, request(method.clone(), path, "")).await;
            assert_eq!(reply.status, status, "{method} {path}");
            assert!(!reply.message().is_empty());
        }
    });
}

#[test]
fn what_programs_read_is_there() {
    block_on(async {
        let routes = server(settings()).routes();
        generate(&routes, &json!({"prompt": "a", "n": 9})).await;
        generate(&routes, &json!({"prompt": "a"})).await;
        let api = get(&routes, "/openapi.json").await.json();
        for path in [GENERATIONS, "/v1/models", "/jobs/{id}/events", "/gallery/{id}", "/metrics"] {
            assert!(api["paths"].get(path).is_some(), "{path}");
        }
        let text = String::from_utf8(get(&routes, "/metrics").await.body).expect("text");
        for line in [
            "stride_images_total 1",
            "stride_queue_images 0",
            "stride_failures_total{cause=\"beyond_limit\"} 1",
            "stride_batch_rows_count",
            "stride_step_seconds_sum",
        ] {
            assert!(text.contains(line), "{line} in\n{text}");
        }
        assert_eq!(get(&routes, "/health").await.json()["status"], "ok");
        let words = post(&routes, "/words", &json!({"prompt": "a xyzzy man"})).await.json();
        assert_eq!(words["unknown_words"][0]["word"], "xyzzy");
    });
}

/// A value of a random kind.
fn random_value(random: &mut impl FnMut(usize) -> usize, depth: usize) -> Value {
    match random(if depth > 3 { 9 } else { 11 }) {
        0 => Value::Null,
        1 => json!(random(2) == 0),
        2 => json!(random(5)),
        3 => json!(-(random(1000) as i64)),
        4 => json!(u64::MAX - random(3) as u64),
        5 => json!([1e308, -0.0, 1.5, 1e-300][random(4)]),
        6 => json!(["", "auto", "png", "url", "a man", "\u{0}", "\u{202e}é眼", "128"][random(8)]),
        7 => json!("(((a:1.3)".repeat(random(200))),
        8 => json!("\u{fffd}".repeat(random(1200))),
        9 => (0..random(4)).map(|_| random_value(random, depth + 1)).collect(),
        _ => {
            let entry = |key: usize| (key.to_string(), random_value(random, depth + 1));
            (0..3).map(entry).collect::<serde_json::Map<_, _>>().into()
        }
    }
}

#[test]
fn ten_thousand_random_bodies_are_understood_or_refused() {
    const FIELDS: [&str; 14] = [
        "prompt",
        "negative_prompt",
        "model",
        "n",
        "seed",
        "steps",
        "num_inference_steps",
        "guidance_scale",
        "size",
        "output_format",
        "response_format",
        "stream",
        "partial_images",
        "quality",
    ];
    block_on(async {
        // Bodies that are right come as far as the queue, which takes nothing.
        let Settings { limits, access, gallery } = settings();
        let limits = Limits { queue: 0, ..limits };
        let routes = server(Settings { limits, access, gallery }).routes();
        let mut rng = keyed_rng(23, 0, 0, 0);
        let mut random = |count: usize| below(&mut rng, count);
        let mut right = 0;
        for _ in 0..10_000 {
            let mut body = json!({"prompt": "a", "steps": 1});
            for _ in 0..1 + random(4) {
                body[FIELDS[random(FIELDS.len())]] = random_value(&mut random, 0);
            }
            let mut bytes = body.to_string().into_bytes();
            if random(2) == 0 {
                for _ in 0..1 + random(3) {
                    let place = random(bytes.len());
                    match random(3) {
                        0 => bytes[place] = random(256) as u8,
                        1 => bytes.truncate(place.max(1)),
                        _ => bytes.insert(place, b"\\\"{}[],:u\0"[random(10)]),
                    }
                }
            }
            let text = String::from_utf8_lossy(&bytes).into_owned();
            let reply = send(&routes, request(Method::POST, GENERATIONS, bytes)).await;
            assert!(reply.status.is_client_error(), "{}: {text}", reply.status);
            assert!(!reply.message().is_empty(), "{text}");
            right += usize::from(reply.status == StatusCode::TOO_MANY_REQUESTS);
        }
        println!("{right} bodies were right");
        assert!((100..5000).contains(&right), "{right} bodies were right");
    });
}
