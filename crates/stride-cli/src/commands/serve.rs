//! `stride serve`: a service and a page that draw with a model.

use std::io::Write as _;
use std::net::{SocketAddr, TcpListener, ToSocketAddrs as _};
use std::path::PathBuf;
use std::pin::pin;

use anyhow::{Context as _, anyhow};
use clap::Args;
use clap::builder::BoolishValueParser;
use futures_util::future::{Either, select};
use stride::objective::BASE_STEPS;
use stride_models::Model;
use stride_server::{Access, Limits, Server, Settings};

use crate::compute::ComputeOptions;
use crate::usage::usage;

/// Threads that wait for clients; the networks have their own.
const WAITING_THREADS: usize = 2;

/// Serve images over HTTP, with a page to draw on
///
/// Speaks OpenAI's images API (POST /v1/images/generations) and has a page for people at /; /openapi.json lists every
/// path. Requests are drawn together, whatever their prompts and steps. Ctrl-C and SIGTERM finish what was accepted.
#[derive(Debug, Args)]
#[command(mut_arg("device", |arg| arg.env("STRIDE_DEVICE")), mut_arg("dtype", |arg| arg.env("STRIDE_DTYPE")))]
pub(crate) struct Serve {
    /// Model folder [default: the model inside this program]
    #[arg(long, env = "STRIDE_MODEL", value_name = "DIR")]
    model: Option<PathBuf>,
    /// Address to listen on; one that other machines reach takes --api-key or --no-auth
    #[arg(long, env = "STRIDE_HOST", default_value = "127.0.0.1")]
    host: String,
    /// Port to listen on; 0 takes a free one, and the address is printed
    #[arg(long, env = "STRIDE_PORT", default_value_t = 7860)]
    port: u16,
    /// Key that every request must have, as a bearer token or as the password of basic authentication
    #[arg(long, env = "STRIDE_API_KEY", hide_env_values = true, value_name = "KEY")]
    api_key: Option<String>,
    /// Let other machines in without a key
    #[arg(long, env = "STRIDE_NO_AUTH", conflicts_with = "api_key", value_parser = BoolishValueParser::new())]
    no_auth: bool,
    /// Folder that every picture is kept in; the page shows and searches them [default: pictures are not kept]
    #[arg(long, env = "STRIDE_GALLERY", value_name = "DIR")]
    gallery: Option<PathBuf>,
    /// Origin of another site whose pages may send requests, e.g. https://example.org; several are split by commas
    #[arg(long, env = "STRIDE_CORS_ORIGIN", value_name = "ORIGIN", value_delimiter = ',')]
    cors_origin: Vec<String>,
    /// Images that are drawn or wait, of all clients together; more are refused with status 429
    #[arg(long, env = "STRIDE_MAX_QUEUE", value_name = "N", default_value_t = Limits::default().queue, value_parser = positive(100_000))]
    max_queue: usize,
    /// Images of one request, at most
    #[arg(long, env = "STRIDE_MAX_IMAGES", value_name = "N", default_value_t = Limits::default().images, value_parser = positive(1000))]
    max_images: usize,
    /// Steps of an image, at most
    #[arg(long, env = "STRIDE_MAX_STEPS", value_name = "N", default_value_t = Limits::default().steps, value_parser = positive(BASE_STEPS))]
    max_steps: usize,
    /// Characters of a prompt, at most
    #[arg(long, env = "STRIDE_MAX_PROMPT", value_name = "N", default_value_t = Limits::default().prompt, value_parser = positive(1 << 20))]
    max_prompt: usize,
    /// Bytes of a request's body, at most
    #[arg(long, env = "STRIDE_MAX_BODY", value_name = "N", default_value_t = Limits::default().body, value_parser = positive(1 << 30))]
    max_body: usize,
    #[command(flatten)]
    compute: ComputeOptions,
}

