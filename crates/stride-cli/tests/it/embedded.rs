//! The model inside the program.

use std::fs;
use std::path::Path;

use crate::program::run;

/// Width and height of the images.
const SIDE: usize = 256;

/// Draws a prompt with the model inside and returns the colour of the background, the mean over
/// both upper corners.
fn background(folder: &Path, prompt: &str, seed: &str) -> [f64; 3] {
    let arguments = ["generate", prompt, "--steps", "4", "--seed", seed, "-o", "out.png"];
    run(folder, &arguments).expect(0);
    let file = fs::File::open(folder.join("out.png")).expect("an image");
    let mut reader = png::Decoder::new(std::io::BufReader::new(file)).read_info().expect("a PNG");
    let mut pixels = vec![0; 3 * SIDE * SIDE];
    let info = reader.next_frame(&mut pixels).expect("256x256 RGB");
    assert_eq!((info.width, info.height, info.color_type), (256, 256, png::ColorType::Rgb));
    let mut sum = [0.0; 3];
    let mut count = 0.0;
    for y in 4..36 {
        for x in (4..36).chain(SIDE - 36..SIDE - 4) {
            for (sum, &value) in sum.iter_mut().zip(&pixels[3 * (y * SIDE + x)..]) {
                *sum += f64::from(value);
            }
            count += 1.0;
        }
    }
    sum.map(|sum| sum / count)
}

#[test]
fn images_have_the_background_that_the_prompt_asks_for() {
    let folder = tempfile::tempdir().expect("a folder");
    let colors = [
        ("white", [255.0, 255.0, 255.0]),
        ("yellow", [255.0, 240.0, 160.0]),
        ("green", [194.0, 236.0, 174.0]),
        ("blue", [174.0, 220.0, 247.0]),
        ("purple", [203.0, 181.0, 240.0]),
        ("pink", [255.0, 198.0, 217.0]),
    ];
    let distance = |a: [f64; 3], b: [f64; 3]| -> f64 {
        a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt()
    };
    for (name, color) in colors {
        let found = background(folder.path(), &format!("A man on a {name} background"), "3");
        for (other, other_color) in colors {
            assert!(
                name == other || distance(found, color) < distance(found, other_color),
                "asked for {name}, drew {found:?}, which is nearer to {other}"
            );
        }
    }
}

#[test]
fn an_empty_prompt_draws_a_face_and_unknown_words_are_named_once() {
    let folder = tempfile::tempdir().expect("a folder");
    run(folder.path(), &["generate", "", "--steps", "1", "-o", "face.png"]).expect(0);
    let unknown = ["generate", "a pirate on a bicycle!!!", "--steps", "1", "-o", "pirate.png"];
    let said = run(folder.path(), &unknown).expect(0).says(&["pirate", "bicycle"]).stderr;
    let warnings: Vec<&str> = said.lines().filter(|line| line.contains("WARN")).collect();
    let [warning] = warnings[..] else { panic!("one warning: {said}") };
    assert_eq!(warning.matches("bicycle").count(), 1, "{said}");
    assert!(!warning.contains('!'), "punctuation is no word: {said}");
    assert!(said.contains("a pirate on a bicycle!!!, "), "what was chosen is told: {said}");
}
