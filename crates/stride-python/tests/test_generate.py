"""Drawing, against the program and against Pillow and NumPy."""

import io
import json
import threading
import time

import numpy as np
import pytest
import stride
from PIL import Image


@pytest.mark.parametrize("ending", ["png", "jpg", "webp"])
def test_files_are_those_of_the_program(pipeline, program, tmp_path, ending):
    image = pipeline.generate("a man with glasses", steps=4, seed=42)[0]
    image.save(tmp_path / f"package.{ending}", quality=80)
    program("generate", "a man with glasses", "--steps=4", "--seed=42", "--quality=80", "-o", tmp_path / f"program.{ending}")
    drawn = (tmp_path / f"package.{ending}").read_bytes()
    assert drawn == (tmp_path / f"program.{ending}").read_bytes()
    assert drawn == image.encode(ending, quality=80)
    told = json.loads(program("inspect", "--json", tmp_path / f"package.{ending}"))
    assert told["stride"] == image.info


def test_all_options_draw_what_the_program_draws(pipeline, program, tmp_path):
    start = pipeline.generate("a woman with black hair", steps=1, seed=3)[0]
    start.save(tmp_path / "start.png")
    options = dict(steps=6, seed=7, count=2, cfg_scale=2.0, negative_prompt="glasses", strength=0.5)
    images = pipeline.generate("a bald man", init_image=tmp_path / "start.png", **options)
    program(
        "generate", "a bald man", "--steps=6", "--seed=7", "--count=2", "--cfg-scale=2", "--negative-prompt=glasses",
        f"--init-image={tmp_path / 'start.png'}", "--strength=0.5", "-o", tmp_path / "{seed}.png",
    )  # fmt: skip
    for image, seed in zip(images, [7, 8]):
        assert image.encode() == (tmp_path / f"{seed}.png").read_bytes()
    for start in [start, start.to_pil(), start.to_numpy()]:
        again = pipeline.generate("a bald man", init_image=start, **options)
        assert [image.encode() for image in again] == [image.encode() for image in images]


def test_pillow_and_numpy_have_the_same_pixels(pipeline):
    image = pipeline.generate("a man", steps=1, seed=1)[0]
    array, picture = image.to_numpy(), image.to_pil()
    assert array.shape == (256, 256, 3) == (image.height, image.width, 3)
    assert array.dtype == np.uint8 and array.flags.writeable and array.std() > 20
    assert picture.mode == "RGB" and np.array_equal(np.asarray(picture), array)
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(image._repr_png_()))), array)
    assert np.asarray(image, dtype=np.float32).dtype == np.float32
    array[:] = 0
    assert image.to_numpy().any(), "the array is a copy"


def test_prompts_and_seeds_make_a_list(pipeline):
    prompts = ["a man with glasses", "a woman with red hair"]
    images = pipeline.generate(prompts, steps=1, seed=5, count=2)
    found = [(image.info["prompt"], image.info["seed"]) for image in images]
    assert found == [(prompt, seed) for prompt in prompts for seed in (5, 6)]
    alone = pipeline.generate(prompts[1], steps=1, seed=6)[0]
    assert alone.encode() == images[3].encode()
    assert "completed_prompt" in alone.info
    assert "completed_prompt" not in pipeline.generate(prompts[1], steps=1, seed=6, as_typed=True)[0].info
    seeds = {pipeline.generate("a man", steps=1)[0].info["seed"] for _ in range(3)}
    assert len(seeds) == 3, "seeds are random where none is given"


def test_callbacks_see_every_step(pipeline):
    seen, previews = [], []

    def watch(progress):
        seen.append((progress.image, progress.images, progress.step, progress.steps))
        previews.append(progress.preview())

    images = pipeline.generate("a man", steps=3, seed=1, count=2, callback=watch)
    assert seen == [(image, 2, step, 3) for image in range(2) for step in (1, 2, 3)]
    assert np.array_equal(previews[2].to_numpy(), images[0].to_numpy())
    assert not np.array_equal(previews[0].to_numpy(), images[0].to_numpy())
    assert previews[0].info == {}


