"""Numbers of pytorch-fid, clean-fid, torch-fidelity and torchmetrics, for `tests/it` of stride-eval.

Features, pictures and the weights of Inception come from formulas that the tests compute too, so that the fixture
holds results alone.
"""

import importlib.metadata
import json
import tempfile
from pathlib import Path

import numpy as np
import torch
from cleanfid.fid import frechet_distance as clean_frechet_distance
from cleanfid.resize import build_resizer
from PIL import Image
from pytorch_fid import fid_score
from pytorch_fid import inception as pytorch_fid_inception
from pytorch_fid.fid_score import calculate_frechet_distance
from torch_fidelity.feature_extractor_inceptionv3 import interpolate_bilinear_2d_like_tensorflow1x
from torch_fidelity.metric_isc import isc_features_to_metric
from torch_fidelity.metric_kid import kid_features_to_metric
from torch_fidelity.metric_prc import prc_features_to_metric
from torchmetrics.image.fid import _compute_fid
from torchvision.models import inception_v3

from formulas import features, picture, set_weights, without_weights

OUT = Path(__file__).resolve().parent.parent / "crates/stride-eval/tests/fixtures/evaluation.json"
SHOWN = 48  # features of each picture that the fixture keeps

torch.set_num_threads(1)


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
fid = without_weights(pytorch_fid_inception, pytorch_fid_inception.fid_inception_v3)
keras = without_weights(pytorch_fid_inception, pytorch_fid_inception.fid_inception_v3)
# The one difference in the graph: averages instead of maxima in the last block.
keras.Mixed_7c = pytorch_fid_inception.FIDInceptionE_1(2048)
networks = {
    "fid": fid,
    "keras": keras,
    "torchvision": inception_v3(weights=None, aux_logits=False, init_weights=False),
}
for variant, network in networks.items():
    shapes = set_weights(network)
    if variant != "keras":
        fixture[f"shapes {variant}"] = shapes
    pooled, logits = run(network, inputs(pictures)["pytorch-fid"])
    fixture[f"features {variant}"] = shown(pooled)
    if variant != "keras":
        fixture[f"logits {variant}"] = shown(logits)

# Pictures of two kinds through the network of FID: everything from pixels to scores.
COUNT = 100
sets = [[picture(stream + 2 * k, 64, 64) for k in range(COUNT)] for stream in (10_000, 20_000)]
sets[1] = [(0.8 * p).astype(np.uint8) for p in sets[1]]
judged = [[run(fid, inputs(some[k : k + 10])["pytorch-fid"]) for k in range(0, COUNT, 10)] for some in sets]
(real_features, _), (fake_features, fake_logits) = [
    (torch.cat([f for f, _ in parts]), torch.cat([l for _, l in parts])) for parts in judged
]
numpy_statistics = [
    (x.numpy().mean(0), np.cov(x.numpy().astype(np.float64), rowvar=False)) for x in (real_features, fake_features)
]
kid = kid_features_to_metric(fake_features, real_features, kid_subsets=2, kid_subset_size=COUNT, verbose=False)
score = isc_features_to_metric(fake_logits, splits=10, shuffle=False)
prc = prc_features_to_metric(
    fake_features, real_features, prc_neighborhood=3, prc_batch_size=1000, save_cpu_ram=False, verbose=False
)
fixture["pictures"] = {
    "fid": float(calculate_frechet_distance(*numpy_statistics[0], *numpy_statistics[1])),
    "kid": kid["kernel_inception_distance_mean"],
    "inception_score": [score["inception_score_mean"], score["inception_score_std"]],
    "precision_recall": [prc["precision"], prc["recall"]],
}
OUT.write_text(json.dumps(fixture) + "\n")

# Statistics as pytorch-fid saves them, of its 64-wide features.
fid_score.InceptionV3.DEFAULT_BLOCK_INDEX = 0
with tempfile.TemporaryDirectory() as folder:
    for k, p in enumerate(sets[0][:12]):
        Image.fromarray(p).save(f"{folder}/{k:02}.png")
    torch.manual_seed(1)
    target = OUT.parent / "pytorch_fid_statistics.npz"
    target.unlink(missing_ok=True)
    without_weights(
        pytorch_fid_inception, lambda: fid_score.save_fid_stats([folder, str(target)], 4, "cpu", 64, 1)
    )

# The statistics that Stride writes, as pytorch-fid reads them (tests/it/files.rs compares the bytes of this file).
mu, sigma = fid_score.compute_statistics_of_path(str(OUT.parent / "stride_statistics.npz"), None, 1, 8, "cpu")
assert np.allclose(mu, [0.25, -1.5, 3.0]) and np.allclose(sigma, np.diag([2.0, 1.0, 0.5]) + 0.125)

# Weights as torch.save writes them, now and before 1.6; and a pickle that would run a command.
state = {
    "Conv2d_1a_3x3.conv.weight": torch.arange(864, dtype=torch.float32).reshape(32, 3, 3, 3) / 864,
    "Conv2d_1a_3x3.bn.running_mean": torch.tensor([0.5, -2.0], dtype=torch.float16),
    "Conv2d_1a_3x3.bn.num_batches_tracked": torch.tensor(7),
}
torch.save(state, OUT.parent / "weights_zip.pth")
torch.save(state, OUT.parent / "weights_legacy.pth", _use_new_zipfile_serialization=False)


class Command:
    def __reduce__(self):
        import os

        return os.system, ("touch executed-by-a-pickle",)


torch.save({"conv.weight": Command()}, OUT.parent / "weights_command.pth")

# A batch of samples as the ADM suite saves it.
np.savez(OUT.parent / "samples.npz", np.stack([picture(50 + 2 * k, 12, 10) for k in range(3)]), np.arange(3))
print(OUT.stat().st_size, json.dumps(fixture["metrics"], indent=1), json.dumps(fixture["pictures"], indent=1))
