//! Vectors made by several threads.

use std::mem::MaybeUninit;

use rayon::prelude::*;

use crate::storage_element::StorageElement;

/// A vector of pieces of these lengths; `fill` gets the number of each piece and the piece itself
/// in f32, which holds zeros.
///
/// Each thread zeroes a piece when it begins with it, in the cache, where a whole vector of zeros
/// would be written to memory by one thread before the others begin.
pub(crate) fn in_pieces<T: StorageElement>(
    lengths: impl Iterator<Item = usize> + Clone,
    fill: impl Fn(usize, &mut [f32]) + Sync,
) -> Vec<T> {
    let count = lengths.clone().sum();
    let mut numbers = Vec::with_capacity(count);
    let mut rest = &mut numbers.spare_capacity_mut()[..count];
    let mut pieces: Vec<&mut [MaybeUninit<T>]> = Vec::new();
    for length in lengths {
        let (piece, others) = rest.split_at_mut(length);
        pieces.push(piece);
        rest = others;
    }
    pieces.into_par_iter().enumerate().for_each(|(index, piece)| {
        let fill = |piece: &mut [MaybeUninit<f32>], _: Option<&[f32]>| {
            piece.fill(MaybeUninit::new(0.0));
            // SAFETY: all of it was written just now.
            fill(index, unsafe {
                std::slice::from_raw_parts_mut(piece.as_mut_ptr().cast(), piece.len())
            });
        };
        // SAFETY: as above.
        unsafe { T::write(piece, None, fill) };
    });
    // SAFETY: the pieces cover everything, and each was written.
    unsafe { numbers.set_len(count) };
    numbers
}

/// [`in_pieces`] of one length, except for the last.
pub(crate) fn in_chunks<T: StorageElement>(
    count: usize,
    length: usize,
    fill: impl Fn(usize, &mut [f32]) + Sync,
) -> Vec<T> {
    let length = length.max(1);
    let lengths = (0..count).step_by(length).map(move |first| length.min(count - first));
    in_pieces(lengths, fill)
}

#[cfg(test)]
mod tests {
    use half::bf16;

    use super::*;

    #[test]
    fn every_piece_is_filled_in_its_place() {
        let numbered = |index: usize, piece: &mut [f32]| {
            assert!(piece.iter().all(|&x| x == 0.0));
            piece.fill(index as f32);
        };
        assert_eq!(in_pieces::<f32>([2, 0, 1].into_iter(), numbered), [0.0, 0.0, 2.0]);
        assert_eq!(in_chunks::<f32>(5, 2, numbered), [0.0, 0.0, 1.0, 1.0, 2.0]);
        let narrow: Vec<bf16> = in_chunks(5, 2, numbered);
        assert_eq!(narrow, [0.0, 0.0, 1.0, 1.0, 2.0].map(bf16::from_f32));
        assert!(in_chunks::<f32>(0, 2, numbered).is_empty());
    }
}
