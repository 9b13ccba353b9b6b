//! The left factor of a product and its packing.

use std::ops::Range;

use super::super::{MatrixRef, Patches};
use super::blocking::{LANES, TILE_ROWS};
use super::buffer::Buffer;
use super::panels::{self, Format, Place, Source, parts_of, vector_offset};

/// The left factor.
#[derive(Clone, Copy)]
pub(in super::super) enum Rows<'a> {
    /// A matrix in memory.
    Matrix(MatrixRef<'a>),
    /// The transpose of the neighbourhoods of positions; the channels of each tap are rounded up to whole vectors of rows.
    PatchesTransposed(&'a Patches<'a>),
}

impl Rows<'_> {
    /// The number of rows.
    pub(super) fn count(&self) -> usize {
        match self {
            Self::Matrix(a) => a.rows,
            Self::PatchesTransposed(patches) => patches.taps() * padded_channels(patches),
        }
    }

    /// The units of K.
    pub(super) fn units(&self, format: Format) -> usize {
        match self {
            Self::Matrix(a) => a.cols.div_ceil(format.depth()),
            Self::PatchesTransposed(patches) => patches.positions().div_ceil(format.depth()),
        }
    }

    /// Packs a stretch of K of some rows into panels, a whole number of vectors of rows. The band
    /// begins at such a multiple.
    ///
    /// # Safety
    /// The elements of a matrix lie in its slice, and the processor does what the format needs.
    pub(super) unsafe fn pack(
        &self,
        band: &Range<usize>,
        stretch: &Range<usize>,
        format: Format,
        into: &mut Buffer,
    ) -> *const u32 {
        let packed = into.reserve(band.len().next_multiple_of(LANES) * stretch.len());
        let pack = |place: Place<'_>, lanes: usize, depth: usize, lane: usize| {
            let source = Source { place, lanes, depth, panel_units: stretch.len() };
            let offset = vector_offset::<TILE_ROWS>(lane, stretch.len());
            // SAFETY: the elements lie in A, the buffer has room for them, and the caller promises
            // the instructions.
            unsafe { panels::pack::<TILE_ROWS>(format, &source, packed.wrapping_add(offset)) };
        };
        match self {
            Self::Matrix(a) => {
                let depth = format.depths(stretch, 0, a.cols);
                let place = Place::Strided {
                    first: a
                        .data
                        .as_ptr()
                        .wrapping_add(band.start * a.row_stride + depth.start * a.col_stride),
                    lane_stride: a.row_stride,
                    depth_stride: a.col_stride,
                };
                pack(place, band.len(), depth.len(), 0);
            }
            Self::PatchesTransposed(patches) => {
                let channels = patches.channels();
                let depth = format.depths(stretch, 0, patches.positions());
                for (tap, rows) in parts_of(band, padded_channels(patches)) {
                    let first = rows.start - tap * padded_channels(patches);
                    let lanes = rows.len().min(channels - first);
                    let seen = patches.seen(tap, depth.clone());
                    let depths: Vec<_> = seen.map(|seen| seen[first..].as_ptr()).collect();
                    pack(Place::Depths(&depths), lanes, depth.len(), rows.start - band.start);
                }
            }
        }
        packed
    }
}

/// The rows that a tap takes in the transpose.
pub(in super::super) fn padded_channels(patches: &Patches) -> usize {
    patches.channels().next_multiple_of(LANES)
}
