//! Packing matrices into panels.
//!
//! A panel holds some lanes of a matrix, rows of A or columns of B, over a stretch of K: unit u of
//! lane l lies at `panel[u * WIDTH + l]`. A unit is 32 bits, an f32 or two bfloat16 of following k.

use std::arch::x86_64::*;
use std::ops::Range;

use super::super::MatrixRef;
use super::super::threads::{for_each, threads_for};
use super::blocking::{LANES, PACK_COST, TILE_COLS, WIDE_TILE_COLS, stretches};
use super::buffer::Buffer;
use crate::compute::Compute;
use crate::isa::Isa;

/// What a unit holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Format {
    /// An f32.
    F32,
    /// An f32 rounded to bfloat16, for processors that cannot multiply bfloat16.
    Rounded,
    /// Two bfloat16, the one of lower k in the lower half; needs AVX512-BF16.
    Bf16Pair,
}

impl Format {
    /// The format for a product.
    pub(in super::super) fn of(compute: Compute, isa: Isa) -> Self {
        match compute {
            Compute::F32 | Compute::F16 => Self::F32,
            Compute::Bf16 if isa >= Isa::Avx512Bf16 => Self::Bf16Pair,
            Compute::Bf16 => Self::Rounded,
        }
    }

    /// How many k a unit holds.
    pub(super) fn depth(self) -> usize {
        match self {
            Self::F32 | Self::Rounded => 1,
            Self::Bf16Pair => 2,
        }
    }

    /// The k that units hold, counted from unit `first` on, of `depth` there.
    pub(super) fn depths(self, units: &Range<usize>, first: usize, depth: usize) -> Range<usize> {
        let at = |unit: usize| ((unit - first) * self.depth()).min(depth);
        at(units.start)..at(units.end)
    }
}

/// The parts of K, each of `part_units` units, that a stretch touches, with the units of the stretch
/// that lie in each.
pub(super) fn parts_of(
    stretch: &Range<usize>,
    part_units: usize,
) -> impl Iterator<Item = (usize, Range<usize>)> + use<> {
    let (start, end) = (stretch.start, stretch.end);
    let first = start.checked_div(part_units).unwrap_or(0);
    let last = if part_units == 0 { first } else { end.div_ceil(part_units) };
    (first..last)
        .map(move |part| (part, start.max(part * part_units)..end.min((part + 1) * part_units)))
}

/// Memory that several threads write to, each elsewhere.
struct Room(*mut u32);

// SAFETY: it is only a place; who writes to it promises that no one else uses those units.
unsafe impl Send for Room {}
// SAFETY: as for `Send`.
unsafe impl Sync for Room {}

impl Room {
    fn at(&self, unit: usize) -> *mut u32 {
        self.0.wrapping_add(unit)
    }
}

/// A whole matrix B in panels: stretch by stretch, and panel by panel inside a stretch.
#[derive(Clone, Debug)]
pub(in super::super) struct Panels {
    units: Buffer,
    cols: usize,
    /// Columns of a panel.
    width: usize,
    format: Format,
}

impl Panels {
    /// Packs a matrix for products with matrices.
    ///
    /// # Safety
    /// As for [`Panels::stacked`].
    pub(in super::super) unsafe fn new(matrix: MatrixRef, format: Format) -> Self {
        // SAFETY: what is asked of the caller.
        unsafe { Self::with_width(&[matrix], TILE_COLS, format) }
    }

    /// Packs matrices of equal shape on top of each other, each from a unit of its own on, for
    /// products with neighbourhoods.
    ///
    /// # Safety
    /// The elements of the matrices lie in their slices, and the processor does what the format
    /// needs.
    pub(in super::super) unsafe fn stacked(parts: &[MatrixRef], format: Format) -> Self {
        let cols = parts.first().map_or(0, |part| part.cols);
        let padded = |width: &usize| cols.next_multiple_of(*width);
        let widths = [WIDE_TILE_COLS, TILE_COLS];
        let width = widths.into_iter().min_by_key(padded).unwrap_or(TILE_COLS);
        // SAFETY: what is asked of the caller.
        unsafe { Self::with_width(parts, width, format) }
    }

