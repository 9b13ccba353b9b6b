//! Processes that MPI started.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use mpi::collective::SystemOperation;
use mpi::datatype::PartitionMut;
use mpi::environment::{Threading, Universe};
use mpi::topology::SimpleCommunicator;
use mpi::traits::{Communicator as _, CommunicatorCollectives as _};

use crate::TrainError;

/// Variables that launchers set in every process.
const LAUNCHERS: [&str; 4] = ["OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "PMI_RANK", "PMIX_RANK"];
/// Numbers that are sent at once: 4 MB.
const BUCKET: usize = 1 << 20;
/// Seconds that a process waits for the others before it ends them all; the variable of this name changes them.
const TIMEOUT: &str = "STRIDE_RANK_TIMEOUT";
const TIMEOUT_SECONDS: u64 = 1800;

/// The processes of the launcher.
pub(super) struct World {
    world: SimpleCommunicator,
    waiting: Waiting,
    // Ends MPI when it is dropped, after what is above.
    _universe: Universe,
}

impl std::fmt::Debug for World {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "rank {} of {}", self.rank(), self.size())
    }
}

impl World {
    pub(super) fn of_launcher() -> Result<Option<Self>, TrainError> {
        if LAUNCHERS.iter().all(|name| std::env::var_os(name).is_none()) {
            return Ok(None);
        }
        // The thread that trains is the one that talks to the others.
        let Some((universe, _)) = mpi::initialize_with_threading(Threading::Funneled) else {
            return Err(TrainError::setting("MPI: it is in use already; start one run a process"));
        };
        let world = universe.world();
        if world.size() == 1 {
            return Ok(None);
        }
        let timeout = match std::env::var(TIMEOUT) {
            Ok(text) => text.parse().map_err(|_| {
                TrainError::setting(format!(
                    "{TIMEOUT}: expected a number of seconds, found {text}"
                ))
            })?,
            Err(_) => TIMEOUT_SECONDS,
        };
        Ok(Some(Self { world, waiting: Waiting::watched(timeout), _universe: universe }))
    }

    pub(super) fn rank(&self) -> usize {
        usize::try_from(self.world.rank()).expect("ranks count from 0")
    }

    pub(super) fn size(&self) -> usize {
        usize::try_from(self.world.size()).expect("there is one at least")
    }

    pub(super) fn abort(&self) {
        self.world.abort(1);
    }

    pub(super) fn gather(&self, own: &[u8]) -> Vec<Vec<u8>> {
        self.waiting.during(|| {
            let length = i32::try_from(own.len()).expect("messages are small");
            let mut counts = vec![0; self.size()];
            self.world.all_gather_into(&length, &mut counts[..]);
            let mut begin = 0;
            let mut begins = Vec::new();
            for count in &counts {
                begins.push(begin);
                begin += count;
            }
            if begin == 0 {
                // Open MPI refuses to gather into nothing.
                return vec![Vec::new(); self.size()];
            }
            let mut all = vec![0u8; usize::try_from(begin).expect("a sum of lengths")];
            let mut parts = PartitionMut::new(&mut all[..], &counts[..], &begins[..]);
            self.world.all_gather_varcount_into(own, &mut parts);
            let mut rest = &all[..];
            let split = counts.iter().map(|&count| {
                let (own, after) = rest.split_at(usize::try_from(count).expect("a length"));
                rest = after;
                own.to_vec()
            });
            split.collect()
        })
    }

    /// Adds the values of all processes.
    ///
    /// Where `is_fixed`, processes exchange what they have with their neighbour, then pairs with the neighbouring pair and
    /// so on. Addition does not care for its two sides, so all of them get the same sum, that of a tree over the ranks.
    pub(super) fn sum(&self, values: &mut [f32], is_fixed: bool) {
        let mut other = vec![0.0; BUCKET.min(values.len())];
        self.waiting.during(|| {
            for values in values.chunks_mut(BUCKET) {
                let other = &mut other[..values.len()];
                if !is_fixed {
                    self.world.all_reduce_into(&*values, &mut *other, SystemOperation::sum());
                    values.copy_from_slice(other);
                    continue;
                }
                let mut distance = 1;
                while distance < self.size() {
                    let rank = i32::try_from(self.rank() ^ distance).expect("a rank");
                    let partner = self.world.process_at_rank(rank);
                    mpi::point_to_point::send_receive_into(
                        &*values,
                        &partner,
                        &mut *other,
                        &partner,
                    );
                    values.iter_mut().zip(&*other).for_each(|(value, other)| *value += other);
                    distance *= 2;
                }
            }
        });
    }
}

/// Ends the process when it waits for the others for too long, as for one that hangs; the launcher then ends them all.
struct Waiting {
    start: Instant,
    /// Milliseconds from `start` to the beginning of the present wait, plus one; 0 while there is none.
    since: Arc<AtomicU64>,
}

impl Waiting {
    fn watched(timeout_seconds: u64) -> Self {
        let (start, since) = (Instant::now(), Arc::new(AtomicU64::new(0)));
        let watched = Arc::clone(&since);
        std::thread::spawn(move || {
            let timeout = u128::from(timeout_seconds) * 1000;
            loop {
                std::thread::sleep(Duration::from_millis(200));
                let since = watched.load(Ordering::Relaxed);
                if since > 0 && start.elapsed().as_millis() > u128::from(since) + timeout {
                    tracing::error!(
                        "no answer from another process for {timeout_seconds} s ({TIMEOUT}); start the job again with \
                         --resume latest"
                    );
                    std::process::abort();
                }
            }
        });
        Self { start, since }
    }

    fn during<R>(&self, wait: impl FnOnce() -> R) -> R {
        let now = u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX - 1);
        self.since.store(now + 1, Ordering::Relaxed);
        let result = wait();
        self.since.store(0, Ordering::Relaxed);
        result
    }
}
