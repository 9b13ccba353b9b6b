"""Writes the fixtures of stride-data: pictures, data sets and resized pictures of the original libraries.

Random pictures with a fixed seed: `pictures.safetensors` (files of every kind that is read, and what
Pillow makes of them), `resized.safetensors` (Pillow's resize), and the same six captioned pictures as
`datasets.parquet` (written by datasets), `pyarrow_{case}.parquet`, `shard.tar` (webdataset) and
`archive.zip`.
"""

import io
import json
import warnings
import zipfile
from importlib.metadata import version
from pathlib import Path

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import webdataset
from PIL import Image, ImageOps
from safetensors.numpy import save_file

OUT = Path(__file__).parent.parent / "crates/stride-data/tests/fixtures"
PACKAGES = ["datasets", "numpy", "pillow", "pyarrow", "webdataset"]
# One entry, since the order of several is not fixed.
VERSIONS = {"versions": json.dumps({name: version(name) for name in PACKAGES})}


def smooth(rng, height, width, channels):
    """Blobs of colour with some noise: smooth enough that two JPEG decoders agree."""
    small = rng.integers(0, 256, (4, 4, channels), dtype=np.uint8)
    planes = [
        np.asarray(Image.fromarray(small[..., c]).resize((width, height), Image.BICUBIC))
        for c in range(channels)
    ]
    noise = rng.integers(-3, 4, (height, width, channels))
    return np.clip(np.stack(planes, -1) + noise, 0, 255).astype(np.uint8)


