#!/usr/bin/env bash
# Makes the model in this folder from nothing: draws the data, then trains autoencoder, text encoder, completion and transformer.
# Run it from the repository's folder; run it again after an interruption, and it goes on. About 3 hours of two cores,
# 4 GB of disk. The model is runs/avatars-dit/model then.
set -euo pipefail
cargo build --release --workspace
stride=target/release/stride
avatars="target/release/stride-avatars --distribution flat --count 40000"

# A folder is drawn under another name first, so that its name stands for all of it.
draw() {
    local out=$1
    shift
    [ -d "$out" ] && return
    rm -rf "$out.part"
    $avatars --out "$out.part" "$@"
    mv "$out.part" "$out"
}
draw data/avatars-flat --captions people
draw data/avatars-short --captions short
draw data/avatars-masks --masks --resolution 64

$stride train --config configs/avatars-vae.toml --resume auto
$stride train --config configs/avatars-text.toml --resume auto
$stride train --config configs/avatars-completion.toml --resume auto
$stride prepare --source data/avatars-flat --vae runs/avatars-vae/model --out data/avatars-latents --dtype bf16
$stride train --config configs/avatars-dit.toml --resume auto
