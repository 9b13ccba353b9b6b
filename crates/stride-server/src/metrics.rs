//! What `/metrics` tells, in the text format of Prometheus.

use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

/// Counters and histograms of one server.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    /// Images that are drawn or wait.
    pub(crate) queue: Gauge,
    /// Rows of each step's forward pass.
    pub(crate) batch_rows: Histogram,
    /// Seconds of each step.
    pub(crate) step_seconds: Histogram,
    /// Seconds of each decoded image or preview.
    pub(crate) decode_seconds: Histogram,
    /// Seconds from a request to its last image.
    pub(crate) job_seconds: Histogram,
    /// Finished images.
    pub(crate) images: Counter,
    failures: Family<CauseLabel, Counter>,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct CauseLabel {
    cause: &'static str,
}

impl Metrics {
    /// Nothing has happened yet.
    pub(crate) fn new() -> Self {
        let seconds = || Histogram::new(exponential_buckets(0.001, 2.0, 18));
        let mut metrics = Self {
            registry: Registry::with_prefix("stride"),
            queue: Gauge::default(),
            batch_rows: Histogram::new(exponential_buckets(1.0, 2.0, 7)),
            step_seconds: seconds(),
            decode_seconds: seconds(),
            job_seconds: seconds(),
            images: Counter::default(),
            failures: Family::default(),
        };
        let registry = &mut metrics.registry;
        registry.register("queue_images", "Images that are drawn or wait", metrics.queue.clone());
        let rows = metrics.batch_rows.clone();
        registry.register("batch_rows", "Rows of the transformer's batch at each step", rows);
        let steps = metrics.step_seconds.clone();
        registry.register("step_seconds", "Time of each step of a batch", steps);
        let decodes = metrics.decode_seconds.clone();
        registry.register("decode_seconds", "Time to decode an image or preview", decodes);
        let jobs = metrics.job_seconds.clone();
        registry.register("job_seconds", "Time from a request to its last image", jobs);
        registry.register("images", "Finished images", metrics.images.clone());
        let failures = metrics.failures.clone();
        registry.register("failures", "Requests that failed, by cause", failures);
        metrics
    }

    /// Counts a request that failed.
    pub(crate) fn count_failure(&self, cause: &'static str) {
        self.failures.get_or_create(&CauseLabel { cause }).inc();
    }

    /// The text that Prometheus reads.
    pub(crate) fn to_text(&self) -> String {
        let mut text = String::new();
        text::encode(&mut text, &self.registry).expect("a string takes all that is written");
        text
    }
}
