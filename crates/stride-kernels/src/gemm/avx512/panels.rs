//! Packing matrices into panels.
//!
//! A panel holds some lanes of a matrix, rows of A or columns of B, over a stretch of K: unit u of
//! lane l lies at `panel[u * WIDTH + l]`. A unit is 32 bits, an f32 or two bfloat16 of following k.

use std::arch::x86_64::*;
use std::ops::Range;

use super::super::{Compute, MatrixRef};
use super::buffer::Buffer;
use super::{LANES, TILE_COLS, pack_columns, stretches};
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
            Compute::F32 => Self::F32,
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
}

/// A whole matrix B in panels: stretch by stretch, and panel by panel inside a stretch.
#[derive(Clone, Debug)]
pub(in super::super) struct Panels {
    units: Buffer,
    cols: usize,
    format: Format,
}

impl Panels {
    /// Packs B.
    ///
    /// # Safety
    /// The elements of B lie in its slice, and the processor does what the format needs.
    pub(in super::super) unsafe fn new(b: MatrixRef, format: Format) -> Self {
        let mut panels = Self { units: Buffer::new(), cols: b.cols, format };
        let width = b.cols.next_multiple_of(TILE_COLS);
        let first = panels.units.reserve(b.rows.div_ceil(format.depth()) * width);
        for stretch in stretches(b.rows, format) {
            let packed = first.wrapping_add(stretch.start * width);
            // SAFETY: there is room for every stretch of every panel.
            unsafe { pack_columns(b, &(0..b.cols), &stretch, format, packed) };
        }
        panels
    }

    pub(super) fn cols(&self) -> usize {
        self.cols
    }

    pub(in super::super) fn format(&self) -> Format {
        self.format
    }

    /// A stretch of one panel.
    pub(super) fn panel(&self, index: usize, stretch: &Range<usize>) -> *const u32 {
        let width = self.cols.next_multiple_of(TILE_COLS);
        let offset = stretch.start * width + index * TILE_COLS * stretch.len();
        self.units.as_ptr().wrapping_add(offset)
    }
}

/// What is packed: element k of lane l lies at `first[l * lane_stride + k * depth_stride]`.
pub(super) struct Source {
    pub(super) first: *const f32,
    pub(super) lane_stride: usize,
    pub(super) depth_stride: usize,
    pub(super) lanes: usize,
    pub(super) depth: usize,
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
            if source.depth_stride == 1 {
                for lane in (0..source.lanes).step_by(LANES) {
                    let out = out.wrapping_add(vector_offset::<WIDTH>(lane, units));
                    for unit in (0..units).step_by(LANES) {
                        let depth = unit * $depth;
                        let left = source.depth - depth;
                        let (mask, mask_after) =
                            (first_lanes(left), first_lanes(left.saturating_sub(LANES)));
                        let mut block = [_mm512_setzero_si512(); LANES];
                        for l in 0..LANES {
                            // A missing lane repeats the last, which may be read.
                            let at = source.at((lane + l).min(source.lanes - 1), depth);
                            _mm_prefetch::<_MM_HINT_T0>(
                                at.wrapping_add(LANES * source.lane_stride).cast(),
                            );
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
                                    store::<WIDTH>(out, units, unit + u, block[u]);
                                }
                            } else {
                                for u in 0..units - unit {
                                    store::<WIDTH>(out, units, unit + u, block[u]);
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
                    let out = out.wrapping_add(first * units);
                    for unit in 0..units {
                        let depth = unit * $depth;
                        let next = if $depth == 2 && depth + 1 < source.depth { 1 } else { 0 };
                        for v in 0..group / LANES {
                            if v * LANES >= lanes {
                                break;
                            }
                            let out = out.wrapping_add(vector_offset::<WIDTH>(v * LANES, units));
                            // SAFETY: these lanes and k are ones of the source, and the caller has
                            // given room.
                            unsafe {
                                let low = source.load(first + v * LANES, depth);
                                let high = match ($depth, next) {
                                    (2, 0) => _mm512_setzero_ps(),
                                    (2, _) => source.load(first + v * LANES, depth + 1),
                                    _ => low,
                                };
                                store::<WIDTH>(out, units, unit, $across(low, high));
                            }
                        }
                    }
                }
            }
        }
    };
}

/// Where the first unit of 16 lanes from `lane` on lies.
#[inline]
fn vector_offset<const WIDTH: usize>(lane: usize, units: usize) -> usize {
    lane / WIDTH * WIDTH * units + lane % WIDTH
}

packing!(pack_f32, "avx512f,avx512bw,avx512dq,avx512vl", depth: 1, keep, keep);
packing!(pack_rounded, "avx512f,avx512bw,avx512dq,avx512vl", depth: 1, round, round);
packing!(pack_bf16, "avx512f,avx512bw,avx512dq,avx512vl,avx512bf16", depth: 2, pair_across, pair_along);

impl Source {
    /// Element k of a lane.
    fn at(&self, lane: usize, depth: usize) -> *const f32 {
        self.first.wrapping_add(lane * self.lane_stride + depth * self.depth_stride)
    }

    /// The numbers of up to 16 lanes at one k; 0 for those that are missing.
    ///
    /// # Safety
    /// The lane and k are ones of the source, whose elements may be read.
    #[inline]
    #[target_feature(enable = "avx512f")]
    unsafe fn load(&self, lane: usize, depth: usize) -> __m512 {
        let at = self.at(lane, depth);
        let lanes = LANES.min(self.lanes - lane);
        if self.lane_stride == 1 {
            // SAFETY: the mask keeps to the lanes of the source.
            return unsafe { _mm512_maskz_loadu_ps(first_lanes(lanes), at) };
        }
        let mut numbers = [0.0; LANES];
        for (l, number) in numbers.iter_mut().enumerate().take(lanes) {
            // SAFETY: this is an element of the source.
            *number = unsafe { at.wrapping_add(l * self.lane_stride).read() };
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
