//! Products of neighbourhoods whose rows are read where they lie.
//!
//! A pixel is part of as many neighbourhoods as the kernel has taps. Packing would copy it for each,
//! which costs as much as the product where there are few columns. But its channels lie together, so
//! a tile can take them from there, after one rounding of the whole image for bfloat16 unless it
//! is stored so.

use std::mem::MaybeUninit;
use std::ops::Range;

use super::super::threads::{Target, for_each_chunk, threads_for};
use super::super::{Epilogue, Patches};
use super::blocking::{TILE_ROWS, WIDE_TILE_COLS, WIDE_TILE_ROWS, stretches};
use super::panels::{self, Format, Panels, parts_of};
use super::tile::{Factor, Tile, activate};
use crate::activation::Activation;
use crate::parallel_init::in_chunks;
use crate::storage_element::StorageElement;

/// Positions of a band: what the tiles read of them stays in the second-level cache.
const BAND: usize = 192;
/// Pixels that one task rounds.
const ROUNDED_PIXELS: usize = 1024;

/// C = act(A B + bias + residual) for the neighbourhoods A, without gaps.
///
/// # Safety
/// The processor does what the format of B needs; B fits the patches; C and the residual are as long as
/// the result, and there is a bias for each of its columns.
pub(in super::super) unsafe fn multiply_patches<T: StorageElement>(
    patches: &Patches<T>,
    b: &Panels,
    epilogue: &Epilogue,
    residual: Option<&[T]>,
    c: &mut [MaybeUninit<T>],
) {
    let format = b.format();
    let pixels = Pixels::new(patches, format);
    let (positions, units) = (patches.positions(), patches.taps() * pixels.units);
    let stretches: Vec<_> = stretches(units).collect();
    let tile_rows = if b.width() == WIDE_TILE_COLS { WIDE_TILE_ROWS } else { TILE_ROWS };
    let threads = threads_for(positions, units * format.depth(), b.cols());
    let band = |first: usize, c: &mut [MaybeUninit<f32>], residual: Option<&[f32]>| {
        let band = first..first + c.len() / b.cols();
        let target = Target::new(c, b.cols());
        for stretch in &stretches {
            let pieces = Pieces::new(&pixels, &band, stretch);
            for panel in 0..b.cols().div_ceil(b.width()) {
                let cols = panel * b.width()..((panel + 1) * b.width()).min(b.cols());
                let is_last = stretch.end == units;
                let bias = epilogue.bias.filter(|_| is_last).map(|bias| &bias[cols.clone()]);
                for row in (0..band.len()).step_by(tile_rows) {
                    let c = target.at(row, cols.start);
                    let onto =
                        residual.map(|residual| residual[row * b.cols() + cols.start..].as_ptr());
                    let tile = Tile {
                        a: pieces.of_rows(row),
                        b: b.panel(panel, stretch),
                        c,
                        c_row_stride: b.cols(),
                        rows: tile_rows.min(band.len() - row),
                        cols: cols.len(),
                        b_width: b.width(),
                        add: if stretch.start == 0 { onto } else { Some(c.cast_const()) },
                        bias,
                        is_relu: is_last && epilogue.activation == Some(Activation::Relu),
                    };
                    // SAFETY: the pieces and the panel hold this stretch, these elements of C are
                    // this thread's alone, and the processor does what the format needs.
                    unsafe {
                        tile.multiply(format);
                        if let Some(activation) = epilogue.activation.filter(|_| is_last) {
                            activate(activation, &tile);
                        }
                    }
                }
            }
        }
    };
    for_each_chunk(c, BAND * b.cols(), threads, |first, c| {
        let residual = residual.map(|residual| &residual[first..first + c.len()]);
        // SAFETY: tiles cover the band, and the last stretch writes every number of each.
        unsafe { T::write(c, residual, |c, residual| band(first / b.cols(), c, residual)) };
    });
}

/// The images of patches as units of 32 bits.
struct Pixels<'a, T> {
    patches: &'a Patches<'a, T>,
    /// Units of a pixel.
    units: usize,
    /// The units of all pixels, as the numbers that have their bits, unless they are in memory as
    /// they are.
    rounded: Option<Vec<f32>>,
    /// A pixel of zeros.
    outside: Vec<u32>,
}

impl<'a, T: StorageElement> Pixels<'a, T> {
    fn new(patches: &'a Patches<'a, T>, format: Format) -> Self {
        let (data, channels) = (patches.data(), patches.channels());
        let units = channels.div_ceil(format.depth());
        let are_units = match format {
            Format::F32 => size_of::<T>() == 4,
            Format::Rounded => false,
            Format::Bf16Pair => size_of::<T>() == 2 && channels.is_multiple_of(2),
        };
        let rounded = (!are_units).then(|| {
            let count = data.len().checked_div(channels).unwrap_or(0) * units;
            let chunk = ROUNDED_PIXELS * units;
            in_chunks(count, chunk, |index, place| {
                let first = index * ROUNDED_PIXELS * channels;
                let numbers = &data[first..data.len().min(first + ROUNDED_PIXELS * channels)];
                let numbers = T::widened(numbers);
                // SAFETY: whoever multiplies in the format has its instructions.
                unsafe { panels::round_rows(format, channels, &numbers, place) }
            })
        });
        Self { patches, units, rounded, outside: vec![0; units] }
    }

    /// The first unit of the first pixel.
    fn first(&self) -> *const u32 {
        match &self.rounded {
            Some(rounded) => rounded.as_ptr().cast(),
            None => self.patches.data().as_ptr().cast(),
        }
    }
}

/// A stretch of K of a band of positions, in a piece for each tap.
struct Pieces {
    units: Vec<usize>,
    starts: Vec<*const u32>,
    positions: usize,
}

impl Pieces {
    fn new<T: StorageElement>(
        pixels: &Pixels<'_, T>,
        band: &Range<usize>,
        stretch: &Range<usize>,
    ) -> Self {
        let mut lengths = Vec::with_capacity(pixels.patches.taps());
        let mut starts = Vec::with_capacity(pixels.patches.taps() * band.len());
        for (tap, units) in parts_of(stretch, pixels.units) {
            lengths.push(units.len());
            let skipped = units.start - tap * pixels.units;
            let first = pixels.first().wrapping_add(skipped);
            // Of the zeros, as many are read as of a pixel.
            let outside = pixels.outside.as_ptr();
            for (row, columns) in pixels.patches.rows(tap, band.clone()) {
                let Some(row) = row else {
                    starts.extend(columns.iter().map(|_| outside));
                    continue;
                };
                let at = |column: usize| first.wrapping_add((row + column) * pixels.units);
                starts.extend(columns.iter().map(|column| column.map_or(outside, at)));
            }
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
