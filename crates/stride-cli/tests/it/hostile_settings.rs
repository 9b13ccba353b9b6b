//! Settings that no run can have: refused with a message that names them, harmless, or found when the loss is no number.

use std::fs;

use toml::{Table, Value};

use crate::bounded::run_bounded;
use crate::{compare, train};

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
fn a_hostile_setting_is_refused_by_name_or_ends_a_dry_run_soon() {
    let place = compare::place();
    let config = compare::BASE.replace("max_seconds = 1000", "max_steps = 2");
    fs::write(place.path().join("run.toml"), &config).expect("writable");
    let resolved = stride_train::RunConfig::load(&place.path().join("run.toml"), &[]);
    let resolved = resolved.expect("valid").to_toml().expect("TOML");
    let mut names = Vec::new();
    keys("", &resolved.parse().expect("TOML"), &mut names);
    assert!(names.len() > 40, "{names:?}");
    let pairs: Vec<(&String, &str)> =
        names.iter().flat_map(|name| VALUES.map(|value| (name, value))).collect();
    let (mut accepted, mut unnamed) = (0, Vec::new());
    for (name, value) in &pairs {
        let setting = format!("{name}={value}");
        let arguments = ["train", "--config", "run.toml", "--dry-run", "--set", &setting];
        let run = run_bounded(place.path(), &arguments, setting.as_bytes());
        let last = name.rsplit('.').next().expect("a name");
        let is_named = run.stderr.contains("error: ") && run.stderr.contains(last);
        // Numbers that only the first steps show to be too large, such as a weight decay of 1e300.
        let diverged = run.stderr.contains(" is NaN, because of ");
        if run.code != Some(0) && !is_named && !diverged {
            unnamed.push(format!("{setting}: {}", run.stderr));
        }
        accepted += usize::from(run.code == Some(0));
        assert!(!place.path().join("runs").exists(), "{setting}: a dry run writes nothing");
    }
    assert!(unnamed.is_empty(), "{}", unnamed.join("\n"));
    println!("{accepted} of {} accepted", pairs.len());
}

#[test]
fn a_hostile_setting_in_a_file_is_refused_by_name() {
    let place = compare::place();
    let write =
        |name: &str, text: &str| fs::write(place.path().join(name), text).expect("writable");
    write("dit.toml", &compare::BASE.replace("max_seconds = 1000", "max_steps = 2"));
    write("vae.toml", train::CONFIG);
    let (mut refused, mut unnamed) = (0, Vec::new());
    for base in ["dit.toml", "vae.toml"] {
        let load = |name: &str| stride_train::RunConfig::load(&place.path().join(name), &[]);
        let resolved = load(base).expect("valid").to_toml().expect("TOML");
        let mut names = Vec::new();
        keys("", &resolved.parse().expect("TOML"), &mut names);
        for (name, value) in names.iter().flat_map(|name| VALUES.map(|value| (name, value))) {
            let (section, last) = name.rsplit_once('.').unwrap_or(("", name));
            let mut table: Table = resolved.parse().expect("TOML");
            let inner = section.split('.').filter(|part| !part.is_empty());
            let inner =
                inner.fold(&mut table, |table, part| table[part].as_table_mut().expect("one"));
            let value = format!("value = {value}")
                .parse::<Table>()
                .map_or(Value::from(value), |mut v| v.remove("value").expect("a value"));
            inner.insert(last.to_owned(), value);
            write("hostile.toml", &table.to_string());
            if let Err(error) = load("hostile.toml") {
                refused += 1;
                if !error.to_string().contains(last) {
                    unnamed.push(format!("{name}: {error}"));
                }
            }
        }
    }
    println!("{refused} refused");
    assert!(refused > 300 && unnamed.is_empty(), "{}", unnamed.join("\n"));
}
