//! Each metric moves the right way under blur, noise, dropped modes and shuffled captions.

use std::fs;

use stride::image::{ImageMetadata, RgbImage, png_bytes};
use stride_data::Pixels;
use stride_eval::Features;
use stride_eval::diversity::diversity;
use stride_eval::embedding_score::{pair_score, r_precision};
use stride_eval::frechet::{EpsilonRule, bootstrap_interval, frechet_distance};
use stride_eval::images::ImageSet;
use stride_eval::inception_score::inception_score;
use stride_eval::kid::kernel_distance;
use stride_eval::memorisation::{Nearest, nearest, nearest_other};
use stride_eval::prdc::prdc;
use stride_eval::statistics::Gaussian;

use crate::formula::{features, image, uniform};

/// Pixels of 6x6 images of four kinds, as features: kinds are the modes.
fn images(stream: u64, kinds: usize) -> Features {
    let values = (0..200).flat_map(|k| {
        let kind = (k % kinds) as u64;
        (0..36).map(move |pixel| {
            let base = uniform(900 + kind, pixel) * 2.0;
            (base + 0.3 * uniform(stream, k as u64 * 36 + pixel)) as f32
        })
    });
    Features::new("images", 36, values.collect()).expect("finite")
}

fn mapped(set: &Features, change: impl Fn(&[f32], usize, usize) -> f32) -> Features {
    let rows = set.rows().enumerate();
    let values = rows
        .flat_map(|(k, row)| (0..row.len()).map(|pixel| change(row, pixel, k)).collect::<Vec<_>>());
    Features::new("changed", set.width(), values.collect()).expect("finite")
}

fn blurred(set: &Features) -> Features {
    mapped(set, |row, pixel, _| {
        let near: Vec<f32> = row.iter().skip(pixel.saturating_sub(2)).take(5).copied().collect();
        near.iter().sum::<f32>() / near.len() as f32
    })
}

fn noisy(set: &Features) -> Features {
    mapped(set, |row, pixel, k| {
        row[pixel] + 2.0 * uniform(77, (k * 36 + pixel) as u64) as f32 - 1.0
    })
}

fn distance(a: &Features, b: &Features) -> f64 {
    let [a, b] = [a, b].map(|set| Gaussian::of(set).expect("enough"));
    frechet_distance(&a, &b, EpsilonRule::None).expect("same width")
}

#[test]
fn distances_grow_under_blur_noise_and_dropped_modes() {
    let (real, same) = (images(1, 4), images(2, 4));
    let kernel = |set: &Features| kernel_distance(set, &real, 10, 100, 1).expect("enough").mean;
    let [own, own_kernel] = [distance(&same, &real), kernel(&same)];
    for (what, set) in
        [("blur", blurred(&same)), ("noise", noisy(&same)), ("one mode", images(2, 1))]
    {
        println!(
            "{what}: {} over {own}, {} over {own_kernel}",
            distance(&set, &real),
            kernel(&set)
        );
        assert!(distance(&set, &real) > 3.0 * own, "{what}");
        assert!(kernel(&set) > own_kernel + 1e-3, "{what}");
    }
    let reference = Gaussian::of(&real).expect("enough");
    let [low, high] =
        bootstrap_interval(&same, &reference, EpsilonRule::None, 20, 3).expect("enough");
    assert!(low < own && own < high, "{low} {own} {high}");
    assert!(high < distance(&noisy(&same), &real), "{low} {high}");
}

#[test]
fn blur_and_noise_cost_precision_and_dropped_modes_cost_recall() {
    let (real, same) = (images(1, 4), images(2, 4));
    let of = |set: &Features| prdc(set, &real, 3).expect("enough");
    let (own, noise, blur, one) =
        (of(&same), of(&noisy(&same)), of(&blurred(&same)), of(&images(2, 1)));
    println!("{own:?} {noise:?} {blur:?} {one:?}");
    for worse in [noise, blur] {
        assert!(worse.precision < own.precision && worse.density < own.density);
    }
    assert!(one.recall < 0.5 * own.recall && one.coverage < 0.5 * own.coverage);
    assert!(diversity(&images(2, 1)).expect("enough") < diversity(&same).expect("enough"));
}

