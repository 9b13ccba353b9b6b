//! The inner loop: a tile of sums in registers.

use std::arch::x86_64::*;

use super::panels::{Format, first_lanes};
use super::{LANES, TILE_COLS, TILE_ROWS};

/// A tile of C and what is added to it.
pub(super) struct Tile<'a> {
    /// Units of K in the panels.
    pub(super) units: usize,
    /// A panel of 8 rows of A.
    pub(super) a: *const u32,
    /// A panel of 48 columns of B.
    pub(super) b: *const u32,
    /// The first element.
    pub(super) c: *mut f32,
    pub(super) c_row_stride: usize,
    /// From 1 to 8.
    pub(super) rows: usize,
    /// From 1 to 48.
    pub(super) cols: usize,
    /// Adds to what C holds.
    pub(super) add: bool,
    /// Added to each row, one value a column.
    pub(super) bias: Option<&'a [f32]>,
}

type Kernel = unsafe fn(&Tile);

impl Tile<'_> {
    /// C <- A B, plus what C holds and the bias where these are asked for.
    ///
    /// # Safety
    /// The panels may be read and the tile written; the panels are aligned to 64 bytes for B, hold
    /// what `format` says, and the processor does what it needs.
    pub(super) unsafe fn multiply(&self, format: Format) {
        debug_assert!((1..=TILE_ROWS).contains(&self.rows) && (1..=TILE_COLS).contains(&self.cols));
        let kernels = match format {
            Format::F32 | Format::Rounded => &F32_KERNELS,
            Format::Bf16Pair => &BF16_KERNELS,
        };
        // SAFETY: what is asked of the caller is what these ask.
        unsafe { kernels[self.rows - 1][(self.cols - 1) / LANES](self) }
    }
}

/// Defines the loop for R rows and V vectors of columns, the last of them masked, and a table of
/// it for every R and V.
macro_rules! kernel {
    ($name:ident, $table:ident, $features:literal, $multiply_add:ident) => {
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
            let (mut a, mut b) = (tile.a, tile.b);
            for _ in 0..tile.units {
                // SAFETY: the panels have this many units.
                unsafe {
                    let mut columns = [_mm512_setzero_si512(); V];
                    for v in 0..V {
                        columns[v] = _mm512_load_si512(b.add(v * LANES).cast());
                    }
                    for r in 0..R {
                        let row = _mm512_set1_epi32(a.add(r).cast::<i32>().read());
                        for v in 0..V {
                            sums[r][v] = $multiply_add(sums[r][v], row, columns[v]);
                        }
                    }
                    a = a.add(TILE_ROWS);
                    b = b.add(TILE_COLS);
                }
            }
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
                        if tile.add {
                            sum = _mm512_add_ps(sum, _mm512_maskz_loadu_ps(mask(v), at));
                        }
                        if tile.bias.is_some() {
                            sum = _mm512_add_ps(sum, bias[v]);
                        }
                        _mm512_mask_storeu_ps(at, mask(v), sum);
                    }
                }
            }
        }

        static $table: [[Kernel; 3]; TILE_ROWS] = [
            [$name::<1, 1>, $name::<1, 2>, $name::<1, 3>],
            [$name::<2, 1>, $name::<2, 2>, $name::<2, 3>],
            [$name::<3, 1>, $name::<3, 2>, $name::<3, 3>],
            [$name::<4, 1>, $name::<4, 2>, $name::<4, 3>],
            [$name::<5, 1>, $name::<5, 2>, $name::<5, 3>],
            [$name::<6, 1>, $name::<6, 2>, $name::<6, 3>],
            [$name::<7, 1>, $name::<7, 2>, $name::<7, 3>],
            [$name::<8, 1>, $name::<8, 2>, $name::<8, 3>],
        ];
    };
}

kernel!(multiply_f32, F32_KERNELS, "avx512f", add_product);
kernel!(multiply_bf16, BF16_KERNELS, "avx512f,avx512bf16", add_pair_products);

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
