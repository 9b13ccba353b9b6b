"""Evaluation, against the program."""

import json

import pytest
import stride


@pytest.fixture(scope="module")
def folders(pipeline, tmp_path_factory):
    """Two folders of images, the second with captions."""
    place = tmp_path_factory.mktemp("images")
    for folder, seed in [("samples", 0), ("data", 100)]:
        (place / folder).mkdir()
        lines = []
        for image in pipeline.generate(["a man", "a woman with glasses"], steps=1, seed=seed, count=3):
            name = f"{len(lines)}.png"
            image.save(place / folder / name)
            lines.append(json.dumps({"file_name": name, "text": image.info["prompt"]}))
        if folder == "data":
            (place / folder / "metadata.jsonl").write_text("\n".join(lines))
    return place


def test_sets_of_images(folders, program):
    seen = []
    scores = stride.evaluate(folders / "samples", folders / "data", callback=lambda *at: seen.append(at))
    assert scores == json.loads(program("evaluate", "--json", folders / "samples", folders / "data"))
    assert seen[-1] == ("samples", 1.0) and {what for what, _ in seen} == {"reference", "samples"}


def test_a_model_on_data(pipeline, folders, program):
    report = pipeline.evaluate(folders / "data", steps=[1, 2], samples=6)
    flags = ["--steps=1,2", "--samples=6", "--data", folders / "data"]
    assert report == json.loads(program("evaluate", "--json", *flags))


def test_a_model_on_prompts(pipeline, tmp_path, program):
    prompts = tmp_path / "prompts.jsonl"
    prompts.write_text('{"text": "a man", "attributes": {"gender": "man"}}\n')
    seen = []
    report = pipeline.evaluate_prompts(prompts, steps=[1], seeds=2, callback=lambda *at: seen.append(at))
    assert report == json.loads(program("evaluate", "--json", "--steps=1", "--seeds=2", "--prompts", prompts))
    assert seen[-1][1] == 1.0


def test_what_is_wrong_is_told(pipeline, folders, tmp_path):
    with pytest.raises(stride.StrideError, match="nothing"):
        stride.evaluate(folders / "samples", tmp_path / "nothing")
    (tmp_path / "empty").mkdir()
    with pytest.raises((ValueError, stride.StrideError), match="empty"):
        stride.evaluate(folders / "samples", tmp_path / "empty")
    with pytest.raises(ValueError, match="expected at least 7"):
        pipeline.evaluate(folders / "data", steps=[1], samples=7)
    with pytest.raises(ValueError, match="128"):
        pipeline.evaluate(folders / "data", steps=[0], samples=2)
    with pytest.raises(ValueError, match="seeds: expected at least 1"):
        pipeline.evaluate_prompts(tmp_path / "prompts.jsonl", seeds=0)


def test_what_a_callback_raises_ends_it(pipeline, folders):
    with pytest.raises(RuntimeError, match="enough"):

        def stop(what, fraction):
            raise RuntimeError("enough")

        pipeline.evaluate(folders / "data", steps=[128], samples=6, callback=stop)
