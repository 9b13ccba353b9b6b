//! Properties of captions over random faces, and eight faces written out.

use std::collections::BTreeSet;

use stride::noise::{below, keyed_rng, uniform};
use stride::tokenizer::ClipTokenizer;
use stride_data::{CELEBA_ATTRIBUTES, CaptionWriter, CelebaAttributes};

use crate::caption_reader::{nameable, read};

/// How many of CelebA's faces have each mark, in per cent, in the list's order; rounded.
const SHARES: [u32; 40] = [
    11, 27, 51, 20, 2, 15, 24, 23, 24, 15, 5, 21, 14, 6, 5, 7, 6, 4, 39, 46, 42, 48, 4, 12, 83, 28,
    4, 28, 8, 7, 6, 48, 21, 32, 19, 5, 47, 12, 7, 77,
];

/// A face with each mark drawn by itself: half of them as often as in CelebA, half at one rate for
/// all, so that every contradiction occurs.
fn random_face(index: u64) -> CelebaAttributes {
    let mut rng = keyed_rng(17, 1000, 0, index);
    let rate = [0.1, 0.3, 0.5, 0.9][below(&mut rng, 4)];
    let mut face = CelebaAttributes::new();
    for (name, share) in CELEBA_ATTRIBUTES.into_iter().zip(SHARES) {
        let rate = if index.is_multiple_of(2) { f64::from(share) / 100.0 } else { rate };
        face = face.with(name, uniform(&mut rng) < rate).expect("in the list");
    }
    face
}

fn face(marks: &[&str]) -> CelebaAttributes {
    marks
        .iter()
        .try_fold(CelebaAttributes::new(), |face, mark| face.with(mark, true))
        .expect("marks of CelebA")
}

fn captions_of(index: u64, count: usize) -> (CelebaAttributes, Vec<String>) {
    let face = random_face(index);
    (face, CaptionWriter::new(3).write(face, &format!("{index:06}.jpg"), count))
}

#[test]
fn captions_are_clean_english() {
    for index in 0..3000 {
        for caption in captions_of(index, 8).1 {
            assert!(caption.starts_with(|c: char| c.is_ascii_uppercase()), "{caption}");
            assert!(caption.ends_with('.') && !caption.contains(".."), "{caption}");
            assert!(!caption.contains("  "), "{caption}");
            for broken in [" ,", " .", ",,", ", and", ", or", "a a ", "and and", "with with", " 's"]
            {
                assert!(!caption.contains(broken), "\"{broken}\" in: {caption}");
            }
            for sentence in caption.trim_end_matches('.').split(". ") {
                assert!(sentence.starts_with(|c: char| c.is_ascii_uppercase()), "{caption}");
            }
            let lower = caption.to_lowercase();
            let words: Vec<&str> =
                lower.split(|c: char| !c.is_alphabetic()).filter(|word| !word.is_empty()).collect();
            for pair in words.windows(2) {
                let vowel = pair[1].starts_with(['a', 'e', 'i', 'o', 'u']);
                assert!(pair[0] != "a" || !vowel, "\"a {}\" in: {caption}", pair[1]);
                assert!(pair[0] != "an" || vowel, "\"an {}\" in: {caption}", pair[1]);
                assert_ne!(pair[0], pair[1], "{caption}");
                let plural = ["they", "are"];
                assert_eq!(pair[0] == plural[0], pair[1] == plural[1], "{caption}");
            }
        }
    }
}

#[test]
fn what_a_caption_says_is_true_and_said_once() {
    for index in 0..3000 {
        let (face, captions) = captions_of(index, 8);
        for caption in captions {
            let reading = read(&caption);
            for mark in &reading.named {
                assert!(face.has(mark), "{mark} is not marked: {caption}");
            }
            for mark in &reading.denied {
                assert!(!face.has(mark), "{mark} is marked: {caption}");
            }
            if reading.named.contains("Bald") {
                let lower = caption.to_lowercase();
                for word in ["hair", "bangs", "hairline"] {
                    let found = lower.split(|c: char| !c.is_alphabetic()).any(|w| w == word);
                    assert!(!found, "bald with {word}: {caption}");
                }
            }
            let beardless = ["no beard", "without a beard", "or a beard", "clean-shaven"];
            if beardless.iter().any(|text| caption.to_lowercase().contains(text)) {
                for mark in ["Goatee", "Mustache", "Sideburns", "5_o_Clock_Shadow"] {
                    assert!(!face.has(mark), "no beard, but {mark}: {caption}");
                }
            }
        }
    }
}