def encoded(image, kind, **options):
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def over_white(image):
    """Alpha over white in whole numbers, rounded."""
    rgba = np.asarray(image.convert("RGBA")).astype(np.int64)
    color, alpha = rgba[..., :3], rgba[..., 3:]
    return ((color * alpha + 255 * (255 - alpha) + 127) // 255).astype(np.uint8)


def pictures(rng):
    """Encoded bytes and the pixels that are expected of them."""
    rgb = Image.fromarray(smooth(rng, 20, 28, 3))
    rgba = Image.fromarray(smooth(rng, 20, 28, 4))
    gray = Image.fromarray(smooth(rng, 20, 28, 1)[..., 0])
    cmyk = Image.fromarray(smooth(rng, 24, 32, 4), "CMYK")
    wide = rng.integers(0, 65536, (20, 28), dtype=np.uint16)
    files = {
        "rgb.png": encoded(rgb, "PNG"),
        "rgb.jpg": encoded(rgb, "JPEG", quality=95),
        "progressive.jpg": encoded(rgb, "JPEG", quality=95, progressive=True),
        "gray.jpg": encoded(gray, "JPEG", quality=95),
        "gray.png": encoded(gray, "PNG"),
        "bits.png": encoded(gray.convert("1"), "PNG"),
        "palette.png": encoded(rgb.quantize(16), "PNG"),
        "transparent.png": encoded(rgb.quantize(16), "PNG", transparency=3),
        "gray_alpha.png": encoded(rgba.convert("LA"), "PNG"),
        "rgba.png": encoded(rgba, "PNG"),
        "wide.png": encoded(Image.fromarray(wide), "PNG"),
        "cmyk.jpg": encoded(cmyk, "JPEG", quality=95),
        "lossy.webp": encoded(rgb, "WEBP", quality=90),
        "lossless.webp": encoded(rgb, "WEBP", lossless=True),
        "rgba.webp": encoded(rgba, "WEBP", lossless=True, exact=True),
        "animated.webp": encoded(
            rgb, "WEBP", lossless=True, save_all=True, append_images=[rgb.transpose(Image.ROTATE_180)]
        ),
    }
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = orientation
        files[f"exif{orientation}.jpg"] = encoded(rgb, "JPEG", quality=95, exif=exif)
    for kind in ["PNG", "WEBP"]:
        exif = Image.Exif()
        exif[0x0112] = 6
        files[f"exif6.{kind.lower()}"] = encoded(rgb, kind, lossless=True, exif=exif)
    tensors = {}
    for name, data in files.items():
        image = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
        if name == "wide.png":
            expected = np.repeat(((wide.astype(np.int64) + 128) // 257)[..., None], 3, -1)
        elif "A" in image.getbands() or "transparency" in image.info:
            expected = over_white(image)
        else:
            expected = np.asarray(image.convert("RGB"))
        tensors[f"file.{name}"] = np.frombuffer(data, np.uint8)
        tensors[f"rgb.{name}"] = np.ascontiguousarray(expected.astype(np.uint8))
    return tensors


def resized(rng):
    tensors = {}
    filters = {"bicubic": Image.BICUBIC, "bilinear": Image.BILINEAR}
    for height, width in [(37, 37), (64, 50), (17, 90)]:
        pixels = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
        tensors[f"{height}x{width}"] = pixels
        side = min(height, width)
        left, top = (width - side) // 2, (height - side) // 2
        square = Image.fromarray(pixels).crop((left, top, left + side, top + side))
        for name, kind in filters.items():
            for target in [5, 16, 32, 49]:
                out = np.asarray(square.resize((target, target), kind))
                tensors[f"{height}x{width}.{name}.{target}"] = out
    return tensors


def sets(rng):
    """The same six pictures in every container; the third has two captions where lists are possible."""
    data = [encoded(Image.fromarray(smooth(rng, 12, 16, 3)), "PNG") for _ in range(6)]
    texts = [f"picture {i}, été" for i in range(6)]
    lists = [[text, "another"] if i == 2 else [text] for i, text in enumerate(texts)]

    features = datasets.Features({"image": datasets.Image(), "text": datasets.Value("string")})
    rows = {"image": [{"bytes": d, "path": f"{i}.png"} for i, d in enumerate(data)], "text": texts}
    datasets.Dataset.from_dict(rows, features=features).to_parquet(OUT / "datasets.parquet", batch_size=4)

    struct = pa.array([{"bytes": d, "path": None} for d in data])
    plain = pa.table({"id": list(range(6)), "image": pa.array(data, pa.binary()), "captions": lists})
    nested = pa.table({"caption": texts, "image": struct, "captions": lists})
    repeated = pa.table({"image": pa.array(data * 20, pa.binary()), "text": texts * 20})
    for case, table, options in [
        ("plain", plain, {"compression": "none", "use_dictionary": False}),
        ("gzip", nested, {"compression": "gzip", "row_group_size": 2}),
        ("zstd", nested, {"compression": "zstd", "data_page_version": "2.0"}),
        ("pages", repeated, {"compression": "snappy", "use_dictionary": ["image"],
                             "write_batch_size": 7, "data_page_size": 64}),
        ("delta", plain, {"use_dictionary": False, "column_encoding": {
            "image": "DELTA_LENGTH_BYTE_ARRAY", "id": "PLAIN",
            "captions.list.element": "DELTA_LENGTH_BYTE_ARRAY"}}),
    ]:
        pq.write_table(table, OUT / f"pyarrow_{case}.parquet", **options)
    odd = {"text": [b"fine", b"caf\xe9", b"no picture", None], "image": [*data[:2], None, data[3]]}
    pq.write_table(pa.table(odd), OUT / "pyarrow_odd.parquet")
    captions = [[{"language": "en", "caption": text}, {"language": "de", "caption": f"Bild {i}"}]
                for i, text in enumerate(texts)]
    mask = pa.array([{"bytes": d, "path": None} for d in reversed(data)])
    labels = [f"label {i}" for i in range(6)]
    columns = {"image": struct, "captions": captions, "label": labels, "mask": mask}
    pq.write_table(pa.table(columns), OUT / "pyarrow_nested.parquet")
    # As img2dataset writes beside its tars.
    pq.write_table(pa.table({"url": ["none"], "caption": ["none"]}), OUT / "pyarrow_table.parquet")

    with webdataset.TarWriter(str(OUT / "shard.tar"), mtime=0) as shard:
        for i in range(6):
            meta = {"caption": lists[i][-1], "url": "none"}
            shard.write({"__key__": f"{i:06}", "png": data[i], "txt": texts[i], "json": meta})

    with zipfile.ZipFile(OUT / "archive.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        def add(name, content):
            archive.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)

        lines = [
            json.dumps({"file_name": f"img/{i}.png", "captions": lists[i], "attributes": {"Smiling": i % 2 == 0}},
                       ensure_ascii=False)
            for i in range(6)
        ]
        add("metadata.jsonl", "\n".join(lines))
        for i in range(6):
            add(f"img/{i}.png", data[i])
    return {f"{i}": np.asarray(Image.open(io.BytesIO(d))) for i, d in enumerate(data)}


def main():
    warnings.simplefilter("ignore")
    OUT.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(20)
    save_file(pictures(rng), OUT / "pictures.safetensors", metadata=VERSIONS)
    save_file(resized(rng), OUT / "resized.safetensors", metadata=VERSIONS)
    save_file(sets(rng), OUT / "sets.safetensors", metadata=VERSIONS)


if __name__ == "__main__":
    main()
