//! OpenAI's images API.

use std::ops::ControlFlow;

use axum::http::{Method, StatusCode};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use futures_util::future::join_all;
use serde_json::{Value, json};
use stride::image::read_image_file;
use stride::noise::{below, keyed_rng};
use stride::pipeline::{GenerateRequest, Pipeline};
use stride_server::{Limits, Settings};

use crate::client::{GENERATIONS, block_on, events, generate, get, model, request, server};

fn decoded(value: &Value) -> Vec<u8> {
    BASE64_STANDARD.decode(value.as_str().expect("base64")).expect("base64")
}

/// The bytes of an image's channels.
fn pixels(png: &[u8]) -> Vec<u8> {
    image::load_from_memory(png).expect("a PNG file").to_rgb8().into_raw()
}

/// What the request draws without a server.
fn alone(pipeline: &Pipeline, request: &GenerateRequest) -> Vec<Vec<u8>> {
    let images = pipeline.generate(request, &mut |_| ControlFlow::Continue(())).expect("drawn");
    images.into_iter().map(|image| image.image.pixels).collect()
}

#[test]
fn replies_have_what_clients_of_openai_read() {
    block_on(async {
        let routes = server(Settings::default()).routes();
        let body = json!({
            "prompt": "a man with glasses", "model": null, "n": 2, "seed": 7, "steps": 2, "size": "auto",
            "quality": "low", "background": "auto", "moderation": "low", "style": "vivid", "user": null,
            "response_format": "b64_json", "output_format": null, "some_new_field": [1, {"a": 2}],
        });
        let reply = generate(&routes, &body).await;
        assert_eq!(reply.status, StatusCode::OK);
        let json = reply.json();
        for field in ["created", "data", "background", "output_format", "quality", "size", "usage"]
        {
            assert!(!json[field].is_null(), "{field}");
        }
        for field in ["input_tokens", "output_tokens", "total_tokens", "input_tokens_details"] {
            assert!(!json["usage"][field].is_null(), "{field}");
        }
        assert_eq!(
            (&json["seed"], &json["steps"], &json["quality"]),
            (&json!(7), &json!(2), &json!("low"))
        );
        let files: Vec<Vec<u8>> = (0..2).map(|k| decoded(&json["data"][k]["b64_json"])).collect();
        assert_eq!(json["data"][1]["seed"], 8);
        let metadata = read_image_file(&files[1]).expect("a PNG file").metadata;
        let settings: Value = serde_json::from_str(&metadata.json.expect("JSON")).expect("JSON");
        assert_eq!(settings["seed"], 8);
        assert!(metadata.parameters.expect("a text").contains("Steps: 2, "));
        // The last image of a request may be alone in its steps, but not surely.
        let again = generate(
            &routes,
            &json!({"prompt": "a man with glasses", "seed": 8, "num_inference_steps": 2}),
        )
        .await;
        let again = decoded(&again.json()["data"][0]["b64_json"]);
        let pipeline = model().pipeline;
        let request = GenerateRequest {
            prompt: "a man with glasses".to_owned(),
            negative_prompt: None,
            num_steps: 2,
            cfg_scale: json["guidance_scale"].as_f64().expect("a number"),
            seed: 8,
            count: 1,
            as_typed: false,
        };
        assert_eq!(
            pixels(&again),
            alone(&pipeline, &request)[0],
            "alone, it is what the program draws"
        );
        let models = get(&routes, "/v1/models").await.json();
        let name = models["data"][0]["id"].as_str().expect("a name");
        assert_eq!(get(&routes, &format!("/v1/models/{name}")).await.status, StatusCode::OK);
        let named = json!({"prompt": "", "model": name, "steps": 1, "output_format": "jpeg", "output_compression": 0});
        let jpeg = decoded(&generate(&routes, &named).await.json()["data"][0]["b64_json"]);
        assert!(jpeg.starts_with(&[0xff, 0xd8]) && jpeg.len() < files[0].len());
        let webp = json!({"prompt": "a hat", "steps": 1, "output_format": "webp"});
        let webp = decoded(&generate(&routes, &webp).await.json()["data"][0]["b64_json"]);
        assert!(webp.starts_with(b"RIFF"));
    });
}

#[test]
fn addresses_lead_to_the_files() {
    block_on(async {
        let routes = server(Settings::default()).routes();
        let body = json!({"prompt": "a woman", "steps": 1, "n": 2, "response_format": "url"});
        let json = generate(&routes, &body).await.json();
        let url = json["data"][1]["url"].as_str().expect("an address");
        assert!(json["data"][1].get("b64_json").is_none());
        let path = url.strip_prefix("http://localhost:7860").expect("this host");
        let file = get(&routes, path).await;
        assert_eq!((file.status, file.header("content-type")), (StatusCode::OK, Some("image/png")));
        assert!(!pixels(&file.body).is_empty());
    });
}

