//! Names of weights without what trainers put around a network: entries of checkpoints, prefixes of wrappers.

use std::collections::BTreeSet;

use pytorch_reader::PickleValue;

/// Entries and attributes under which trainers keep weights, in order of preference: averages first.
const KEYS: [&str; 16] = [
    "ema",
    "ema_model",
    "params_ema",
    "model_ema",
    "ema_state_dict",
    "state_dict_ema",
    "averaged_model",
    "model",
    "state_dict",
    "model_state_dict",
    "params",
    "weights",
    "network",
    "net",
    "online_model",
    "params_raw",
];

/// What wrappers for several devices and compilers put before every name, wherever they wrap.
const WRAPPERS: [&str; 2] = ["module", "_orig_mod"];

/// Where the weights of a network lie among the tensors of a file.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Place {
    /// What their names begin with, dots included.
    pub(crate) prefix: String,
    /// The entry of a trainer's checkpoint that was chosen, without wrappers.
    pub(crate) key: Option<String>,
}

/// Finds the weights among the names of floating-point tensors: within entries of a trainer's checkpoint, behind
/// wrappers, in any order and depth.
///
/// Of several entries, averages come first, if they have names and about as many tensors as the others. With
/// `is_alone`, the file holds a whole network and not a part of one, so that what precedes all names is no part of them.
pub(crate) fn find(contents: &PickleValue, names: &[&str], is_alone: bool) -> Place {
    let (mut place, mut level) = (Place::default(), Some(contents));
    loop {
        let inside: Vec<&str> =
            names.iter().filter_map(|name| name.strip_prefix(&*place.prefix)).collect();
        let entry = |key: &str| match level {
            Some(PickleValue::Dict(entries)) => {
                entries.get(key).filter(|entry| matches!(entry, PickleValue::Dict(_)))
            }
            _ => None,
        };
        let in_entry = best(&inside, |key| entry(key).is_some());
        let is_known =
            |name: &&str| KEYS.contains(&first_part(name)) || is_wrapper(first_part(name));
        let before_all = || {
            let all = !inside.is_empty() && inside.iter().all(is_known);
            best(&inside, |key| all && (is_alone || is_wrapper(key)))
        };
        let Some(key) = in_entry.or_else(before_all) else { return place };
        level = entry(key);
        place.prefix += &format!("{key}.");
        if !is_wrapper(key) {
            place.key = Some(place.key.map_or(key.to_owned(), |outer| format!("{outer}.{key}")));
        }
    }
}

/// The place that a user names by its keys, parted by dots; nothing if no tensor is there.
pub(crate) fn named(
    key: &str,
    contents: &PickleValue,
    names: &[&str],
    is_alone: bool,
) -> Option<Place> {
    let prefix = format!("{key}.");
    let inside: Vec<&str> = names.iter().filter_map(|name| name.strip_prefix(&*prefix)).collect();
    if inside.is_empty() {
        return None;
    }
    let level = key.split('.').try_fold(contents, |level, key| match level {
        PickleValue::Dict(entries) => entries.get(key),
        _ => None,
    });
    let below = find(level.unwrap_or(&PickleValue::None), &inside, is_alone);
    let whole = below.key.map_or(key.to_owned(), |below| format!("{key}.{below}"));
    Some(Place { prefix: prefix + &below.prefix, key: Some(whole) })
}

/// A name without the wrappers that are left within it.
pub(crate) fn without_wrappers(name: &str) -> String {
    let mut parts: Vec<&str> = name.split('.').collect();
    while parts.len() > 1 && parts[0] == "module" {
        parts.remove(0);
    }
    parts.retain(|part| *part != "_orig_mod");
    parts.join(".")
}

/// The first parts of names, once each: what can be named.
pub(crate) fn entries<'a>(names: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    let parts: BTreeSet<&str> = names.into_iter().map(first_part).collect();
    parts.into_iter().map(str::to_owned).collect()
}