#[test]
fn the_first_caption_names_everything_that_fits() {
    let tokenizer = ClipTokenizer::new().expect("vocabulary inside");
    let (mut shortened, mut like_celeba) = (0, 0);
    for index in 0..3000 {
        let (face, captions) = captions_of(index, 1);
        let (reading, mut expected) = (read(&captions[0]), nameable(face));
        let is_allowed = reading.denied.is_subset(&expected.denied);
        assert!(is_allowed, "denies more than the rules say: {}", captions[0]);
        // "elderly" tells of gray hair where the hair itself is not described.
        if captions[0].to_lowercase().contains("elderly") {
            expected.named.insert("Gray_Hair");
        }
        if reading.named == expected.named && reading.denied == expected.denied {
            continue;
        }
        // The caption leaves something out: only where there is no room for it.
        let tokens = tokenizer.encode(&captions[0]).expect("plain text").ids.len();
        assert!(tokens > 70, "incomplete with {tokens} tokens: {}", captions[0]);
        assert!(reading.named.is_subset(&expected.named), "{}", captions[0]);
        shortened += 1;
        like_celeba += u32::from(index.is_multiple_of(2));
    }
    println!("shortened: {shortened} of 3000, {like_celeba} of 1500 like CelebA");
    assert_eq!(like_celeba, 0);
    assert!(shortened > 0, "faces with nearly every mark must be among the random ones");
}

#[test]
fn captions_fit_clip() {
    let tokenizer = ClipTokenizer::new().expect("vocabulary inside");
    let mut longest = (0, String::new());
    for index in 0..3000 {
        for caption in captions_of(index, 4).1 {
            let tokens = tokenizer.encode(&caption).expect("plain text");
            assert_eq!(tokens.dropped_tokens, 0, "{caption}");
            longest = longest.max((tokens.ids.len(), caption));
        }
    }
    println!("longest: {} tokens: {}", longest.0, longest.1);
    assert!(longest.0 > 70, "random faces must come near the limit");
}

#[test]
fn a_typical_face_has_many_captions() {
    let typical = face(&["Brown_Hair", "Smiling", "Wavy_Hair", "Wearing_Lipstick", "Young"]);
    let captions = CaptionWriter::new(0).write(typical, "000001.jpg", 60);
    let different: BTreeSet<_> = captions.iter().collect();
    assert_eq!((captions.len(), different.len()), (60, 60));
    // A bare face has few, and the writer stops instead of repeating itself.
    let bare = CaptionWriter::new(0).write(CelebaAttributes::new(), "000002.jpg", 2000);
    println!("{} captions of a face without marks", bare.len());
    assert_eq!(bare.iter().collect::<BTreeSet<_>>().len(), bare.len());
    assert!((5..2000).contains(&bare.len()));
}

#[test]
fn seed_name_and_index_alone_decide() {
    let face = random_face(2);
    let write = |seed, name, count| CaptionWriter::new(seed).write(face, name, count);
    assert_eq!(write(1, "a.jpg", 12), write(1, "a.jpg", 12));
    assert_eq!(write(1, "a.jpg", 12)[..5], write(1, "a.jpg", 5));
    assert_ne!(write(1, "a.jpg", 12), write(2, "a.jpg", 12));
    assert_ne!(write(1, "a.jpg", 12), write(1, "b.jpg", 12));
    assert_eq!(write(1, "a.jpg", 0), [] as [&str; 0]);
}

