//! Metrics on equal features, against pytorch-fid, clean-fid, torch-fidelity and torchmetrics.

use serde_json::Value;
use stride_eval::Features;
use stride_eval::frechet::{EpsilonRule, frechet_distance};
use stride_eval::inception_score::inception_score;
use stride_eval::kid::kernel_distance;
use stride_eval::prdc::prdc;
use stride_eval::statistics::Gaussian;

use crate::formula::features;

/// What the packages say.
pub(crate) fn fixture() -> Value {
    serde_json::from_str(include_str!("../fixtures/evaluation.json")).expect("the fixture is JSON")
}

fn number(metrics: &Value, name: &str) -> f64 {
    metrics[name].as_f64().expect("a number in the fixture")
}

fn pair(metrics: &Value, name: &str) -> [f64; 2] {
    [0, 1].map(|i| metrics[name][i].as_f64().expect("a number in the fixture"))
}

pub(crate) fn close(name: &str, found: f64, expected: f64, relative: f64) {
    let error = (found - expected).abs() / expected.abs();
    println!("{name}: {found} for {expected}, error {error:.1e}");
    assert!(error < relative, "{name}: {found}, expected {expected}");
}

fn sets() -> [Features; 2] {
    [features(1, 300, 64, 0.0), features(2, 300, 64, 0.1)]
}

#[test]
fn frechet_distances_agree() {
    let metrics = &fixture()["metrics"];
    let [real, fake] = sets().map(|set| Gaussian::of(&set).expect("enough"));
    let distance = |fake, rule| frechet_distance(&real, fake, rule).expect("same width");
    for package in ["pytorch_fid", "clean_fid", "torchmetrics_fid"] {
        close(package, distance(&fake, EpsilonRule::None), number(metrics, package), 1e-9);
    }
    let always = distance(&fake, EpsilonRule::Always(1e-6));
    close("reference_fid", always, number(metrics, "reference_fid"), 1e-9);
    assert!((always - distance(&fake, EpsilonRule::None)).abs() > 1e-6, "epsilon has an effect");
    let few: Vec<usize> = (0..40).collect();
    let few = Gaussian::of(&sets()[1].select(&few)).expect("enough");
    let singular = distance(&few, EpsilonRule::None);
    close("pytorch_fid_singular", singular, number(metrics, "pytorch_fid_singular"), 1e-3);
}

#[test]
fn kernel_distances_agree() {
    let metrics = &fixture()["metrics"];
    let [real, fake] = sets();
    let whole = kernel_distance(&fake, &real, 3, 300, 0).expect("enough");
    close("kid", whole.mean, number(metrics, "kid"), 1e-4);
    assert!(whole.std < 1e-12, "subsets that are the whole set do not differ");
    // Other random subsets: the means agree within their error bars.
    let [mean, std] = pair(metrics, "kid_subsets");
    let subsets = kernel_distance(&fake, &real, 100, 100, 0).expect("enough");
    println!("{subsets:?} for {mean} {std}");
    assert!((subsets.mean - mean).abs() < 3.0 * std / 10.0);
    assert!((subsets.std / std - 1.0).abs() < 0.35);
}

#[test]
fn inception_scores_agree() {
    let [mean, std] = pair(&fixture()["metrics"], "inception_score");
    let [_, fake] = sets();
    let values = fake.rows().flatten().map(|value| value * 3.0).collect();
    let logits = Features::new("logits", 64, values).expect("finite");
    let found = inception_score(&logits, 10).expect("enough");
    close("mean", found.mean, mean, 1e-6);
    close("std", found.std, std, 1e-5);
}

#[test]
fn precision_and_its_kin_agree() {
    let fixture = fixture();
    let metrics = &fixture["metrics"];
    let [real, fake] = sets();
    let found = prdc(&fake, &real, 3).expect("enough");
    let [precision, recall] = pair(metrics, "precision_recall");
    close("precision", found.precision, precision, 1e-6);
    close("recall", found.recall, recall, 1e-6);
    close("density", found.density, number(metrics, "density"), 1e-9);
    close("coverage", found.coverage, number(metrics, "coverage"), 1e-9);
}
