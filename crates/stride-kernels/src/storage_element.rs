//! The types in which images lie in memory between two operations.

use std::borrow::Cow;
use std::cell::RefCell;
use std::mem::MaybeUninit;

use half::bf16;

use crate::compute::round_to_bf16;
use crate::vectorized::vectorized;

/// A type of numbers in memory. Whatever it is, sums, norms and activations are computed in f32.
pub trait StorageElement: Copy + Default + Send + Sync + 'static {
    /// The numbers in f32.
    fn widened(numbers: &[Self]) -> Cow<'_, [f32]>;

    /// Rounds numbers of f32 to the nearest, ties to even.
    ///
    /// # Panics
    /// The lengths differ.
    fn narrow(numbers: &[f32], into: &mut [MaybeUninit<Self>]);

    /// Lets `make` write numbers of f32, which end rounded in `room`; it gets `onto` in f32.
    ///
    /// # Safety
    /// `make` writes every number.
    unsafe fn write(
        room: &mut [MaybeUninit<Self>],
        onto: Option<&[Self]>,
        make: impl FnOnce(&mut [MaybeUninit<f32>], Option<&[f32]>),
    );
}

impl StorageElement for f32 {
    fn widened(numbers: &[Self]) -> Cow<'_, [f32]> {
        Cow::Borrowed(numbers)
    }

    fn narrow(numbers: &[f32], into: &mut [MaybeUninit<Self>]) {
        assert_eq!(numbers.len(), into.len(), "narrow: lengths differ");
        for (into, &x) in into.iter_mut().zip(numbers) {
            into.write(x);
        }
    }

    unsafe fn write(
        room: &mut [MaybeUninit<Self>],
        onto: Option<&[Self]>,
        make: impl FnOnce(&mut [MaybeUninit<f32>], Option<&[f32]>),
    ) {
        make(room, onto);
    }
}

thread_local! {
    /// Numbers on their way to memory, and what is added to them.
    static WIDE: RefCell<[Vec<f32>; 2]> = const { RefCell::new([Vec::new(), Vec::new()]) };
}

impl StorageElement for bf16 {
    fn widened(numbers: &[Self]) -> Cow<'_, [f32]> {
        let mut wide = vec![0.0; numbers.len()];
        widen_bf16(numbers, &mut wide);
        Cow::Owned(wide)
    }

    fn narrow(numbers: &[f32], into: &mut [MaybeUninit<Self>]) {
        assert_eq!(numbers.len(), into.len(), "narrow: lengths differ");
        narrow_bf16(numbers, into);
    }

    unsafe fn write(
        room: &mut [MaybeUninit<Self>],
        onto: Option<&[Self]>,
        make: impl FnOnce(&mut [MaybeUninit<f32>], Option<&[f32]>),
    ) {
        WIDE.with_borrow_mut(|[wide, wide_onto]| {
            wide.clear();
            wide.reserve(room.len());
            let onto = onto.map(|onto| {
                wide_onto.resize(onto.len(), 0.0);
                widen_bf16(onto, wide_onto);
                &wide_onto[..]
            });
            make(&mut wide.spare_capacity_mut()[..room.len()], onto);
            // SAFETY: the caller promises that every number was written.
            unsafe { wide.set_len(room.len()) };
            narrow_bf16(wide, room);
        });
    }
}

vectorized! {
    fn widen_bf16(numbers: &[bf16], wide: &mut [f32]) {
        for (wide, x) in wide.iter_mut().zip(numbers) {
            *wide = f32::from_bits(u32::from(x.to_bits()) << 16);
        }
    }

    fn narrow_bf16(numbers: &[f32], into: &mut [MaybeUninit<bf16>]) {
        for (into, &x) in into.iter_mut().zip(numbers) {
            into.write(bf16::from_bits((round_to_bf16(x).to_bits() >> 16) as u16));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_rounded_once_and_kept() {
        let numbers: Vec<f32> = (0..1000).map(|i| (i as f32 * 0.37).sin() * 100.0).collect();
        let onto: Vec<bf16> = numbers.iter().rev().map(|&x| bf16::from_f32(x)).collect();
        let mut room = vec![MaybeUninit::new(bf16::ZERO); numbers.len()];
        let make = |room: &mut [MaybeUninit<f32>], onto: Option<&[f32]>| {
            let onto = onto.expect("given");
            for ((room, x), onto) in room.iter_mut().zip(&numbers).zip(onto) {
                room.write(x + onto);
            }
        };
        // SAFETY: every number is written.
        unsafe { bf16::write(&mut room, Some(&onto), make) };
        for ((written, x), onto) in room.iter().zip(&numbers).zip(&onto) {
            // SAFETY: they held zeros from the beginning.
            assert_eq!(unsafe { written.assume_init() }, bf16::from_f32(x + onto.to_f32()));
        }
        let narrow: Vec<bf16> = numbers.iter().map(|&x| bf16::from_f32(x)).collect();
        let expected: Vec<f32> = narrow.iter().map(|x| x.to_f32()).collect();
        assert_eq!(bf16::widened(&narrow), expected);
    }
}
