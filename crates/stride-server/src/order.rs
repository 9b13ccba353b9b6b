//! What a client wants drawn.

use stride::pipeline::GenerateRequest;

use crate::format::Format;

/// A request that the model can draw, and how its images are handed over.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Order {
    /// What to draw.
    pub(crate) request: GenerateRequest,
    /// The most rows of a forward pass that an image takes.
    pub(crate) rows: usize,
    /// The files that it becomes.
    pub(crate) format: Format,
    /// Previews of each image, spread evenly over its steps.
    pub(crate) partial_images: usize,
}

impl Order {
    /// Whether an image is worth a preview when `step` of its steps are done.
    pub(crate) fn has_partial_image_at(&self, step: usize) -> bool {
        let (parts, steps) = (self.partial_images + 1, self.request.num_steps);
        let is_step = |part: usize| part * steps / parts == step;
        step > 0 && step < steps && (1..parts).any(is_step)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partial_images_are_spread_over_the_steps() {
        let places = |num_steps, partial_images| {
            let request = GenerateRequest {
                prompt: String::new(),
                negative_prompt: None,
                num_steps,
                cfg_scale: 1.0,
                seed: 0,
                count: 1,
                as_typed: true,
            };
            let order = Order { request, rows: 1, format: Format::Png, partial_images };
            (0..=num_steps).filter(|&step| order.has_partial_image_at(step)).collect::<Vec<_>>()
        };
        assert_eq!(places(8, 3), [2, 4, 6]);
        assert_eq!(places(128, 1), [64]);
        assert_eq!(places(2, 3), [1]);
        assert!(places(1, 3).is_empty() && places(8, 0).is_empty());
    }
}