#[test]
fn eight_faces_written_out() {
    let faces: [(&str, &[&str]); 8] = [
        ("nothing marked", &[]),
        (
            "a young woman",
            &[
                "Young",
                "Smiling",
                "Blond_Hair",
                "Wavy_Hair",
                "Wearing_Earrings",
                "Wearing_Lipstick",
                "High_Cheekbones",
                "No_Beard",
                "Attractive",
            ],
        ),
        ("a bald man", &["Male", "Bald", "Gray_Hair", "Goatee", "No_Beard", "Eyeglasses"]),
        (
            "an elderly man",
            &[
                "Male",
                "Gray_Hair",
                "Receding_Hairline",
                "Bags_Under_Eyes",
                "Wearing_Necktie",
                "No_Beard",
                "Smiling",
                "Mouth_Slightly_Open",
            ],
        ),
        (
            "a young man",
            &[
                "Male",
                "Young",
                "Black_Hair",
                "Straight_Hair",
                "Bangs",
                "Bushy_Eyebrows",
                "5_o_Clock_Shadow",
                "Big_Nose",
            ],
        ),
        (
            "a blurry woman",
            &[
                "Young",
                "Blurry",
                "Brown_Hair",
                "Black_Hair",
                "Oval_Face",
                "Pale_Skin",
                "No_Beard",
                "Mouth_Slightly_Open",
            ],
        ),
        (
            "a bearded man",
            &[
                "Male",
                "Young",
                "Brown_Hair",
                "Mustache",
                "Sideburns",
                "Wearing_Hat",
                "Pointy_Nose",
                "Narrow_Eyes",
            ],
        ),
        (
            "a made-up woman",
            &[
                "Heavy_Makeup",
                "Wearing_Lipstick",
                "Wearing_Necklace",
                "Rosy_Cheeks",
                "Chubby",
                "Double_Chin",
                "Arched_Eyebrows",
                "Big_Lips",
                "Smiling",
                "No_Beard",
            ],
        ),
    ];
    let expected: [[&str; 4]; 8] = [
        ["This is an older woman.", "This is a woman.", "An older woman.", "A woman."],
        [
            "This young woman has high cheekbones and wavy blond hair. She is smiling and wearing earrings and lipstick.",
            "This woman has wavy blond hair and high cheekbones. She is smiling and wearing earrings and lipstick.",
            "A picture of a smiling young woman with wavy blond hair and high cheekbones, wearing lipstick and earrings.",
            "The young woman in this picture is wearing earrings.",
        ],
        [
            "A portrait of an older bald man with a goatee, wearing eyeglasses.",
            "A portrait of a man with a goatee.",
            "A photo of an elderly bald man with a goatee, wearing glasses.",
            "This older bald man has a goatee and is wearing eyeglasses.",
        ],
        [
            "Wearing a tie, this elderly man has bags under the eyes, gray hair and a receding hairline. He is smiling with his mouth slightly open.",
            "The man in this photo has gray hair, a receding hairline and bags under his eyes. He is wearing a necktie.",
            "An older man with bags under his eyes.",
            "This elderly man is wearing a necktie.",
        ],
        [
            "This young man has straight black hair, bangs, stubble, thick eyebrows and a large nose.",
            "The young man in this photo has straight hair, stubble and bushy eyebrows.",
            "A photo of a young man with black hair and bangs.",
            "A picture of a young man with straight black hair, stubble and a large nose.",
        ],
        [
            "A young woman with black and brown hair, an oval face, a pale complexion and her mouth slightly open. The photo is blurry.",
            "A blurry picture of a woman.",
            "An out-of-focus photo of a woman with black and brown hair, a pale complexion and an oval face.",
            "A blurry photo of a woman with black hair and a pale complexion.",
        ],
        [
            "The young man in this picture has brown hair, a beard, a mustache, sideburns, narrow eyes and a pointy nose. He is wearing a hat.",
            "Wearing a hat, this man has sideburns.",
            "This young man has brown hair, a beard, a mustache, sideburns and a pointed nose. He is wearing a hat.",
            "Wearing a hat, this young man has a beard, sideburns, narrow eyes and a pointy nose.",
        ],
        [
            "This is a smiling older woman with full rosy cheeks, arched eyebrows, full lips, a double chin and a necklace, wearing heavy makeup and lipstick.",
            "The older woman in this picture has arched eyebrows, full lips and full rosy cheeks. She is smiling and wearing heavy makeup and lipstick.",
            "Wearing lipstick, a necklace and heavy makeup, this older woman has full lips, chubby rosy cheeks, arched eyebrows and a double chin. She is smiling.",
            "This older woman has full lips, full cheeks and a double chin. She is wearing heavy makeup.",
        ],
    ];
    for ((name, marks), expected) in faces.into_iter().zip(expected) {
        let captions = CaptionWriter::new(0).write(face(marks), name, 4);
        assert_eq!(captions, expected, "{name}");
    }
}
