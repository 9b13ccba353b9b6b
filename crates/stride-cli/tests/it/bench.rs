//! `stride bench`.

use crate::model::workplace;
use crate::program::run;

const ROWS: [&str; 13] = [
    "text",
    "denoise_b1",
    "denoise_b4",
    "denoise_b16",
    "decode",
    "e2e_1",
    "e2e_4",
    "e2e_128",
    "train_b8",
    "train_b8_targets",
    "train_b8_forward",
    "train_b8_backward",
    "train_b8_optimizer",
];

#[test]
fn every_row_has_numbers() {
    let place = workplace();
    let arguments = ["bench", "--model", "model", "--reps", "1", "--json"];
    let found = run(place.path(), &arguments).expect(0).json();
    let rows = found["rows"].as_array().expect("a list");
    let names: Vec<_> = rows.iter().map(|row| row["name"].as_str().expect("a name")).collect();
    assert_eq!(names, ROWS);
    let number = |value: &serde_json::Value| value.as_f64().expect("a finite number");
    assert!(number(&found["peak_gflop_per_s"]) > 0.0);
    for row in rows {
        assert_eq!(row["reps"], 1, "{row}");
        assert!(number(&row["min_s"]) > 0.0, "{row}");
        assert!(number(&row["median_s"]) >= number(&row["min_s"]), "{row}");
        let has_products = row["name"] != "train_b8_optimizer";
        for field in ["gflop", "gflop_per_s", "share_of_peak"] {
            assert_eq!(number(&row[field]) > 0.0, has_products, "{field} of {row}");
        }
        if cfg!(target_os = "linux") {
            assert!(number(&row["peak_memory_mib"]) > 0.0, "{row}");
        }
    }
}

#[test]
fn a_table_of_chosen_groups() {
    let place = workplace();
    let arguments = ["bench", "--model", "model", "--reps", "2", "--only", "text,decode"];
    let table = run(place.path(), &arguments).expect(0).says(&["measuring text"]).stdout;
    for part in ["tiny on ", "GFLOP/s", "| text ", "| decode "] {
        assert!(table.contains(part), "{part} in {table}");
    }
    assert!(!table.contains("denoise"), "{table}");
}

#[test]
fn wrong_arguments_are_wrong_usage() {
    let place = workplace();
    for (arguments, expected) in [
        (&["--preset", "dit-q9"][..], &["dit-s2", "dit-b2"][..]),
        (&["--only", "tea"], &["text", "denoise", "decode", "e2e", "train"]),
        (&["--reps", "0"], &["at least 1"]),
        (&["--seconds", "soon"], &["seconds"]),
        (&["--model", "model", "--preset", "dit-s2"], &["--preset"]),
    ] {
        run(place.path(), &[&["bench"], arguments].concat()).expect(2).says(expected);
    }
    run(place.path(), &["bench", "--model", "nowhere"]).expect(1).says(&["nowhere"]);
}
