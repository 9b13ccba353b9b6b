//! Activations of a tile that was just stored.

use std::arch::x86_64::*;

use super::LANES;
use super::panels::first_lanes;
use super::tile::Tile;
use crate::activation::{self, Activation, Form};

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
