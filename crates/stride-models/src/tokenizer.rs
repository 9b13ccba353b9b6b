//! Tokenizers that come with a model: CLIP's own, possibly with a reduced vocabulary; others are refused.

use std::path::Path;

use stride::tokenizer::{ClipTokenizer, TokenizerError, Vocabulary};

use crate::{Component, ModelsError, Role};

/// Checks that the tokenizer of a folder, or of a pipeline with `tokenizer/`, is the one inside this program.
///
/// Reads `vocab.json` with `merges.txt`, and `tokenizer.json`, whichever are there. Another vocabulary that merely looks like CLIP's would
/// give a text encoder the wrong words.
///
/// # Errors
/// The folder has no such files, they are damaged, or they are another tokenizer's.
pub fn check_tokenizer(path: &Path) -> Result<(), ModelsError> {
    let component = Component::open(path, Role::Tokenizer)?;
    let dir = component.dir();
    let read = |name: &str| {
        let path = dir.join(name);
        stride_files::read_file(&path).map_err(ModelsError::io(&path))
    };
    let [vocab, merges, whole] = ["vocab.json", "merges.txt", "tokenizer.json"];
    let has_lists = dir.join(vocab).exists() && dir.join(merges).exists();
    let has_whole = dir.join(whole).exists();
    if !has_lists && !has_whole {
        return Err(ModelsError::Tokenizer {
            path: dir.to_owned(),
            problem: "expected vocab.json and merges.txt, or tokenizer.json, found neither"
                .to_owned(),
        });
    }
    let problem = |file: &str, error: TokenizerError| ModelsError::Tokenizer {
        path: dir.join(file),
        problem: error.to_string(),
    };
    if has_lists {
        ClipTokenizer::check_vocab_and_merges(&read(vocab)?, &read(merges)?)
            .map_err(|error| problem(vocab, error))?;
    }
    // Other programs prefer this file, so where it disagrees with the two, nobody knows what the model was trained with.
    if has_whole {
        ClipTokenizer::check_tokenizer_json(&read(whole)?)
            .map_err(|error| problem(whole, error))?;
    }
    Ok(())
}

/// The rows of a text encoder's embedding table: those listed in the `vocabulary.json` of a Stride model, else CLIP's
/// whole vocabulary.
///
/// `path` is the text encoder's folder or its pipeline.
///
/// # Errors
/// The list cannot be read or is damaged; or the folder is not a text encoder.
pub fn vocabulary_of(path: &Path) -> Result<Vocabulary, ModelsError> {
    let component = Component::open(path, Role::TextEncoder)?;
    let path = component.root().join(Role::Tokenizer.folder()).join("vocabulary.json");
    if !path.exists() {
        return Ok(Vocabulary::full());
    }
    let bytes = stride_files::read_file(&path).map_err(ModelsError::io(&path))?;
    serde_json::from_slice(&bytes).map_err(ModelsError::config(&path))
}

/// Checks the tokenizer of a text encoder's folder or of its pipeline, if there is one.
///
/// # Errors
/// As [`check_tokenizer`], where there is one.
pub fn check_tokenizer_of(path: &Path) -> Result<(), ModelsError> {
    let in_pipeline = path.join(Role::Tokenizer.folder());
    let dir = if in_pipeline.is_dir() { in_pipeline } else { path.to_owned() };
    let has = |name: &str| dir.join(name).exists();
    if has("tokenizer.json") || (has("vocab.json") && has("merges.txt")) {
        check_tokenizer(&dir)
    } else {
        Ok(())
    }
}
