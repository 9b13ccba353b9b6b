//! Configuration files that build on each other, and settings on top of them.

use std::path::Path;

use serde::de::DeserializeOwned;
use toml::{Table, Value};

use crate::TrainError;

/// The key of the file whose settings are changed.
pub(super) const BASE: &str = "base";
/// How a complaint about a setting that is not there begins.
const MISSING: &str = "missing field";
/// Files that may build on each other; more is a circle.
const MAX_BASES: usize = 8;

/// Fills in what a configuration leaves to its base.
pub(super) fn with_base(path: &Path, mut table: Table) -> Result<Table, TrainError> {
    let mut folder = path.parent().unwrap_or(Path::new("")).to_owned();
    for _ in 0..MAX_BASES {
        let Some(base) = table.remove(BASE) else { return Ok(table) };
        let problem = |problem| TrainError::Config { path: path.to_owned(), problem };
        let name = base.as_str().ok_or_else(|| problem(format!("{BASE}: expected a file name")))?;
        let file = folder.join(name);
        let text = stride_files::read_text_file(&file).map_err(TrainError::io(&file))?;
        let base: Table = text.parse().map_err(|error: toml::de::Error| TrainError::Config {
            path: file.clone(),
            problem: error.to_string(),
        })?;
        table = merge(base, table);
        folder = file.parent().unwrap_or(Path::new("")).to_owned();
    }
    let problem = format!("{BASE}: more than {MAX_BASES} files build on each other");
    Err(TrainError::Config { path: path.to_owned(), problem })
}

/// Puts the settings of `changes` over those of `base`, section by section.
fn merge(mut base: Table, changes: Table) -> Table {
    let is_other_kind =
        changes.get("kind").zip(base.get("kind")).is_some_and(|(change, base)| change != base);
    if is_other_kind {
        return changes;
    }
    for (key, change) in changes {
        let merged = match (base.remove(&key), change) {
            (Some(Value::Table(base)), Value::Table(change)) => Value::Table(merge(base, change)),
            (_, change) => change,
        };
        base.insert(key, merged);
    }
    base
}

pub(super) fn apply_override(table: &mut Table, setting: &str) -> Result<(), String> {
    let (key, text) =
        setting.split_once('=').ok_or("expected key=value, e.g. optimizer.learning_rate=0.001")?;
    let value = match format!("value = {text}").parse::<Table>() {
        Ok(mut parsed) if parsed.len() == 1 => {
            parsed.remove("value").unwrap_or_else(|| Value::from(text))
        }
        _ => Value::from(text),
    };
    let mut parts: Vec<&str> = key.trim().split('.').collect();
    let last = parts.pop().filter(|last| !last.is_empty()).ok_or("the key is empty")?;
    let mut section = table;
    for part in parts {
        let entry = section.entry(part).or_insert_with(|| Value::Table(Table::new()));
        section =
            entry.as_table_mut().ok_or_else(|| format!("{part} is a value, not a section"))?;
    }
    section.insert(last.to_owned(), value);
    Ok(())
}

/// Puts the name of the setting before a `problem` with a table that does not tell it, as in sections of several kinds,
/// which are read as a whole: that of the first setting without which, or with a value of another type, all is well or at least
/// the problem is another one.
pub(super) fn with_name<T: DeserializeOwned>(table: &Table, problem: String) -> String {
    // What is missing is no setting of the table.
    if problem.contains(MISSING) {
        return problem;
    }
    let problem_of =
        |table: Table| Value::Table(table).try_into::<T>().err().map(|e| e.to_string());
    // A check that comes after reading names its setting itself.
    let Some(whole) = problem_of(table.clone()) else { return problem };
    let mut names = Vec::new();
    push_names("", table, &mut names);
    let cures = |name: &&String| {
        let other = [Value::Integer(1), Value::Float(1.0), Value::Boolean(true), "".into()];
        let mut other = other.into_iter().map(Some).chain([None]);
        other.any(|value| problem_of(with(table.clone(), name, value)).is_none())
    };
    let changes = |name: &&String| {
        let found = problem_of(with(table.clone(), name, None));
        found.is_some_and(|found| found != whole && !found.contains(MISSING))
    };
    // Its absence is complained of by its own name. So is that of what is read before the fault, which lies less deep.
    let is_needed = |name: &&String| {
        let missing = format!("{MISSING} `{}`", last(name));
        problem_of(with(table.clone(), name, None)).is_some_and(|found| found.contains(&missing))
    };
    let find = |of: &dyn Fn(&&String) -> bool| names.iter().find(of);
    let depth = |name: &&String| name.matches('.').count();
    let deepest_needed = || names.iter().filter(is_needed).max_by_key(depth);
    match find(&cures).or_else(|| find(&changes)).or_else(deepest_needed) {
        Some(name) if !problem.contains(last(name)) => format!("{name}: {problem}"),
        _ => problem,
    }
}

