//! `stride plot`.

use std::fs;

use crate::program::run;

#[test]
fn the_losses_of_a_run_become_charts() {
    let place = tempfile::tempdir().expect("a temporary folder");
    let metrics = place.path().join("metrics.jsonl");
    fs::write(&metrics, "{\"step\": 1, \"rows_per_second\": 9.0}\n").expect("writable");
    run(place.path(), &["plot", "."]).expect(1).says(&["no losses"]);
    let lines = (1..=9).map(|step| {
        format!(
            "{{\"step\": {step}, \"loss\": {}, \"held_out_<error>\": 2}}\n",
            1.0 / f64::from(step)
        )
    });
    fs::write(&metrics, lines.collect::<String>()).expect("writable");
    let found = run(place.path(), &["plot", "."]).expect(0);
    assert!(found.stdout.contains("curves.svg"), "{}", found.stdout);
    let svg = fs::read_to_string(place.path().join("curves.svg")).expect("written");
    for part in ["<svg xmlns", "Loss by step size", "On held-out images", "held out &lt;error&gt;"]
    {
        assert!(svg.contains(part), "{part} is not in:\n{svg}");
    }
    assert_eq!(svg.matches("<polyline").count(), 2, "{svg}");
    fs::write(&metrics, "no JSON").expect("writable");
    run(place.path(), &["plot", "."]).expect(1).says(&["metrics.jsonl line 1"]);
    run(place.path(), &["plot", "nowhere"])
        .expect(1)
        .says(&["nowhere", "folder of a training run"]);
}
