//! Which images are trained on: none that is a copy of a held-out one.

use std::collections::HashSet;
use std::hash::Hash;

/// The images before the last `held_out` of `total` whose content is not that of one of these.
pub(crate) fn train_images<T: Hash + Eq>(
    total: usize,
    held_out: usize,
    content: impl Fn(usize) -> T,
) -> Vec<usize> {
    let first_held_out = total.saturating_sub(held_out);
    let kept_out: HashSet<T> = (first_held_out..total).map(&content).collect();
    let is_copy = |&index: &usize| !kept_out.is_empty() && kept_out.contains(&content(index));
    let train: Vec<usize> = (0..first_held_out).filter(|index| !is_copy(index)).collect();
    if train.len() < first_held_out {
        let copies = first_held_out - train.len();
        tracing::warn!("{copies} images are copies of held-out ones and are not trained on");
    }
    train
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_of_what_is_held_out_are_not_trained_on() {
        let contents = ["a", "b", "a", "c", "d", "b", "e"];
        assert_eq!(train_images(7, 2, |index| contents[index]), [0, 2, 3, 4]);
        assert_eq!(train_images(7, 0, |index| contents[index]), [0, 1, 2, 3, 4, 5, 6]);
        assert_eq!(train_images(3, 1, |_| "same"), [0; 0]);
        assert_eq!(train_images(2, 5, |_| "same"), [0; 0]);
    }
}
