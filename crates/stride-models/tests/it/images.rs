//! CLIP's preprocessing makes of images what transformers makes of them.

use burn::tensor::{Device, Tensor};
use stride::clip::clip_pixels;
use stride::image::RgbImage;

use crate::expected::{check, expected, expected_bytes};

#[test]
fn images_agree_with_transformers() {
    for case in ["wide", "tall"] {
        let (shape, pixels) = expected_bytes(&format!("picture.{case}.pixels"));
        let image = RgbImage { width: shape[1], height: shape[0], pixels };
        let device = Device::flex();
        let small = clip_pixels(&image, 32, &device).squeeze_dim::<3>(0);
        check(&format!("{case} 32"), small, expected(&format!("picture.{case}.32.values")));
        let large: Vec<f32> = clip_pixels(&image, 224, &device).into_data().iter().collect();
        let some: Vec<f32> = large.into_iter().step_by(997).collect();
        let some = Tensor::<1>::from_floats(some.as_slice(), &device);
        check(&format!("{case} 224"), some, expected(&format!("picture.{case}.224.values")));
    }
}
