//! A server from its model to its last reply.

use std::future::Future;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use stride_models::Model;
use thiserror::Error;
use tokio::net::TcpListener;

use crate::app::App;
use crate::connections;
use crate::engine::Engine;
use crate::facts::Facts;
use crate::gallery::{Gallery, GalleryError};
use crate::guard::{Access, guarded};
use crate::job_store::JobStore;
use crate::limits::Limits;
use crate::metrics::Metrics;
use crate::routes::router;

/// Time for accepted requests once the server is asked to end.
const PATIENCE: Duration = Duration::from_secs(60);
/// Time between two looks for jobs that nobody asks about any more.
const FORGET_EVERY: Duration = Duration::from_secs(5);

/// How to serve.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// What a client may ask for.
    pub limits: Limits,
    /// Who may ask.
    pub access: Access,
    /// Where pictures are kept, if they are.
    pub gallery: Option<PathBuf>,
}

/// A model that draws for whoever asks.
#[derive(Debug)]
pub struct Server {
    app: Arc<App>,
    access: Access,
}

/// A server that cannot begin.
#[derive(Debug, Error)]
pub enum ServerError {
    /// The gallery cannot be used.
    #[error(transparent)]
    Gallery(#[from] GalleryError),
    /// The system refuses a thread.
    #[error("the system refuses a thread: {0}")]
    Thread(io::Error),
}

impl From<io::Error> for ServerError {
    fn from(error: io::Error) -> Self {
        Self::Thread(error)
    }
}

impl Server {
    /// Opens the gallery and starts the engine, which measures the model first.
    ///
    /// # Errors
    /// The gallery cannot be used, or the system refuses a thread.
    pub fn new(model: Model, settings: Settings) -> Result<Self, ServerError> {
        let Settings { limits, access, gallery } = settings;
        let gallery = gallery.map(|dir| Gallery::open(&dir)).transpose()?.map(Arc::new);
        let facts = Arc::new(Facts::of(&model.pipeline, &model.hash));
        let pipeline = Arc::new(model.pipeline);
        let metrics = Arc::new(Metrics::new());
        let engine = Engine::start(
            Arc::clone(&pipeline),
            Arc::clone(&facts),
            gallery.clone(),
            Arc::clone(&metrics),
            limits.queue,
        )?;
        let jobs = JobStore::default();
        let app = App { pipeline, facts, limits, engine, jobs, gallery, metrics };
        Ok(Self { app: Arc::new(app), access })
    }

    /// Every path, as it answers to whoever asks.
    pub fn routes(&self) -> Router {
        let routes = router(Arc::clone(&self.app));
        guarded(routes, self.access.clone(), Arc::clone(&self.app.metrics))
    }

    /// Serves until `shutdown`; then accepts nothing more, and finishes what was accepted.
    pub async fn run(self, listener: TcpListener, shutdown: impl Future<Output = ()>) {
        let app = Arc::clone(&self.app);
        let forget = tokio::spawn(async move {
            loop {
                tokio::time::sleep(FORGET_EVERY).await;
                app.jobs.forget_old();
            }
        });
        let drain = || async {
            tracing::info!("finishes what was accepted, and ends");
            if !self.app.engine.close(PATIENCE).await {
                tracing::warn!(
                    "gave up requests that were not done after {} s",
                    PATIENCE.as_secs()
                );
            }
        };
        connections::serve(listener, self.routes(), shutdown, drain, PATIENCE).await;
        forget.abort();
    }
}
