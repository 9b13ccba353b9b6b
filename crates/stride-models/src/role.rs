//! What a component is for, and where it lies in a pipeline.

/// The file that describes a component.
pub(crate) const CONFIG: &str = "config.json";

/// The part that a component plays in a pipeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The autoencoder.
    Vae,
    /// The text encoder; a whole CLIP model serves as one.
    TextEncoder,
    /// The image encoder of CLIP; a whole CLIP model serves as one.
    ImageEncoder,
    /// The tokenizer, which has no weights.
    Tokenizer,
    /// The diffusion transformer.
    Transformer,
}

impl Role {
    /// The folder in a pipeline, and its entry in `model_index.json`.
    pub fn folder(self) -> &'static str {
        match self {
            Self::Vae => "vae",
            Self::TextEncoder => "text_encoder",
            Self::ImageEncoder => "image_encoder",
            Self::Tokenizer => "tokenizer",
            Self::Transformer => "transformer",
        }
    }

    /// Its name in messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Vae => "an autoencoder",
            Self::TextEncoder => "a text encoder",
            Self::ImageEncoder => "a CLIP image encoder",
            Self::Tokenizer => "a CLIP tokenizer",
            Self::Transformer => "a diffusion transformer",
        }
    }

    /// Classes that can be loaded for it; any class if the list is empty.
    pub(crate) fn classes(self) -> &'static [&'static str] {
        match self {
            Self::Vae => &["AutoencoderKL", "AutoencoderTiny"],
            Self::TextEncoder => {
                &["CLIPTextModel", "CLIPTextModelWithProjection", "CLIPModel", "QueryTextModel"]
            }
            Self::ImageEncoder => {
                &["CLIPVisionModel", "CLIPVisionModelWithProjection", "CLIPModel"]
            }
            Self::Tokenizer => &[],
            Self::Transformer => &["DiTTransformer2DModel", "Transformer2DModel", "DiT"],
        }
    }
}
