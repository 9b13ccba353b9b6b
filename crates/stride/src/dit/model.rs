//! The diffusion transformer as a whole.

use burn::module::Module;
use burn::nn::Linear;
use burn::tensor::{Device, Tensor, activation::silu};

use stride_kernels::fused;

use super::attention::Rotary;
use super::blocks::{DitBlock, FinalLayer};
use super::embedders::{PatchEmbed, ScalarEmbedder, sincos_2d, unpatchify};
use super::init;
use super::{DitConfig, DitConfigError};
use crate::context::{TextContext, key_bias};
use crate::network_input::NetworkInput;

/// A diffusion transformer s(x_t, t, d | text) with adaLN-Zero conditioning.
///
/// # Source
/// Scalable Diffusion Models with Transformers (Peebles and Xie 2022, arXiv 2212.09748), with
/// the second scalar embedder for the step size of One Step Diffusion via Shortcut Models
/// (Frans et al. 2024, arXiv 2410.12557). Parameters carry the names of facebookresearch/DiT
/// where both have them.
/// # Deviations
/// Attention divides by the square root of the head width (the shortcut reference code divides
/// by the width itself); text takes the place of class labels.
#[derive(Module, Debug)]
pub struct Dit {
    x_embedder: PatchEmbed,
    t_embedder: ScalarEmbedder,
    step_embedder: ScalarEmbedder,
    guidance_embedder: Option<ScalarEmbedder>,
    pooled_projection: Option<Linear>,
    blocks: Vec<DitBlock>,
    final_layer: FinalLayer,
    #[module(skip)]
    config: DitConfig,
}

impl DitConfig {
    /// A transformer with random weights; its output is zero until trained.
    ///
    /// # Errors
    /// The configuration describes no network.
    pub fn init(&self, device: &Device) -> Result<Dit, DitConfigError> {
        self.validate()?;
        Ok(Dit {
            x_embedder: PatchEmbed::new(self, device),
            t_embedder: ScalarEmbedder::new(self.hidden_size, device),
            step_embedder: ScalarEmbedder::new(self.hidden_size, device),
            guidance_embedder: self
                .guidance_input
                .then(|| ScalarEmbedder::new(self.hidden_size, device)),
            pooled_projection: self
                .text_conditioning
                .uses_pooled()
                .then(|| init::xavier(self.context_dim, self.hidden_size, device)),
            blocks: (0..self.depth).map(|_| DitBlock::new(self, device)).collect(),
            final_layer: FinalLayer::new(self, device),
            config: self.clone(),
        })
    }
}

impl Dit {
    /// The mean velocity over [t, t + d], d = 2^-k, without guidance as an input.
    ///
    /// # Shapes
    /// - `x_t`: `[B, C, H, W]`, latents of unit scale
    /// - `t`: `[B]`, in [0, 1), 0 is noise
    /// - `log2_steps`: `[B]`, the level k, a real number in [0, 7]; k = 7 (d = 1/128) also stands
    ///   for d = 0
    /// - `context`: text of the same batch
    /// - returns `[B, C, H, W]`
    pub fn forward(
        &self,
        x_t: Tensor<4>,
        t: Tensor<1>,
        log2_steps: Tensor<1>,
        context: &TextContext,
    ) -> Tensor<4> {
        self.forward_guided(NetworkInput { x_t, t, log2_steps, guidance_scale: None }, context)
    }

    /// The mean velocity for an input that may hold the guidance scale w >= 1, which enters as
    /// 1 - 1 / w; a network without that input leaves it out.
    ///
    /// # Source
    /// Improved Mean Flows (2025, arXiv 2512.02012), for the scale as an input.
    pub fn forward_guided(&self, input: NetworkInput, context: &TextContext) -> Tensor<4> {
        self.image(self.final_layer.mean_velocity(self.features(input, context)))
    }

    /// The velocity at d = 0, the second output, for an input as above; its step size tells how the features come about.
    ///
    /// # Panics
    /// The network was not configured with `velocity_head`.
    pub fn forward_velocity(&self, input: NetworkInput, context: &TextContext) -> Tensor<4> {
        self.image(self.final_layer.velocity(self.features(input, context)))
    }

    /// Both outputs, mean velocity and velocity, for the cost of one and a linear layer.
    ///
    /// # Panics
    /// The network was not configured with `velocity_head`.
    pub fn forward_both(&self, input: NetworkInput, context: &TextContext) -> [Tensor<4>; 2] {
        let features = self.features(input, context);
        let mean_velocity = self.final_layer.mean_velocity(features.clone());
        [mean_velocity, self.final_layer.velocity(features)].map(|tokens| self.image(tokens))
    }

    fn image(&self, tokens: Tensor<3>) -> Tensor<4> {
        unpatchify(tokens, self.config.patch_size)
    }

    /// What the outputs are made of, `[B, T, D]`.
    fn features(&self, input: NetworkInput, context: &TextContext) -> Tensor<3> {
        let NetworkInput { x_t, t, log2_steps, guidance_scale } = input;
        let device = x_t.device();
        let side = self.config.input_size / self.config.patch_size;

        let guidance = self.guidance_embedder.as_ref().map(|embedder| {
            let strength = guidance_scale.map_or_else(|| t.zeros_like(), |w| w.recip().neg() + 1.0);
            embedder.forward(strength * self.config.time_scale)
        });
        let mut condition = self.t_embedder.forward(t * self.config.time_scale)
            + self.step_embedder.forward(log2_steps);
        if let Some(guidance) = guidance {
            condition = condition + guidance;
        }
        if let Some(projection) = &self.pooled_projection {
            condition = condition + fused::linear(projection, context.pooled.clone());
        }
        let condition = silu(condition); // [B, D]

        let uses_tokens = self.config.text_conditioning.uses_tokens();
        let text = uses_tokens.then(|| (context.tokens.clone(), key_bias(&context.padding_mask)));
        let rotary = self.config.rope.then(|| Rotary::new(side, self.config.head_dim(), &device));

        let mut x =
            self.x_embedder.forward(x_t) + sincos_2d(side, self.config.hidden_size, &device); // [B, T, D]
        for block in &self.blocks {
            x = block.forward(x, condition.clone(), text.clone(), rotary.as_ref());
        }
        self.final_layer.modulate(x, condition)
    }

    /// The configuration it was made with.
    pub fn config(&self) -> &DitConfig {
        &self.config
    }
}
