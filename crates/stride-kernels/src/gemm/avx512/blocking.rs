//! How a product is cut: into tiles of registers, bands and stretches of caches, rectangles of threads.

use std::ops::Range;

/// Rows of a tile.
pub(super) const TILE_ROWS: usize = 8;
/// Columns of a tile.
pub(super) const TILE_COLS: usize = 48;
/// The same of tiles for columns that fill them better; the sums then have room for fewer rows.
pub(super) const WIDE_TILE_COLS: usize = 64;
pub(super) const WIDE_TILE_ROWS: usize = 6;
/// Rows are packed, and cut for threads, in multiples of the lanes of a vector.
pub(super) const LANES: usize = 16;
/// Most units of K in a stretch. A panel of B then takes 147 KB and streams from the second-level
/// cache, but C is read and written seldom, which was the faster by 5 % and more.
const MOST_UNITS: usize = 768;
/// Most rows of A packed at a time, 590 KB of the second-level cache.
const MOST_ROWS: usize = 192;
/// Most panels of B packed at a time, 3.5 MB.
pub(super) const MOST_PANELS: usize = 24;
/// What it costs to pack a number, in multiplications.
pub(super) const PACK_COST: f64 = 16.0;

/// The units of K cut into nearly equal stretches.
pub(super) fn stretches(units: usize) -> impl Iterator<Item = Range<usize>> + Clone {
    // With nothing to sum over there is still the epilogue, so there is always a stretch.
    let count = units.div_ceil(MOST_UNITS).max(1);
    (0..count).map(move |i| i * units / count..(i + 1) * units / count)
}

/// Rows cut into nearly equal bands small enough to be packed, at multiples of the lanes of a
/// vector.
pub(super) fn bands(rows: &Range<usize>) -> impl ExactSizeIterator<Item = Range<usize>> + Clone {
    let (start, end) = (rows.start, rows.end);
    let (vectors, count) = (rows.len().div_ceil(LANES), rows.len().div_ceil(MOST_ROWS));
    (0..count).map(move |i| {
        let last = start + (i + 1) * vectors / count * LANES;
        start + i * vectors / count * LANES..last.min(end)
    })
}

/// A product cut into rectangles of rows and columns, about one a thread.
pub(super) struct Rectangles {
    rows: Cut,
    cols: Cut,
}

impl Rectangles {
    /// Cuts M x N into at most `threads` rectangles, at multiples of `row_unit` and `col_unit`,
    /// so that the slowest is done soonest.
    ///
    /// A rectangle costs its area times K, and `a_cost` and `b_cost` times K for each of its rows
    /// and columns, which have to be packed.
    pub(super) fn new(
        (rows, row_unit, a_cost): (usize, usize, f64),
        (cols, col_unit, b_cost): (usize, usize, f64),
        threads: usize,
    ) -> Self {
        let cut = |down| Self {
            rows: Cut::new(rows, row_unit, down),
            cols: Cut::new(cols, col_unit, threads / down),
        };
        let cost = |down| {
            let Self { rows, cols } = cut(down);
            let (tall, wide) = (rows.longest() as f64, cols.longest() as f64);
            tall * wide + tall * a_cost + wide * b_cost
        };
        cut((1..=threads).min_by(|&x, &y| cost(x).total_cmp(&cost(y))).unwrap_or(1))
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.rows.parts * self.cols.parts
    }

    /// The rows and columns of one.
    pub(super) fn get(&self, index: usize) -> (Range<usize>, Range<usize>) {
        (self.rows.part(index / self.cols.parts), self.cols.part(index % self.cols.parts))
    }
}

/// `0..total` cut into nearly equal parts at multiples of a unit.
struct Cut {
    total: usize,
    unit: usize,
    parts: usize,
}

impl Cut {
    /// At most `most` parts, none of them empty.
    fn new(total: usize, unit: usize, most: usize) -> Self {
        Self { total, unit, parts: most.clamp(1, total.div_ceil(unit).max(1)) }
    }

    fn part(&self, index: usize) -> Range<usize> {
        let units = self.total.div_ceil(self.unit);
        let at = |index: usize| (index * units / self.parts * self.unit).min(self.total);
        at(index)..at(index + 1)
    }

    fn longest(&self) -> usize {
        let units = self.total.div_ceil(self.unit);
        (units.div_ceil(self.parts) * self.unit).min(self.total)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rectangles_cover_everything_once() {
        for (rows, cols, threads) in [(64, 768, 2), (1024, 48, 2), (257, 2304, 7), (3, 5, 64)] {
            let rectangles = Rectangles::new((rows, 16, 8.0), (cols, 48, 8.0), threads);
            assert!(rectangles.count() <= threads);
            let mut times = vec![0; rows * cols];
            for index in 0..rectangles.count() {
                let (down, right) = rectangles.get(index);
                for row in down {
                    right.clone().for_each(|col| times[row * cols + col] += 1);
                }
            }
            assert!(times.iter().all(|&times| times == 1), "{rows} x {cols}, {threads} threads");
        }
    }

    #[test]
    fn threads_share_the_longer_side() {
        let tall = Rectangles::new((2048, 16, 8.0), (256, 48, 8.0), 2);
        assert_eq!(tall.get(0), (0..1024, 0..256));
        let wide = Rectangles::new((64, 16, 8.0), (2304, 48, 8.0), 2);
        assert_eq!(wide.get(1), (0..64, 1152..2304));
    }
}
