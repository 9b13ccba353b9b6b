//! Settings that no run can have: refused with a message that names them, or harmless.

use std::fs;

use toml::{Table, Value};

use crate::bounded::run_bounded;
use crate::compare;
use crate::mutations::Draws;

/// What a setting is replaced by, as `--set` reads it.
const VALUES: [&str; 11] = [
    "0",
    "-1",
    "nan",
    "inf",
    "-inf",
    "1e300",
    "1e-300",
    "9223372036854775807",
    "\"\"",
    "[]",
    "true",
];
/// Settings that are tried, each with one value, unless `RUN_SLOW_TESTS` is set.
const FEW: usize = 60;

/// The dotted names of all settings in a table.
fn keys(prefix: &str, table: &Table, found: &mut Vec<String>) {
    for (name, value) in table {
        match value {
            Value::Table(table) => keys(&format!("{prefix}{name}."), table, found),
            _ => found.push(format!("{prefix}{name}")),
        }
    }
}

#[test]
fn a_hostile_setting_is_refused_by_name_or_does_no_harm() {
    let place = compare::place();
    let config = compare::BASE.replace("max_seconds = 1000", "max_steps = 2");
    fs::write(place.path().join("run.toml"), &config).expect("writable");
    let resolved = stride_train::RunConfig::load(&place.path().join("run.toml"), &[]);
    let resolved = resolved.expect("valid").to_toml().expect("TOML");
    let mut names = Vec::new();
    keys("", &resolved.parse().expect("TOML"), &mut names);
    assert!(names.len() > 40, "{names:?}");
    let mut pairs: Vec<(&String, &str)> =
        names.iter().flat_map(|name| VALUES.map(|value| (name, value))).collect();
    if std::env::var_os("RUN_SLOW_TESTS").is_none() {
        let mut draws = Draws(7);
        pairs = (0..FEW).map(|_| pairs[draws.below(pairs.len())]).collect();
    }
    let mut accepted = 0;
    for (name, value) in &pairs {
        let setting = format!("{name}={value}");
        let arguments = ["train", "--config", "run.toml", "--dry-run", "--set", &setting];
        let run = run_bounded(place.path(), &arguments, setting.as_bytes());
        let last = name.rsplit('.').next().expect("a name");
        let is_named = run.stderr.contains("error: ") && run.stderr.contains(last);
        assert!(run.code == Some(0) || is_named, "{setting}: {}", run.stderr);
        accepted += usize::from(run.code == Some(0));
        assert!(!place.path().join("runs").exists(), "{setting}: a dry run writes nothing");
    }
    println!("{accepted} of {} accepted", pairs.len());
}
