//! One product on several threads.

use std::marker::PhantomData;
use std::mem::MaybeUninit;

use rayon::prelude::*;

/// Products of fewer multiplications stay on the calling thread: they take some ten microseconds,
/// not much more than handing work over.
const FEWEST_FOR_THREADS: usize = 1 << 20;

/// Where a product goes. Threads write to different parts of it at the same time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Target<'a> {
    first: *mut f32,
    row_stride: usize,
    data: PhantomData<&'a mut [f32]>,
}

// SAFETY: it is only a place; who writes through `at` promises that no one else uses those elements.
unsafe impl Send for Target<'_> {}
// SAFETY: as for `Send`.
unsafe impl Sync for Target<'_> {}

impl<'a> Target<'a> {
    /// A target whose element (i, j) is `data[i * row_stride + j]`.
    pub(super) fn new(data: &'a mut [MaybeUninit<f32>], row_stride: usize) -> Self {
        Self { first: data.as_mut_ptr().cast(), row_stride, data: PhantomData }
    }

    /// Element (i, j).
    pub(super) fn at(&self, row: usize, col: usize) -> *mut f32 {
        self.first.wrapping_add(row * self.row_stride + col)
    }

    /// The distance between an element and the one below it.
    pub(super) fn row_stride(&self) -> usize {
        self.row_stride
    }
}

/// The number of threads worth using for a product of these sizes.
pub(super) fn threads_for(rows: usize, depth: usize, cols: usize) -> usize {
    let multiplications = rows.saturating_mul(cols).saturating_mul(depth);
    if multiplications < FEWEST_FOR_THREADS { 1 } else { rayon::current_num_threads() }
}

/// Does every chunk of some numbers, given with the place of its first, at the same time if there
/// are threads for it.
pub(super) fn for_each_chunk<T: Send>(
    numbers: &mut [T],
    length: usize,
    threads: usize,
    work: impl Fn(usize, &mut [T]) + Send + Sync,
) {
    let length = length.max(1);
    if threads == 1 {
        let chunks = numbers.chunks_mut(length).enumerate();
        chunks.for_each(|(index, chunk)| work(index * length, chunk));
    } else {
        let chunks = numbers.par_chunks_mut(length).enumerate().with_max_len(1);
        chunks.for_each(|(index, chunk)| work(index * length, chunk));
    }
}

/// Does every part, at the same time if there are threads for it.
pub(super) fn for_each(parts: usize, threads: usize, work: impl Fn(usize) + Send + Sync) {
    if threads == 1 || parts == 1 {
        (0..parts).for_each(work);
    } else {
        (0..parts).into_par_iter().with_max_len(1).for_each(work);
    }
}
