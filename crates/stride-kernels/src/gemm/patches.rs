//! The factors of a convolution, which is a product over the neighbourhoods of positions.

use std::ops::Range;

use crate::storage_element::StorageElement;

/// The neighbourhoods of all positions of images: a matrix of one row a position and, for each tap
/// of the kernel, one column a channel, which is never written down.
///
/// The images are `[B, H, W, C]`; the positions are those of the result, `[B, H', W']`.
#[derive(Clone, Debug)]
pub struct Patches<'a, T = f32> {
    data: &'a [T],
    channels: usize,
    batch: usize,
    /// H and W.
    size: [usize; 2],
    down: Taps,
    across: Taps,
    /// Stands for the channels outside of the image.
    outside: Vec<T>,
}

/// Which of the rows, or of the columns, of an image each tap sees from each position.
#[derive(Clone, Debug)]
pub struct Taps {
    positions: usize,
    /// For a tap after the other, one number a position; none outside of the image.
    sources: Vec<Option<usize>>,
}

impl Taps {
    /// Where `source(position, tap)` lies, for all taps and positions; outside if there is none.
    pub fn new(
        taps: usize,
        positions: usize,
        source: impl Fn(usize, usize) -> Option<usize>,
    ) -> Self {
        let of = |tap| (0..positions).map(move |position| (position, tap));
        let sources = (0..taps).flat_map(of).map(|(position, tap)| source(position, tap)).collect();
        Self { positions, sources }
    }

    fn count(&self) -> usize {
        self.sources.len().checked_div(self.positions).unwrap_or(0)
    }

    fn source(&self, tap: usize, position: usize) -> Option<usize> {
        self.sources[tap * self.positions + position]
    }
}

impl<'a, T: StorageElement> Patches<'a, T> {
    /// The neighbourhoods in images `[batch, size[0], size[1], channels]`.
    ///
    /// # Panics
    /// The data is not as long as its shape says, or a tap sees beyond the image.
    pub fn new(
        data: &'a [T],
        batch: usize,
        size: [usize; 2],
        channels: usize,
        [down, across]: [Taps; 2],
    ) -> Self {
        let count = batch * size[0] * size[1] * channels;
        assert_eq!(data.len(), count, "patches: {batch} images of {size:?} x {channels}");
        for (taps, size) in [(&down, size[0]), (&across, size[1])] {
            assert!(taps.sources.iter().flatten().all(|&source| source < size), "patches: {size}");
        }
        Self { data, channels, batch, size, down, across, outside: vec![T::default(); channels] }
    }

    /// The number of positions, the rows of the matrix.
    pub fn positions(&self) -> usize {
        self.batch * self.down.positions * self.across.positions
    }

    /// The number of taps of the kernel.
    pub fn taps(&self) -> usize {
        self.down.count() * self.across.count()
    }

    /// The number of channels of each tap.
    pub fn channels(&self) -> usize {
        self.channels
    }

    /// The images.
    pub(super) fn data(&self) -> &[T] {
        self.data
    }

    /// What a tap sees from each of some positions, one after the other.
    pub(super) fn seen(
        &self,
        tap: usize,
        positions: Range<usize>,
    ) -> impl Iterator<Item = &[T]> + '_ {
        self.pixels(tap, positions).map(|pixel| {
            pixel.map_or(&self.outside[..], |pixel| {
                &self.data[pixel * self.channels..][..self.channels]
            })
        })
    }

    /// The pixel that a tap sees from each of some positions, counted over all images.
    pub(super) fn pixels(
        &self,
        tap: usize,
        positions: Range<usize>,
    ) -> impl Iterator<Item = Option<usize>> + '_ {
        self.rows(tap, positions)
            .flat_map(|(row, columns)| columns.iter().map(move |column| Some(row? + (*column)?)))
    }

    /// What a tap sees from some positions, one row of an image after the other: the first pixel of
    /// that row, counted over all images, and the column for each position.
    pub(super) fn rows(
        &self,
        tap: usize,
        positions: Range<usize>,
    ) -> impl Iterator<Item = (Option<usize>, &[Option<usize>])> + '_ {
        let taps_across = self.across.count();
        let (tap_down, tap_across) = (tap / taps_across, tap % taps_across);
        let (height, width) = (self.down.positions, self.across.positions);
        let columns = &self.across.sources[tap_across * width..(tap_across + 1) * width];
        let mut next = positions.start;
        std::iter::from_fn(move || {
            if next >= positions.end {
                return None;
            }
            let (line, x) = (next / width, next % width);
            let (image, y) = (line / height, line % height);
            let end = width.min(x + positions.end - next);
            next += end - x;
            let row = self.down.source(tap_down, y);
            let first = row.map(|row| (image * self.size[0] + row) * self.size[1]);
            Some((first, &columns[x..end]))
        })
    }

    /// Some rows of the matrix, written down.
    pub(super) fn unfold(&self, positions: Range<usize>) -> Vec<f32> {
        let (channels, row) = (self.channels, self.taps() * self.channels);
        let mut unfolded = vec![0.0; positions.len() * row];
        for tap in 0..self.taps() {
            let places = unfolded.chunks_exact_mut(row.max(1));
            for (place, seen) in places.zip(self.seen(tap, positions.clone())) {
                place[tap * channels..(tap + 1) * channels].copy_from_slice(&T::widened(seen));
            }
        }
        unfolded
    }
}
