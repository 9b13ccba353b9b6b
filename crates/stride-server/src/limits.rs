//! What a client may ask for.

/// The bounds on requests, and on how many of them wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Images that are drawn or wait, of all clients together; more are refused with 429.
    pub queue: usize,
    /// Images of one request.
    pub images: usize,
    /// Steps of an image, at most 128.
    pub steps: usize,
    /// Characters of a prompt.
    pub prompt: usize,
    /// Bytes of a request's body.
    pub body: usize,
}

impl Default for Limits {
    /// Those of OpenAI's service where it has one.
    fn default() -> Self {
        Self { queue: 64, images: 10, steps: 128, prompt: 32_000, body: 1 << 20 }
    }
}
