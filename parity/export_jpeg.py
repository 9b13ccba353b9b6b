"""JPEGs with the chroma subsamplings in use, and their pixels as Pillow's libjpeg-turbo decodes them.

Distances of pytorch-fid and its like come from these pixels, so stride-eval must decode to the same bytes.
"""

import base64
import io
import json
from pathlib import Path

import PIL
from PIL import Image, features

OUT = Path(__file__).resolve().parent.parent / "crates/stride-eval/tests/fixtures/jpeg.json"
# Odd sides: the last column and row of chroma stand for one pixel alone.
WIDTH, HEIGHT = 27, 19


def picture(mode):
    image = Image.new("RGB", (WIDTH, HEIGHT))
    image.putdata([
        ((x * 37 + y * 11) % 256, (x * y * 5) % 256, 255 if (x // 5 + y // 3) % 2 else 20)
        for y in range(HEIGHT) for x in range(WIDTH)
    ])
    return image.convert(mode)


cases = {}
for name, mode, options in [
    ("4:4:4", "RGB", {"subsampling": 0}),
    ("4:2:2", "RGB", {"subsampling": 1}),
    ("4:2:0", "RGB", {"subsampling": 2}),
    ("4:2:0 progressive", "RGB", {"subsampling": 2, "progressive": True}),
    ("grey", "L", {}),
    ("CMYK", "CMYK", {}),
]:
    file = io.BytesIO()
    picture(mode).save(file, "JPEG", quality=85, **options)
    pixels = Image.open(io.BytesIO(file.getvalue())).convert("RGB").tobytes()
    cases[name] = {
        "file": base64.b64encode(file.getvalue()).decode(),
        "pixels": base64.b64encode(pixels).decode(),
    }
fixture = {
    "versions": {"Pillow": PIL.__version__, "libjpeg-turbo": features.version("libjpeg_turbo")},
    "width": WIDTH,
    "height": HEIGHT,
    "cases": cases,
}
OUT.write_text(json.dumps(fixture, indent=1) + "\n")
