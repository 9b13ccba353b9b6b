//! The processes that train together: this one alone, or those that MPI started.
//!
//! Every process makes the whole batch and differentiates the loss of its part of the rows; the gradients are added, and
//! every process makes the same update. The first one, the leader, writes the run folder. What depends on a clock or a
//! signal is decided by one and told to all. A process that fails ends them all, so that nobody waits for it.

#[cfg(feature = "mpi")]
mod launched;
#[cfg(feature = "mpi")]
use launched::World;
#[cfg(not(feature = "mpi"))]
mod alone;
#[cfg(not(feature = "mpi"))]
use alone::World;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::rc::Rc;
use std::sync::Mutex;

use burn::tensor::Device;
use stride_files::ContentHash;

use super::loss_map::RowLoss;
use super::task::LossPart;
use crate::TrainError;
use crate::optim::NamedGradients;

/// This process among those that train together.
#[derive(Clone, Debug, Default)]
pub struct Ranks(Option<Rc<World>>);

/// Why processes do not fit together; the processes have different ones of these.
type Fingerprint = (&'static str, ContentHash);

impl Ranks {
    /// The processes that the launcher started, such as `mpirun` or `srun`; this one alone where none did, or where the
    /// program was built without the feature `mpi`.
    ///
    /// # Errors
    /// MPI does not start.
    pub fn of_launcher() -> Result<Self, TrainError> {
        World::of_launcher().map(|world| Self(world.map(Rc::new)))
    }

    /// The number of this process, from 0.
    pub fn rank(&self) -> usize {
        self.0.as_ref().map_or(0, |world| world.rank())
    }

    /// The number of processes.
    pub fn size(&self) -> usize {
        self.0.as_ref().map_or(1, |world| world.size())
    }

    /// Whether this process writes.
    pub fn is_leader(&self) -> bool {
        self.rank() == 0
    }

    /// Ends all processes, where there are others.
    pub fn abort(&self) {
        if let Some(world) = &self.0 {
            world.abort();
        }
    }

    /// What every process has, in their order.
    pub(super) fn gather(&self, own: Vec<u8>) -> Vec<Vec<u8>> {
        match &self.0 {
            Some(world) => world.gather(&own),
            None => vec![own],
        }
    }

    /// Waits until all processes are here.
    pub(super) fn meet(&self) {
        self.gather(Vec::new());
    }

    /// Whether it holds in any process.
    pub(super) fn any(&self, holds: bool) -> bool {
        self.gather(vec![holds.into()]).iter().any(|holds| *holds == [1])
    }

    /// What the leader says.
    pub(super) fn leader_says(&self, holds: bool) -> bool {
        self.gather(vec![holds.into()])[0] == [1]
    }

    /// The part of the shares, or of the rows, that is this process's.
    pub(super) fn part_of(&self, total: usize) -> Range<usize> {
        let (rank, size) = (self.rank(), self.size());
        rank * total / size..(rank + 1) * total / size
    }

    /// Checks that processes can divide shares among them so that the sum is the same for any number of them.
    pub(super) fn check_fixed(&self, shares: usize, rows: usize) -> Result<(), TrainError> {
        let size = self.size();
        if size > 1 && !(size.is_power_of_two() && size <= shares && rows >= shares) {
            return Err(TrainError::setting(format!(
                "training.deterministic: expected 1, 2, 4 or {shares} processes and a batch of {shares} rows at least, found \
                 {size} processes and {rows} rows"
            )));
        }
        Ok(())
    }

    /// Refuses processes that differ.
    ///
    /// # Errors
    /// Names what differs.
    pub(super) fn check_same(
        &self,
        own: impl IntoIterator<Item = Fingerprint>,
    ) -> Result<(), TrainError> {
        for (what, hash) in own {
            let all = self.gather(hash.to_string().into_bytes());
            if let Some(rank) = all.iter().position(|other| *other != all[0]) {
                return Err(TrainError::RanksDiffer { what, rank });
            }
        }
        Ok(())
    }

    /// Adds the gradients of all processes; where `is_fixed`, in pairs of neighbours, pairs of pairs and so on.
    pub(super) fn sum(&self, gradients: NamedGradients, is_fixed: bool) -> NamedGradients {
        let Some(world) = &self.0 else { return gradients };
        let device = gradients.device().unwrap_or_else(Device::flex);
        let mut own = gradients.into_host();
        // A part of the rows may leave a parameter out, such as the text encoder without a caption.
        let described: Vec<String> =
            own.iter().map(|(name, values)| format!("{name} {}", values.len())).collect();
        let all = self.gather(described.join("\n").into_bytes());
        let mut lengths = BTreeMap::new();
        for line in
            all.iter().filter_map(|list| std::str::from_utf8(list).ok()).flat_map(str::lines)
        {
            if let Some((name, length)) = line.rsplit_once(' ') {
                lengths.insert(name, length.parse::<usize>().unwrap_or_default());
            }
        }
        let mut flat = Vec::with_capacity(lengths.values().sum());
        for (&name, &length) in &lengths {
            match own.remove(name) {
                Some(values) => flat.extend(values),
                None => flat.resize(flat.len() + length, 0.0),
            }
        }
        world.sum(&mut flat, is_fixed);
        let mut rest = &flat[..];
        let split = lengths.into_iter().map(|(name, length)| {
            let (values, after) = rest.split_at(length);
            rest = after;
            (name.to_owned(), values.to_vec())
        });
        NamedGradients::from_host(split, &device)
    }

    /// Joins the losses of all processes.
    pub(super) fn join_losses(&self, parts: &mut Vec<LossPart>, rows: &mut Vec<RowLoss>) {
        if self.size() == 1 {
            return;
        }
        // As bits, since what is not finite has no form in JSON.
        type Losses = (Vec<(String, u64, usize)>, Vec<[u64; 3]>);
        let own: Losses = (
            parts
                .iter()
                .map(|part| (part.name.to_owned(), part.mean.to_bits(), part.rows))
                .collect(),
            rows.iter().map(|row| [row.t, row.log2_steps, row.loss].map(f64::to_bits)).collect(),
        );
        parts.clear();
        rows.clear();
        for other in self.gather(serde_json::to_vec(&own).unwrap_or_default()) {
            let (other_parts, other_rows): Losses =
                serde_json::from_slice(&other).unwrap_or_default();
            for (name, mean, rows) in other_parts {
                let part = LossPart { name: known(name), mean: f64::from_bits(mean), rows };
                LossPart::join(parts, part);
            }
            rows.extend(other_rows.into_iter().map(|row| {
                let [t, log2_steps, loss] = row.map(f64::from_bits);
                RowLoss { t, log2_steps, loss }
            }));
        }
    }
}

/// The name of a loss, which another process sent; there are few of them, and they stay.
fn known(name: String) -> &'static str {
    static KNOWN: Mutex<BTreeSet<&'static str>> = Mutex::new(BTreeSet::new());
    let mut known = KNOWN.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    if let Some(name) = known.get(name.as_str()) {
        return name;
    }
    let name: &'static str = Box::leak(name.into_boxed_str());
    known.insert(name);
    name
}