    /// # Safety
    /// As for [`Panels::stacked`].
    unsafe fn with_width(parts: &[MatrixRef], panel_width: usize, format: Format) -> Self {
        let (depth, cols) = parts.first().map_or((0, 0), |part| (part.rows, part.cols));
        let mut panels = Self { units: Buffer::new(), cols, width: panel_width, format };
        let part_units = depth.div_ceil(format.depth());
        let units = parts.len() * part_units;
        let width = cols.next_multiple_of(panel_width);
        let room = Room(panels.units.reserve(units * width));
        let stretches: Vec<_> = stretches(units).collect();
        let panels_across = width / panel_width;
        let work = |index: usize| {
            let (stretch, panel) = (&stretches[index / panels_across], index % panels_across);
            let first = panel * panel_width;
            let packed = room.at(stretch.start * width + first * stretch.len());
            for (part, units) in parts_of(stretch, part_units) {
                let part_depth = format.depths(&units, part_units * part, depth);
                let part = parts[part];
                let place = Place::Strided {
                    first: part
                        .data
                        .as_ptr()
                        .wrapping_add(part_depth.start * part.row_stride + first * part.col_stride),
                    lane_stride: part.col_stride,
                    depth_stride: part.row_stride,
                };
                let source = Source {
                    place,
                    lanes: panel_width.min(cols - first),
                    depth: part_depth.len(),
                    panel_units: stretch.len(),
                };
                let packed = packed.wrapping_add((units.start - stretch.start) * panel_width);
                // SAFETY: there is room for every stretch of every panel, and the caller promises
                // the rest.
                unsafe {
                    match panel_width {
                        WIDE_TILE_COLS => pack::<WIDE_TILE_COLS>(format, &source, packed),
                        _ => pack::<TILE_COLS>(format, &source, packed),
                    }
                }
            }
        };
        let threads = threads_for(PACK_COST as usize, units, width);
        for_each(stretches.len() * panels_across, threads, work);
        panels
    }

    pub(super) fn cols(&self) -> usize {
        self.cols
    }

    /// The columns of a panel, of which the last may have fewer.
    pub(super) fn width(&self) -> usize {
        self.width
    }

    pub(in super::super) fn format(&self) -> Format {
        self.format
    }

    /// A stretch of one panel.
    pub(super) fn panel(&self, index: usize, stretch: &Range<usize>) -> *const u32 {
        let width = self.cols.next_multiple_of(self.width);
        let offset = stretch.start * width + index * self.width * stretch.len();
        self.units.as_ptr().wrapping_add(offset)
    }
}

/// What is packed.
pub(super) struct Source<'a> {
    pub(super) place: Place<'a>,
    pub(super) lanes: usize,
    pub(super) depth: usize,
    /// Units of K of the panels; there may be more than the source has.
    pub(super) panel_units: usize,
}

/// Where element k of lane l lies.
pub(super) enum Place<'a> {
    /// At `first[l * lane_stride + k * depth_stride]`.
    Strided { first: *const f32, lane_stride: usize, depth_stride: usize },
    /// At `[k][l]`.
    Depths(&'a [*const f32]),
}

/// Packs into panels of `WIDTH` lanes, 8 or a multiple of 16, one after the other.
///
/// What the missing lanes of a vector hold does not matter; lanes of the last panel beyond whole
/// vectors are not written.
///
/// # Safety
/// The elements of the source may be read; from `out` on, which is a multiple of 64 bytes, as many
/// units may be written as the lanes, rounded up to a multiple of 16 and of `WIDTH`, take; and the
/// processor does what the format needs.
pub(super) unsafe fn pack<const WIDTH: usize>(format: Format, source: &Source, out: *mut u32) {
    // SAFETY: what is asked of the caller is what these ask.
    unsafe {
        match format {
            Format::F32 => pack_f32::<WIDTH>(source, out),
            Format::Rounded => pack_rounded::<WIDTH>(source, out),
            Format::Bf16Pair => pack_bf16::<WIDTH>(source, out),
        }
    }
}

