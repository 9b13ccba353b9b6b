//! Captioned cartoon avatars, true by construction.