/// A number from 1 to the largest that makes sense.
fn positive(most: usize) -> impl Fn(&str) -> Result<usize, String> + Clone + Send + Sync + 'static {
    move |text| match text.parse() {
        Ok(number) if (1..=most).contains(&number) => Ok(number),
        _ => Err(format!("expected a number from 1 to {most}")),
    }
}

impl Serve {
    /// Serves until it is asked to end.
    pub(crate) fn run(self) -> anyhow::Result<()> {
        let address = self.address()?;
        let access = self.access(address)?;
        let limits = Limits {
            queue: self.max_queue,
            images: self.max_images,
            steps: self.max_steps,
            prompt: self.max_prompt,
            body: self.max_body,
        };
        // Before the model is loaded, since a port that is taken should be told at once.
        let listener = TcpListener::bind(address).with_context(|| {
            format!(
                "cannot listen on {address}; another --port may be free, and 0 takes one that is"
            )
        })?;
        let model = Model::load(self.model.as_deref(), &self.compute.device()?)?;
        let pipeline = model.pipeline.with_compute(self.compute.dtype());
        let model = Model { pipeline, hash: model.hash };
        let server = Server::new(model, Settings { limits, access, gallery: self.gallery })?;
        let address = listener.local_addr()?;
        let mut runtime = tokio::runtime::Builder::new_multi_thread();
        let runtime = runtime.worker_threads(WAITING_THREADS).enable_all().build()?;
        runtime.block_on(async {
            listener.set_nonblocking(true)?;
            let listener = tokio::net::TcpListener::from_std(listener)?;
            tracing::info!("open http://{address} in a browser; Ctrl-C ends the server");
            writeln!(crate::terminal::stdout(), "http://{address}")?;
            let shutdown = async {
                asked_to_end().await;
                // Whoever asks twice does not want to wait.
                tokio::spawn(async { std::process::exit(asked_to_end().await) });
            };
            server.run(listener, shutdown).await;
            Ok(())
        })
    }

    fn address(&self) -> anyhow::Result<SocketAddr> {
        let found = (self.host.as_str(), self.port).to_socket_addrs();
        let mut found = found
            .or_else(|error| usage(format!("--host {}: no such address: {error}", self.host)))?;
        found.next().ok_or_else(|| anyhow!("--host {}: no address of that name", self.host))
    }

    fn access(&self, address: SocketAddr) -> anyhow::Result<Access> {
        let is_local = address.ip().is_loopback();
        if self.api_key.as_deref().is_some_and(|key| key.trim().is_empty()) {
            return usage("--api-key: expected a key, found an empty one");
        }
        if !is_local && self.api_key.is_none() && !self.no_auth {
            return usage(format!(
                "--host {}: other machines reach this address, so it takes a key: set --api-key or \
                 STRIDE_API_KEY, or let everybody in with --no-auth",
                self.host
            ));
        }
        let origin = |origin: &String| match origin.parse() {
            Ok(value) if origin.contains("://") && !origin.ends_with('/') => Ok(value),
            _ => usage(format!(
                "--cors-origin {origin}: expected an origin such as https://example.org, without a path"
            )),
        };
        let origins = self.cors_origin.iter().map(origin).collect::<anyhow::Result<_>>()?;
        Ok(Access { api_key: self.api_key.clone(), origins, is_local: is_local && !self.no_auth })
    }
}

/// Waits for Ctrl-C or SIGTERM; the exit code of a program that it ends at once.
async fn asked_to_end() -> i32 {
    let (interrupt, terminate) = (pin!(tokio::signal::ctrl_c()), pin!(terminated()));
    match select(interrupt, terminate).await {
        Either::Left(_) => 130,
        Either::Right(_) => 143,
    }
}

#[cfg(unix)]
async fn terminated() {
    use tokio::signal::unix::{SignalKind, signal};
    match signal(SignalKind::terminate()) {
        Ok(mut signals) => {
            signals.recv().await;
        }
        Err(_) => std::future::pending().await,
    }
}

#[cfg(not(unix))]
async fn terminated() {
    std::future::pending().await
}
