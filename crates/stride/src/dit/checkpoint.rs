//! Weights of other diffusion transformers as a start for ours.

use super::{Dit, DitConfig};
use crate::weights::{self, LoadReport, Renamed, TensorSource, WeightsError};

/// Whose names a file of weights has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DitNames {
    /// Ours.
    Stride,
    /// facebookresearch/DiT's.
    Facebook,
    /// diffusers' `DiTTransformer2DModel`.
    Diffusers,
}

impl DitNames {
    /// Tells by a tensor that only these names have.
    pub fn of(source: &dyn TensorSource) -> Self {
        let has = |name: &str| source.layout(name).is_some();
        if has("t_embedder.mlp.0.weight") || has("final_layer.adaLN_modulation.1.weight") {
            Self::Facebook
        } else if has("transformer_blocks.0.norm1.linear.weight") {
            Self::Diffusers
        } else {
            Self::Stride
        }
    }
}

impl Dit {
    /// The network with the weights that it shares with a checkpoint, and what came of it.
    ///
    /// Takes our own files, those of facebookresearch/DiT and those of diffusers. From the latter two: patches,
    /// embedding of the time, attention, feed-forward layers, modulations and the output; of an output that predicts
    /// a variance, too, the channels of the noise. Left out are class labels, fixed positions (ours are the same) and
    /// the copies of the time's embedding that diffusers keeps in every block. The embedding of the step size, the
    /// text's projection and attention to tokens start fresh.
    ///
    /// # Deviations
    /// What was learned there differs in three ways, so the result is for training and not for sampling:
    /// - their time runs from 0 (data) to 999 (noise) and is not divided; ours from 0 (noise) to 1 (data), times
    ///   `time_scale`. With `time_scale = 1000` the embedding sees numbers of the size it knows, in reverse order.
    /// - they predict the noise x_0; we predict the velocity x_1 - x_0, of which the noise is the negative part.
    /// - they know no step size: the shortcut has to learn it, and the time with it.
    ///
    /// diffusers' sinusoid has frequencies 10000^(-i / 127) where DiT and we have 10000^(-i / 128).
    ///
    /// # Errors
    /// A tensor that both have differs in shape, is no floating-point tensor or is not finite.
    pub fn load_shared(
        self,
        source: &dyn TensorSource,
    ) -> Result<(Self, LoadReport), WeightsError> {
        let config = self.config().clone();
        let renamed = match DitNames::of(source) {
            DitNames::Stride => return weights::load_shared(self, source),
            DitNames::Facebook => facebook(source, &config),
            DitNames::Diffusers => diffusers(source, &config),
        };
        let (model, mut report) = weights::load_shared(self, &renamed)?;
        report.left_out.extend(renamed.left_out());
        report.left_out.sort_unstable();
        Ok((model, report))
    }
}

fn facebook<'a>(source: &'a dyn TensorSource, config: &DitConfig) -> Renamed<'a> {
    let mut renamed = Renamed::new(source, |name| {
        if name == "pos_embed" || name.starts_with("y_embedder.") {
            return None;
        }
        let changes = [
            ("t_embedder.mlp.0.", "t_embedder.linear_1."),
            ("t_embedder.mlp.2.", "t_embedder.linear_2."),
            (".adaLN_modulation.1.", ".modulation."),
        ];
        Some(changes.iter().fold(name.to_owned(), |name, (old, new)| name.replace(old, new)))
    });
    for part in ["weight", "bias"] {
        let name = format!("final_layer.linear.{part}");
        take_output(&mut renamed, source, &name, &name, config);
    }
    renamed
}

fn diffusers<'a>(source: &'a dyn TensorSource, config: &DitConfig) -> Renamed<'a> {
    let mut renamed = Renamed::nothing(source);
    let first = "transformer_blocks.0.norm1.emb.timestep_embedder";
    for part in ["weight", "bias"] {
        renamed.take(format!("x_embedder.proj.{part}"), &format!("pos_embed.proj.{part}"));
        for layer in ["linear_1", "linear_2"] {
            renamed.take(format!("t_embedder.{layer}.{part}"), &format!("{first}.{layer}.{part}"));
        }
        for block in 0..config.depth {
            let (new, old) = (format!("blocks.{block}"), format!("transformer_blocks.{block}"));
            for (ours, theirs) in [
                ("modulation", "norm1.linear"),
                ("attn.proj", "attn1.to_out.0"),
                ("mlp.fc1", "ff.net.0.proj"),
                ("mlp.fc2", "ff.net.2"),
            ] {
                renamed.take(format!("{new}.{ours}.{part}"), &format!("{old}.{theirs}.{part}"));
            }
            let names = ["q", "k", "v"].map(|which| format!("{old}.attn1.to_{which}.{part}"));
            renamed.join(format!("{new}.attn.qkv.{part}"), &names);
        }
        let new = "final_layer.modulation";
        renamed.take(format!("{new}.{part}"), &format!("proj_out_1.{part}"));
        let (new, old) = (format!("final_layer.linear.{part}"), format!("proj_out_2.{part}"));
        take_output(&mut renamed, source, &new, &old, config);
    }
    renamed
}

/// Takes the output layer; where it has twice the channels, the first half of the channels of every position.
fn take_output(
    renamed: &mut Renamed<'_>,
    source: &dyn TensorSource,
    new: &str,
    old: &str,
    config: &DitConfig,
) {
    let (positions, channels) = (config.patch_size.pow(2), config.in_channels);
    let rows = source.layout(old).and_then(|layout| layout.shape.first().copied());
    if rows == Some(2 * positions * channels) {
        let of_position = |position| {
            let start = 2 * position * channels;
            start..start + channels
        };
        renamed.take_rows(new, old, (0..positions).map(of_position).collect());
    } else {
        renamed.take(new, old);
    }
}
