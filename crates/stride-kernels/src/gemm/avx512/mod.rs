//! Products by AVX-512.
//!
//! A is cut into panels of 8 rows and B into panels of 48 columns, both packed so that what a step
//! of the sum needs lies together (`panels`). A tile of 8 x 48 sums stays in 24 registers while a
//! stretch of K goes by (`tile`). The order is that of Goto and van de Geijn, "Anatomy of
//! high-performance matrix multiplication" (2008): the packed rows of A stay in the second-level
//! cache while one panel of B after the other goes by.

mod blocking;
mod buffer;
mod in_place;
mod panels;
mod rows;
mod tile;

use std::cell::RefCell;
use std::ops::Range;

use self::blocking::{
    LANES, MOST_PANELS, PACK_COST, Rectangles, TILE_COLS, TILE_ROWS, bands, stretches,
};
use self::buffer::Buffer;
pub(super) use self::in_place::multiply_patches;
pub(super) use self::panels::{Format, Panels};
use self::panels::{Place, Source};
pub(super) use self::rows::{Rows, padded_channels};
use self::tile::{Factor, Tile, activate};
use super::threads::{Target, for_each, threads_for};
use super::{Epilogue, MatrixRef};
use crate::activation::Activation;

/// The right factor.
#[derive(Clone, Copy)]
pub(super) enum Columns<'a> {
    Plain(MatrixRef<'a>),
    Packed(&'a Panels),
}

impl Columns<'_> {
    fn count(&self) -> usize {
        match self {
            Self::Plain(b) => b.cols,
            Self::Packed(panels) => panels.cols(),
        }
    }
}

thread_local! {
    /// Packed rows of A and columns of B.
    static BUFFERS: RefCell<(Buffer, Buffer)> = const { RefCell::new((Buffer::new(), Buffer::new())) };
}

/// C = act(A B + bias) into a target that has room for it.
///
/// # Safety
/// The processor does what `format` needs, in which B is packed if it is. The elements of A and B
/// lie in their slices; their shapes fit, and the target and the bias have room for the result.
pub(super) unsafe fn multiply(
    a: Rows,
    b: Columns,
    format: Format,
    epilogue: &Epilogue,
    target: Target,
) {
    let (rows, cols) = (a.count(), b.count());
    let threads = threads_for(rows, a.units(format) * format.depth(), cols);
    let b_cost = if matches!(b, Columns::Plain(_)) { PACK_COST } else { 0.0 };
    let rectangles = Rectangles::new((rows, LANES, PACK_COST), (cols, TILE_COLS, b_cost), threads);
    let product = Product { a, b, format, epilogue, target };
    for_each(rectangles.count(), threads, |index| {
        let (rows, cols) = rectangles.get(index);
        // No rayon call below, so no other product can start on this thread meanwhile.
        BUFFERS.with_borrow_mut(|(a, b)| product.rectangle(rows, cols, a, b));
    });
}

/// A product that keeps what [`multiply`] asks for, which everything below relies on.
struct Product<'a> {
    a: Rows<'a>,
    b: Columns<'a>,
    format: Format,
    epilogue: &'a Epilogue<'a>,
    target: Target<'a>,
}