/// Defines a packing. `across` makes units of the numbers of 16 lanes at one k and at the next,
/// `along` makes them of the numbers of one lane at 16 k and, for pairs, at the 16 after those.
macro_rules! packing {
    ($name:ident, $features:literal, depth: $depth:literal, $across:ident, $along:ident) => {
        #[target_feature(enable = $features)]
        unsafe fn $name<const WIDTH: usize>(source: &Source, out: *mut u32) {
            let units = source.depth.div_ceil($depth);
            let panel_units = source.panel_units;
            if source.follows_depth() {
                for lane in (0..source.lanes).step_by(LANES) {
                    let out = out.wrapping_add(vector_offset::<WIDTH>(lane, panel_units));
                    for unit in (0..units).step_by(LANES) {
                        let depth = unit * $depth;
                        let left = source.depth - depth;
                        let (mask, mask_after) =
                            (first_lanes(left), first_lanes(left.saturating_sub(LANES)));
                        let mut block = [_mm512_setzero_si512(); LANES];
                        for l in 0..LANES {
                            // A missing lane repeats the last, which may be read.
                            let at = source.at((lane + l).min(source.lanes - 1), depth);
                            let next = (lane + LANES + l).min(source.lanes - 1);
                            _mm_prefetch::<_MM_HINT_T0>(source.at(next, depth).cast());
                            // SAFETY: the masks keep to the depth of the source.
                            block[l] = unsafe {
                                let low = _mm512_maskz_loadu_ps(mask, at);
                                let high = if $depth == 2 {
                                    let after = at.wrapping_add(LANES);
                                    _mm512_maskz_loadu_ps(mask_after, after)
                                } else {
                                    low
                                };
                                $along(low, high)
                            };
                        }
                        let block = transpose(block);
                        // SAFETY: the caller has given room.
                        unsafe {
                            if units - unit >= LANES {
                                for u in 0..LANES {
                                    store::<WIDTH>(out, panel_units, unit + u, block[u]);
                                }
                            } else {
                                for u in 0..units - unit {
                                    store::<WIDTH>(out, panel_units, unit + u, block[u]);
                                }
                            }
                        }
                    }
                }
            } else {
                // Some vectors of each row at a time, as a row may be far from the next.
                let group = if WIDTH < LANES { 4 * LANES } else { WIDTH };
                for first in (0..source.lanes).step_by(group) {
                    let lanes = group.min(source.lanes - first);
                    let out = out.wrapping_add(first * panel_units);
                    for unit in 0..units {
                        let depth = unit * $depth;
                        let next = if $depth == 2 && depth + 1 < source.depth { 1 } else { 0 };
                        for v in 0..group / LANES {
                            if v * LANES >= lanes {
                                break;
                            }
                            let out =
                                out.wrapping_add(vector_offset::<WIDTH>(v * LANES, panel_units));
                            // SAFETY: these lanes and k are ones of the source, and the caller has
                            // given room.
                            unsafe {
                                let low = source.load(first + v * LANES, depth);
                                let high = match ($depth, next) {
                                    (2, 0) => _mm512_setzero_ps(),
                                    (2, _) => source.load(first + v * LANES, depth + 1),
                                    _ => low,
                                };
                                store::<WIDTH>(out, panel_units, unit, $across(low, high));
                            }
                        }
                    }
                }
            }
        }
    };
}

/// Rounds rows of `width` numbers to rows of units, each row from a unit of its own on; a unit is
/// written as the number that has its bits.
///
/// # Safety
/// The processor does what the format needs.
pub(super) unsafe fn round_rows(format: Format, width: usize, rows: &[f32], units: &mut [f32]) {
    // SAFETY: what is asked of the caller is what these ask.
    unsafe {
        match format {
            Format::F32 => round_rows_by_keep(width, rows, units),
            Format::Rounded => round_rows_by_round(width, rows, units),
            Format::Bf16Pair => round_rows_by_pair(width, rows, units),
        }
    }
}

