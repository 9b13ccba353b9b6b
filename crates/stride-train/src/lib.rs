//! Training of the autoencoder, the text encoder and the diffusion transformer.