fn last(name: &str) -> &str {
    name.rsplit('.').next().unwrap_or_default()
}

/// The dotted names of all settings.
fn push_names(prefix: &str, table: &Table, names: &mut Vec<String>) {
    for (key, value) in table {
        match value {
            Value::Table(inner) => push_names(&format!("{prefix}{key}."), inner, names),
            _ => names.push(format!("{prefix}{key}")),
        }
    }
}

/// The table with another value of a setting, or without it.
fn with(mut table: Table, name: &str, value: Option<Value>) -> Table {
    match (name.split_once('.'), value) {
        (None, Some(value)) => _ = table.insert(name.to_owned(), value),
        (None, None) => _ = table.remove(name),
        (Some((section, rest)), value) => {
            if let Some(Value::Table(inner)) = table.remove(section) {
                table.insert(section.to_owned(), Value::Table(with(inner, rest, value)));
            }
        }
    }
    table
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_base_fills_in_what_is_left_out() {
        let dir = tempfile::tempdir().expect("temporary folder");
        let write = |name: &str, text: &str| {
            let path = dir.path().join(name);
            fs::create_dir_all(path.parent().expect("inside")).expect("writable");
            fs::write(&path, text).expect("writable");
            path
        };
        write("base.toml", "a = 1\n[s]\nb = 2\nc = 3\n[o]\nkind = \"x\"\nonly_x = 4\n");
        let changed = write("more/d.toml", "base = \"../base.toml\"\n[s]\nc = 5\n");
        let read = |path: &Path| {
            with_base(path, fs::read_to_string(path).expect("there").parse().expect("TOML"))
        };
        let table = read(&changed).expect("fits");
        let expected = "a = 1\n[s]\nb = 2\nc = 5\n[o]\nkind = \"x\"\nonly_x = 4\n";
        assert_eq!(table, expected.parse::<Table>().expect("TOML"));
        let other = write("more/e.toml", "base = \"d.toml\"\n[o]\nkind = \"y\"\n");
        let table = read(&other).expect("fits");
        assert_eq!(table["o"].as_table().map(Table::len), Some(1), "nothing of kind x is left");
        assert_eq!(table["s"]["c"].as_integer(), Some(5));
        let circle = write("circle.toml", "base = \"circle.toml\"\n");
        assert!(
            read(&circle).is_err_and(|error| error.to_string().contains("build on each other"))
        );
        let lost = write("lost.toml", "base = \"nowhere.toml\"\n");
        assert!(read(&lost).is_err_and(|error| error.to_string().contains("nowhere.toml")));
    }

    #[test]
    fn a_setting_in_a_section_of_several_kinds_is_named() {
        #[derive(Debug, serde::Deserialize)]
        #[serde(tag = "kind")]
        enum Kind {
            Flat {
                #[serde(default)]
                _act: String,
                _width: usize,
            },
        }
        #[derive(Debug, serde::Deserialize)]
        struct Settings {
            _a: usize,
            _b: Kind,
            _c: usize,
        }
        let named = |text: &str| {
            let table: Table = text.parse().expect("TOML");
            let problem = toml::from_str::<Settings>(text).expect_err("unfit").to_string();
            let named = with_name::<Settings>(&table, problem.clone());
            named.strip_suffix(&problem).expect("the problem at the end").to_owned()
        };
        let whole = "_a = 1\n_c = 2\n[_b]\nkind = \"Flat\"\n_act = \"x\"\n_width = 3\n";
        toml::from_str::<Settings>(whole).expect("fits");
        assert_eq!(named(&whole.replace("\"x\"", "7")), "_b._act: ");
        assert_eq!(named(&whole.replace("_width = 3", "_width = \"w\"")), "_b._width: ");
        // The line that is shown has the name.
        assert_eq!(named(&whole.replace("\"Flat\"", "[]")), "");
        assert_eq!(named(&whole.replace("_width = 3\n", "")), "");
    }

    #[test]
    fn overrides_reach_into_sections() {
        let mut table: Table = "a = 1\n[b]\nc = 2\n".parse().expect("TOML");
        for setting in ["b.c=0.5", "b.list=[1, 2]", "d.e=some/path", "a=true"] {
            apply_override(&mut table, setting).expect("fits");
        }
        assert_eq!(table["b"]["c"].as_float(), Some(0.5));
        assert_eq!(table["b"]["list"].as_array().map(Vec::len), Some(2));
        assert_eq!(table["d"]["e"].as_str(), Some("some/path"));
        assert_eq!(table["a"].as_bool(), Some(true));
        for setting in ["novalue", "=1", "a.b=1"] {
            assert!(apply_override(&mut table, setting).is_err(), "{setting}");
        }
    }
}
