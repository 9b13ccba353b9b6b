//! Captioned image folders and latent caches.
