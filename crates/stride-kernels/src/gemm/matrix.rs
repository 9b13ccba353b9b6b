//! A view of a matrix in memory.

/// A matrix in memory: element (i, j) lies at `data[i * row_stride + j * col_stride]`.
#[derive(Clone, Copy, Debug)]
pub struct MatrixRef<'a> {
    /// The elements, starting with (0, 0).
    pub data: &'a [f32],
    /// The number of rows.
    pub rows: usize,
    /// The number of columns.
    pub cols: usize,
    /// The distance between an element and the one below it.
    pub row_stride: usize,
    /// The distance between an element and the one right of it.
    pub col_stride: usize,
}

impl<'a> MatrixRef<'a> {
    /// A matrix whose rows lie one after the other.
    pub fn row_major(data: &'a [f32], rows: usize, cols: usize) -> Self {
        Self { data, rows, cols, row_stride: cols, col_stride: 1 }
    }

    /// The transpose, over the same elements.
    pub fn transposed(self) -> Self {
        Self {
            data: self.data,
            rows: self.cols,
            cols: self.rows,
            row_stride: self.col_stride,
            col_stride: self.row_stride,
        }
    }

    /// Element (i, j).
    pub(super) fn at(&self, row: usize, col: usize) -> f32 {
        self.data[row * self.row_stride + col * self.col_stride]
    }

    /// Panics unless every element lies in the data, which what reads through pointers relies on.
    pub(super) fn check(&self, name: &str) {
        if self.rows == 0 || self.cols == 0 {
            return;
        }
        let last = (self.rows - 1)
            .checked_mul(self.row_stride)
            .zip((self.cols - 1).checked_mul(self.col_stride))
            .and_then(|(down, right)| down.checked_add(right));
        assert!(
            last.is_some_and(|last| last < self.data.len()),
            "{name} has {} elements, too few for {} x {} with strides {} and {}",
            self.data.len(),
            self.rows,
            self.cols,
            self.row_stride,
            self.col_stride
        );
    }
}
