//! A program built without MPI has no other processes.

use crate::TrainError;

/// Variables by which launchers tell a process that it is one of several.
const SIZES: [&str; 2] = ["OMPI_COMM_WORLD_SIZE", "PMI_SIZE"];

/// Nothing is of this type.
#[derive(Debug)]
pub(super) enum World {}

impl World {
    pub(super) fn of_launcher() -> Result<Option<Self>, TrainError> {
        let is_several = |name| std::env::var(name).is_ok_and(|size| size != "1" && size != "0");
        if SIZES.into_iter().any(is_several) {
            return Err(TrainError::NoMpi);
        }
        Ok(None)
    }

    pub(super) fn rank(&self) -> usize {
        match *self {}
    }

    pub(super) fn size(&self) -> usize {
        match *self {}
    }

    pub(super) fn abort(&self) {
        match *self {}
    }

    pub(super) fn gather(&self, _own: &[u8]) -> Vec<Vec<u8>> {
        match *self {}
    }

    pub(super) fn sum(&self, _values: &mut [f32], _is_fixed: bool) {
        match *self {}
    }
}
