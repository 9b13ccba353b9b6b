//! `stride serve`: its flags, its end, and kills in the middle.

use std::collections::HashSet;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::model::workplace;
use crate::mutations::Draws;
use crate::program::{command, run};

/// A server with the tiny model, and its address.
struct Served {
    program: Child,
    address: String,
}

impl Served {
    fn start(folder: &Path, arguments: &[&str]) -> Self {
        let arguments = [&["serve", "--model", "model", "--port", "0"], arguments].concat();
        let log = folder.join("errors.log");
        let errors = std::fs::File::options().append(true).create(true).open(log);
        let errors = errors.expect("writable");
        let mut command = command(folder, &arguments);
        let mut program = command.stdout(Stdio::piped()).stderr(errors).spawn().expect("starts");
        let mut line = String::new();
        let stdout = program.stdout.take().expect("piped");
        BufReader::new(stdout).read_line(&mut line).expect("readable");
        let address = line.trim().strip_prefix("http://").expect("an address").to_owned();
        Self { program, address }
    }

    /// Sends a signal by its name, and waits for the exit code.
    fn end(mut self, signal: &str) -> Option<i32> {
        let id = self.program.id().to_string();
        let sent = std::process::Command::new("kill").args(["-s", signal, &id]).status();
        assert!(sent.expect("the system has kill").success());
        self.program.wait().expect("a child").code()
    }
}

/// The body of a reply of status 200; nothing if the server is gone, or says anything else.
fn ask(address: &str, method: &str, path: &str, body: &str) -> Option<Vec<u8>> {
    let mut client = TcpStream::connect(address).ok()?;
    let length = body.len();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
    );
    client.write_all(request.as_bytes()).ok()?;
    let mut reply = Vec::new();
    client.read_to_end(&mut reply).ok()?;
    let head = reply.windows(4).position(|bytes| bytes == b"\r\n\r\n")?;
    let text = std::str::from_utf8(&reply[..head]).ok()?.to_ascii_lowercase();
    let length = text.lines().find_map(|line| line.strip_prefix("content-length: "))?;
    let body = reply.split_off(head + 4);
    (text.starts_with("http/1.1 200") && length.parse() == Ok(body.len())).then_some(body)
}

fn ask_json(address: &str, method: &str, path: &str, body: &Value) -> Option<Value> {
    serde_json::from_slice(&ask(address, method, path, &body.to_string())?).ok()
}

#[test]
fn addresses_of_others_take_a_key() {
    let place = workplace();
    let serve = |more: &[&str]| run(place.path(), &[&["serve", "--model", "model"], more].concat());
    serve(&["--host", "0.0.0.0"]).expect(2).says(&["--host 0.0.0.0", "--api-key", "--no-auth"]);
    serve(&["--api-key", " "]).expect(2).says(&["--api-key"]);
    serve(&["--api-key", "k", "--no-auth"]).expect(2).says(&["--no-auth"]);
    serve(&["--max-steps", "129"]).expect(2).says(&["1 to 128"]);
    serve(&["--cors-origin", "example.org"]).expect(2).says(&["https://example.org"]);
    let mut variable = command(place.path(), &["serve"]);
    let refused = variable.env("STRIDE_MAX_QUEUE", "0").output().expect("starts");
    assert_eq!(refused.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("1 to 100000"));
}

#[test]
fn it_ends_in_order() {
    let place = workplace();
    for (signal, arguments) in [("TERM", &[][..]), ("INT", &["--gallery", "pictures"])] {
        let served = Served::start(place.path(), arguments);
        let address = served.address.clone();
        let body = json!({"prompt": "a man", "steps": 64, "n": 4, "guidance_scale": 1});
        let client =
            thread::spawn(move || ask_json(&address, "POST", "/v1/images/generations", &body));
        thread::sleep(Duration::from_millis(100));
        assert_eq!(served.end(signal), Some(0), "{signal}");
        let reply = client.join().expect("no panic").expect("what was accepted is answered");
        assert_eq!(reply["data"].as_array().map(Vec::len), Some(4));
    }
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = taken.local_addr().expect("an address").port().to_string();
    let refused = run(place.path(), &["serve", "--model", "model", "--port", &port]);
    refused.expect(1).says(&["cannot listen", "--port"]);
}

