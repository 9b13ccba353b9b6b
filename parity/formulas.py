"""Numbers, pictures and weights by formulas that the tests of stride-eval compute too, so that fixtures hold results alone."""

import numpy as np
import torch

np.seterr(over="ignore")


def uniform(stream, index):
    """SplitMix64 of (stream, index), in [0, 1)."""
    u = np.uint64
    z = ((u(stream) << u(40)) + index.astype(np.uint64) + u(1)) * u(0x9E3779B97F4A7C15)
    z = (z ^ (z >> u(30))) * u(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> u(27))) * u(0x94D049BB133111EB)
    return ((z ^ (z >> u(31))) >> u(11)).astype(np.float64) / 2.0**53


def features(stream, count, width, shift):
    noise = uniform(stream, np.arange(3 * count * width)).reshape(count, width, 3).sum(-1) - 1.5
    left = np.concatenate([noise[:, :1], noise[:, :-1]], axis=1)
    return (noise + 0.5 * left + shift).astype(np.float32)


def picture(stream, width, height):
    i = np.arange(width * height * 3)
    x, y, c = i // 3 % width, i // 3 // width, i % 3
    block = uniform(stream, x // 8 + y // 8 * 16 + c * 1000)
    return (200.0 * block + 55.0 * uniform(stream + 1, i)).astype(np.uint8).reshape(height, width, 3)


def set_weights(model):
    state = model.state_dict()
    names = sorted(n for n in state if not n.startswith("AuxLogits") and "num_batches" not in n and n != "fc.bias")
    for stream, name in enumerate(names):
        shape = tuple(state[name].shape)
        u = uniform(stream + 100, np.arange(int(np.prod(shape))))
        if len(shape) > 1:
            value = np.sqrt(6.0 / np.prod(shape[1:])) * (2.0 * u - 1.0)
        elif name.endswith(("weight", "running_var")):
            value = 0.75 + 0.5 * u
        else:
            value = 0.2 * (u - 0.5)
        state[name].copy_(torch.from_numpy(value.astype(np.float32).reshape(shape)))
    return {name: list(state[name].shape) for name in names}


def without_weights(package, make):
    """What `make` builds in pytorch-fid's module `package`, whose constructors download weights; formulas take their place."""
    package.load_state_dict_from_url = lambda *_a, **_k: {}
    load = torch.nn.Module.load_state_dict
    torch.nn.Module.load_state_dict = lambda self, state, *a, **k: None if not state else load(self, state, *a, **k)
    try:
        return make()
    finally:
        torch.nn.Module.load_state_dict = load
