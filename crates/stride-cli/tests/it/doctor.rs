//! `stride doctor`: what the machine has, and whether a device computes what the processor computes.

use crate::program::run;

#[test]
fn the_machine_is_described() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let machine = run(folder.path(), &["doctor", "--json"]).expect(0).json();
    assert!(machine["processor"]["threads"].as_u64().is_some_and(|threads| threads > 0));
    let adapters = machine["adapters"].as_array().expect("a list");
    for (number, adapter) in adapters.iter().enumerate() {
        assert_eq!(adapter["device"], format!("gpu:{number}"));
    }
    if adapters.is_empty() {
        assert_eq!(machine["auto"], "cpu");
    }
    let text = run(folder.path(), &["doctor"]).expect(0).stdout;
    for name in ["stride ", "cpu ", "auto "] {
        assert!(text.lines().any(|line| line.starts_with(name)), "{text}");
    }
}

#[test]
fn a_gpu_that_is_not_there_is_wrong_usage_with_a_way_out() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let device = "gpu:99";
    for arguments in [&["generate", "x", "--device", device][..], &["doctor", "--check", device]] {
        run(folder.path(), arguments).expect(2).says(&[device, "stride doctor"]);
    }
}

/// Everything can be computed, also after a run goes on; on a GPU, `cargo xtask gpu` does the same.
#[test]
fn the_processor_computes_what_it_computes() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let report = run(folder.path(), &["doctor", "--check", "cpu", "--json"]).expect(0).json();
    let comparisons = report["comparisons"].as_array().expect("a list");
    assert!(comparisons.len() > 15, "{comparisons:?}");
    for verdict in comparisons.iter().chain(report["training"].as_array().expect("a list")) {
        let largest =
            [&verdict["output"]["error"], &verdict["gradient"]["error"], &verdict["error"]];
        let errors: Vec<f64> = largest.into_iter().filter_map(serde_json::Value::as_f64).collect();
        assert!(!errors.is_empty() && errors.iter().all(|&error| error == 0.0), "{verdict}");
    }
    assert_eq!(report["control"]["passed"], false, "a wrong operation passes");
}