/// Takes most of a minute: a client that says nothing, one that stops in its body and one that takes no reply are dropped in
/// time, and hinder nobody meanwhile.
#[test]
fn slow_clients_are_dropped() {
    if std::env::var_os("RUN_SLOW_TESTS").is_none() {
        return;
    }
    let place = workplace();
    let served = Served::start(place.path(), &[]);
    let begin = |sent: &str| {
        let mut client = TcpStream::connect(&served.address).expect("accepted");
        client.write_all(sent.as_bytes()).expect("sent");
        client.set_read_timeout(Some(Duration::from_secs(60))).expect("a socket");
        client
    };
    let head = "POST /v1/images/generations HTTP/1.1\r\nhost: localhost\r\ncontent-length: 100\r\n\r\n{\"prompt\"";
    let start = Instant::now();
    let [silent, half_head, half_body] = [begin(""), begin("POST /jo"), begin(head)];
    // As many replies as no buffer of the system holds.
    let deaf = TcpStream::connect(&served.address).expect("accepted");
    deaf.set_write_timeout(Some(Duration::from_secs(60))).expect("a socket");
    let asking = thread::spawn(move || {
        let mut deaf = deaf;
        while deaf.write_all(b"GET /openapi.json HTTP/1.1\r\nhost: localhost\r\n\r\n").is_ok() {}
    });
    for _ in 0..20 {
        assert!(ask(&served.address, "GET", "/health", "").is_some(), "others are served");
    }
    let rest = |mut client: TcpStream| {
        let mut reply = String::new();
        client.read_to_string(&mut reply).expect("closed by the server");
        (reply, start.elapsed().as_secs())
    };
    let (reply, seconds) = rest(half_body);
    assert!(
        reply.starts_with("HTTP/1.1 408") && (9..14).contains(&seconds),
        "{seconds} s: {reply}"
    );
    for client in [silent, half_head] {
        let (_, seconds) = rest(client);
        assert!((14..20).contains(&seconds), "{seconds} s");
    }
    asking.join().expect("no panic");
    assert!((29..50).contains(&start.elapsed().as_secs()), "{:?}", start.elapsed());
    assert_eq!(served.end("TERM"), Some(0));
}

/// Whatever a client has got is in the gallery after any kill, and the gallery opens without a complaint.
#[test]
fn kills_lose_no_picture() {
    let kills = if std::env::var_os("RUN_SLOW_TESTS").is_some() { 100 } else { 4 };
    let place = workplace();
    let mut draws = Draws(19);
    let mut seen: HashSet<u64> = HashSet::new();
    for kill in 0..kills {
        let served = Served::start(place.path(), &["--gallery", "pictures"]);
        let clients: Vec<_> = (0..3_u64)
            .map(|client| {
                let address = served.address.clone();
                thread::spawn(move || {
                    let mut seeds = Vec::new();
                    for request in 0.. {
                        let seed = (kill as u64 * 3 + client) * 100_000 + request;
                        let body = json!({"prompt": "a man", "steps": 2, "seed": seed, "guidance_scale": 1});
                        if ask_json(&address, "POST", "/v1/images/generations", &body).is_none() {
                            break;
                        }
                        seeds.push(seed);
                    }
                    seeds
                })
            })
            .collect();
        thread::sleep(Duration::from_millis(20 + draws.below(400) as u64));
        served.end("KILL");
        seen.extend(clients.into_iter().flat_map(|client| client.join().expect("no panic")));
    }
    let served = Served::start(place.path(), &["--gallery", "pictures"]);
    let mut kept = HashSet::new();
    let mut path = "/gallery?limit=200".to_owned();
    loop {
        let page = ask_json(&served.address, "GET", &path, &Value::Null).expect("a list");
        let pictures = page["pictures"].as_array().expect("a list");
        let Some(last) = pictures.last() else { break };
        path = format!("/gallery?limit=200&before={}", last["id"]);
        for picture in pictures {
            kept.insert(picture["seed"].as_u64().expect("a number"));
            let file = ask(&served.address, "GET", &format!("/gallery/{}", picture["id"]), "");
            assert!(file.is_some_and(|file| file.starts_with(b"\x89PNG")), "{picture}");
        }
    }
    assert_eq!(served.end("TERM"), Some(0));
    println!("{kills} kills, {} pictures answered, {} kept", seen.len(), kept.len());
    assert!(!seen.is_empty());
    let lost: Vec<_> = seen.difference(&kept).collect();
    assert!(lost.is_empty(), "lost {lost:?}");
    let errors = std::fs::read_to_string(place.path().join("errors.log")).expect("a log");
    assert!(!errors.contains("WARN") && !errors.contains("ERROR"), "{errors}");
}