/// Defines [`round_rows`] for a format.
macro_rules! rounding {
    ($name:ident, $features:literal, depth: $depth:literal, $along:ident) => {
        #[target_feature(enable = $features)]
        unsafe fn $name(width: usize, rows: &[f32], units: &mut [f32]) {
            let row_units = width.div_ceil($depth).max(1);
            for (row, units) in rows.chunks_exact(width.max(1)).zip(units.chunks_mut(row_units)) {
                let units = units.chunks_mut(LANES);
                for (numbers, units) in row.chunks($depth * LANES).zip(units) {
                    let (low, high) = numbers.split_at(LANES.min(numbers.len()));
                    // SAFETY: the masks keep to the numbers and to the units.
                    unsafe {
                        let load = |from: &[f32]| {
                            _mm512_maskz_loadu_ps(first_lanes(from.len()), from.as_ptr())
                        };
                        let rounded = $along(load(low), load(high));
                        let mask = first_lanes(units.len());
                        _mm512_mask_storeu_epi32(units.as_mut_ptr().cast(), mask, rounded);
                    }
                }
            }
        }
    };
}

rounding!(round_rows_by_keep, "avx512f", depth: 1, keep);
rounding!(round_rows_by_round, "avx512f", depth: 1, round);
rounding!(round_rows_by_pair, "avx512f,avx512bw,avx512bf16", depth: 2, pair_along);

/// Where the first unit of 16 lanes from `lane` on lies.
#[inline]
pub(super) fn vector_offset<const WIDTH: usize>(lane: usize, units: usize) -> usize {
    lane / WIDTH * WIDTH * units + lane % WIDTH
}

packing!(pack_f32, "avx512f,avx512bw,avx512dq,avx512vl", depth: 1, keep, keep);
packing!(pack_rounded, "avx512f,avx512bw,avx512dq,avx512vl", depth: 1, round, round);
packing!(pack_bf16, "avx512f,avx512bw,avx512dq,avx512vl,avx512bf16", depth: 2, pair_across, pair_along);

impl Source<'_> {
    /// Whether the numbers of a lane follow each other in memory.
    fn follows_depth(&self) -> bool {
        matches!(self.place, Place::Strided { depth_stride: 1, .. })
    }

    /// Whether the numbers of a k follow each other in memory.
    fn follows_lanes(&self) -> bool {
        matches!(self.place, Place::Strided { lane_stride: 1, .. } | Place::Depths(_))
    }

    /// Element k of a lane.
    #[inline(always)]
    fn at(&self, lane: usize, depth: usize) -> *const f32 {
        match self.place {
            Place::Strided { first, lane_stride, depth_stride } => {
                first.wrapping_add(lane * lane_stride + depth * depth_stride)
            }
            Place::Depths(depths) => depths[depth].wrapping_add(lane),
        }
    }

    /// The numbers of up to 16 lanes at one k; 0 for those that are missing.
    ///
    /// # Safety
    /// The lane and k are ones of the source, whose elements may be read.
    #[inline]
    #[target_feature(enable = "avx512f")]
    unsafe fn load(&self, lane: usize, depth: usize) -> __m512 {
        let lanes = LANES.min(self.lanes - lane);
        if self.follows_lanes() {
            let at = self.at(lane, depth);
            // SAFETY: the mask keeps to the lanes of the source.
            return unsafe { _mm512_maskz_loadu_ps(first_lanes(lanes), at) };
        }
        let mut numbers = [0.0; LANES];
        for (l, number) in numbers.iter_mut().enumerate().take(lanes) {
            // SAFETY: this is an element of the source.
            *number = unsafe { self.at(lane + l, depth).read() };
        }
        // SAFETY: the array has 16 numbers.
        unsafe { _mm512_loadu_ps(numbers.as_ptr()) }
    }
}

/// The mask of the first `count` of 16 lanes.
#[inline]
pub(super) fn first_lanes(count: usize) -> __mmask16 {
    if count >= LANES { !0 } else { (1 << count) - 1 }
}

