//! Attention over heads that lie side by side in rows of tokens, without copies into heads and
//! without keeping the scores.

use std::marker::PhantomData;

use rayon::prelude::*;

use crate::gemm::{self, Compute, Epilogue, MatrixRef, Rhs};
use crate::lanes::{dot, exp, max, sum};
use crate::vectorized::vectorized;

/// Added to the mean square when heads are normalised.
const EPSILON: f32 = 1e-6;
/// Queries whose scores are held at once.
const TILE: usize = 64;

/// Sizes of an attention.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// Samples B.
    pub batch: usize,
    /// Heads N.
    pub heads: usize,
    /// Width of a head.
    pub head_dim: usize,
    /// Tokens that ask, T.
    pub queries: usize,
    /// Tokens that answer, L.
    pub keys: usize,
    /// Whether token t sees the keys 0 to t only.
    pub causal: bool,
}

/// Rows of tokens in which the heads of one projection lie side by side: the number of sample b,
/// token t, head n and place i is `data[(b tokens + t) row_stride + n head_dim + i]`.
#[derive(Clone, Copy, Debug)]
pub struct Heads<'a> {
    /// The numbers, from the first head of the first token on.
    pub data: &'a [f32],
    /// Numbers from one token to the next.
    pub row_stride: usize,
}

/// What attention reads.
#[derive(Clone, Copy, Debug)]
pub struct Inputs<'a> {
    /// Queries, B T tokens.
    pub q: Heads<'a>,
    /// Keys, B L tokens.
    pub k: Heads<'a>,
    /// Values, B L tokens.
    pub v: Heads<'a>,
    /// Gains `[head_dim]` of queries and keys, which are then divided by their root mean square.
    pub gains: Option<(&'a [f32], &'a [f32])>,
    /// Added to the scores, `[B, L]`.
    pub key_bias: Option<&'a [f32]>,
}

/// Where the gradient of one projection goes; laid out as [`Heads`].
///
/// Every head of every sample is written by one task, so tasks never share a number.
#[derive(Debug)]
pub struct HeadsMut<'a> {
    first: *mut f32,
    len: usize,
    row_stride: usize,
    lifetime: PhantomData<&'a mut [f32]>,
}

// SAFETY: it stands for a mutable slice, which may move to another thread; what is written
// through a shared reference is disjoint between tasks (see `row_mut`).
unsafe impl Send for HeadsMut<'_> {}
// SAFETY: as above.
unsafe impl Sync for HeadsMut<'_> {}

impl<'a> HeadsMut<'a> {
    /// Rows that hold one projection of `width` numbers.
    pub fn whole(data: &'a mut [f32], width: usize) -> Self {
        Self { first: data.as_mut_ptr(), len: data.len(), row_stride: width, lifetime: PhantomData }
    }

    /// Rows that hold queries, keys and values of `width` numbers each, side by side.
    ///
    /// # Panics
    /// `data` is not whole rows.
    pub fn thirds(data: &'a mut [f32], width: usize) -> [Self; 3] {
        assert_eq!(data.len() % (3 * width), 0, "attention: rows of three times {width} numbers");
        let first = data.as_mut_ptr();
        let third = |i: usize| Self {
            // Never read where there are no rows.
            first: first.wrapping_add(i * width),
            len: data.len().saturating_sub(i * width),
            row_stride: 3 * width,
            lifetime: PhantomData,
        };
        [third(0), third(1), third(2)]
    }

    /// The numbers of one head of one token.
    ///
    /// # Safety
    /// No other reference to the same head of the same token is alive.
    #[allow(clippy::mut_from_ref, reason = "tasks write disjoint heads through one shared value")]
    unsafe fn row_mut(&self, token: usize, head: usize, head_dim: usize) -> &mut [f32] {
        let start = token * self.row_stride + head * head_dim;
        assert!(start + head_dim <= self.len, "attention: token {token} lies outside the rows");
        // SAFETY: inside the slice this value was made from; the caller rules out aliases.
        unsafe { std::slice::from_raw_parts_mut(self.first.add(start), head_dim) }
    }
}

