//! Token ids against `transformers.CLIPTokenizer` (fixture: `parity/export_tokenizer.py`).

use serde::Deserialize;
use stride::tokenizer::ClipTokenizer;

#[derive(Deserialize)]
struct Fixture {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    text: String,
    ids: Vec<u32>,
    dropped_tokens: usize,
}

#[test]
fn ids_equal_those_of_transformers() {
    let fixture: Fixture =
        serde_json::from_str(include_str!("../fixtures/tokenizer.json")).expect("the fixture");
    let tokenizer = ClipTokenizer::new().expect("the built-in vocabulary");
    let mut different = Vec::new();
    for case in &fixture.cases {
        let tokens = tokenizer.encode(&case.text).expect("ids");
        if (&tokens.ids, tokens.dropped_tokens) != (&case.ids, case.dropped_tokens) {
            let (found, expected) = (&tokens.ids, &case.ids);
            different.push(format!("{:?}: expected {expected:?}, found {found:?}", case.text));
        }
    }
    assert!(fixture.cases.len() > 100);
    assert!(different.is_empty(), "{}", different.join("\n"));
}