#[test]
fn the_inception_score_falls_when_classes_are_dropped_or_blurred() {
    let logits = |classes: usize, sharpness: f32| {
        let values = (0..160).flat_map(|k| {
            (0..8).map(move |class| if class == k % classes { sharpness } else { 0.0 })
        });
        Features::new("logits", 8, values.collect()).expect("finite")
    };
    let score = |logits: &Features| inception_score(logits, 2).expect("enough").mean;
    let all = score(&logits(8, 50.0));
    assert!((all - 8.0).abs() < 1e-6, "eight certain classes score eight: {all}");
    assert!(score(&logits(3, 50.0)) < 3.1 && score(&logits(8, 1.0)) < 2.0);
}

#[test]
fn pair_scores_fall_when_captions_are_shuffled() {
    let texts = features(4, 60, 32, 0.0);
    let images =
        mapped(&texts, |row, at, k| row[at] + 0.4 * uniform(8, (k * 32 + at) as u64) as f32);
    let order: Vec<usize> = (0..60).map(|i| (i * 7 + 3) % 60).collect();
    let shuffled = texts.select(&order);
    let score = pair_score(&images, &texts).expect("pairs");
    let broken = pair_score(&images, &shuffled).expect("pairs");
    assert!(score.own > 80.0 && score.shuffled < 40.0, "{score:?}");
    assert!(broken.own < 40.0, "{broken:?}");
    let noise =
        |row: &[f32], at: usize, k: usize| row[at] + 2.0 * uniform(9, (k * 32 + at) as u64) as f32;
    let worse = pair_score(&mapped(&images, noise), &texts).expect("pairs");
    assert!(worse.own < score.own - 5.0, "{worse:?} {score:?}");
    assert_eq!(r_precision(&images, &texts, 20).expect("pairs"), 1.0);
    assert!(r_precision(&images, &shuffled, 20).expect("pairs") < 0.2);
}

#[test]
fn copies_of_training_images_are_found() {
    let training = images(1, 4);
    let generated = images(2, 4);
    let copied = training.select(&[5, 17]);
    let copies = nearest(&copied, &training).expect("same width");
    assert_eq!([copies[0].index, copies[1].index], [5, 17]);
    let honest = nearest(&generated, &training).expect("same width");
    let least = honest.iter().fold(f64::INFINITY, |a, b| a.min(b.distance));
    assert!(copies.iter().all(|copy| copy.distance < 1e-3 * least), "{copies:?} {least}");

    // Real images among themselves say what is usual; noise and blur lead away.
    let mean = |nearest: &[Nearest]| {
        nearest.iter().map(|one| one.distance).sum::<f64>() / nearest.len() as f64
    };
    let usual = mean(&nearest_other(&training).expect("enough"));
    let own = mean(&honest);
    assert!((own / usual - 1.0).abs() < 0.1, "{own} {usual}");
    for changed in [noisy(&generated), blurred(&generated)] {
        let far = mean(&nearest(&changed, &training).expect("same width"));
        assert!(far > 1.2 * own, "{far} {own}");
    }
}

#[test]
fn folders_of_one_image_or_mixed_sizes_are_refused_by_name() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let write = |name: &str, image: &RgbImage| {
        let bytes = png_bytes(image, &ImageMetadata::default()).expect("an image");
        fs::write(dir.path().join(name), bytes).expect("writable");
    };
    write("a.png", &image(1, 8, 8));
    fs::write(dir.path().join("notes.txt"), "no image").expect("writable");
    let text = ImageSet::open(dir.path(), None).expect_err("one image").to_string();
    assert!(text.contains("at least 2 samples, found 1"), "{text}");

    write("b.png", &image(2, 8, 8));
    let folder = ImageSet::open(dir.path(), None).expect("two images");
    let mut sizes = Vec::new();
    folder
        .for_each_batch(1, Pixels::Shown, |batch| {
            sizes.push(batch.len());
            Ok(())
        })
        .expect("readable");
    assert_eq!(sizes, [1, 1]);

    write("c.png", &image(3, 8, 9));
    let folder = ImageSet::open(dir.path(), None).expect("three images");
    let text = folder.for_each_batch(2, Pixels::Shown, |_| Ok(())).expect_err("mixed").to_string();
    assert!(text.contains("c.png: expected 8x8") && text.contains("found 8x9"), "{text}");

    fs::write(dir.path().join("c.png"), b"broken").expect("writable");
    let text = folder.for_each_batch(2, Pixels::Shown, |_| Ok(())).expect_err("broken").to_string();
    assert!(text.contains("c.png: not a readable image"), "{text}");
}
