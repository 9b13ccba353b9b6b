//! The body of a request for images.

use std::time::Duration;

use axum::body::Body;
use futures_util::StreamExt as _;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use stride::pipeline::{GenerateRequest, MAX_CFG_SCALE, Pipeline};
use utoipa::ToSchema;

use crate::error::ApiError;
use crate::facts::Facts;
use crate::format::Format;
use crate::limits::Limits;
use crate::order::Order;

/// Time for a body to arrive.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);
/// Previews of an image, at most, as in OpenAI's service.
const MAX_PARTIAL_IMAGES: u64 = 3;
/// Quality of JPEG files when none is asked for.
const JPEG_QUALITY: u8 = 90;

/// What to draw. `null` is the same as leaving a field out, and fields that are not listed are passed over.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
pub(crate) struct ImageBody {
    /// What the image shows.
    #[schema(required = true)]
    pub(crate) prompt: Option<String>,
    /// What guidance steers away from, where the model can be guided.
    pub(crate) negative_prompt: Option<String>,
    /// The model's name; the server has one alone.
    pub(crate) model: Option<String>,
    /// Images; image k has seed + k.
    pub(crate) n: Option<u64>,
    /// Seed of the noise; random if absent.
    pub(crate) seed: Option<u64>,
    /// Steps from noise to image, from 1 to 128.
    pub(crate) steps: Option<u64>,
    /// The same as `steps`.
    pub(crate) num_inference_steps: Option<u64>,
    /// Guidance scale; 1 is no guidance.
    pub(crate) guidance_scale: Option<f64>,
    /// Whether the prompt is drawn as it is, by a model that would choose what it leaves open.
    pub(crate) as_typed: Option<bool>,
    /// `auto`, or the one size that the model draws.
    pub(crate) size: Option<String>,
    /// `png`, `jpeg` or `webp`.
    pub(crate) output_format: Option<String>,
    /// Quality of JPEG files, from 0 to 100.
    pub(crate) output_compression: Option<u64>,
    /// `b64_json`, or `url` for an address that holds for ten minutes.
    pub(crate) response_format: Option<String>,
    /// Whether the reply is a stream of events.
    pub(crate) stream: Option<bool>,
    /// Previews in the stream, from 0 to 3.
    pub(crate) partial_images: Option<u64>,
    /// Repeated in the reply; changes nothing.
    pub(crate) quality: Option<String>,
}

/// A body of JSON.
///
/// # Errors
/// It is too long or too slow, no JSON, or a field has a value of the wrong kind.
pub(crate) async fn read_json<T: DeserializeOwned>(
    body: Body,
    limit: usize,
) -> Result<T, ApiError> {
    let seconds = BODY_TIMEOUT.as_secs();
    let bytes = tokio::time::timeout(BODY_TIMEOUT, read(body, limit))
        .await
        .map_err(|_| ApiError::slow_body(seconds))??;
    from_json(&bytes)
}