/// `out = softmax(q k^T / sqrt(head_dim) + bias) v` for every head; with [`Shape::causal`] a token sees
/// itself and what lies before it only, and tiles behind it are never computed.
///
/// `out` is `[B, T, N head_dim]`; `log_sum_exp` `[B, N, T]` receives the logarithms of the softmax's
/// denominators, which [`backward`] needs.
///
/// Source: Dao, "FlashAttention-2" (2023), Algorithm 1, with all keys in one block, since a row of
/// scores fits the cache at the lengths in use.
///
/// # Panics
/// The lengths do not fit the shape.
pub fn forward(
    shape: Shape,
    compute: Compute,
    inputs: &Inputs<'_>,
    out: &mut [f32],
    log_sum_exp: &mut [f32],
) {
    let Shape { batch, heads, head_dim, queries, keys, .. } = shape;
    shape.check(inputs);
    assert_eq!(out.len(), batch * queries * heads * head_dim, "attention: length of the output");
    assert_eq!(log_sum_exp.len(), batch * heads * queries, "attention: length of log_sum_exp");
    if log_sum_exp.is_empty() {
        return;
    }
    let out = HeadsMut::whole(out, heads * head_dim);
    log_sum_exp.par_chunks_mut(queries).enumerate().for_each(|(task, log_sum_exp)| {
        let (sample, head) = (task / heads, task % heads);
        let mut keys_here = vec![0.0; keys * head_dim];
        shape.load_keys(inputs, sample, head, &mut keys_here);
        let mut tile = Tile::new(shape);
        for (first, log_sum_exp) in (0..queries).step_by(TILE).zip(log_sum_exp.chunks_mut(TILE)) {
            let rows = log_sum_exp.len();
            let seen = shape.seen(first, rows);
            shape.load_queries(inputs, sample, head, first, &mut tile.q[..rows * head_dim]);
            tile.scores(shape, compute, rows, &keys_here[..seen * head_dim]);
            let bias = inputs.key_bias.map(|bias| &bias[sample * keys..][..seen]);
            let scores = &mut tile.scores[..rows * seen];
            softmax_rows(seen, shape.first_position(first), bias, scores, log_sum_exp);
            let mixed = &mut tile.mixed[..rows * head_dim];
            product(
                MatrixRef::row_major(scores, rows, seen),
                MatrixRef { rows: seen, ..shape.values(inputs, sample, head) },
                compute,
                false,
                mixed,
            );
            for (row, mixed) in mixed.chunks_exact(head_dim).enumerate() {
                // SAFETY: this task alone writes this head of this sample.
                let out = unsafe { out.row_mut(sample * queries + first + row, head, head_dim) };
                out.copy_from_slice(mixed);
            }
        }
    });
}

