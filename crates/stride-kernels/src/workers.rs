//! Workers that each run a share of a batch on one core.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use burn::tensor::Device;
use rayon::prelude::*;
use rayon::{ThreadPool, ThreadPoolBuildError, ThreadPoolBuilder};

use crate::device::is_cpu;

/// A fixed set of workers, one core each.
///
/// Small networks spend much of their time in passes that the tensor library runs on one
/// thread. Giving each core its own share of the batch keeps all of them busy without a barrier
/// per operation; inside a worker, parallel loops see one thread.
#[derive(Debug)]
pub struct Workers {
    pools: Vec<ThreadPool>,
}

impl Workers {
    /// `count` workers, at least one.
    ///
    /// # Errors
    /// The system refuses a thread.
    pub fn new(count: usize) -> Result<Self, ThreadPoolBuildError> {
        let pool = |_| ThreadPoolBuilder::new().num_threads(1).build();
        Ok(Self { pools: (0..count.max(1)).map(pool).collect::<Result<_, _>>()? })
    }

    /// Workers for what is computed on a device: one for every core that the process may use if it is the CPU, one
    /// in all for another, which runs one operation after the other.
    ///
    /// # Errors
    /// The system refuses a thread.
    pub fn on(device: &Device) -> Result<Self, ThreadPoolBuildError> {
        if is_cpu(device) { Self::per_core() } else { Self::new(1) }
    }

    /// One worker for every core the process may use, or for every thread of [`limit_threads`].
    ///
    /// # Errors
    /// The system refuses a thread.
    fn per_core() -> Result<Self, ThreadPoolBuildError> {
        Self::new(rayon::current_num_threads())
    }

    /// The number of workers.
    pub fn count(&self) -> usize {
        self.pools.len()
    }

    /// Runs `work` on each share at the same time, share i on worker i, and returns the results
    /// in the order of the shares.
    ///
    /// # Panics
    /// There are more shares than workers, or `work` panics.
    pub fn run<T: Send, R: Send>(&self, shares: Vec<T>, work: impl Fn(T) -> R + Sync) -> Vec<R> {
        assert!(
            shares.len() <= self.count(),
            "{} shares for {} workers",
            shares.len(),
            self.count()
        );
        let mut results: Vec<Option<R>> = shares.iter().map(|_| None).collect();
        thread::scope(|scope| {
            for ((pool, share), result) in self.pools.iter().zip(shares).zip(&mut results) {
                let work = &work;
                scope.spawn(move || *result = Some(pool.install(|| work(share))));
            }
        });
        results.into_iter().flatten().collect()
    }
}

/// Shares work among this many threads instead of one for every core; 0 is one for every core. To be called before any
/// work.
///
/// # Errors
/// Work has begun already, or the system refuses a thread.
pub fn limit_threads(count: usize) -> Result<(), ThreadPoolBuildError> {
    rayon::ThreadPoolBuilder::new().num_threads(count).build_global()
}

/// Runs `work` on one of the threads that parallel loops use, and keeps the others from falling asleep.
///
/// A small network is hundreds of loops of some ten microseconds, as long as it takes to wake a thread.
/// Begun elsewhere, a loop is handed over, and the thread that began it sleeps until the end. Here the loop begins at
/// once, and the others look for work in the next one in the meantime, giving way to other programs. So this
/// is for work that keeps all threads busy; where each runs a share of its own, [`Workers`] are better. Work on
/// another device than the CPU runs where it was begun.
pub fn among_threads<R: Send>(device: &Device, work: impl FnOnce() -> R + Send) -> R {
    if !is_cpu(device) {
        return work();
    }
    struct SetAtEnd<'a>(&'a AtomicBool);
    impl Drop for SetAtEnd<'_> {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Relaxed);
        }
    }
    let is_done = AtomicBool::new(false);
    rayon::scope(|scope| {
        let _guard = SetAtEnd(&is_done);
        let this_thread = rayon::current_thread_index();
        let is_done = &is_done;
        // Each thread gets one of these, and no other thread can take it.
        scope.spawn_broadcast(move |_, thread| {
            while Some(thread.index()) != this_thread && !is_done.load(Ordering::Relaxed) {
                if rayon::yield_now() != Some(rayon::Yield::Executed) {
                    thread::yield_now();
                }
            }
        });
        work()
    })
}

/// The results of `work` for every item, in their order: of all at the same time, one to a thread, on the CPU, and of
/// one after the other on another device.
pub fn map_on<T: Send, R: Send>(
    device: &Device,
    items: Vec<T>,
    work: impl Fn(T) -> R + Sync,
) -> Vec<R> {
    if is_cpu(device) {
        items.into_par_iter().map(&work).collect()
    } else {
        items.into_iter().map(work).collect()
    }
}

/// Cuts `0..total` into at most `parts` ranges of nearly equal length, none empty.
pub fn split_evenly(total: usize, parts: usize) -> Vec<std::ops::Range<usize>> {
    let parts = parts.clamp(1, total.max(1));
    (0..parts)
        .map(|i| (i * total / parts)..((i + 1) * total / parts))
        .filter(|range| !range.is_empty())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_keep_the_order_of_the_shares() {
        let workers = Workers::new(3).expect("threads");
        let sums = workers.run(split_evenly(10, 3), |range| range.sum::<usize>());
        assert_eq!(sums, [3, 12, 30]);
    }

    #[test]
    fn the_cpu_has_a_worker_for_every_core() {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        for device in [Device::flex(), Device::flex().autodiff()] {
            assert_eq!(Workers::on(&device).expect("threads").count(), cores);
        }
    }

    #[test]
    fn a_worker_sees_one_thread() {
        let workers = Workers::new(2).expect("threads");
        assert_eq!(workers.run(vec![(), ()], |()| rayon::current_num_threads()), [1, 1]);
    }

    #[test]
    fn work_among_threads_ends_with_its_loops_and_with_its_panics() {
        let device = Device::flex();
        let sum = || among_threads(&device, || (0..100).into_par_iter().sum::<u64>());
        let nested = || among_threads(&device, || sum() + sum());
        assert_eq!([nested(), nested()], [9900, 9900]);
        let panics =
            || std::panic::catch_unwind(|| among_threads(&Device::flex(), || panic!("on purpose")));
        assert!(panics().is_err() && panics().is_err());
        assert_eq!(sum(), 4950);
    }

    #[test]
    fn ranges_cover_everything_once() {
        for (total, parts) in [(10, 3), (2, 4), (64, 2), (0, 2)] {
            let covered: Vec<usize> = split_evenly(total, parts).into_iter().flatten().collect();
            assert_eq!(covered, (0..total).collect::<Vec<_>>());
        }
    }
}
