//! Accepts connections and bounds what each of them can hold.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_io_timeout::TimeoutStream;

/// Connections at a time; others wait to be accepted.
const MAX_CONNECTIONS: usize = 1024;
/// Time for the head of a request, and between two requests of a connection.
const HEADER_TIMEOUT: Duration = Duration::from_secs(15);
/// Time in which a client has to take something of a reply that waits for it.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);
/// Pause after a connection could not be accepted, as when the process has too many files open.
const PAUSE: Duration = Duration::from_millis(100);

/// Serves until `shutdown`, calls `drain`, and returns when open requests are answered or `patience` is over.
pub(crate) async fn serve<D: Future<Output = ()>>(
    listener: TcpListener,
    routes: Router,
    shutdown: impl Future<Output = ()>,
    drain: impl FnOnce() -> D,
    patience: Duration,
) {
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let open = GracefulShutdown::new();
    let mut shutdown = std::pin::pin!(shutdown);
    loop {
        let accept = async {
            let place = Arc::clone(&places).acquire_owned().await;
            (place, listener.accept().await)
        };
        let (place, accepted) = match first(&mut shutdown, accept).await {
            Some(accepted) => accepted,
            None => break,
        };
        let Ok((stream, _)) = accepted else {
            tokio::time::sleep(PAUSE).await;
            continue;
        };
        // Events are small, and each of them is to arrive at once.
        let _ = stream.set_nodelay(true);
        let mut stream = TimeoutStream::new(stream);
        stream.set_write_timeout(Some(WRITE_TIMEOUT));
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEADER_TIMEOUT)
            .serve_connection(
                TokioIo::new(Box::pin(stream)),
                TowerToHyperService::new(routes.clone()),
            );
        let connection = open.watch(connection);
        tokio::spawn(async move {
            // A client that breaks off is no concern of anybody else.
            let _ = connection.await;
            drop(place);
        });
    }
    drop(listener);
    drain().await;
    let _ = tokio::time::timeout(patience, open.shutdown()).await;
}

/// What the second future gives, unless the first one is over before.
async fn first<T>(
    stop: &mut (impl Future<Output = ()> + Unpin),
    work: impl Future<Output = T>,
) -> Option<T> {
    use futures_util::future::{Either, select};
    match select(stop, std::pin::pin!(work)).await {
        Either::Left(_) => None,
        Either::Right((value, _)) => Some(value),
    }
}