/// The gradients of [`forward`], written to `grad_q`, `grad_k`, `grad_v`; returns those of the
/// gains of queries and keys, where there are gains.
///
/// With `P` the softmax, recomputed from `log_sum_exp`, and `G` the gradient of the output:
/// ```text
/// grad_v = P^T G        grad_scores = P (G v^T - rowsum(G out))
/// grad_q = grad_scores k / sqrt(head_dim)        grad_k = grad_scores^T q / sqrt(head_dim)
/// ```
/// and through the normalisation of queries and keys where there is one.
///
/// Source: Dao, "FlashAttention-2" (2023), Algorithm 2.
///
/// # Panics
/// The lengths do not fit the shape.
pub fn backward(
    shape: Shape,
    compute: Compute,
    inputs: &Inputs<'_>,
    out: &[f32],
    log_sum_exp: &[f32],
    grad_out: &[f32],
    [grad_q, grad_k, grad_v]: [HeadsMut<'_>; 3],
) -> Option<[Vec<f32>; 2]> {
    let Shape { batch, heads, head_dim, queries, keys, .. } = shape;
    shape.check(inputs);
    let width = heads * head_dim;
    assert_eq!((out.len(), grad_out.len()), (batch * queries * width, batch * queries * width));
    assert_eq!(log_sum_exp.len(), batch * heads * queries, "attention: length of log_sum_exp");
    let scale = shape.scale();
    let task = |task: usize| {
        let (sample, head) = (task / heads, task % heads);
        let mut grad_gains = [vec![0.0; head_dim], vec![0.0; head_dim]];
        let mut keys_here = vec![0.0; keys * head_dim];
        shape.load_keys(inputs, sample, head, &mut keys_here);
        let values = shape.values(inputs, sample, head);
        let mut tile = Tile::new(shape);
        let mut grad_scores = vec![0.0; tile.scores.len()];
        let mut grad_keys = vec![0.0; keys * head_dim];
        let mut grad_values = vec![0.0; keys * head_dim];
        for first in (0..queries).step_by(TILE) {
            let rows = TILE.min(queries - first);
            let seen = shape.seen(first, rows);
            let keys_seen = &keys_here[..seen * head_dim];
            let bias = inputs.key_bias.map(|bias| &bias[sample * keys..][..seen]);
            let q = &mut tile.q[..rows * head_dim];
            shape.load_queries(inputs, sample, head, first, q);
            tile.scores(shape, compute, rows, keys_seen);
            let start = (sample * heads + head) * queries + first;
            let scores = &mut tile.scores[..rows * seen];
            let log_sum_exp = &log_sum_exp[start..start + rows];
            exp_rows(seen, shape.first_position(first), bias, scores, log_sum_exp);

            let token = sample * queries + first;
            let grad_out = head_rows(grad_out, width, token, rows, head * head_dim, head_dim);
            let p = MatrixRef::row_major(scores, rows, seen);
            let grad_values = &mut grad_values[..seen * head_dim];
            product(p.transposed(), grad_out, compute, true, grad_values);
            let grad_scores = &mut grad_scores[..rows * seen];
            let values = MatrixRef { rows: seen, ..values };
            product(grad_out, values.transposed(), compute, false, grad_scores);
            let out = head_rows(out, width, token, rows, head * head_dim, head_dim);
            for (row, (p, grad)) in
                scores.chunks_exact(seen).zip(grad_scores.chunks_exact_mut(seen)).enumerate()
            {
                let head_row = row * width..row * width + head_dim;
                softmax_backward(p, &out.data[head_row.clone()], &grad_out.data[head_row], grad);
            }
            let grad_scores = MatrixRef::row_major(grad_scores, rows, seen);
            let q = &tile.q[..rows * head_dim];
            product(
                grad_scores.transposed(),
                MatrixRef::row_major(q, rows, head_dim),
                compute,
                true,
                &mut grad_keys[..seen * head_dim],
            );
            let mixed = &mut tile.mixed[..rows * head_dim];
            product(
                grad_scores,
                MatrixRef::row_major(keys_seen, seen, head_dim),
                compute,
                false,
                mixed,
            );
            for (row, grad) in mixed.chunks_exact(head_dim).enumerate() {
                let token = token + row;
                // SAFETY: this task alone writes this head of this sample.
                let out = unsafe { grad_q.row_mut(token, head, head_dim) };
                let gain = inputs.gains.map(|gains| gains.0);
                let x = inputs.q.row(token, head, head_dim);
                load_backward(x, gain, scale, grad, out, &mut grad_gains[0]);
            }
        }
        for token in 0..keys {
            let place = token * head_dim..(token + 1) * head_dim;
            let row = sample * keys + token;
            // SAFETY: this task alone writes this head of this sample.
            let (out_k, out_v) = unsafe {
                (grad_k.row_mut(row, head, head_dim), grad_v.row_mut(row, head, head_dim))
            };
            let gain = inputs.gains.map(|gains| gains.1);
            let x = inputs.k.row(row, head, head_dim);
            load_backward(x, gain, 1.0, &grad_keys[place.clone()], out_k, &mut grad_gains[1]);
            out_v.copy_from_slice(&grad_values[place]);
        }
        grad_gains
    };
    // Collected in order and then added up, so that the sum does not depend on the threads.
    let parts: Vec<[Vec<f32>; 2]> = (0..batch * heads).into_par_iter().map(task).collect();
    inputs.gains.map(|_| {
        let mut total = [vec![0.0; head_dim], vec![0.0; head_dim]];
        for part in &parts {
            for (total, part) in total.iter_mut().zip(part) {
                for (total, part) in total.iter_mut().zip(part) {
                    *total += part;
                }
            }
        }
        total
    })
}

/// Columns `first..first + cols` of rows `token..token + rows` of dense rows.
fn head_rows(
    data: &[f32],
    width: usize,
    token: usize,
    rows: usize,
    first: usize,
    cols: usize,
) -> MatrixRef<'_> {
    let data = &data[token * width + first..];
    MatrixRef { data, rows, cols, row_stride: width, col_stride: 1 }
}

