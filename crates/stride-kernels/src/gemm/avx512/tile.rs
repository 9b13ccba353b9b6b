//! The inner loop: a tile of sums in registers, and its activation once it is stored.

use std::arch::x86_64::*;

use super::blocking::{LANES, TILE_ROWS, WIDE_TILE_COLS};
use super::panels::{Format, first_lanes};
use crate::activation::{self, Activation, Form};

/// A tile of C and what is added to it.
pub(super) struct Tile<'a> {
    /// Rows of A.
    pub(super) a: Factor<'a>,
    /// A panel of B.
    pub(super) b: *const u32,
    /// The columns that lie together in it: at least `cols`, a multiple of 16 up to 64.
    pub(super) b_width: usize,
    /// The first element.
    pub(super) c: *mut f32,
    pub(super) c_row_stride: usize,
    /// From 1 to 8.
    pub(super) rows: usize,
    /// From 1 to 64.
    pub(super) cols: usize,
    /// Added to the sums: numbers in rows as far apart as those of C, often C itself.
    pub(super) add: Option<*const f32>,
    /// Added to each row, one value a column.
    pub(super) bias: Option<&'a [f32]>,
    /// Whether sums below zero become zero.
    pub(super) is_relu: bool,
}

/// Where the rows of A are.
#[derive(Clone, Copy)]
pub(super) enum Factor<'a> {
    /// In a panel of 8 rows with so many units of K.
    Panel { units: usize, panel: *const u32 },
    /// Where they lie in memory, in pieces of K, each of as many units as `pieces` says: piece p of row
    /// r begins at `starts[p * pieces_apart + r]`.
    InPlace { pieces: &'a [usize], starts: *const *const u32, pieces_apart: usize },
}

type Kernel = unsafe fn(&Tile);

impl Tile<'_> {
    /// C <- A B, plus what C holds and the bias where these are asked for.
    ///
    /// # Safety
    /// The panels may be read and the tile written; the panels are aligned to 64 bytes for B, hold
    /// what `format` says, and the processor does what it needs.
    pub(super) unsafe fn multiply(&self, format: Format) {
        debug_assert!((1..=TILE_ROWS).contains(&self.rows));
        debug_assert!((1..=self.b_width.min(WIDE_TILE_COLS)).contains(&self.cols));
        let kernels = match (format, self.a) {
            (Format::F32 | Format::Rounded, Factor::Panel { .. }) => &F32_KERNELS,
            (Format::F32 | Format::Rounded, Factor::InPlace { .. }) => &F32_IN_PLACE_KERNELS,
            (Format::Bf16Pair, Factor::Panel { .. }) => &BF16_KERNELS,
            (Format::Bf16Pair, Factor::InPlace { .. }) => &BF16_IN_PLACE_KERNELS,
        };
        // SAFETY: what is asked of the caller is what these ask.
        unsafe { kernels[self.rows - 1][(self.cols - 1) / LANES](self) }
    }
}

