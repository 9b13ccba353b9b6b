//! Whatever is typed becomes tokens in little time, and nothing but a number of steps becomes a plan.

use std::time::{Duration, Instant};

use stride::image::{ImageFormat, image_bytes, read_image_file};
use stride::image::{ImageMetadata, RgbImage};
use stride::sampler::StepPlan;
use stride::tokenizer::{ClipTokenizer, Vocabulary};

use crate::mutations::{Draws, check_peak, rounds};

/// Megabytes that all tests of this binary may take together.
const BOUND: u64 = 4000;

fn check_prompt(tokenizer: &ClipTokenizer, vocabulary: &Vocabulary, prompt: &str) {
    let start = Instant::now();
    let tokens = tokenizer.encode(prompt).expect("any text has tokens");
    assert!(tokens.ids.len() <= tokenizer.max_length(), "{prompt:?}");
    assert!(vocabulary.map(&tokens).rows.iter().all(|&row| (row as usize) < vocabulary.len()));
    assert!(start.elapsed() < Duration::from_secs(10), "{} bytes", prompt.len());
}

#[test]
fn any_prompt_has_tokens() {
    let tokenizer = ClipTokenizer::new().expect("the built-in vocabulary");
    let vocabulary = Vocabulary::from_captions(&tokenizer, ["a man with glasses"]).expect("tokens");
    let long = 100 << 10;
    for prompt in [
        String::new(),
        " ".repeat(long),
        "a".repeat(long),
        "a ".repeat(long / 2),
        "\0".repeat(long),
        "!?.,;:".repeat(long / 6),
        "😀👩‍👩‍👧‍👦".repeat(long / 29),
        "e\u{301}\u{200d}\u{feff}\u{202e}".repeat(long / 12),
        // What reading a lone surrogate leaves.
        String::from_utf16_lossy(&[0xd800, 0x61, 0xdc00]),
        "<|endoftext|><|startoftext|>".to_owned(),
        "1".repeat(long),
        "&amp;amp;lt;".repeat(long / 12),
        "\u{10ffff}İßﬃ\u{1d400}".to_owned(),
    ] {
        check_prompt(&tokenizer, &vocabulary, &prompt);
    }
    let mut draws = Draws(1);
    let seed = "A man, with (glasses) & 12 hats... été 😀 &lt;b&gt; it's İ\u{301}".as_bytes();
    for _ in 0..rounds(500) {
        let broken = draws.mutate_text(seed);
        check_prompt(&tokenizer, &vocabulary, &String::from_utf8_lossy(&broken));
    }
    check_peak(BOUND);
}

#[test]
fn any_number_of_steps_has_a_plan_or_an_error() {
    let mut draws = Draws(2);
    let extremes = [0, 1, 128, 129, usize::MAX, usize::MAX / 2 + 1, 1 << 32, (1 << 32) + 1];
    let random = (0..rounds(500)).map(|_| {
        let bits = draws.below(63);
        draws.below(1 << bits)
    });
    for count in extremes.into_iter().chain(random.collect::<Vec<_>>()) {
        let plan = StepPlan::new(count);
        assert_eq!(plan.is_ok(), (1..=128).contains(&count), "{count}");
        let Ok(plan) = plan else { continue };
        assert_eq!(plan.len(), count);
        assert_eq!(plan.steps().iter().map(|step| step.size()).sum::<f64>(), 1.0);
    }
}

#[test]
fn broken_metadata_of_images_is_read_or_refused() {
    let image = RgbImage { width: 2, height: 2, pixels: vec![7; 12] };
    let metadata = ImageMetadata {
        parameters: Some("a man été\nSteps: 3, Seed: 5".to_owned()),
        json: Some("{\"seed\": 5}".to_owned()),
    };
    for format in ImageFormat::ALL {
        let whole = image_bytes(&image, format, 90, &metadata).expect("an image");
        assert_eq!(read_image_file(&whole).expect("whole").metadata, metadata);
        let mut draws = Draws(3);
        for _ in 0..rounds(500) {
            if let Ok(found) = read_image_file(&draws.mutate(&whole)) {
                let texts = [found.metadata.parameters, found.metadata.json].into_iter().flatten();
                assert!(texts.map(|text| text.len()).sum::<usize>() < 1 << 16);
            }
        }
    }
    check_peak(BOUND);
}