def test_what_a_callback_raises_ends_the_drawing(pipeline):
    steps = []

    def stop(progress):
        steps.append(progress.step)
        if progress.step == 2:
            raise RuntimeError("enough")

    with pytest.raises(RuntimeError, match="enough"):
        pipeline.generate("a man", steps=8, callback=stop)
    assert steps == [1, 2]


def test_other_threads_run_meanwhile(pipeline):
    ticks, is_done = [], threading.Event()

    def tick():
        while not is_done.wait(0.001):
            ticks.append(time.monotonic())

    ticker = threading.Thread(target=tick)
    ticker.start()
    start = time.monotonic()
    pipeline.generate("a man", steps=32)
    end = time.monotonic()
    is_done.set()
    ticker.join()
    inside = [start, *(time for time in ticks if start < time < end), end]
    longest = max(after - before for before, after in zip(inside, inside[1:]))
    # With the lock held, nothing would run from one step's end to the next, and little between them.
    assert len(inside) > 32 and longest < (end - start) / 2, (len(inside), longest, end - start)


def test_threads_draw_with_one_pipeline(pipeline):
    expected = [pipeline.generate("a man", steps=2, seed=seed)[0].encode() for seed in range(4)]
    found = [None] * 4

    def draw(seed):
        found[seed] = pipeline.generate("a man", steps=2, seed=seed)[0].encode()

    threads = [threading.Thread(target=draw, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == expected


def test_what_the_model_does_not_understand_is_a_warning(pipeline):
    with pytest.warns(UserWarning, match="never saw these words of the prompt.*zyzzyva"):
        pipeline.generate("a man with a zyzzyva", steps=1)
    with pytest.warns(UserWarning, match="have no effect; the negative prompt is read as: glasses"):
        pipeline.generate("a man", steps=1, cfg_scale=2, negative_prompt="(glasses:1.3)")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (dict(steps=0), "steps must be from 1 to 128, found 0"),
        (dict(steps=129), "128"),
        (dict(cfg_scale=float("nan")), "guidance scale must be"),
        (dict(cfg_scale=101), "guidance scale must be"),
        (dict(count=0), "count: expected at least 1"),
        (dict(seed=2**64 - 1, count=2), "too large for count 2"),
        (dict(strength=0.5), "init_image and strength"),
        (dict(init_image=np.zeros((256, 256, 3), np.uint8), strength=2), "strength must be more than 0"),
        (dict(init_image=np.zeros((0, 0, 3), np.uint8), strength=1), "."),
    ],
)
def test_wrong_arguments_are_value_errors(pipeline, arguments, message):
    with pytest.raises(ValueError, match=message):
        pipeline.generate("a man", **arguments)


def test_wrong_kinds_and_files_are_refused(pipeline, tmp_path):
    for wrong in [dict(seed=-1), dict(seed=2**64), dict(steps="4"), dict(unknown=1)]:
        with pytest.raises((TypeError, OverflowError)):
            pipeline.generate("a man", **wrong)
    with pytest.raises((TypeError, AttributeError)):
        pipeline.generate("a man", init_image=object(), strength=0.5)
    with pytest.raises(stride.StrideError, match="there.png"):
        pipeline.generate("a man", init_image=tmp_path / "not there.png", strength=0.5)
    (tmp_path / "text.png").write_text("no image")
    with pytest.raises(stride.StrideError, match="text.png"):
        pipeline.generate("a man", init_image=tmp_path / "text.png", strength=0.5)
    image = pipeline.generate("a man", steps=1)[0]
    for wrong in [dict(quality=0), dict(quality=101)]:
        with pytest.raises(ValueError, match="1 to 100"):
            image.encode("jpeg", **wrong)
    with pytest.raises(ValueError, match="found \"gif\""):
        image.save(tmp_path / "image.gif")
    with pytest.raises(stride.StrideError, match="there is no folder"):
        image.save(tmp_path / "none" / "image.png")
