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

/// A metrics file of ten steps.
fn write_run(dir: &std::path::Path, factor: f64) {
    fs::create_dir_all(dir).expect("writable");
    let line = |step: i32| {
        let loss = factor / f64::from(step);
        format!("{{\"step\": {step}, \"loss\": {loss}, \"weight_norm/dit.blocks\": 3}}\n")
    };
    fs::write(dir.join("metrics.jsonl"), (1..=10).map(line).collect::<String>()).expect("writable");
}

#[test]
fn runs_are_compared_in_one_drawing() {
    let place = tempfile::tempdir().expect("a temporary folder");
    write_run(&place.path().join("first"), 1.0);
    write_run(&place.path().join("second"), 2.0);
    let base = ["plot", "first", "second", "-o"];
    let plot = |output: &'static str| run(place.path(), &[&base[..], &[output]].concat());
    plot("both.svg").expect(0);
    let svg = fs::read_to_string(place.path().join("both.svg")).expect("written");
    assert_eq!(svg.matches("<polyline").count(), 2, "{svg}");
    assert!(svg.contains(">first<") && svg.contains(">second<"), "{svg}");
    plot("both.csv").expect(0);
    let csv = fs::read_to_string(place.path().join("both.csv")).expect("written");
    assert!(
        csv.starts_with("run,step,\"loss\",\"weight_norm/dit.blocks\"\n\"first\",1,1,3\n"),
        "{csv}"
    );
    assert_eq!(csv.lines().count(), 21);
    plot("both.pdf").expect(2).says(&[".svg or .csv"]);
}

#[test]
fn losses_by_time_become_a_table_of_colours() {
    let place = tempfile::tempdir().expect("a temporary folder");
    write_run(place.path(), 1.0);
    let map = place.path().join("loss_map.csv");
    let lines = "step,log2_steps,t,rows,loss\n5,0,0.05,3,9\n10,0,0.05,3,0.5\n10,7,0.95,1,0.25\n";
    fs::write(&map, lines).expect("writable");
    run(place.path(), &["plot", "."]).expect(0);
    let svg = fs::read_to_string(place.path().join("curves.svg")).expect("written");
    for part in ["before step 10", ">1<", ">1/128<", ">0.5<", "Norm of the weights by part"] {
        assert!(svg.contains(part), "{part} is not in:\n{svg}");
    }
    fs::write(&map, format!("{lines}x\n")).expect("writable");
    run(place.path(), &["plot", "."]).expect(1).says(&["loss_map.csv line 5"]);
}