async fn read(body: Body, limit: usize) -> Result<Vec<u8>, ApiError> {
    let mut bytes = Vec::new();
    let mut chunks = body.into_data_stream();
    while let Some(chunk) = chunks.next().await {
        let chunk =
            chunk.map_err(|error| ApiError::malformed(format!("the body breaks off: {error}")))?;
        if bytes.len() + chunk.len() > limit {
            return Err(ApiError::too_large(limit));
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

fn from_json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ApiError> {
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let field = error.path().to_string();
        match field.as_str() {
            "." | "?" => ApiError::malformed(format!("expected a JSON object: {}", error.inner())),
            field => ApiError::invalid(field, format!("{field}: {}", error.inner())),
        }
    })?;
    json.end()
        .map_err(|error| ApiError::malformed(format!("expected one JSON object alone: {error}")))?;
    Ok(value)
}

impl ImageBody {
    /// What it asks for, if the model can draw it and the server allows it.
    ///
    /// # Errors
    /// A field is missing, means nothing, is beyond a limit, or asks for what the model cannot do.
    pub(crate) fn order(
        &self,
        pipeline: &Pipeline,
        facts: &Facts,
        limits: &Limits,
    ) -> Result<Order, ApiError> {
        self.check_model(&facts.model)?;
        self.check_size(facts.resolution)?;
        let Some(prompt) = &self.prompt else {
            return Err(ApiError::invalid("prompt", "prompt: expected a text, found none"));
        };
        check_text("prompt", prompt, limits.prompt)?;
        if let Some(negative) = &self.negative_prompt {
            check_text("negative_prompt", negative, limits.prompt)?;
        }
        let count = within("n", self.n.unwrap_or(1), limits.images)?;
        let (name, steps) = match (self.steps, self.num_inference_steps) {
            (None, Some(steps)) => ("num_inference_steps", Some(steps)),
            (steps, _) => ("steps", steps),
        };
        let default_steps = facts.default_steps.min(limits.steps);
        let num_steps = within(name, steps.unwrap_or(default_steps as u64), limits.steps)?;
        let seed = self.seed.map_or_else(random_seed, Ok)?;
        if seed.checked_add(count as u64 - 1).is_none() {
            let message = format!(
                "seed: image k has seed + k, and the last seed is {}; found {seed}",
                u64::MAX
            );
            return Err(ApiError::invalid("seed", message));
        }
        // An empty negative prompt is what forms send when nobody wrote one.
        let negative_prompt = self.negative_prompt.clone().filter(|text| !text.is_empty());
        let is_guided = facts.guidance.steps.contains(&num_steps);
        let default_scale = if is_guided { facts.default_guidance_scale } else { 1.0 };
        let request = GenerateRequest {
            prompt: prompt.clone(),
            negative_prompt,
            num_steps,
            cfg_scale: self.guidance_scale.unwrap_or(default_scale),
            seed,
            count,
            as_typed: self.as_typed.unwrap_or(false),
        };
        if !(0.0..=MAX_CFG_SCALE).contains(&request.cfg_scale) {
            let found = request.cfg_scale;
            let message = format!(
                "guidance_scale: expected a number from 0 to {MAX_CFG_SCALE}, found {found}"
            );
            return Err(ApiError::beyond_limit("guidance_scale", message));
        }
        let rows = pipeline.check(&request).map_err(|error| {
            let param = if request.negative_prompt.is_some() {
                "negative_prompt"
            } else {
                "guidance_scale"
            };
            ApiError::invalid(param, error.to_string())
        })?;
        let partial_images = self.partial_images.unwrap_or(0);
        if partial_images > MAX_PARTIAL_IMAGES {
            let message = format!(
                "partial_images: expected 0 to {MAX_PARTIAL_IMAGES}, found {partial_images}"
            );
            return Err(ApiError::beyond_limit("partial_images", message));
        }
        Ok(Order { request, rows, format: self.format()?, partial_images: partial_images as usize })
    }

    /// Whether the reply holds addresses instead of files.
    ///
    /// # Errors
    /// The field means nothing.
    pub(crate) fn wants_urls(&self) -> Result<bool, ApiError> {
        match self.response_format.as_deref() {
            None | Some("b64_json") => Ok(false),
            Some("url") => Ok(true),
            Some(found) => Err(unknown("response_format", "b64_json or url", found)),
        }
    }

    fn check_model(&self, name: &str) -> Result<(), ApiError> {
        match self.model.as_deref() {
            Some(found) if found != name => Err(ApiError::no_model(found, name)),
            _ => Ok(()),
        }
    }

    fn check_size(&self, side: usize) -> Result<(), ApiError> {
        let expected = format!("{side}x{side}");
        match self.size.as_deref() {
            Some(found) if found != "auto" && found != expected => {
                Err(unknown("size", &format!("auto or {expected}, which the model draws"), found))
            }
            _ => Ok(()),
        }
    }

    fn format(&self) -> Result<Format, ApiError> {
        let quality = match self.output_compression {
            None => JPEG_QUALITY,
            Some(quality @ 0..=100) => quality.max(1) as u8,
            Some(found) => {
                let message = format!("output_compression: expected 0 to 100, found {found}");
                return Err(ApiError::beyond_limit("output_compression", message));
            }
        };
        match self.output_format.as_deref() {
            None | Some("png") => Ok(Format::Png),
            Some("jpeg") => Ok(Format::Jpeg(quality)),
            Some("webp") => Ok(Format::Webp),
            Some(found) => Err(unknown("output_format", "png, jpeg or webp", found)),
        }
    }
}

/// Checks a text that goes to the tokenizer and into files.
///
/// # Errors
/// It is too long, or has characters that are no text.
pub(crate) fn check_text(param: &str, text: &str, limit: usize) -> Result<(), ApiError> {
    let length = text.chars().count();
    if length > limit {
        let message = format!("{param}: expected at most {limit} characters, found {length}");
        return Err(ApiError::beyond_limit(param, message));
    }
    match text.chars().find(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t')) {
        Some(found) => {
            let found = found.escape_unicode();
            let message = format!("{param}: expected text, found the control character {found}");
            Err(ApiError::invalid(param, message))
        }
        None => Ok(()),
    }
}

fn within(param: &str, value: u64, limit: usize) -> Result<usize, ApiError> {
    match usize::try_from(value) {
        Ok(number) if (1..=limit).contains(&number) => Ok(number),
        _ => {
            let message = format!("{param}: expected 1 to {limit}, found {value}");
            Err(ApiError::beyond_limit(param, message))
        }
    }
}

fn unknown(param: &str, expected: &str, found: &str) -> ApiError {
    let found: String = found.chars().take(40).collect();
    ApiError::invalid(param, format!("{param}: expected {expected}, found {found:?}"))
}

/// A seed that nobody chose; ten digits at most, so that people can type it again.
fn random_seed() -> Result<u64, ApiError> {
    getrandom::u32()
        .map(u64::from)
        .map_err(|error| ApiError::internal(format!("no random seed: {error}; send `seed`")))
}
