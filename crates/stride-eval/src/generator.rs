//! What generates images for an evaluation.

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};

use stride::image::RgbImage;
use stride::pipeline::{Drawing, GenerateError, GenerateRequest, Pipeline};
use stride_kernels::device::is_cpu;
use stride_kernels::gemm::Compute;

use crate::EvalError;

/// Generates images from prompts.
pub trait Generator: Sync {
    /// What reports call it.
    fn name(&self) -> &str;

    /// Height and width of its images.
    fn resolution(&self) -> usize;

    /// The guidance scale where none is given.
    fn default_cfg_scale(&self) -> f64;

    /// The dtype that it computes in.
    fn compute(&self) -> Compute;

    /// One image. `observer` sees the state after every step and may stop.
    ///
    /// # Errors
    /// The request is not possible with this generator, or the observer stopped ([`EvalError::Interrupted`]).
    fn generate(
        &self,
        request: &SampleRequest<'_>,
        observer: &mut dyn FnMut(IntermediateStep<'_>) -> ControlFlow<()>,
    ) -> Result<RgbImage, EvalError>;

    /// Images of several requests in one pass of the network a step, in their order; none where one image after the
    /// other is as quick.
    ///
    /// # Errors
    /// As [`generate`](Self::generate); [`EvalError::Interrupted`] if `stop` was set.
    fn generate_together(
        &self,
        _requests: &[SampleRequest<'_>],
        _stop: &AtomicBool,
    ) -> Option<Result<Vec<RgbImage>, EvalError>> {
        None
    }

    /// Images of its resolution after its autoencoder.
    fn reconstruct(&self, images: &[RgbImage]) -> Vec<RgbImage>;
}

/// An image to generate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SampleRequest<'a> {
    /// The prompt.
    pub prompt: &'a str,
    /// Steps from noise to image.
    pub num_steps: usize,
    /// Guidance scale; 1 disables guidance.
    pub cfg_scale: f64,
    /// Seed of the noise.
    pub seed: u64,
}

/// The state after a step.
pub struct IntermediateStep<'a> {
    /// Steps done, from 1.
    pub step: usize,
    /// Decodes the state.
    pub preview: &'a dyn Fn() -> RgbImage,
}

/// Generates the images of requests, in their order.
///
/// # Errors
/// As [`SampleRequest::generate`].
pub fn generate_all(
    generator: &dyn Generator,
    requests: &[SampleRequest<'_>],
    stop: &AtomicBool,
) -> Result<Vec<RgbImage>, EvalError> {
    generator.generate_together(requests, stop).unwrap_or_else(|| {
        requests.iter().map(|request| request.generate(generator, stop, &mut |_| {})).collect()
    })
}

impl SampleRequest<'_> {
    /// One image of a pipeline.
    fn for_pipeline(&self) -> GenerateRequest {
        GenerateRequest {
            prompt: self.prompt.to_owned(),
            negative_prompt: None,
            num_steps: self.num_steps,
            cfg_scale: self.cfg_scale,
            seed: self.seed,
            count: 1,
            as_typed: false,
        }
    }

    /// Generates the image unless `stop` is set; `observer` sees the state after every step.
    ///
    /// # Errors
    /// As for [`Generator::generate`]; [`EvalError::Interrupted`] if `stop` was set.
    pub fn generate(
        &self,
        generator: &dyn Generator,
        stop: &AtomicBool,
        observer: &mut dyn FnMut(IntermediateStep<'_>),
    ) -> Result<RgbImage, EvalError> {
        let is_stopped = || stop.load(Ordering::Relaxed);
        let image = generator.generate(self, &mut |step| {
            observer(step);
            if is_stopped() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        if is_stopped() { Err(EvalError::Interrupted) } else { image }
    }
}

impl Generator for Pipeline {
    fn name(&self) -> &str {
        &self.index().name
    }

    fn resolution(&self) -> usize {
        self.index().resolution
    }

    fn default_cfg_scale(&self) -> f64 {
        self.index().default_cfg_scale
    }

    fn compute(&self) -> Compute {
        self.precision().compute()
    }

    fn generate(
        &self,
        request: &SampleRequest<'_>,
        observer: &mut dyn FnMut(IntermediateStep<'_>) -> ControlFlow<()>,
    ) -> Result<RgbImage, EvalError> {
        let images = Self::generate(self, &request.for_pipeline(), &mut |event| {
            observer(IntermediateStep { step: event.step, preview: &|| event.preview() })
        });
        match images {
            Ok(mut images) => Ok(images.swap_remove(0).image),
            Err(GenerateError::Stopped) => Err(EvalError::Interrupted),
            Err(error) => Err(EvalError::Generator(Box::new(error))),
        }
    }

    /// On a GPU, which one image does not fill.
    fn generate_together(
        &self,
        requests: &[SampleRequest<'_>],
        stop: &AtomicBool,
    ) -> Option<Result<Vec<RgbImage>, EvalError>> {
        if is_cpu(self.device()) {
            return None;
        }
        let failed = |error: GenerateError| EvalError::Generator(Box::new(error));
        let draw = || {
            let mut drawings = Vec::new();
            for request in requests {
                for drawing in self.start(&request.for_pipeline()).map_err(failed)? {
                    drawings.push(drawing.map_err(failed)?);
                }
            }
            while drawings.iter().any(|drawing: &Drawing| !drawing.is_done()) {
                if stop.load(Ordering::Relaxed) {
                    return Err(EvalError::Interrupted);
                }
                self.advance(&mut drawings);
            }
            let finish = |drawing| Ok(self.finish(drawing).map_err(failed)?.image);
            drawings.iter().map(finish).collect()
        };
        Some(draw())
    }

    fn reconstruct(&self, images: &[RgbImage]) -> Vec<RgbImage> {
        let pixels = RgbImage::to_tensor(images, self.device());
        let vae = &self.parts().vae;
        self.precision().scope(|| RgbImage::from_tensor(vae.decode(vae.encode(pixels))))
    }
}
