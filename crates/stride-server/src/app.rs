//! What all routes share.

use std::sync::Arc;

use stride::pipeline::Pipeline;

use crate::engine::{Engine, Refusal};
use crate::error::ApiError;
use crate::facts::Facts;
use crate::gallery::Gallery;
use crate::job::Job;
use crate::job_store::JobStore;
use crate::limits::Limits;
use crate::metrics::Metrics;
use crate::order::Order;

/// The parts of a running server.
#[derive(Debug)]
pub(crate) struct App {
    pub(crate) pipeline: Arc<Pipeline>,
    pub(crate) facts: Arc<Facts>,
    pub(crate) limits: Limits,
    pub(crate) engine: Engine,
    pub(crate) jobs: JobStore,
    pub(crate) gallery: Option<Arc<Gallery>>,
    pub(crate) metrics: Arc<Metrics>,
}

impl App {
    /// Hands an order to the engine.
    ///
    /// # Errors
    /// The queue is full, or the server is about to end.
    pub(crate) fn submit(&self, order: Order) -> Result<Arc<Job>, ApiError> {
        self.engine.submit(order).map_err(|refusal| match refusal {
            Refusal::Full { waiting, capacity, seconds } => {
                ApiError::queue_full(waiting, capacity, seconds.ceil().max(1.0) as u64)
            }
            Refusal::Closed => ApiError::unavailable("the server is about to end"),
        })
    }
}
