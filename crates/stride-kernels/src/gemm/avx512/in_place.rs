//! Products of neighbourhoods whose rows are read where they lie.
//!
//! A pixel is part of as many neighbourhoods as the kernel has taps. Packing would copy it for each,
//! which costs as much as the product where there are few columns. But its channels lie together, so
//! a tile can take them from there, after one rounding of the whole picture for bfloat16.

use std::ops::Range;

use super::super::share::{Target, for_each, threads_for};
use super::super::{Epilogue, Patches};
use super::panels::{self, Format, Panels, parts_of};
use super::tile::{Factor, Tile};
use super::{TILE_COLS, TILE_ROWS, activate, stretches};
use crate::fresh::in_chunks;

/// Positions of a band: what the tiles read of them stays in the second-level cache.
const BAND: usize = 192;
/// Pixels that one task rounds.
const ROUNDED_PIXELS: usize = 1024;

/// C = act(A B + bias + residual) for the neighbourhoods A, into a target that has room for it.
///
/// # Safety
/// The processor does what the format of B needs; B fits the patches; the target, the bias and the
/// residual have room for the result, and their rows are as far apart as B has columns.
pub(in super::super) unsafe fn multiply_patches(
    patches: &Patches,
    b: &Panels,
    epilogue: &Epilogue,
    residual: Option<&[f32]>,
    target: Target,
) {
    let format = b.format();
    let pixels = Pixels::new(patches, format);
    let (positions, units) = (patches.positions(), patches.taps() * pixels.units);
    let stretches: Vec<_> = stretches(units).collect();
    let threads = threads_for(positions, units * format.depth(), b.cols());
    for_each(positions.div_ceil(BAND), threads, |band| {
        let band = band * BAND..((band + 1) * BAND).min(positions);
        for stretch in &stretches {
            let pieces = Pieces::new(&pixels, &band, stretch);
            for panel in 0..b.cols().div_ceil(TILE_COLS) {
                let cols = panel * TILE_COLS..((panel + 1) * TILE_COLS).min(b.cols());
                let is_last = stretch.end == units;
                let bias = epilogue.bias.filter(|_| is_last).map(|bias| &bias[cols.clone()]);
                for row in band.clone().step_by(TILE_ROWS) {
                    let c = target.at(row, cols.start);
                    let onto = residual.map(|residual| {
                        residual[row * target.row_stride() + cols.start..].as_ptr()
                    });
                    let tile = Tile {
                        a: pieces.of_rows(row - band.start),
                        b: b.panel(panel, stretch),
                        c,
                        c_row_stride: target.row_stride(),
                        rows: TILE_ROWS.min(band.end - row),
                        cols: cols.len(),
                        add: if stretch.start == 0 { onto } else { Some(c.cast_const()) },
                        bias,
                    };
                    // SAFETY: the pieces and the panel hold this stretch, these elements of C are
                    // this thread's alone, and the processor does what the format needs.
                    unsafe {
                        tile.multiply(format);
                        if let Some(activation) = epilogue.activation.filter(|_| is_last) {
                            activate::activate(activation, &tile);
                        }
                    }
                }
            }
        }
    });
}

/// The pictures of patches as units of 32 bits.
struct Pixels<'a> {
    patches: &'a Patches<'a>,
    /// Units of a pixel.
    units: usize,
    /// The units of all pixels, as the numbers that have their bits, unless they are the numbers
    /// themselves.
    rounded: Option<Vec<f32>>,
    /// A pixel of zeros.
    outside: Vec<u32>,
}

impl<'a> Pixels<'a> {
    fn new(patches: &'a Patches<'a>, format: Format) -> Self {
        let (data, channels) = (patches.data(), patches.channels());
        let units = channels.div_ceil(format.depth());
        let rounded = (format != Format::F32).then(|| {
            let count = data.len().checked_div(channels).unwrap_or(0) * units;
            let chunk = ROUNDED_PIXELS * units;
            in_chunks(count, chunk, |index, place| {
                let first = index * ROUNDED_PIXELS * channels;
                let numbers = &data[first..data.len().min(first + ROUNDED_PIXELS * channels)];
                // SAFETY: whoever multiplies in the format has its instructions.
                unsafe { panels::round_rows(format, channels, numbers, place) }
            })
        });
        Self { patches, units, rounded, outside: vec![0; units] }
    }

    /// The first unit of a pixel.
    fn at(&self, pixel: Option<usize>) -> *const u32 {
        let first: *const u32 = match &self.rounded {
            Some(rounded) => rounded.as_ptr().cast(),
            None => self.patches.data().as_ptr().cast(),
        };
        pixel.map_or(self.outside.as_ptr(), |pixel| first.wrapping_add(pixel * self.units))
    }
}

/// A stretch of K of a band of positions, in a piece for each tap.
struct Pieces {
    units: Vec<usize>,
    starts: Vec<*const u32>,
    positions: usize,
}

impl Pieces {
    fn new(pixels: &Pixels<'_>, band: &Range<usize>, stretch: &Range<usize>) -> Self {
        let (mut lengths, mut starts) = (Vec::new(), Vec::new());
        for (tap, units) in parts_of(stretch, pixels.units) {
            lengths.push(units.len());
            let skipped = units.start - tap * pixels.units;
            let seen = pixels.patches.pixels(tap, band.clone());
            starts.extend(seen.map(|pixel| pixels.at(pixel).wrapping_add(skipped)));
        }
        Self { units: lengths, starts, positions: band.len() }
    }

    /// The rows from one of the band on.
    fn of_rows(&self, first: usize) -> Factor<'_> {
        Factor::InPlace {
            pieces: &self.units,
            starts: self.starts.as_ptr().wrapping_add(first),
            pieces_apart: self.positions,
        }
    }
}
