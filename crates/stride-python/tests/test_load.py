"""Models: the one inside the package, and folders."""

import re
import shutil

import pytest
import stride


def test_the_model_inside_tells_of_itself(pipeline, program):
    assert (pipeline.name, pipeline.description) == ("avatars", "")
    assert pipeline.resolution == 256 and pipeline.default_steps >= 1 and pipeline.default_cfg_scale >= 1
    assert re.fullmatch("[0-9a-f]{10}", pipeline.hash) and pipeline.hash in repr(pipeline)
    assert program("--version").decode().split() == ["stride", stride.__version__]


def test_a_folder_is_loaded(pipeline, repository, tmp_path):
    folder = tmp_path / "own"
    shutil.copytree(repository / "models/avatars", folder)
    own = stride.Pipeline.load(folder)
    assert own.generate("a man", steps=1, seed=1)[0].encode() == pipeline.generate("a man", steps=1, seed=1)[0].encode()
    (folder / "vae/config.json").write_text("{")
    with pytest.raises(stride.StrideError, match="vae/config.json"):
        stride.Pipeline.load(folder)


def test_errors_are_those_of_the_program(tmp_path):
    with pytest.raises(stride.StrideError, match="nowhere"):
        stride.Pipeline.load(tmp_path / "nowhere")
    with pytest.raises(ValueError, match="expected auto, cpu, gpu"):
        stride.Pipeline.load(device="tpu")
    with pytest.raises(ValueError, match="built for the processor alone"):
        stride.Pipeline.load(device="gpu")
    with pytest.raises(ValueError, match="dtype.*f64"):
        stride.Pipeline.load(dtype="f64")


def test_bf16_draws_nearly_the_same(pipeline):
    models = [stride.Pipeline.load(dtype="bf16"), pipeline]
    half, full = (model.generate("a man", steps=4, seed=1, as_typed=True)[0] for model in models)
    assert (half.info["dtype"], full.info["dtype"]) == ("bf16", "f32")
    assert 0 < abs(half.to_numpy().astype(int) - full.to_numpy()).mean() < 4