/// Defines the loop for R rows and V vectors of columns, the last of them masked, and a table of
/// it for every R and V.
macro_rules! kernel {
    ($name:ident, $table:ident, $features:literal, $multiply_add:ident, $sum:ident) => {
        #[target_feature(enable = $features)]
        unsafe fn $name<const R: usize, const V: usize>(tile: &Tile) {
            let last = first_lanes(tile.cols - (V - 1) * LANES);
            for r in 0..R {
                let row = tile.c.wrapping_add(r * tile.c_row_stride).cast::<i8>();
                for v in 0..V {
                    _mm_prefetch::<_MM_HINT_T0>(row.wrapping_add(v * 64));
                }
            }
            let mut sums = [[_mm512_setzero_ps(); V]; R];
            // Adds the products with one unit of the rows, found by `row`.
            macro_rules! unit {
                ($row:expr, $b:expr) => {
                    let mut columns = [_mm512_setzero_si512(); V];
                    for v in 0..V {
                        columns[v] = _mm512_load_si512($b.add(v * LANES).cast());
                    }
                    for r in 0..R {
                        // A pair of bfloat16 in memory need not lie at a multiple of four bytes.
                        let row = _mm512_set1_epi32($row(r).cast::<i32>().read_unaligned());
                        for v in 0..V {
                            sums[r][v] = $multiply_add(sums[r][v], row, columns[v]);
                        }
                    }
                };
            }
            $sum!(tile, unit);
            let mask = |v: usize| if v + 1 == V { last } else { !0 };
            let mut bias = [_mm512_setzero_ps(); V];
            if let Some(values) = tile.bias {
                for v in 0..V {
                    // SAFETY: there is a value for each column of the tile.
                    bias[v] = unsafe {
                        _mm512_maskz_loadu_ps(mask(v), values.as_ptr().wrapping_add(v * LANES))
                    };
                }
            }
            for r in 0..R {
                for v in 0..V {
                    let at = tile.c.wrapping_add(r * tile.c_row_stride + v * LANES);
                    let mut sum = sums[r][v];
                    // SAFETY: these are elements of the tile.
                    unsafe {
                        if let Some(add) = tile.add {
                            let add = add.wrapping_add(r * tile.c_row_stride + v * LANES);
                            sum = _mm512_add_ps(sum, _mm512_maskz_loadu_ps(mask(v), add));
                        }
                        if tile.bias.is_some() {
                            sum = _mm512_add_ps(sum, bias[v]);
                        }
                        if tile.is_relu {
                            // The order of the arguments lets NaN through.
                            sum = _mm512_max_ps(_mm512_setzero_ps(), sum);
                        }
                        _mm512_mask_storeu_ps(at, mask(v), sum);
                    }
                }
            }
        }

        static $table: [[Kernel; WIDE_TILE_COLS / LANES]; TILE_ROWS] = [
            [$name::<1, 1>, $name::<1, 2>, $name::<1, 3>, $name::<1, 4>],
            [$name::<2, 1>, $name::<2, 2>, $name::<2, 3>, $name::<2, 4>],
            [$name::<3, 1>, $name::<3, 2>, $name::<3, 3>, $name::<3, 4>],
            [$name::<4, 1>, $name::<4, 2>, $name::<4, 3>, $name::<4, 4>],
            [$name::<5, 1>, $name::<5, 2>, $name::<5, 3>, $name::<5, 4>],
            [$name::<6, 1>, $name::<6, 2>, $name::<6, 3>, $name::<6, 4>],
            [$name::<7, 1>, $name::<7, 2>, $name::<7, 3>, $name::<7, 4>],
            [$name::<8, 1>, $name::<8, 2>, $name::<8, 3>, $name::<8, 4>],
        ];
    };
}

/// All units of a panel of rows.
macro_rules! over_panel {
    ($tile:ident, $unit:ident) => {
        let Factor::Panel { units, panel: mut a } = $tile.a else { return };
        let mut b = $tile.b;
        for _ in 0..units {
            // SAFETY: the panels have this many units.
            unsafe {
                $unit!(|r| a.add(r), b);
                a = a.add(TILE_ROWS);
                b = b.add($tile.b_width);
            }
        }
    };
}

/// All units of rows where they lie.
macro_rules! over_pieces {
    ($tile:ident, $unit:ident) => {
        let Factor::InPlace { pieces, starts, pieces_apart } = $tile.a else { return };
        let mut b = $tile.b;
        for (piece, &units) in pieces.iter().enumerate() {
            let mut rows = [std::ptr::null(); R];
            for r in 0..R {
                // SAFETY: the table has a start for every piece of every row.
                rows[r] = unsafe { starts.add(piece * pieces_apart + r).read() };
            }
            for unit in 0..units {
                // SAFETY: the pieces and the panel have this many units.
                unsafe {
                    $unit!(|r: usize| rows[r].add(unit), b);
                    b = b.add($tile.b_width);
                }
            }
        }
    };
}

kernel!(multiply_f32, F32_KERNELS, "avx512f", add_product, over_panel);
kernel!(multiply_f32_in_place, F32_IN_PLACE_KERNELS, "avx512f", add_product, over_pieces);
kernel!(multiply_bf16, BF16_KERNELS, "avx512f,avx512bf16", add_pair_products, over_panel);
kernel!(
    multiply_bf16_in_place,
    BF16_IN_PLACE_KERNELS,
    "avx512f,avx512bf16",
    add_pair_products,
    over_pieces
);

