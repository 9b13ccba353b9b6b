//! Stride: few-step text-to-image generation with shortcut models.

pub mod context;
