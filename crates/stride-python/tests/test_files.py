"""Files of `stride generate` as Pillow and web interfaces read them."""

import io
import json
import re

import numpy as np
import pytest
from PIL import Image

PROMPT = "a man with glasses: näïve, \"quoted\"\nand a second line"
EXIF_IFD, USER_COMMENT, IMAGE_DESCRIPTION = 0x8769, 0x9286, 0x010E
# How AUTOMATIC1111's interface, and those that follow it, read the last line.
PAIRS = re.compile(r'\s*(\w[\w \-/]+):\s*("(?:\\.|[^\\"])+"|[^,]*)(?:,|$)')


def draw(program, *arguments):
    """The picture that a command writes to stdout."""
    picture = Image.open(io.BytesIO(program("generate", "--seed=42", "--steps=1", "-o-", *arguments)))
    picture.load()
    return picture


def texts(picture):
    """The text for web interfaces and our JSON, from wherever the format keeps them."""
    if picture.format == "PNG":
        return picture.text["parameters"], picture.text["stride"]
    exif = picture.getexif()
    comment = exif.get_ifd(EXIF_IFD)[USER_COMMENT]
    assert comment[:8] == b"UNICODE\0"
    return comment[8:].decode("utf-16-be"), exif[IMAGE_DESCRIPTION].removeprefix("stride:")


@pytest.mark.parametrize("format", ["png", "jpeg", "webp"])
def test_pillow_reads_how_a_picture_was_made(program, format):
    picture = draw(program, PROMPT, "--cfg-scale=2", "--negative-prompt=a beard, or two", f"--format={format}")
    assert (picture.format, picture.size, picture.mode) == (format.upper(), (256, 256), "RGB")
    parameters, stored = texts(picture)
    told = json.loads(stored)
    assert (told["prompt"], told["negative_prompt"]) == (PROMPT, "a beard, or two")
    assert (told["seed"], told["steps"], told["cfg_scale"]) == (42, 1, 2.0)
    *lines, last = parameters.split("\n")
    assert "\n".join(lines) == f"{PROMPT}\nNegative prompt: a beard, or two"
    pairs = dict(PAIRS.findall(last))
    assert pairs.items() >= {"Steps": "1", "Seed": "42", "CFG scale": "2", "Size": "256x256"}.items()
    assert pairs["Model hash"] == told["model_hash"]


def test_a_completed_prompt_is_told_to_both(program):
    parameters, stored = texts(draw(program, "a man"))
    completed = json.loads(stored)["completed_prompt"]
    pairs = dict(PAIRS.findall(parameters.split("\n")[-1]))
    told = pairs["Completed prompt"]
    assert completed == (json.loads(told) if told.startswith('"') else told)


@pytest.mark.parametrize("format", ["png", "jpeg", "webp"])
def test_metadata_can_be_left_out(program, format):
    picture = draw(program, "a man", "--disable-image-metadata", f"--format={format}")
    assert not picture.getexif() and not getattr(picture, "text", {})


def test_formats_hold_the_same_picture(program):
    png, webp, jpeg, small = (
        draw(program, "a man", *flags)
        for flags in [["--format=png"], ["--format=webp"], ["--format=jpeg", "--quality=95"], ["--format=jpeg", "--quality=20"]]
    )
    assert np.array_equal(np.asarray(png), np.asarray(webp)), "WebP is lossless"
    apart = [np.abs(np.asarray(png).astype(int) - np.asarray(other)).mean() for other in (jpeg, small)]
    assert 0 < apart[0] < 2 < apart[1] < 10, apart


def test_an_animation_has_its_frames(program, tmp_path):
    path = tmp_path / "way.webp"
    program("generate", "a man", "--seeds=1,2", "--steps=1", "--frames=4", "--interpolate", path)
    way = Image.open(path)
    assert way.is_animated and way.n_frames == 5 and way.info["loop"] == 0
    frames = []
    for frame in range(way.n_frames):
        way.seek(frame)
        frames.append(np.asarray(way.convert("RGB")).astype(int))
        assert way.info["duration"] == 80
    for frame, seed in [(0, 1), (-1, 2)]:
        alone = Image.open(io.BytesIO(program("generate", "a man", f"--seed={seed}", "--steps=1", "-o-")))
        assert np.array_equal(frames[frame], np.asarray(alone))
    assert all((a != b).any() for a, b in zip(frames, frames[1:]))