impl Shape {
    /// The factor on the scores.
    fn scale(self) -> f32 {
        (self.head_dim as f32).sqrt().recip()
    }

    /// How many keys, from the first on, some of the `rows` queries from `first` on see.
    fn seen(self, first: usize, rows: usize) -> usize {
        if self.causal { self.keys.min(first + rows) } else { self.keys }
    }

    /// The position of query `first`, if attention is causal.
    fn first_position(self, first: usize) -> Option<usize> {
        self.causal.then_some(first)
    }

    fn check(self, inputs: &Inputs<'_>) {
        let Self { batch, heads, head_dim, queries, keys, .. } = self;
        for (name, heads_of, tokens) in
            [("q", inputs.q, queries), ("k", inputs.k, keys), ("v", inputs.v, keys)]
        {
            let last = (batch * tokens).saturating_sub(1) * heads_of.row_stride + heads * head_dim;
            assert!(
                batch * tokens == 0 || heads_of.data.len() >= last,
                "attention: {name} has {} numbers, {last} expected for {self:?}",
                heads_of.data.len()
            );
        }
        if let Some(bias) = inputs.key_bias {
            assert_eq!(bias.len(), batch * keys, "attention: one bias a key");
        }
        if let Some((q, k)) = inputs.gains {
            assert_eq!((q.len(), k.len()), (head_dim, head_dim), "attention: gains of a head");
        }
    }

    /// Normalised keys of one head, `[L, head_dim]`.
    fn load_keys(self, inputs: &Inputs<'_>, sample: usize, head: usize, out: &mut [f32]) {
        let gain = inputs.gains.map(|gains| gains.1);
        for (token, out) in out.chunks_exact_mut(self.head_dim).enumerate() {
            load(inputs.k.row(sample * self.keys + token, head, self.head_dim), gain, 1.0, out);
        }
    }

    /// Normalised queries of one head from token `first` on, times the factor on the scores.
    fn load_queries(
        self,
        inputs: &Inputs<'_>,
        sample: usize,
        head: usize,
        first: usize,
        out: &mut [f32],
    ) {
        let gain = inputs.gains.map(|gains| gains.0);
        for (row, out) in out.chunks_exact_mut(self.head_dim).enumerate() {
            let x = inputs.q.row(sample * self.queries + first + row, head, self.head_dim);
            load(x, gain, self.scale(), out);
        }
    }

    /// Values of one head, `[L, head_dim]`.
    fn values<'a>(self, inputs: &Inputs<'a>, sample: usize, head: usize) -> MatrixRef<'a> {
        let Heads { data, row_stride } = inputs.v;
        MatrixRef {
            data: &data[sample * self.keys * row_stride + head * self.head_dim..],
            rows: self.keys,
            cols: self.head_dim,
            row_stride,
            col_stride: 1,
        }
    }
}

impl<'a> Heads<'a> {
    fn row(self, token: usize, head: usize, head_dim: usize) -> &'a [f32] {
        &self.data[token * self.row_stride + head * head_dim..][..head_dim]
    }
}

/// Room for one tile of queries.
struct Tile {
    q: Vec<f32>,
    scores: Vec<f32>,
    mixed: Vec<f32>,
}

impl Tile {
    fn new(shape: Shape) -> Self {
        let rows = TILE.min(shape.queries);
        Self {
            q: vec![0.0; rows * shape.head_dim],
            scores: vec![0.0; rows * shape.keys],
            mixed: vec![0.0; rows * shape.head_dim],
        }
    }

    /// Scores of the first `rows` queries with `keys`, without bias.
    fn scores(&mut self, shape: Shape, compute: Compute, rows: usize, keys: &[f32]) {
        let count = keys.len() / shape.head_dim;
        product(
            MatrixRef::row_major(&self.q[..rows * shape.head_dim], rows, shape.head_dim),
            MatrixRef::row_major(keys, count, shape.head_dim).transposed(),
            compute,
            false,
            &mut self.scores[..rows * count],
        );
    }
}

