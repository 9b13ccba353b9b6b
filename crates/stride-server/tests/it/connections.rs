//! Clients that go, that are slow, and that are there when the server ends.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use serde_json::json;
use stride_server::Settings;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::client::{block_on, generate, get, long, server, until_idle, until_ready};

/// A server on a free port: its address, its routes, what ends it, and its end.
async fn listening() -> (SocketAddr, Router, oneshot::Sender<()>, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let server = server(Settings::default());
    let routes = server.routes();
    until_ready(&routes).await;
    let (end, ended) = oneshot::channel::<()>();
    let running = tokio::spawn(async move {
        let shutdown = async {
            let _ = ended.await;
        };
        server.run(listener, shutdown).await;
    });
    (address, routes, end, running)
}

fn http(body: &str) -> String {
    format!(
        "POST /v1/images/generations HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

#[test]
fn a_client_that_goes_frees_its_places() {
    block_on(async {
        let (address, routes, _end, _running) = listening().await;
        for stream in [false, true] {
            let mut body = long(10);
            body["stream"] = json!(stream);
            let mut client = TcpStream::connect(address).expect("listens");
            client.write_all(http(&body.to_string()).as_bytes()).expect("sent");
            while get(&routes, "/info").await.json()["queue"] != 10 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            drop(client);
            until_idle(&routes, Duration::from_secs(2)).await;
        }
    });
}

#[test]
fn slow_and_half_open_clients_hold_no_place() {
    block_on(async {
        let (address, routes, _end, _running) = listening().await;
        let text = http(&json!({"prompt": "a", "steps": 1}).to_string());
        let connect = || TcpStream::connect(address).expect("listens");
        let mut slow: Vec<TcpStream> = (0..60).map(|_| connect()).collect();
        for (index, client) in slow.iter_mut().enumerate() {
            // Nothing, part of a head, part of a body.
            let part = [0, 20, text.len() - 4][index % 3];
            client.write_all(&text.as_bytes()[..part]).expect("sent");
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert_eq!(get(&routes, "/info").await.json()["queue"], 0);
        let mut quick = connect();
        quick.write_all(text.as_bytes()).expect("sent");
        let answer = tokio::task::spawn_blocking(move || {
            let mut answer = String::new();
            quick.read_to_string(&mut answer).map(|_| answer)
        });
        let answer = answer.await.expect("no panic").expect("an answer");
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer:.200}");
        drop(slow);
    });
}

#[test]
fn the_end_waits_for_what_was_accepted() {
    block_on(async {
        let (address, routes, end, running) = listening().await;
        let body = json!({"prompt": "a man", "steps": 64, "n": 2});
        let mut client = TcpStream::connect(address).expect("listens");
        client.write_all(http(&body.to_string()).as_bytes()).expect("sent");
        while get(&routes, "/info").await.json()["queue"] != 2 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        end.send(()).expect("runs");
        let answer = tokio::task::spawn_blocking(move || {
            let mut answer = String::new();
            client.read_to_string(&mut answer).map(|_| answer)
        });
        while get(&routes, "/ready").await.status == StatusCode::OK {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        assert_eq!(
            generate(&routes, &json!({"prompt": "a"})).await.status,
            StatusCode::SERVICE_UNAVAILABLE
        );
        let answer = answer.await.expect("no panic").expect("an answer");
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer:.200}");
        tokio::time::timeout(Duration::from_secs(5), running)
            .await
            .expect("ends")
            .expect("no panic");
        assert!(TcpStream::connect(address).is_err(), "nobody listens any more");
    });
}
