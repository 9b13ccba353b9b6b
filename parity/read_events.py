"""Reads TensorBoard's event files of a training run with the `tensorboard` package and compares them with the run's metrics.

    python parity/read_events.py RUN_DIR
"""

import json
import math
import sys
from pathlib import Path

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

run_dir = Path(sys.argv[1])
events = EventAccumulator(str(run_dir / "tensorboard"), size_guidance={"scalars": 0, "images": 0, "tensors": 0})
events.Reload()
tags = events.Tags()

expected: dict[str, dict[int, float]] = {}
for line in (run_dir / "metrics.jsonl").read_text().splitlines():
    values = json.loads(line)
    group = "train" if "lr_factor" in values else "report"
    for name, value in values.items():
        if name in ("step", "seconds") or value is None:
            continue
        tag = name if "_norm/" in name else f"{group}/{name.replace('/', '_')}"
        expected.setdefault(tag, {})[values["step"]] = value

assert set(tags["scalars"]) == set(expected), set(tags["scalars"]) ^ set(expected)
for tag, values in expected.items():
    found = {event.step: event.value for event in events.Scalars(tag)}
    assert len(found) == len(events.Scalars(tag)), f"{tag}: a step twice"
    assert found.keys() == values.keys(), (tag, found.keys() ^ values.keys())
    assert all(math.isclose(found[step], value, rel_tol=1e-6) for step, value in values.items()), tag

for tag in tags["images"]:
    for event in events.Images(tag):
        path = run_dir / "samples" / f"{tag.removeprefix('samples/')}-{event.step:06}.png"
        assert event.encoded_image_string == path.read_bytes(), path
texts = [tag for tag in tags["tensors"] if events.SummaryMetadata(tag).plugin_data.plugin_name == "text"]
assert "configuration" in texts
for tag in texts:
    assert events.Tensors(tag)[-1].tensor_proto.string_val[0]
print(f"{len(expected)} scalars, {len(tags['images'])} series of images and {len(texts)} texts are what the run wrote")