/// The part of row `i` of the scores that its query sees, with the bias added; the rest becomes 0.
#[inline(always)]
fn visible<'a>(
    row: &'a mut [f32],
    i: usize,
    first_position: Option<usize>,
    bias: Option<&[f32]>,
) -> &'a mut [f32] {
    let count = first_position.map_or(row.len(), |first| row.len().min(first + i + 1));
    let (seen, hidden) = row.split_at_mut(count);
    hidden.fill(0.0);
    if let Some(bias) = bias {
        for (score, &bias) in seen.iter_mut().zip(bias) {
            *score += bias;
        }
    }
    seen
}

/// `c = a b`, or `c += a b`, dense.
fn product(a: MatrixRef<'_>, b: MatrixRef<'_>, compute: Compute, accumulate: bool, c: &mut [f32]) {
    let epilogue = Epilogue { accumulate, ..Epilogue::default() };
    gemm::matmul(a, Rhs::Plain(b), compute, &epilogue, c, b.cols);
}

vectorized! {
    /// `out = x scale`, or `gain x / rms(x) scale`.
    fn load(x: &[f32], gain: Option<&[f32]>, scale: f32, out: &mut [f32]) {
        if let Some(gain) = gain {
            let factor = scale * inverse_rms(x);
            for ((out, &x), &gain) in out.iter_mut().zip(x).zip(gain) {
                *out = x * factor * gain;
            }
        } else {
            for (out, &x) in out.iter_mut().zip(x) {
                *out = x * scale;
            }
        }
    }

    /// The gradient of [`load`] for `x`; adds that for the gain to `grad_gain`.
    fn load_backward(
        x: &[f32],
        gain: Option<&[f32]>,
        scale: f32,
        grad: &[f32],
        grad_x: &mut [f32],
        grad_gain: &mut [f32],
    ) {
        if let Some(gain) = gain {
            let factor = inverse_rms(x);
            for ((grad_gain, &x), &grad) in grad_gain.iter_mut().zip(x).zip(grad) {
                *grad_gain += grad * scale * x * factor;
            }
            for ((grad_x, &gain), &grad) in grad_x.iter_mut().zip(gain).zip(grad) {
                *grad_x = grad * scale * gain;
            }
            let along = dot(grad_x, x) * factor * factor / x.len() as f32;
            for (grad_x, &x) in grad_x.iter_mut().zip(x) {
                *grad_x = factor * (*grad_x - x * along);
            }
        } else {
            for (grad_x, &grad) in grad_x.iter_mut().zip(grad) {
                *grad_x = grad * scale;
            }
        }
    }

    /// Softmax of every row of scores in place; writes the logarithms of the denominators. With the
    /// position of the first row, what lies behind a row's own position is hidden.
    fn softmax_rows(
        keys: usize,
        first_position: Option<usize>,
        bias: Option<&[f32]>,
        scores: &mut [f32],
        log_sum_exp: &mut [f32],
    ) {
        let rows = scores.chunks_exact_mut(keys).zip(log_sum_exp);
        for (i, (row, log_sum_exp)) in rows.enumerate() {
            let row = visible(row, i, first_position, bias);
            let largest = max(row);
            for score in row.iter_mut() {
                *score = exp(*score - largest);
            }
            let total = sum(row, |p| p);
            let factor = 1.0 / total;
            for score in row.iter_mut() {
                *score *= factor;
            }
            *log_sum_exp = largest + total.ln();
        }
    }

    /// The softmax again, from scores and the logarithms of the denominators.
    fn exp_rows(
        keys: usize,
        first_position: Option<usize>,
        bias: Option<&[f32]>,
        scores: &mut [f32],
        log_sum_exp: &[f32],
    ) {
        for (i, (row, &log_sum_exp)) in scores.chunks_exact_mut(keys).zip(log_sum_exp).enumerate() {
            for score in visible(row, i, first_position, bias) {
                *score = exp(*score - log_sum_exp);
            }
        }
    }

    /// Turns one row of gradients of the softmax, `G v^T`, into those of the scores.
    fn softmax_backward(p: &[f32], out: &[f32], grad_out: &[f32], grad: &mut [f32]) {
        let along = dot(out, grad_out);
        for (grad, &p) in grad.iter_mut().zip(p) {
            *grad = p * (*grad - along);
        }
    }
}

/// `1 / sqrt(mean square + 1e-6)`.
#[inline(always)]
fn inverse_rms(x: &[f32]) -> f32 {
    1.0 / (sum(x, |x| x * x) / x.len() as f32 + EPSILON).sqrt()
}
