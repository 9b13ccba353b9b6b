//! Jobs that clients may ask about.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use crate::error::ApiError;
use crate::job::Job;

/// How long the result of a job is kept.
pub(crate) const KEPT_SECONDS: u64 = 600;
/// Pictures that are kept, at most; the oldest go first.
const KEPT_PICTURES: usize = 512;

/// Jobs by their names, until some time after they end.
#[derive(Debug, Default)]
pub(crate) struct JobStore {
    jobs: Mutex<HashMap<String, Entry>>,
}

#[derive(Debug)]
struct Entry {
    job: Arc<Job>,
    ended: Option<Instant>,
}

impl JobStore {
    /// Keeps a job and returns its name, which nobody can guess.
    ///
    /// # Errors
    /// The system has no random numbers.
    pub(crate) fn insert(&self, job: &Arc<Job>) -> Result<String, ApiError> {
        let random = || getrandom::u64().map_err(|error| ApiError::internal(error.to_string()));
        let id = format!("{:016x}{:016x}", random()?, random()?);
        self.lock().insert(id.clone(), Entry { job: Arc::clone(job), ended: None });
        Ok(id)
    }

    /// The job of a name.
    ///
    /// # Errors
    /// There is none.
    pub(crate) fn get(&self, id: &str) -> Result<Arc<Job>, ApiError> {
        let job = self.lock().get(id).map(|entry| Arc::clone(&entry.job));
        job.ok_or_else(|| {
            ApiError::not_found(format!(
                "expected a job that runs or ended within {KEPT_SECONDS} s, found no such one"
            ))
        })
    }

    /// Forgets what has been kept for long, or is too much. To be called now and then.
    pub(crate) fn forget_old(&self) {
        let now = Instant::now();
        let mut jobs = self.lock();
        let kept = Duration::from_secs(KEPT_SECONDS);
        jobs.retain(|_, entry| {
            if entry.ended.is_none() && entry.job.state().status.has_ended() {
                entry.ended = Some(now);
            }
            entry.ended.is_none_or(|ended| now - ended < kept)
        });
        let ended = jobs.iter().filter_map(|(id, entry)| {
            entry.ended.map(|ended| (ended, id.clone(), entry.job.order.request.count))
        });
        let mut ended: Vec<_> = ended.collect();
        ended.sort();
        let mut pictures: usize = ended.iter().map(|(.., count)| count).sum();
        for (_, id, count) in ended {
            if pictures <= KEPT_PICTURES {
                break;
            }
            jobs.remove(&id);
            pictures -= count;
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Entry>> {
        self.jobs.lock().unwrap_or_else(|error| error.into_inner())
    }
}
