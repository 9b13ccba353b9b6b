//! Sums over rows.

use crate::vectorized::vectorized;

/// Rows added up before their sum joins the others, so that long columns keep their digits.
const ROWS: usize = 256;

/// The sums of the columns of rows of `width` numbers.
pub(crate) fn column_sums(rows: &[f32], width: usize) -> Vec<f32> {
    let mut sums = vec![0.0; width];
    let mut part = vec![0.0; width];
    for rows in rows.chunks((ROWS * width).max(1)) {
        part.fill(0.0);
        add_rows(rows, &mut part);
        sums.iter_mut().zip(&part).for_each(|(sum, part)| *sum += part);
    }
    sums
}

vectorized! {
    fn add_rows(rows: &[f32], sums: &mut [f32]) {
        for row in rows.chunks_exact(sums.len().max(1)) {
            for (sum, x) in sums.iter_mut().zip(row) {
                *sum += x;
            }
        }
    }
}
