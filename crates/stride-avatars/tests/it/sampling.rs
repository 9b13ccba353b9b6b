//! Sampled attributes are reproducible, coherent and respect the split.

use std::collections::BTreeSet;

use stride_avatars::attributes::{Eyes, Eyewear, Hair, Headwear};
use stride_avatars::palette::{Color, Skin};
use stride_avatars::{Attributes, Gender, HeldOutPair, Split, Style};

const COUNT: u64 = 4000;

fn samples(split: Split) -> impl Iterator<Item = Attributes> {
    (0..COUNT).map(move |index| Attributes::sample(3, index, split))
}

#[test]
fn the_same_seed_and_index_give_the_same_attributes_in_any_order() {
    let forward: Vec<_> = (0..50).map(|i| Attributes::sample(9, i, Split::Train)).collect();
    let mut backward: Vec<_> =
        (0..50).rev().map(|i| Attributes::sample(9, i, Split::Train)).collect();
    backward.reverse();
    assert_eq!(forward, backward);
    let other: Vec<_> = (0..50).map(|i| Attributes::sample(10, i, Split::Train)).collect();
    assert_ne!(forward, other);
}

#[test]
fn attributes_are_coherent() {
    for split in [Split::Train, Split::HeldOut] {
        for a in samples(split) {
            assert!(a.facial_hair.is_none() || a.gender == Gender::Man, "{a:?}");
            if a.eyewear == Some(Eyewear::Sunglasses) {
                assert_eq!(a.eyes, Eyes::Open, "{a:?}");
                assert_eq!(a.to_map()["eyes"], "none");
            }
            let hidden = a.headwear.is_some_and(|(kind, _)| kind != Headwear::FlowerCrown);
            assert_eq!(hidden, a.hair == Hair::Covered, "{a:?}");
            assert!(a.headwear.is_none() || a.style == Style::Flat, "{a:?}");
            assert!(a.headwear.is_none_or(|(_, color)| color != a.garment_color), "{a:?}");
            let brown = a.skin == Skin::Dark && a.to_map()["hair_color"] == "brown";
            assert!(!brown, "brown hair cannot be told from dark skin: {a:?}");
            let white = a.garment_color == Color::White && a.background.name() == "white";
            assert!(!white, "white on white: {a:?}");
        }
    }
}

#[test]
fn held_out_pairs_are_absent_from_training_and_always_present_elsewhere() {
    for a in samples(Split::Train) {
        assert!(HeldOutPair::ALL.iter().all(|pair| !pair.matches(&a)), "{a:?}");
    }
    let mut counts = vec![0u64; HeldOutPair::ALL.len()];
    for a in samples(Split::HeldOut) {
        let shown: Vec<_> = HeldOutPair::ALL.iter().map(|pair| pair.matches(&a)).collect();
        assert!(shown.contains(&true), "{a:?}");
        for (count, shown) in counts.iter_mut().zip(shown) {
            *count += u64::from(shown);
        }
    }
    for (pair, count) in HeldOutPair::ALL.iter().zip(counts) {
        assert!(count > COUNT / 10, "{}: {count} of {COUNT}", pair.name());
    }
}

#[test]
fn each_half_of_a_held_out_pair_is_common_in_training() {
    let train: Vec<_> = samples(Split::Train).map(|a| a.to_map()).collect();
    let halves = [
        ("glasses", "glasses"),
        ("hair_color", "red"),
        ("garment_color", "black"),
        ("background", "pink"),
        ("garment_color", "green"),
        ("hair_color", "blond"),
        ("hair", "bun"),
        ("hair_color", "gray"),
        ("facial_hair", "full beard"),
        ("garment_color", "purple"),
        ("eyes", "winking"),
        ("background", "yellow"),
    ];
    for (key, value) in halves {
        let count = train.iter().filter(|map| map[key] == value).count();
        assert!(count > COUNT as usize / 50, "{key} = {value}: {count} of {COUNT}");
    }
}

#[test]
fn every_value_of_every_attribute_is_sampled() {
    let mut seen = BTreeSet::new();
    for a in samples(Split::Train) {
        seen.extend(a.to_map());
    }
    let expect = |key: &'static str, names: Vec<&'static str>| {
        for name in names {
            assert!(seen.contains(&(key, name)), "{key} = {name} is never sampled");
        }
    };
    use stride_avatars::attributes as at;
    use stride_avatars::palette as pa;
    expect("hair", Hair::ALL.iter().map(|v| v.name()).collect());
    expect("hair_color", pa::HairColor::ALL.iter().map(|v| v.name()).collect());
    expect("skin", Skin::ALL.iter().map(|v| v.name()).collect());
    expect("headwear", Headwear::ALL.iter().map(|v| v.name()).collect());
    expect("facial_hair", at::FacialHair::ALL.iter().map(|v| v.name()).collect());
    expect("glasses", Eyewear::ALL.iter().map(|v| v.name()).collect());
    expect("expression", at::Expression::ALL.iter().map(|v| v.name()).collect());
    expect("eyes", Eyes::ALL.iter().map(|v| v.name()).collect());
    expect("garment", at::Garment::ALL.iter().map(|v| v.name()).collect());
    expect("garment_color", Color::ALL.iter().map(|v| v.name()).collect());
    expect("background", pa::Background::ALL.iter().map(|v| v.name()).collect());
    expect("style", Style::ALL.iter().map(|v| v.name()).collect());
}
