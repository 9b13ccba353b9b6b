//! The diffusion transformer: a velocity field s(x_t, t, d) over latents, conditioned on text.

mod attention;
mod block;
mod checkpoint;
mod config;
mod embedding;
mod final_layer;
mod linear;
mod mlp;
mod model;
mod norm;
mod patch;
mod position;

pub use checkpoint::DitNames;
pub use config::{DitConfig, DitConfigError, MlpKind, NormKind, TextConditioning};
pub use model::Dit;
pub use patch::{patchify, unpatchify};
pub use position::sincos_2d;
