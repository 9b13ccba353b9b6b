//! Models by their id on the hub, if the program is built with the feature `hub`.

use std::path::{Component as PathPart, Path, PathBuf};

#[cfg(any(feature = "hub", test))]
use stride::pipeline::MODEL_INDEX;

use crate::{ModelsError, Role};

/// The path as an id, if it looks like one: `organisation/name`.
pub(crate) fn id_of(path: &Path) -> Option<&str> {
    let is_part = |part: PathPart<'_>| match part {
        PathPart::Normal(part) => part.to_str().is_some_and(|part| {
            let is_known = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
            !part.starts_with('.') && part.chars().all(is_known)
        }),
        _ => false,
    };
    let mut parts = path.components();
    let are_two = parts.next().is_some_and(is_part) && parts.next().is_some_and(is_part);
    // If the first part is a folder here, this is a path with a typo.
    let is_here = path.parent().is_some_and(Path::is_dir);
    path.to_str().filter(|_| are_two && parts.next().is_none() && !is_here)
}

/// The folder of a model, downloaded if it is not in the hub's cache.
#[cfg(not(feature = "hub"))]
pub(crate) fn folder(id: &str, _role: Role) -> Result<PathBuf, ModelsError> {
    let problem = "there is no such folder; to load it from the hub by this id, build the program with \
                   `--features hub`, or download the model and name its folder";
    Err(ModelsError::Hub { id: id.to_owned(), problem: problem.to_owned() })
}

/// The folder of a model, downloaded if it is not in the hub's cache.
#[cfg(feature = "hub")]
pub(crate) fn folder(id: &str, role: Role) -> Result<PathBuf, ModelsError> {
    use hf_hub::api::sync::{ApiBuilder, ApiError};

    let failed = |error: ApiError| ModelsError::Hub {
        id: id.to_owned(),
        problem: format!("cannot be loaded from the hub: {error}"),
    };
    let api = ApiBuilder::from_env().build().map_err(failed)?;
    let model = api.model(id.to_owned());
    let listing = model.info().map_err(failed)?;
    let names: Vec<String> = listing.siblings.into_iter().map(|file| file.rfilename).collect();
    let wanted = wanted(&names, role);
    let has_weights = wanted.iter().any(|name| name.ends_with(".safetensors"));
    if !has_weights && role != Role::Tokenizer {
        let problem = format!(
            "it has no safetensors for {}; download it, and where it has PyTorch's own files, run `stride import`",
            role.name()
        );
        return Err(ModelsError::Hub { id: id.to_owned(), problem });
    }
    let mut root = None;
    for name in wanted {
        let path = model.get(name).map_err(failed)?;
        root = path.ancestors().nth(Path::new(name).components().count()).map(Path::to_owned);
    }
    let problem = format!("its files hold no {}", role.folder());
    root.ok_or_else(|| ModelsError::Hub { id: id.to_owned(), problem })
}

/// The files of a model that a role needs: of a pipeline, the index and the folders of the component and the
/// tokenizer; of a component, its own; of weights, one set.
#[cfg(any(feature = "hub", test))]
fn wanted(names: &[String], role: Role) -> Vec<&str> {
    let is_pipeline = names.iter().any(|name| name == MODEL_INDEX);
    let folder = if is_pipeline { format!("{}/", role.folder()) } else { String::new() };
    let tokenizer = format!("{}/", Role::Tokenizer.folder());
    let in_folder =
        |name: &&String| name.strip_prefix(&folder).is_some_and(|rest| !rest.contains('/'));
    let own: Vec<&String> = names.iter().filter(in_folder).collect();
    let is_small = |name: &str| name.ends_with(".json") || name.ends_with(".txt");
    let mut chosen: Vec<&str> = Vec::new();
    if is_pipeline {
        chosen.push(MODEL_INDEX);
    }
    let with_tokenizer = is_pipeline && role == Role::TextEncoder;
    let beside = names.iter().filter(|name| with_tokenizer && name.starts_with(&tokenizer));
    let small = own.iter().copied().chain(beside).map(String::as_str);
    chosen.extend(small.filter(|name| is_small(name)));
    let weights =
        || own.iter().map(|name| name.as_str()).filter(|name| name.ends_with(".safetensors"));
    for stem in crate::weight_files::STEMS {
        let single = format!("{folder}{stem}.safetensors");
        let (index, shard) = (format!("{single}.index.json"), format!("{folder}{stem}-"));
        let has = |wanted: &String| own.contains(&wanted);
        let set: Vec<&str> = match (has(&single), has(&index)) {
            (true, _) => weights().filter(|name| *name == single).collect(),
            (_, true) => weights().filter(|name| name.starts_with(&shard)).collect(),
            _ => continue,
        };
        chosen.extend(set);
        chosen.dedup();
        return chosen;
    }
    chosen.extend(weights());
    chosen.dedup();
    chosen
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_and_paths_are_told_apart() {
        assert_eq!(
            id_of(Path::new("openai/clip-vit-base-patch32")),
            Some("openai/clip-vit-base-patch32")
        );
        for path in ["clip", "a/b/c", "/a/b", "../a", "./a/b", "src/clip", "a/b c", ""] {
            assert_eq!(id_of(Path::new(path)), None, "{path}");
        }
    }

    #[test]
    fn one_set_of_weights_is_wanted() {
        let names =
            |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let clip = names(&[
            "config.json",
            "merges.txt",
            "flax_model.msgpack",
            "model.safetensors",
            "model.fp16.safetensors",
        ]);
        assert_eq!(
            wanted(&clip, Role::TextEncoder),
            ["config.json", "merges.txt", "model.safetensors"]
        );
        let pipeline = names(&[
            "model_index.json",
            "vae/config.json",
            "vae/diffusion_pytorch_model.fp16.safetensors",
            "text_encoder/config.json",
            "text_encoder/model-00001-of-00002.safetensors",
            "text_encoder/model.safetensors.index.json",
            "tokenizer/vocab.json",
            "unet/config.json",
        ]);
        assert_eq!(
            wanted(&pipeline, Role::Vae),
            ["model_index.json", "vae/config.json", "vae/diffusion_pytorch_model.fp16.safetensors",]
        );
        assert_eq!(
            wanted(&pipeline, Role::TextEncoder),
            [
                "model_index.json",
                "text_encoder/config.json",
                "text_encoder/model.safetensors.index.json",
                "tokenizer/vocab.json",
                "text_encoder/model-00001-of-00002.safetensors",
            ]
        );
    }
}
