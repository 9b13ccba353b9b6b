//! A content hash that tells whether derived data still belongs to its sources.

use std::fmt;

/// A 64-bit FNV-1a hash over named parts, e.g. a data listing and weights.
///
/// It detects change, not tampering. Each part is preceded by its length, so that moving a byte
/// from one part to the next changes the hash.
///
/// Source: Fowler, Noll and Vo, "FNV hash" (draft-eastlake-fnv), 64-bit variant 1a.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fingerprint(u64);

const OFFSET_BASIS: u64 = 0xcbf2_9ce4_8422_2325;
const PRIME: u64 = 0x0000_0100_0000_01b3;

impl Fingerprint {
    /// The fingerprint of nothing.
    pub fn new() -> Self {
        Self(OFFSET_BASIS)
    }

    /// The fingerprint with one more part.
    #[must_use]
    pub fn with(self, part: &[u8]) -> Self {
        let length = (part.len() as u64).to_le_bytes();
        let hash = |state: u64, bytes: &[u8]| {
            bytes.iter().fold(state, |h, &b| (h ^ u64::from(b)).wrapping_mul(PRIME))
        };
        Self(hash(hash(self.0, &length), part))
    }

    /// The hash as a number, e.g. as part of a random key.
    pub(crate) fn value(self) -> u64 {
        self.0
    }
}

impl Default for Fingerprint {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_do_not_run_together() {
        let of = |parts: &[&[u8]]| parts.iter().fold(Fingerprint::new(), |f, p| f.with(p));
        assert_eq!(of(&[b"ab", b"c"]), of(&[b"ab", b"c"]));
        assert_ne!(of(&[b"ab", b"c"]), of(&[b"a", b"bc"]));
        assert_ne!(of(&[b"ab"]), of(&[b"ab", b""]));
    }
}
