//! What is named is painted.

use stride_avatars::palette::Rgb;
use stride_avatars::{Attributes, Error, Image, MAX_RESOLUTION, Split, Style, render, style_meta};

fn share(image: &Image, test: impl Fn(Rgb) -> bool) -> f64 {
    let pixels = image.rgb.chunks_exact(3).map(|p| Rgb([p[0], p[1], p[2]]));
    let count = pixels.filter(|pixel| test(*pixel)).count();
    count as f64 / (image.rgb.len() / 3) as f64
}

fn check_colors(split: Split, index: u64) {
    let a = Attributes::sample(31, index, split);
    let image = render(&a, 128).expect("renders");
    let background = a.background.rgb();
    // The corners at the top are free; the hat with the wide brim comes close.
    for corner in [image.pixel(1, 1), image.pixel(126, 1)] {
        assert_eq!(corner, Some(background), "{a:?}");
    }
    let figure = 1.0 - share(&image, |pixel| pixel == background);
    assert!((0.2..0.9).contains(&figure), "{figure} of the image is figure: {a:?}");
    let skin = share(&image, |pixel| pixel == a.skin.rgb());
    assert!(skin > 0.01, "{skin} is skin: {a:?}");
    if a.garment_visible() {
        let garment = share(&image, |pixel| pixel == a.garment_color.rgb());
        assert!(garment > 0.01, "{garment} is garment: {a:?}");
    }
    if a.hair_visible() {
        let hair = share(&image, |pixel| pixel == a.hair_color.rgb());
        assert!(hair > 0.008, "{hair} is hair: {a:?}");
    } else if a.hair_color_visible() {
        let beard = share(&image, |pixel| pixel == a.hair_color.rgb());
        assert!(beard > 0.0008, "{beard} is beard: {a:?}");
    }
    if let Some(color) = a.headwear_color() {
        let hat = share(&image, |pixel| pixel == color.rgb());
        assert!(hat > 0.01, "{hat} is headwear: {a:?}");
    }
}

#[test]
fn named_colors_are_in_the_image() {
    for index in 0..600 {
        check_colors(Split::Train, index);
        check_colors(Split::HeldOut, index);
    }
}

#[test]
fn every_attribute_changes_the_image() {
    use stride_avatars::attributes::{Expression, Eyes, Eyewear, FacialHair, Garment};
    for style in Style::ALL {
        let base = (0..)
            .map(|index| Attributes::sample(2, index, Split::Train))
            .find(|a| {
                a.style == *style
                    && a.eyewear.is_none()
                    && a.headwear.is_none()
                    && a.facial_hair.is_none()
                    && a.eyes == Eyes::Open
                    && a.gender.name() == "man"
            })
            .expect("there is one");
        let image = |change: &dyn Fn(&mut Attributes)| {
            let mut changed = base.clone();
            change(&mut changed);
            render(&changed, 128).expect("renders")
        };
        let plain = image(&|_| ());
        let others = [
            image(&|a| a.eyewear = Some(Eyewear::Glasses)),
            image(&|a| a.eyewear = Some(Eyewear::RoundGlasses)),
            image(&|a| a.eyewear = Some(Eyewear::Sunglasses)),
            image(&|a| a.facial_hair = Some(FacialHair::FullBeard)),
            image(&|a| a.facial_hair = Some(FacialHair::LongBeard)),
            image(&|a| a.facial_hair = Some(FacialHair::Moustache)),
            image(&|a| a.eyes = Eyes::Closed),
            image(&|a| a.eyes = Eyes::Winking),
            image(&|a| a.eyes = Eyes::Wide),
        ];
        for (at, other) in others.iter().enumerate() {
            assert_ne!(*other, plain, "{}: change {at}", style.name());
            assert!(!others[..at].contains(other), "{}: change {at}", style.name());
        }
        let faces: Vec<_> = [
            Expression::Smiling,
            Expression::Laughing,
            Expression::Sad,
            Expression::Surprised,
            Expression::Angry,
        ]
        .map(|expression| image(&|a| a.expression = expression))
        .into();
        let garments: Vec<_> = [Garment::TShirt, Garment::Jacket, Garment::CollaredShirt]
            .map(|garment| image(&|a| a.garment = garment))
            .into();
        for group in [faces, garments] {
            for (at, one) in group.iter().enumerate() {
                assert!(!group[..at].contains(one), "{}: {at}", style.name());
            }
        }
    }
}

#[test]
fn any_resolution_shows_the_same_image() {
    let a = Attributes::sample(1, 1, Split::Train);
    for resolution in [1, 17, 64, 512] {
        let image = render(&a, resolution).expect("renders");
        assert_eq!(image.rgb.len() as u32, 3 * resolution * resolution);
    }
    let mean = |image: &Image| {
        image.rgb.iter().map(|v| f64::from(*v)).sum::<f64>() / image.rgb.len() as f64
    };
    let small = mean(&render(&a, 64).expect("renders"));
    let large = mean(&render(&a, 512).expect("renders"));
    assert!((small - large).abs() < 2.0, "{small} and {large}");
}

#[test]
fn resolutions_out_of_range_are_refused() {
    let a = Attributes::sample(1, 1, Split::Train);
    for resolution in [0, MAX_RESOLUTION + 1] {
        let error = render(&a, resolution).expect_err("out of range");
        assert!(matches!(error, Error::Resolution { .. }), "{error}");
    }
}

#[test]
fn what_a_style_cannot_show_is_refused() {
    use stride_avatars::attributes::Garment;
    let mut a = (0..)
        .map(|index| Attributes::sample(1, index, Split::Train))
        .find(|a| a.style == Style::Toon)
        .expect("there is one");
    a.garment = Garment::Hoodie;
    let error = render(&a, 32).expect_err("no such drawing");
    assert_eq!(
        error.to_string(),
        "the toon style has no drawing of `hoodie`; use the other style or another value"
    );
}

#[test]
fn artists_and_licences_are_those_of_the_notice() {
    let notice = include_str!("../../../../NOTICE");
    for style in Style::ALL {
        let meta = style_meta(*style).expect("parses");
        for text in [&meta.creator.name, &meta.creator.url, &meta.license.name, &meta.license.url] {
            assert!(notice.contains(text.as_str()), "NOTICE lacks {text}");
        }
        assert!(notice.contains(&meta.source.url), "NOTICE lacks {}", meta.source.url);
    }
}
