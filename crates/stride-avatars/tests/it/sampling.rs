//! Sampled attributes are reproducible, coherent and respect the split.

use std::collections::{BTreeMap, BTreeSet};

use stride_avatars::attributes::{Eyes, Eyewear, Hair, Headwear};
use stride_avatars::palette::{Color, Skin};
use stride_avatars::{Attributes, Distribution, Gender, HeldOutPair, Split, Style};

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

fn flat_samples() -> Vec<Attributes> {
    (0..COUNT).map(|index| Distribution::Flat.sample(3, index, Split::Train)).collect()
}

fn fraction<'a>(
    of: impl Iterator<Item = &'a Attributes>,
    shows: impl Fn(&Attributes) -> bool,
) -> f64 {
    let shown: Vec<bool> = of.map(shows).collect();
    shown.iter().filter(|shows| **shows).count() as f64 / shown.len() as f64
}

#[test]
fn flat_samples_show_hats_beards_and_glasses_often() {
    let all = flat_samples();
    let men = || all.iter().filter(|a| a.gender == Gender::Man);
    let hats = fraction(all.iter().filter(|a| a.style == Style::Flat), |a| a.headwear.is_some());
    let beards = fraction(men(), |a| a.facial_hair.is_some());
    let dark = fraction(men().filter(|a| a.facial_hair.is_some()), |a| a.skin == Skin::Dark);
    let glasses = fraction(all.iter(), |a| a.eyewear.is_some());
    for (name, found, expected) in [
        ("hats", hats, 0.40),
        ("beards", beards, 0.71),
        ("dark skin of bearded men", dark, 0.36),
        ("glasses", glasses, 0.58),
    ] {
        assert!((found - expected).abs() < 0.04, "{name}: {found}, expected {expected}");
    }
}

#[test]
fn flat_samples_show_every_value_of_an_attribute_about_as_often() {
    let all = flat_samples();
    let counts = |key: &str| {
        let mut counts = BTreeMap::new();
        for map in all.iter().map(Attributes::to_map).filter(|map| map[key] != "none") {
            *counts.entry(map[key]).or_insert(0u64) += 1;
        }
        counts
    };
    // The held-out pairs take from some values, and some values exist in one style or for one gender only.
    for (key, most) in [
        ("background", 1.5),
        ("garment_color", 2.3),
        ("hair_color", 2.0),
        ("headwear_color", 1.5),
        ("headwear", 2.0),
        ("glasses", 1.5),
        ("facial_hair", 3.0),
        ("expression", 3.0),
        ("eyes", 2.5),
    ] {
        let counts = counts(key);
        let (least, largest) = (counts.values().min(), counts.values().max());
        let ratio = *largest.expect("seen") as f64 / *least.expect("seen") as f64;
        assert!(ratio < most, "{key}: {counts:?}");
    }
}

#[test]
fn colors_of_flat_hats_and_garments_are_independent() {
    let all: Vec<_> = (0..20_000)
        .map(|index| Distribution::Flat.sample(11, index, Split::Train))
        .filter(|a| a.headwear_color().is_some() && a.garment_visible())
        .collect();
    let hat = |a: &Attributes, color| a.headwear_color() == Some(color);
    for color in Color::ALL.iter().filter(|color| **color != Color::White) {
        let of_hats = fraction(all.iter(), |a| hat(a, *color));
        let of_garments = fraction(all.iter(), |a| a.garment_color == *color);
        let of_both = fraction(all.iter(), |a| hat(a, *color) && a.garment_color == *color);
        let expected = of_hats * of_garments;
        assert!((of_both - expected).abs() < 0.006, "{color:?}: {of_both}, expected {expected}");
    }
}

#[test]
fn flat_samples_are_coherent_and_leave_out_what_is_held_out() {
    for a in flat_samples() {
        assert!(HeldOutPair::ALL.iter().all(|pair| !pair.matches(&a)), "{a:?}");
        assert!(a.facial_hair.is_none() || a.gender == Gender::Man, "{a:?}");
        assert!(a.headwear.is_none() || a.style == Style::Flat, "{a:?}");
        let white = a.garment_color == Color::White && a.background.name() == "white";
        assert!(!white, "white on white: {a:?}");
        stride_avatars::render(&a, 16).expect("every combination is drawn");
    }
}