/// The best of the keys that are possible, if it has names and at least half as many tensors as the richest.
fn best(names: &[&str], is_possible: impl Fn(&str) -> bool) -> Option<&'static str> {
    let count = |key: &str| {
        let inside = names.iter().filter_map(|name| name.strip_prefix(key)?.strip_prefix('.'));
        // Members of a list have numbers for names.
        inside.filter(|name| !last_part(name).bytes().all(|b| b.is_ascii_digit())).count()
    };
    let keys = KEYS.into_iter().chain(WRAPPERS).filter(|key| is_possible(key));
    let counts: Vec<(&str, usize)> = keys.map(|key| (key, count(key))).collect();
    let most = counts.iter().map(|(_, count)| *count).max().filter(|&most| most > 0)?;
    counts.into_iter().find(|(_, count)| 2 * count >= most).map(|(key, _)| key)
}

fn is_wrapper(key: &str) -> bool {
    WRAPPERS.contains(&key)
}

fn first_part(name: &str) -> &str {
    name.split('.').next().unwrap_or_default()
}

fn last_part(name: &str) -> &str {
    name.rsplit('.').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    /// A checkpoint in which entries hold entries, down to the names of tensors.
    fn contents(names: &[&str], depth: usize) -> PickleValue {
        let mut entries: HashMap<String, Vec<&str>> = HashMap::new();
        for name in names {
            match name.split_once('.').filter(|_| depth > 0) {
                Some((key, rest)) => entries.entry(key.to_owned()).or_default().push(rest),
                None => _ = entries.entry((*name).to_owned()).or_default(),
            }
        }
        let value = |inside: Vec<&str>| match inside.as_slice() {
            [] => PickleValue::Unsupported("torch.Tensor".to_owned()),
            inside => contents(inside, depth - 1),
        };
        PickleValue::Dict(entries.into_iter().map(|(key, inside)| (key, value(inside))).collect())
    }

    fn found(names: &[&str], depth: usize) -> (String, Option<String>) {
        let place = find(&contents(names, depth), names, true);
        (place.prefix, place.key)
    }

    #[test]
    fn wrappers_are_found_in_any_order_and_depth() {
        for (names, depth, prefix, key) in [
            (&["a.weight", "b.bias"][..], 0, "", None),
            (&["_orig_mod.module.a.weight", "_orig_mod.module.b"], 0, "_orig_mod.module.", None),
            (&["module._orig_mod.a.weight"], 0, "module._orig_mod.", None),
            (
                &["state_dict.model.module.a.w", "epoch.x"],
                1,
                "state_dict.model.module.",
                Some("state_dict.model"),
            ),
            (
                &["model.state_dict._orig_mod.a.w"],
                2,
                "model.state_dict._orig_mod.",
                Some("model.state_dict"),
            ),
            (&["model.a.w", "model.b.w", "ema.a.w", "ema.b.w", "opt.0.x"], 1, "ema.", Some("ema")),
            // Averages in a list, and one that holds next to nothing.
            (&["model.a.w", "ema.params.0", "ema.params.1"], 1, "model.", Some("model")),
            (&["model.a", "model.b", "model.c", "ema.decay"], 1, "model.", Some("model")),
            (&["online_model.a.w", "ema_model.a.w"], 0, "ema_model.", Some("ema_model")),
            // Parts of a network's own names.
            (&["model.a.w", "head.w"], 0, "", None),
            (&["encoder.model.w"], 0, "", None),
        ] {
            let expected = (prefix.to_owned(), key.map(str::to_owned));
            assert_eq!(found(names, depth), expected, "{names:?}");
        }
        let shard = ["model.a.w"];
        assert_eq!(find(&contents(&shard, 0), &shard, false), Place::default());
    }

    #[test]
    fn entries_can_be_named() {
        let names = ["model.module.a.w", "ema.a.w", "nested.teacher.model.a.w"];
        let contents = contents(&names, 3);
        let of =
            |key: &str| named(key, &contents, &names, true).map(|place| (place.prefix, place.key));
        assert_eq!(of("model"), Some(("model.module.".to_owned(), Some("model".to_owned()))));
        let nested = ("nested.teacher.model.".to_owned(), Some("nested.teacher.model".to_owned()));
        assert_eq!(of("nested.teacher"), Some(nested));
        assert_eq!(of("optimizer"), None);
        assert_eq!(entries(names), ["ema", "model", "nested"]);
    }

    #[test]
    fn wrappers_inside_of_names_go() {
        assert_eq!(without_wrappers("module.module.a._orig_mod.w"), "a.w");
        assert_eq!(without_wrappers("a.module.w"), "a.module.w");
    }
}
