"""Writes checkpoints in PyTorch's format in which the same two weights lie behind what trainers put around them.

Written without PyTorch: its zip holds a pickle that names `torch._utils._rebuild_tensor_v2` and storages.
"""

import io
import pickle
import struct
import sys
import types
import zipfile
from pathlib import Path

OUT = Path(__file__).parent.parent / "crates/stride-models/tests/fixtures/components/wrapped"

torch, utils = types.ModuleType("torch"), types.ModuleType("torch._utils")
sys.modules.update({"torch": torch, "torch._utils": utils})


def _rebuild_tensor_v2(*_):
    raise NotImplementedError


_rebuild_tensor_v2.__module__, utils._rebuild_tensor_v2 = "torch._utils", _rebuild_tensor_v2
for kind in ["FloatStorage", "DoubleStorage", "HalfStorage", "LongStorage"]:
    setattr(torch, kind, type(kind, (), {"__module__": "torch"}))
FORMATS = {"FloatStorage": "f", "DoubleStorage": "d", "HalfStorage": "e", "LongStorage": "q"}


class Storage:
    def __init__(self, kind, values):
        self.kind, self.values = kind, values


class Tensor:
    def __init__(self, values, kind="FloatStorage"):
        self.storage = Storage(kind, values)

    def __reduce__(self):
        return _rebuild_tensor_v2, (self.storage, 0, (len(self.storage.values),), (1,), False, {})


def save(name, contents):
    storages, data = [], io.BytesIO()

    class Pickler(pickle.Pickler):
        def persistent_id(self, thing):
            if not isinstance(thing, Storage):
                return None
            storages.append(thing)
            kind = getattr(torch, thing.kind)
            return "storage", kind, str(len(storages) - 1), "cpu", len(thing.values)

    Pickler(data, 2).dump(contents)
    with zipfile.ZipFile(OUT / f"{name}.pt", "w", zipfile.ZIP_STORED) as archive:
        def add(member, content):
            archive.writestr(zipfile.ZipInfo(f"{name}/{member}"), content)

        add("data.pkl", data.getvalue())
        for index, storage in enumerate(storages):
            values = struct.pack(f"<{len(storage.values)}{FORMATS[storage.kind]}", *storage.values)
            add(f"data/{index}", values)
        add("version", "3\n")


def weights(prefix="", scale=1, kind="FloatStorage"):
    values = {"layer.bias": [0.5, -2.0], "layer.weight": [1.0, 0.25, 3.0]}
    return {prefix + name: Tensor([scale * v for v in found], kind) for name, found in values.items()}


OUT.mkdir(parents=True, exist_ok=True)
(OUT / "config.json").write_text("{}\n")
for order in ["_orig_mod.module.", "module._orig_mod.", "module.module.model."]:
    save(order.strip(".").replace(".", "-"), weights(order))
save("nested", {"epoch": 3, "state_dict": {"model": weights("_orig_mod.")}})
save("averages", {"model": weights("module.", 7), "ema": weights(), "optimizer": {"state": {0: Tensor([1.0])}}})
shadow = {"decay": 0.999, "shadow_params": [Tensor([9.0, 9.0]), Tensor([9.0, 9.0, 9.0])]}
save("list", {"ema": shadow, "model": weights("module.")})
save("double", {**weights("", 1, "DoubleStorage"), "num_batches_tracked": Tensor([5], "LongStorage")})
save("half", weights("", 1, "HalfStorage"))