impl Product<'_> {
    /// The part of C in some rows and columns, which start at multiples of a tile.
    fn rectangle(
        &self,
        rows: Range<usize>,
        cols: Range<usize>,
        a_buffer: &mut Buffer,
        b_buffer: &mut Buffer,
    ) {
        let stretches = stretches(self.a.units(self.format));
        let bands = bands(&rows);
        let panels = cols.start / TILE_COLS..cols.end.div_ceil(TILE_COLS);
        let cols_of = |panel: usize| panel * TILE_COLS..((panel + 1) * TILE_COLS).min(cols.end);
        let b = match self.b {
            Columns::Plain(b) => b,
            Columns::Packed(b) => {
                for (band, stretch) in
                    bands.flat_map(|band| stretches.clone().map(move |s| (band.clone(), s)))
                {
                    let a = self.pack_band(&band, &stretch, a_buffer);
                    for panel in panels.clone() {
                        let packed = b.panel(panel, &stretch);
                        self.multiply_panel(&band, &cols_of(panel), &stretch, a, packed);
                    }
                }
                return;
            }
        };
        // Panels of B that more than one band of A uses stay packed, each in its slot.
        let one_band = bands.len() == 1;
        let group = if one_band { panels.len() } else { MOST_PANELS };
        for first_panel in panels.clone().step_by(group) {
            let group = first_panel..(first_panel + group).min(panels.end);
            for stretch in stretches.clone() {
                for band in bands.clone() {
                    let a = self.pack_band(&band, &stretch, a_buffer);
                    for panel in group.clone() {
                        let cols = cols_of(panel);
                        let slot = if one_band { 0 } else { panel - first_panel };
                        let offset = slot * stretch.len() * TILE_COLS;
                        let end = offset + stretch.len() * TILE_COLS;
                        let packed = b_buffer.reserve(end).wrapping_add(offset);
                        if band.start == rows.start {
                            // SAFETY: the slot has room for a panel.
                            unsafe { pack_columns(b, &cols, &stretch, self.format, packed) };
                        }
                        self.multiply_panel(&band, &cols, &stretch, a, packed);
                    }
                }
            }
        }
    }

    /// Packs a stretch of K of some rows of A into panels, a whole number of vectors of rows.
    fn pack_band(
        &self,
        band: &Range<usize>,
        stretch: &Range<usize>,
        into: &mut Buffer,
    ) -> *const u32 {
        // SAFETY: A keeps what the product keeps.
        unsafe { self.a.pack(band, stretch, self.format, into) }
    }

    /// Adds a stretch of the sums of one panel of columns, and finishes them after the last.
    fn multiply_panel(
        &self,
        band: &Range<usize>,
        cols: &Range<usize>,
        stretch: &Range<usize>,
        a: *const u32,
        b: *const u32,
    ) {
        let is_first = stretch.start == 0;
        let is_last = stretch.end == self.a.units(self.format);
        let bias = self.epilogue.bias.filter(|_| is_last).map(|bias| &bias[cols.clone()]);
        for row in band.clone().step_by(TILE_ROWS) {
            let c = self.target.at(row, cols.start);
            let panel = a.wrapping_add((row - band.start) * stretch.len());
            let tile = Tile {
                a: Factor::Panel { units: stretch.len(), panel },
                b,
                c,
                c_row_stride: self.target.row_stride(),
                rows: TILE_ROWS.min(band.end - row),
                cols: cols.len(),
                b_width: TILE_COLS,
                add: (self.epilogue.accumulate || !is_first).then_some(c.cast_const()),
                bias,
                is_relu: is_last && self.epilogue.activation == Some(Activation::Relu),
            };
            // SAFETY: both panels are packed for this stretch, these elements of C are this
            // thread's alone, and the processor does what the format needs.
            unsafe {
                tile.multiply(self.format);
                if let Some(activation) = self.epilogue.activation.filter(|_| is_last) {
                    activate(activation, &tile);
                }
            }
        }
    }
}

/// Packs a stretch of K of some columns of B into panels.
///
/// # Safety
/// The elements lie in B, there is room for whole panels from `packed` on, which is a multiple of
/// 64 bytes, and the processor does what the format needs.
unsafe fn pack_columns(
    b: MatrixRef,
    cols: &Range<usize>,
    stretch: &Range<usize>,
    format: Format,
    packed: *mut u32,
) {
    let depth = format.depths(stretch, 0, b.rows);
    let place = Place::Strided {
        first: b.data.as_ptr().wrapping_add(cols.start * b.col_stride + depth.start * b.row_stride),
        lane_stride: b.col_stride,
        depth_stride: b.row_stride,
    };
    let source =
        Source { place, lanes: cols.len(), depth: depth.len(), panel_units: stretch.len() };
    // SAFETY: what is asked of the caller is what this asks.
    unsafe { panels::pack::<TILE_COLS>(format, &source, packed) };
}
