//! Tokenizers beside a model are CLIP's own or refused.

use std::fs;
use std::path::Path;

use serde_json::{Map, Value, json};
use stride::tokenizer::ClipTokenizer;
use stride_models::{check_tokenizer, check_tokenizer_of};

/// The merges of CLIP, as this repository holds them.
const MERGES: &str = include_str!("../../../stride/assets/clip_merges.txt");

/// CLIP's vocabulary as Hugging Face writes it.
fn vocabulary() -> Map<String, Value> {
    let printable = (b'!'..=b'~').chain(0xA1..=0xAC).chain(0xAE..=0xFF).map(char::from);
    let bytes: Vec<char> = printable.chain((0x100..0x144).filter_map(char::from_u32)).collect();
    let whole = bytes.iter().map(char::to_string);
    let last = bytes.iter().map(|byte| format!("{byte}</w>"));
    let merged = MERGES.lines().map(|line| line.replace(' ', ""));
    let special = ["<|startoftext|>", "<|endoftext|>"].map(str::to_owned);
    let tokens = whole.chain(last).chain(merged).chain(special);
    tokens.zip(0..).map(|(token, id): (String, u32)| (token, id.into())).collect()
}

fn write(dir: &Path, vocabulary: &Map<String, Value>, merges: &str) {
    fs::write(dir.join("vocab.json"), Value::Object(vocabulary.clone()).to_string())
        .expect("writable");
    fs::write(dir.join("merges.txt"), format!("#version: 0.2\n{merges}")).expect("writable");
}

#[test]
fn clips_own_files_are_accepted_and_others_say_where_they_differ() {
    let dir = tempfile::tempdir().expect("folder");
    let text = check_tokenizer(dir.path()).expect_err("nothing there").to_string();
    assert!(text.contains("vocab.json and merges.txt, or tokenizer.json"), "{text}");
    check_tokenizer_of(dir.path()).expect("none is no problem");

    let own = vocabulary();
    assert_eq!(own.len(), ClipTokenizer::new().expect("embedded").vocabulary_size());
    write(dir.path(), &own, MERGES);
    check_tokenizer(dir.path()).expect("CLIP's own");

    let refusal = |vocabulary: &Map<String, Value>, merges: &str| {
        write(dir.path(), vocabulary, merges);
        let text = check_tokenizer_of(dir.path()).expect_err("another").to_string();
        assert!(text.contains("vocab.json") && text.contains("CLIP's own vocabulary"), "{text}");
        text
    };
    let mut swapped = own.clone();
    swapped["cat</w>"] = own["dog</w>"].clone();
    swapped["dog</w>"] = own["cat</w>"].clone();
    assert!(refusal(&swapped, MERGES).contains("</w>\" is number"));
    let mut larger = own.clone();
    larger.insert("<cat-toy>".to_owned(), 49_408.into());
    assert!(refusal(&larger, MERGES).contains("\"<cat-toy>\", number 49408, is one too many"));
    let mut lines: Vec<&str> = MERGES.lines().collect();
    lines.swap(700, 701);
    assert!(refusal(&own, &lines.join("\n")).contains("merge 700 is"));
    lines.truncate(700);
    assert!(refusal(&own, &lines.join("\n")).contains("merge 700 is None"));
}

#[test]
fn a_whole_file_that_disagrees_with_the_lists_beside_it_is_refused() {
    let dir = tempfile::tempdir().expect("folder");
    write(dir.path(), &vocabulary(), MERGES);
    let merges: Vec<&str> = MERGES.lines().collect();
    let mut file = json!({"model": {"type": "BPE", "end_of_word_suffix": "</w>", "vocab": vocabulary(), "merges": merges}});
    let path = dir.path().join("tokenizer.json");
    fs::write(&path, file.to_string()).expect("writable");
    check_tokenizer(dir.path()).expect("the same three times");
    file["model"]["vocab"]["cat</w>"] = 7.into();
    for wrong in [file.to_string(), "{}".to_owned(), String::new()] {
        fs::write(&path, wrong).expect("writable");
        let text = check_tokenizer_of(dir.path()).expect_err("another").to_string();
        assert!(text.contains("tokenizer.json"), "{text}");
    }
}

#[test]
fn a_whole_file_in_a_pipeline_is_read() {
    let dir = tempfile::tempdir().expect("folder");
    let index = r#"{"tokenizer": ["transformers", "CLIPTokenizer"]}"#;
    fs::write(dir.path().join("model_index.json"), index).expect("writable");
    fs::create_dir(dir.path().join("tokenizer")).expect("writable");
    let merges: Vec<&str> = MERGES.lines().collect();
    let mut file = json!({"model": {"type": "BPE", "end_of_word_suffix": "</w>", "vocab": vocabulary(), "merges": merges}});
    let path = dir.path().join("tokenizer/tokenizer.json");
    fs::write(&path, file.to_string()).expect("writable");
    check_tokenizer(dir.path()).expect("CLIP's own");
    check_tokenizer_of(dir.path()).expect("CLIP's own");
    file["model"]["vocab"]["<|startoftext|>"] = 7.into();
    fs::write(&path, file.to_string()).expect("writable");
    let text = check_tokenizer(dir.path()).expect_err("another").to_string();
    assert!(text.contains("\"<|startoftext|>\" is number 7 and not 49406"), "{text}");
}
