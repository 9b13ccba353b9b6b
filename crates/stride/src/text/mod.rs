//! Text encoders: CLIP's, and one with a query for every attribute.

mod encoder;
mod query;
mod query_config;

pub use encoder::{TextEncoder, TextEncoderConfig};
pub use query::QueryTextModel;
pub use query_config::{QueryTextClass, QueryTextConfig, TextEncoderConfigError};
