"""pytorch-fid's distance between folders of files, from bytes to score: JPEGs with 4:2:0, alpha, an EXIF orientation.

Weights of Inception come from a formula that the tests of stride-eval compute too.
"""

import base64
import importlib.metadata
import json
import tempfile
from pathlib import Path

import numpy as np
import torch
from PIL import Image, features
from pytorch_fid import fid_score
from pytorch_fid import inception as pytorch_fid_inception

from formulas import picture, set_weights, without_weights

OUT = Path(__file__).resolve().parent.parent / "crates/stride-eval/tests/fixtures/fid_of_files.json"
COUNT, SIDE, SHOWN = 8, 64, 48

torch.set_num_threads(1)
model = without_weights(pytorch_fid_inception, lambda: pytorch_fid_inception.InceptionV3([3]).eval())
# Its blocks hold the layers under other names than the weights have.
network = without_weights(pytorch_fid_inception, pytorch_fid_inception.fid_inception_v3)
set_weights(network)
blocks = [
    ["Conv2d_1a_3x3", "Conv2d_2a_3x3", "Conv2d_2b_3x3", None],
    ["Conv2d_3b_1x1", "Conv2d_4a_3x3", None],
    ["Mixed_5b", "Mixed_5c", "Mixed_5d", "Mixed_6a", "Mixed_6b", "Mixed_6c", "Mixed_6d", "Mixed_6e"],
    ["Mixed_7a", "Mixed_7b", "Mixed_7c", None],
]
for block, names in zip(model.blocks, blocks, strict=True):
    for layer, name in zip(block, names, strict=True):
        if name:
            layer.load_state_dict(getattr(network, name).state_dict())


def save_jpeg(pixels, path):
    Image.fromarray(pixels).save(path, "JPEG", quality=85, subsampling=2)


def save_special(k, pixels, path):
    """Every second with alpha, the others turned by EXIF."""
    if k % 2 == 0:
        alpha = np.arange(SIDE * SIDE).reshape(SIDE, SIDE, 1) % 256
        Image.fromarray(np.concatenate([pixels, alpha.astype(np.uint8)], -1)).save(path, "PNG")
    else:
        exif = Image.Exif()
        exif[0x0112] = 6
        Image.fromarray(pixels).save(path, "JPEG", quality=85, subsampling=2, exif=exif)


fixture = {
    "versions": {name: importlib.metadata.version(name) for name in ("pytorch-fid", "torch", "torchvision", "pillow", "scipy")},
    "libjpeg-turbo": features.version("libjpeg_turbo"),
}
with tempfile.TemporaryDirectory() as place:
    folders = {}
    for name, stream in (("jpeg", 30_000), ("special", 40_000), ("reference", 50_000)):
        folder = Path(place) / name
        folder.mkdir()
        for k in range(COUNT):
            pixels = picture(stream + 2 * k, SIDE, SIDE)
            is_jpeg = name == "jpeg" or (name == "special" and k % 2 == 1)
            path = folder / f"{k}.{'jpg' if is_jpeg else 'png'}"
            if name == "jpeg":
                save_jpeg(pixels, path)
            elif name == "special":
                save_special(k, pixels, path)
            else:
                Image.fromarray(pixels).save(path, "PNG")
        folders[name] = folder
    fixture["files"] = {
        f"{name}/{path.name}": base64.b64encode(path.read_bytes()).decode()
        for name in ("jpeg", "special")
        for path in sorted(folders[name].iterdir())
    }
    statistics = {
        name: fid_score.compute_statistics_of_path(str(folder), model, 4, 2048, "cpu", 0)
        for name, folder in folders.items()
    }
    fixture["mean"] = {name: [float(v) for v in mean[:: 2048 // SHOWN]] for name, (mean, _) in statistics.items()}
    fixture["distance"] = {
        name: float(fid_score.calculate_frechet_distance(*statistics[name], *statistics["reference"]))
        for name in ("jpeg", "special")
    }
OUT.write_text(json.dumps(fixture, indent=1) + "\n")
print(OUT.stat().st_size, fixture["distance"])
