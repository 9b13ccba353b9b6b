"""Numbers of pytorch-fid, clean-fid, torch-fidelity and torchmetrics, for `tests/it` of stride-eval.

Features, pictures and the weights of Inception come from formulas that the tests compute too, so that the fixture
holds results alone.
"""

import importlib.metadata
import json
from pathlib import Path

import numpy as np
import torch
from cleanfid.fid import frechet_distance as clean_frechet_distance
from cleanfid.resize import build_resizer
from pytorch_fid.fid_score import calculate_frechet_distance
from pytorch_fid.inception import fid_inception_v3
from torch_fidelity.feature_extractor_inceptionv3 import interpolate_bilinear_2d_like_tensorflow1x
from torch_fidelity.metric_isc import isc_features_to_metric
from torch_fidelity.metric_kid import kid_features_to_metric
from torch_fidelity.metric_prc import prc_features_to_metric
from torchmetrics.image.fid import _compute_fid
from torchvision.models import inception_v3

OUT = Path(__file__).resolve().parent.parent / "crates/stride-eval/tests/fixtures/evaluation.json"
SHOWN = 48  # features of each picture that the fixture keeps

torch.set_num_threads(1)
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


@torch.no_grad()
def run(model, x):
    """The features before the classifier and the logits without bias."""
    model.eval()
    kept = []
    handle = model.avgpool.register_forward_hook(lambda _m, _i, out: kept.append(out.flatten(1)))
    model(x)
    handle.remove()
    return kept[0], kept[0] @ model.fc.weight.T


def shown(values):
    return [[float(v) for v in row[:: max(1, row.shape[0] // SHOWN)]] for row in values]


def inputs(pictures):
    stacked = torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).float()
    bilinear = torch.nn.functional.interpolate(stacked / 255, size=(299, 299), mode="bilinear", align_corners=False)
    clean = np.stack([build_resizer("clean")(p) for p in pictures])
    tf1 = interpolate_bilinear_2d_like_tensorflow1x(stacked, size=(299, 299), align_corners=False)
    return {
        "reference": (2 * bilinear - 1).clamp(-1, 1),
        "pytorch-fid": 2 * bilinear - 1,
        "clean": (torch.from_numpy(clean).permute(0, 3, 1, 2) - 128) / 128,
        "torch-fidelity": (tf1 - 128) / 128,
    }


fixture = {
    "versions": {
        name: importlib.metadata.version(name)
        for name in ("pytorch-fid", "clean-fid", "torch-fidelity", "torchmetrics", "torchvision", "torch", "scipy")
    }
}

real, fake = features(1, 300, 64, 0.0), features(2, 300, 64, 0.1)
gaussian = [(x.mean(0, dtype=np.float64), np.cov(x.astype(np.float64), rowvar=False)) for x in (real, fake)]
(m1, s1), (m2, s2) = gaussian
few_m, few_s = fake[:40].mean(0, dtype=np.float64), np.cov(fake[:40].astype(np.float64), rowvar=False)
t = torch.from_numpy
offset = np.eye(64) * 1e-6
from scipy.linalg import sqrtm  # noqa: E402

root = sqrtm((s1 + offset) @ (s2 + offset)).real
kid = kid_features_to_metric(t(fake), t(real), kid_subsets=3, kid_subset_size=300, verbose=False)
kid_subsets = kid_features_to_metric(t(fake), t(real), kid_subsets=100, kid_subset_size=100, verbose=False)
score = isc_features_to_metric(t(fake * 3), splits=10, shuffle=False)
prc = prc_features_to_metric(t(fake), t(real), prc_neighborhood=3, prc_batch_size=1000, save_cpu_ram=False, verbose=False)

# Density and coverage by their definition.
between = torch.cdist(t(real).double(), t(fake).double())
radii = torch.cdist(t(real).double(), t(real).double()).kthvalue(4).values[:, None]
fixture["metrics"] = {
    "pytorch_fid": float(calculate_frechet_distance(m1, s1, m2, s2)),
    "clean_fid": float(clean_frechet_distance(m1, s1, m2, s2)),
    "torchmetrics_fid": float(_compute_fid(t(m1), t(s1), t(m2), t(s2))),
    "pytorch_fid_singular": float(calculate_frechet_distance(m1, s1, few_m, few_s)),
    "reference_fid": float(((m1 - m2) ** 2).sum() + np.trace(s1 + s2 - 2 * root)),
    "kid": kid["kernel_inception_distance_mean"],
    "kid_subsets": [kid_subsets["kernel_inception_distance_mean"], kid_subsets["kernel_inception_distance_std"]],
    "inception_score": [score["inception_score_mean"], score["inception_score_std"]],
    "precision_recall": [prc["precision"], prc["recall"]],
    "density": float((between <= radii).sum(0).double().mean() / 3),
    "coverage": float((between <= radii).any(1).double().mean()),
}

pictures = [picture(50 + 2 * k, 72, 56) for k in range(2)]
large = [picture(60, 320, 340)]
fixture["inputs"] = {
    f"{size} {name}": [float(v) for v in x[0].flatten()[::2999]]
    for size, some in (("small", pictures), ("large", large))
    for name, x in inputs(some).items()
}
networks = {
    "fid": fid_inception_v3.__wrapped__() if hasattr(fid_inception_v3, "__wrapped__") else None,
    "torchvision": inception_v3(weights=None, aux_logits=False, init_weights=False),
}
if networks["fid"] is None:
    import pytorch_fid.inception as module

    module.load_state_dict_from_url = lambda *_a, **_k: {}
    load = torch.nn.Module.load_state_dict
    torch.nn.Module.load_state_dict = lambda self, state, *a, **k: None if not state else load(self, state, *a, **k)
    networks["fid"] = fid_inception_v3()
    torch.nn.Module.load_state_dict = load
for variant, network in networks.items():
    shapes = set_weights(network)
    fixture[f"shapes {variant}"] = shapes
    pooled, logits = run(network, inputs(pictures)["pytorch-fid"])
    fixture[f"features {variant}"] = shown(pooled)
    fixture[f"logits {variant}"] = shown(logits)
OUT.write_text(json.dumps(fixture) + "\n")
print(OUT.stat().st_size, json.dumps(fixture["metrics"], indent=1))
