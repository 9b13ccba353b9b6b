"""Weights after four steps of torch.optim.AdamW and torch.optim.Muon, for `tests/it/optimizer.rs` of stride-train.

Weight decay applies to the matrix alone. Muon makes its update orthogonal in bfloat16; here it is kept in float32, so
that the comparison can be tight.
"""

from pathlib import Path

import torch
from safetensors.torch import save_file

OUT = Path(__file__).resolve().parent.parent / "crates/stride-train/tests/fixtures/optimizer.safetensors"
STEPS, LR, MUON_LR, DECAY = 4, 1e-2, 0.02, 0.1

torch.manual_seed(0)
# A matrix [out, in], taller and wider, and a bias.
start = {"tall": torch.randn(6, 4), "wide": torch.randn(3, 7), "bias": torch.randn(6)}
gradients = {name: torch.randn(STEPS, *value.shape) * 0.3 for name, value in start.items()}


def run(optimizer_of, names):
    parameters = {name: torch.nn.Parameter(start[name].clone()) for name in names}
    optimizer = optimizer_of(parameters)
    for step in range(STEPS):
        for name, parameter in parameters.items():
            parameter.grad = gradients[name][step].clone()
        optimizer.step()
    return {name: parameter.detach().clone() for name, parameter in parameters.items()}


def adamw(parameters):
    groups = [
        {"params": [p for p in parameters.values() if p.dim() > 1], "weight_decay": DECAY},
        {"params": [p for p in parameters.values() if p.dim() == 1], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=LR, betas=(0.9, 0.95), eps=1e-8)


def muon(parameters):
    return torch.optim.Muon(parameters.values(), lr=MUON_LR, weight_decay=DECAY, adjust_lr_fn="original")


tensors = {f"start.{name}": value for name, value in start.items()}
tensors |= {f"gradients.{name}": value for name, value in gradients.items()}
tensors |= {f"adamw.{name}": value for name, value in run(adamw, start).items()}
torch.bfloat16 = torch.float32
tensors |= {f"muon.{name}": value for name, value in run(muon, ["tall", "wide"]).items()}

OUT.parent.mkdir(parents=True, exist_ok=True)
save_file({name: value.contiguous() for name, value in tensors.items()}, OUT, metadata={"torch": torch.__version__, "seed": "0"})
print(OUT, OUT.stat().st_size, "bytes")