/// Stores a unit of 16 lanes. In panels of 8 the second half belongs to the next panel, `units`
/// units of 8 lanes further on.
///
/// # Safety
/// There is room at the place that is written.
#[inline]
#[target_feature(enable = "avx512f")]
unsafe fn store<const WIDTH: usize>(out: *mut u32, units: usize, unit: usize, lanes: __m512i) {
    let out = out.wrapping_add(unit * WIDTH);
    // SAFETY: the caller has given room.
    unsafe {
        if WIDTH < LANES {
            let next = out.wrapping_add(units * WIDTH);
            _mm256_storeu_si256(out.cast(), _mm512_castsi512_si256(lanes));
            _mm256_storeu_si256(next.cast(), _mm512_extracti64x4_epi64::<1>(lanes));
        } else {
            _mm512_store_si512(out.cast(), lanes);
        }
    }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn keep(low: __m512, _: __m512) -> __m512i {
    _mm512_castps_si512(low)
}

/// Rounds to bfloat16, to the nearest, ties to even.
#[inline]
#[target_feature(enable = "avx512f")]
fn round(low: __m512, _: __m512) -> __m512i {
    let bits = _mm512_castps_si512(low);
    let odd = _mm512_and_si512(_mm512_srli_epi32::<16>(bits), _mm512_set1_epi32(1));
    let up = _mm512_add_epi32(bits, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff)));
    let rounded = _mm512_and_si512(up, _mm512_set1_epi32(!0xffff));
    let is_nan = _mm512_cmp_ps_mask::<_CMP_UNORD_Q>(low, low);
    _mm512_mask_mov_epi32(rounded, is_nan, bits)
}

/// Pairs the bfloat16 of each lane.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
fn pair_across(low: __m512, high: __m512) -> __m512i {
    const INTERLEAVED: [u16; 32] = {
        let mut order = [0; 32];
        let mut i = 0;
        while i < 32 {
            order[i] = (i / 2 + i % 2 * 16) as u16;
            i += 1;
        }
        order
    };
    // SAFETY: the array has 32 numbers of 16 bits.
    let order = unsafe { _mm512_loadu_si512(INTERLEAVED.as_ptr().cast()) };
    _mm512_permutexvar_epi16(order, pair_along(low, high))
}

/// Pairs the bfloat16 of neighbouring k, which follow each other already.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
fn pair_along(low: __m512, high: __m512) -> __m512i {
    // SAFETY: both are 512 bits without invalid patterns.
    unsafe { std::mem::transmute(_mm512_cvtne2ps_pbh(high, low)) }
}

/// Transposes a matrix of 16 x 16 units.
#[inline]
#[target_feature(enable = "avx512f")]
fn transpose(rows: [__m512i; LANES]) -> [__m512i; LANES] {
    let mut pairs = rows;
    for i in (0..LANES).step_by(2) {
        pairs[i] = _mm512_unpacklo_epi32(rows[i], rows[i + 1]);
        pairs[i + 1] = _mm512_unpackhi_epi32(rows[i], rows[i + 1]);
    }
    // Now quads[4 q + c] holds, in each group of 4 lanes, column 4 group + c of rows 4 q to 4 q + 3.
    let mut quads = pairs;
    for i in (0..LANES).step_by(4) {
        quads[i] = _mm512_unpacklo_epi64(pairs[i], pairs[i + 2]);
        quads[i + 1] = _mm512_unpackhi_epi64(pairs[i], pairs[i + 2]);
        quads[i + 2] = _mm512_unpacklo_epi64(pairs[i + 1], pairs[i + 3]);
        quads[i + 3] = _mm512_unpackhi_epi64(pairs[i + 1], pairs[i + 3]);
    }
    let mut columns = quads;
    for c in 0..4 {
        // Groups 0 and 2, and groups 1 and 3, of the upper and of the lower eight rows.
        let even_top = _mm512_shuffle_i32x4::<0x88>(quads[c], quads[4 + c]);
        let odd_top = _mm512_shuffle_i32x4::<0xdd>(quads[c], quads[4 + c]);
        let even_bottom = _mm512_shuffle_i32x4::<0x88>(quads[8 + c], quads[12 + c]);
        let odd_bottom = _mm512_shuffle_i32x4::<0xdd>(quads[8 + c], quads[12 + c]);
        columns[c] = _mm512_shuffle_i32x4::<0x88>(even_top, even_bottom);
        columns[4 + c] = _mm512_shuffle_i32x4::<0x88>(odd_top, odd_bottom);
        columns[8 + c] = _mm512_shuffle_i32x4::<0xdd>(even_top, even_bottom);
        columns[12 + c] = _mm512_shuffle_i32x4::<0xdd>(odd_top, odd_bottom);
    }
    columns
}
