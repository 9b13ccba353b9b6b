"""The examples of the README."""

import re


def test_the_examples_run(pipeline, repository, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for folder in ["generated", "real"]:
        (tmp_path / folder).mkdir()
        for image in pipeline.generate("a man", steps=1, count=4):
            image.save(tmp_path / folder / f"{image.info['seed']}.png")
    (tmp_path / "prompts.jsonl").write_text('{"text": "a man", "attributes": {"gender": "man"}}\n')
    text = (repository / "crates/stride-python/README.md").read_text()
    examples = re.findall("```python\n(.*?)```", text, re.DOTALL)
    assert len(examples) == 4
    names = {}
    for example in examples:
        exec(example, names)
    assert "[5, 6, 5, 6]" in capsys.readouterr().out
    assert names["pixels"].shape == (256, 256, 3)
    assert {"man.png", "half.png"} <= {path.name for path in tmp_path.iterdir()}