#[test]
fn streams_tell_previews_and_images() {
    block_on(async {
        let routes = server(Settings::default()).routes();
        let body = json!({"prompt": "a man", "steps": 8, "n": 2, "stream": true, "partial_images": 3, "seed": 3});
        let told = events(&routes, request(Method::POST, GENERATIONS, body.to_string())).await;
        let kinds = |kind: &'static str| {
            told.iter().filter(move |(name, _)| name == kind).map(|(_, data)| data)
        };
        let completed: Vec<&Value> = kinds("image_generation.completed").collect();
        assert_eq!(completed.len(), 2);
        let partial: Vec<&Value> = kinds("image_generation.partial_image").collect();
        assert!(!partial.is_empty() && partial.len() <= 6, "{} previews", partial.len());
        assert_eq!(completed.len() + partial.len(), told.len());
        for event in completed.iter().chain(&partial) {
            for field in
                ["b64_json", "created_at", "size", "quality", "background", "output_format"]
            {
                assert!(!event[field].is_null(), "{field}");
            }
        }
        for event in &completed {
            assert_eq!(event["type"], "image_generation.completed");
            assert!(event["usage"]["total_tokens"].as_u64() > Some(0));
            assert!(!pixels(&decoded(&event["b64_json"])).is_empty());
        }
        for seed in [3, 4] {
            let indices = partial.iter().filter(|event| event["seed"] == seed);
            let indices: Vec<u64> =
                indices.filter_map(|event| event["partial_image_index"].as_u64()).collect();
            assert!(indices.iter().copied().eq(0..indices.len() as u64), "{indices:?}");
        }
        let plain = json!({"prompt": "a man", "steps": 1, "stream": true, "partial_images": 0});
        let told = events(&routes, request(Method::POST, GENERATIONS, plain.to_string())).await;
        assert_eq!(told.len(), 1);
    });
}

/// Requests of all kinds at once draw what each of them draws alone, up to rounding.
#[test]
fn a_picture_does_not_depend_on_its_company() {
    block_on(async {
        let limits = Limits { queue: 100, ..Limits::default() };
        let routes = server(Settings { limits, ..Settings::default() }).routes();
        let mut rng = keyed_rng(19, 0, 0, 0);
        let mut random = |count: usize| below(&mut rng, count);
        let prompts = [
            "",
            "a man with glasses",
            "a woman with red hair",
            "a smiling man with a beard and a hat",
        ];
        let facts = get(&routes, "/info").await.json();
        let can_guide = |steps: usize| {
            facts["guidance"]["steps"].as_array().expect("a list").contains(&json!(steps))
        };
        let requests: Vec<GenerateRequest> = (0..24)
            .map(|index| {
                let num_steps = [1, 2, 3, 4, 8, 20][random(6)];
                let scale = [1.0, 1.5, 3.0][random(3)];
                GenerateRequest {
                    prompt: prompts[random(4)].to_owned(),
                    negative_prompt: None,
                    num_steps,
                    cfg_scale: if can_guide(num_steps) { scale } else { 1.0 },
                    seed: index,
                    count: 1 + random(2),
                    as_typed: false,
                }
            })
            .collect();
        let replies = join_all(requests.iter().map(|request| {
            let body = json!({
                "prompt": request.prompt, "steps": request.num_steps, "guidance_scale": request.cfg_scale,
                "seed": request.seed, "n": request.count,
            });
            let routes = &routes;
            async move { generate(routes, &body).await }
        }))
        .await;
        let pipeline = model().pipeline;
        let (mut largest, mut differing, mut values) = (0, 0, 0);
        for (request, reply) in requests.iter().zip(replies) {
            let data = reply.json()["data"].clone();
            for (k, alone) in alone(&pipeline, request).iter().enumerate() {
                let together = pixels(&decoded(&data[k]["b64_json"]));
                assert_eq!(alone.len(), together.len());
                for (alone, together) in alone.iter().zip(together) {
                    let difference = alone.abs_diff(together);
                    largest = largest.max(difference);
                    differing += usize::from(difference > 0);
                    values += 1;
                }
            }
        }
        let metrics = String::from_utf8(get(&routes, "/metrics").await.body).expect("text");
        let rows = metrics.lines().filter(|line| {
            line.starts_with("stride_batch_rows_sum") || line.starts_with("stride_batch_rows_count")
        });
        println!("{differing} of {values} values differ, by {largest} of 255 at most");
        println!("{}", rows.collect::<Vec<_>>().join(", "));
        assert!(largest <= 8 && differing * 100 < values, "{differing} of {values}, by {largest}");
    });
}