#[inline]
#[target_feature(enable = "avx512f")]
fn add_product(sum: __m512, a: __m512i, b: __m512i) -> __m512 {
    _mm512_fmadd_ps(_mm512_castsi512_ps(a), _mm512_castsi512_ps(b), sum)
}

#[inline]
#[target_feature(enable = "avx512f,avx512bf16")]
fn add_pair_products(sum: __m512, a: __m512i, b: __m512i) -> __m512 {
    // SAFETY: both are 512 bits without invalid patterns.
    let [a, b] = unsafe { std::mem::transmute::<[__m512i; 2], [__m512bh; 2]>([a, b]) };
    _mm512_dpbf16_ps(sum, a, b)
}

/// Applies an activation to a tile of C, unless it is one that the tile has applied itself.
///
/// # Safety
/// The tile may be written, and the processor has AVX-512.
#[target_feature(enable = "avx512f")]
pub(super) unsafe fn activate(activation: Activation, tile: &Tile) {
    if tile.is_relu {
        return;
    }
    let Form::Sigmoid(a, b) = activation.form() else {
        for row in 0..tile.rows {
            let first = tile.c.wrapping_add(row * tile.c_row_stride);
            // SAFETY: these elements of the tile are this thread's alone.
            let stretch = unsafe { std::slice::from_raw_parts_mut(first, tile.cols) };
            activation::in_place(activation, stretch);
        }
        return;
    };
    let (a, b) = (_mm512_set1_ps(a), _mm512_set1_ps(b));
    for row in 0..tile.rows {
        for col in (0..tile.cols).step_by(LANES) {
            let at = tile.c.wrapping_add(row * tile.c_row_stride + col);
            let mask = first_lanes(tile.cols - col);
            // SAFETY: the mask keeps to the elements of the tile.
            unsafe {
                let x = _mm512_maskz_loadu_ps(mask, at);
                let slope = _mm512_fmadd_ps(_mm512_mul_ps(b, x), x, a);
                let opposite = _mm512_sub_ps(_mm512_setzero_ps(), slope);
                let divisor = _mm512_add_ps(_mm512_set1_ps(1.0), exp(_mm512_mul_ps(x, opposite)));
                let y = _mm512_div_ps(x, divisor);
                _mm512_mask_storeu_ps(at, mask, y);
            }
        }
    }
}

/// e^x to about one unit in the last place.
///
/// e^x = 2^n e^r with n = round(x / ln 2) and |r| <= ln 2 / 2, e^r by the polynomial of Cephes
/// `expf`; ln 2 is taken in two parts, so that r keeps its digits.
#[inline]
#[target_feature(enable = "avx512f")]
fn exp(x: __m512) -> __m512 {
    // Beyond these e^x is 0 or infinite. The order of the arguments lets NaN through.
    let x = _mm512_max_ps(_mm512_set1_ps(-110.0), _mm512_min_ps(_mm512_set1_ps(110.0), x));
    let log2_e = _mm512_set1_ps(std::f32::consts::LOG2_E);
    let n = _mm512_roundscale_ps::<_MM_FROUND_TO_NEAREST_INT>(_mm512_mul_ps(x, log2_e));
    let r = _mm512_fnmadd_ps(n, _mm512_set1_ps(0.693_359_4), x);
    let r = _mm512_fnmadd_ps(n, _mm512_set1_ps(-2.121_944_4e-4), r);
    let mut p = _mm512_set1_ps(1.987_569_1e-4);
    for coefficient in [1.398_199_9e-3, 8.333_452e-3, 4.166_579_6e-2, 0.166_666_65, 0.5] {
        p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(coefficient));
    }
    let p = _mm512_fmadd_ps(_mm512_mul_ps(r, r), p, _mm512_add_ps(r, _mm512_set1_ps(1.0)));
    _mm512_scalef_ps(p, n)
}
