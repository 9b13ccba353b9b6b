//! What differs between the configuration of a checkpoint and that of the run that goes on from it.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use toml::{Table, Value};

use super::checkpoint::Checkpoint;
use super::config::RunConfig;
use super::progress::Progress;
use super::run_folder::CONFIG;
use crate::TrainError;

/// Settings, and sections of them, that make another run when they change.
const IDENTITY: [&str; 10] = [
    "kind",
    "data",
    "dit.autoencoder",
    "dit.model",
    "dit.text_encoder",
    "dit.init",
    "vae.model",
    "vae.init_from",
    "text_encoder.model",
    "optimizer.kind",
];
/// Settings that are paths, which may be written in many ways.
const PATHS: [&str; 9] = [
    "data.dir",
    "data.late_captions.dir",
    "data.masks.dir",
    "data.prepared",
    "dit.autoencoder",
    "dit.latent_cache",
    "dit.init.text_encoder",
    "dit.init.transformer",
    "vae.init_from",
];
/// Characters of a value that a message shows.
const SHOWN: usize = 60;

/// Tells which settings changed since a checkpoint, and refuses those that make another run.
///
/// # Errors
/// The checkpoint has no configuration; or it is that of another run, and `allow` is false.
pub(super) fn check(
    config: &RunConfig,
    checkpoint: &Checkpoint,
    allow: bool,
    progress: &mut dyn Progress,
) -> Result<(), TrainError> {
    let (mut refused, mut told) = (Vec::new(), Vec::new());
    for (key, before, now) in differences(&checkpoint.dir().join(CONFIG), config)? {
        let is_identity = IDENTITY.iter().any(|name| is_within(&key, name));
        let change = described(&key, before, now);
        if is_identity { &mut refused } else { &mut told }.push(change);
    }
    if !refused.is_empty() && !allow {
        return Err(TrainError::OtherRun {
            path: checkpoint.dir().to_owned(),
            differences: refused,
        });
    }
    for change in refused.iter().chain(&told) {
        progress.message(&format!("changed since the checkpoint: it had {change}"));
    }
    Ok(())
}

/// What differs between the configuration in a run folder, `config.toml`, and another, setting by setting; the run folder
/// itself does not count.
///
/// # Errors
/// The file cannot be read.
pub fn changed_settings(before: &Path, now: &RunConfig) -> Result<Vec<String>, TrainError> {
    let found = differences(before, now)?.into_iter();
    Ok(found.map(|(key, before, now)| described(&key, before, now)).collect())
}

fn described(key: &str, before: Option<Value>, now: Option<Value>) -> String {
    format!("{key} = {}, not {}", shown(before), shown(now))
}

/// A setting that is not the same, with both values.
type Difference = (String, Option<Value>, Option<Value>);

fn differences(path: &Path, config: &RunConfig) -> Result<Vec<Difference>, TrainError> {
    let text = stride_files::read_text_file(path).map_err(TrainError::io(path))?;
    // Read and written again, so that settings which are new since then have their defaults.
    let text = match toml::from_str::<RunConfig>(&text) {
        Ok(before) => before.to_toml()?,
        Err(_) => text,
    };
    let before: Table = text.parse().map_err(TrainError::weights(path))?;
    let now: Table = config.to_toml()?.parse().map_err(TrainError::weights(path))?;
    Ok(differences_of(before, now))
}

fn differences_of(before: Table, now: Table) -> Vec<Difference> {
    let (mut before, mut now) = (leaves(before), leaves(now));
    let mut keys: Vec<String> = before.keys().chain(now.keys()).cloned().collect();
    keys.sort_unstable();
    keys.dedup();
    keys.retain(|key| key != "run_dir");
    let of_key = |key: String| {
        let (before, now) = (before.remove(&key), now.remove(&key));
        let is_path = PATHS.contains(&key.as_str());
        let is_same = before == now || is_path && is_same_path(before.as_ref(), now.as_ref());
        (!is_same).then_some((key, before, now))
    };
    keys.into_iter().filter_map(of_key).collect()
}

/// The settings of all sections by their whole names.
fn leaves(table: Table) -> BTreeMap<String, Value> {
    let mut found = BTreeMap::new();
    for (key, value) in table {
        match value {
            Value::Table(section) => {
                let inner = leaves(section).into_iter();
                found.extend(inner.map(|(name, value)| (format!("{key}.{name}"), value)));
            }
            value => drop(found.insert(key, value)),
        }
    }
    found
}

/// Whether a key is a setting or lies in the section of this name.
fn is_within(key: &str, name: &str) -> bool {
    key.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// Whether two paths lead to the same place, or may: one of them may be relative to a folder that is not known any
/// more.
fn is_same_path(before: Option<&Value>, now: Option<&Value>) -> bool {
    let path = |value: Option<&Value>| Some(Path::new(value?.as_str()?).to_owned());
    let (Some(before), Some(now)) = (path(before), path(now)) else { return false };
    let real = |path: &Path| fs::canonicalize(path).ok();
    (before.is_absolute() != now.is_absolute()
        && (before.ends_with(&now) || now.ends_with(&before)))
        || real(&before).zip(real(&now)).is_some_and(|(before, now)| before == now)
}

fn shown(value: Option<Value>) -> String {
    let Some(value) = value else { return "none".to_owned() };
    let text = value.to_string();
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_that_differ_are_found_by_name() {
        let before = "a = 1\n[data]\ndir = \"data/x\"\n[s]\nsame = 1\nold = 2\n[s.t]\nu = [1, 2]\n";
        let now = "a = 1\n[data]\ndir = \"/there/data/x\"\n[s]\nsame = 1\n[s.t]\nu = [1, 3]\n";
        let table = |text: &str| text.parse::<Table>().expect("TOML");
        let found = differences_of(table(before), table(now));
        let keys: Vec<&str> = found.iter().map(|(key, ..)| key.as_str()).collect();
        assert_eq!(keys, ["s.old", "s.t.u"]);
        assert!(is_within("data.dir", "data") && is_within("kind", "kind"));
        assert!(!is_within("dit.model_name", "dit.model"));
    }
}
