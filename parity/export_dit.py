"""Writes the parity fixtures of the diffusion transformer and the shortcut loss.

An implementation in PyTorch that shares nothing with the Rust code but the formulas: DiT with
adaLN-Zero (Peebles and Xie 2022), a second scalar embedder for the step size (Frans et al. 2024)
and text in place of labels. Two cases: the reference's options, and all options switched on.
The second file holds one shortcut batch with its targets, loss and every gradient.
"""

import math
import sys
from pathlib import Path

import torch
import torch.nn as nn
import torch.nn.functional as F
from safetensors.torch import save_file

OUT = Path(__file__).parent.parent / "crates/stride/tests/fixtures"


class Embedder(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.linear_1, self.linear_2 = nn.Linear(256, width), nn.Linear(width, width)

    def forward(self, value):
        freqs = torch.exp(-math.log(10000) * torch.arange(128, dtype=torch.float32) / 128)
        angle = value[:, None] * freqs[None]
        return self.linear_2(F.silu(self.linear_1(torch.cat([angle.cos(), angle.sin()], -1))))


class HeadNorm(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x):
        return F.rms_norm(x, (x.shape[-1],), self.weight, eps=1e-6)


def rotate(x, side):
    """Axial rotary embedding: pair (i, i + half) turns by column, then row."""
    head = x.shape[-1]
    quarter = head // 4
    freqs = 10000.0 ** (-torch.arange(quarter, dtype=torch.float64) / quarter)
    rows, cols = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
    angle = torch.cat([cols.reshape(-1, 1) * freqs, rows.reshape(-1, 1) * freqs], -1)
    turn = torch.polar(torch.ones_like(angle), angle)
    pairs = torch.complex(x[..., : head // 2].double(), x[..., head // 2 :].double()) * turn
    return torch.cat([pairs.real, pairs.imag], -1).float()


class SelfAttention(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.c = c
        self.qkv, self.proj = nn.Linear(c["D"], 3 * c["D"]), nn.Linear(c["D"], c["D"])
        if c["qk_norm"]:
            self.q_norm, self.k_norm = HeadNorm(c["D"] // c["N"]), HeadNorm(c["D"] // c["N"])

    def forward(self, x):
        c = self.c
        q, k, v = (h.unflatten(-1, (c["N"], -1)).transpose(1, 2) for h in self.qkv(x).chunk(3, -1))
        if c["qk_norm"]:
            q, k = self.q_norm(q), self.k_norm(k)
        if c["rope"]:
            q, k = rotate(q, c["side"]), rotate(k, c["side"])
        return self.proj(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))


class CrossAttention(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.c = c
        self.to_q, self.to_out = nn.Linear(c["D"], c["D"]), nn.Linear(c["D"], c["D"])
        self.to_k, self.to_v = nn.Linear(c["E"], c["D"]), nn.Linear(c["E"], c["D"])
        if c["qk_norm"]:
            self.q_norm, self.k_norm = HeadNorm(c["D"] // c["N"]), HeadNorm(c["D"] // c["N"])

    def forward(self, x, tokens, padding):
        heads = lambda h: h.unflatten(-1, (self.c["N"], -1)).transpose(1, 2)
        q, k, v = heads(self.to_q(x)), heads(self.to_k(tokens)), heads(self.to_v(tokens))
        if self.c["qk_norm"]:
            q, k = self.q_norm(q), self.k_norm(k)
        seen = ~padding[:, None, None, :]
        return self.to_out(F.scaled_dot_product_attention(q, k, v, attn_mask=seen).transpose(1, 2).flatten(2))


class Mlp(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.gated = c["swiglu"]
        hidden = round(4 * c["D"] * 2 / 3 / 8) * 8 if self.gated else 4 * c["D"]
        self.fc1 = nn.Linear(c["D"], 2 * hidden if self.gated else hidden)
        self.fc2 = nn.Linear(hidden, c["D"])

    def forward(self, x):
        h = self.fc1(x)
        if self.gated:
            gate, value = h.chunk(2, -1)
            return self.fc2(F.silu(gate) * value)
        return self.fc2(F.gelu(h, approximate="tanh"))


def norm(x, c):
    return F.rms_norm(x, (c["D"],), eps=1e-6) if c["rms"] else F.layer_norm(x, (c["D"],), eps=1e-6)


class Block(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.c, self.attn, self.mlp = c, SelfAttention(c), Mlp(c)
        self.modulation = nn.Linear(c["D"], 6 * c["D"])
        if c["tokens"]:
            self.cross_attn = CrossAttention(c)

    def forward(self, x, cond, tokens, padding):
        shift_a, scale_a, gate_a, shift_m, scale_m, gate_m = self.modulation(cond)[:, None].chunk(6, -1)
        x = x + gate_a * self.attn(norm(x, self.c) * (1 + scale_a) + shift_a)
        if self.c["tokens"]:
            x = x + self.cross_attn(norm(x, self.c), tokens, padding)
        return x + gate_m * self.mlp(norm(x, self.c) * (1 + scale_m) + shift_m)


class Final(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.c, self.modulation = c, nn.Linear(c["D"], 2 * c["D"])
        self.linear = nn.Linear(c["D"], c["p"] ** 2 * c["C"])

    def forward(self, x, cond):
        shift, scale = self.modulation(cond)[:, None].chunk(2, -1)
        return self.linear(norm(x, self.c) * (1 + scale) + shift)


class PatchEmbed(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.proj = nn.Conv2d(c["C"], c["D"], c["p"], stride=c["p"])

    def forward(self, x):
        return self.proj(x).flatten(2).transpose(1, 2)


def positions(side, width):
    """MAE's get_2d_sincos_pos_embed: columns first."""
    omega = 1 / 10000 ** (torch.arange(width // 4, dtype=torch.float64) / (width / 4))
    rows, cols = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
    code = lambda p: torch.cat([(p.reshape(-1, 1) * omega).sin(), (p.reshape(-1, 1) * omega).cos()], 1)
    return torch.cat([code(cols), code(rows)], 1).float()


class Dit(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.c = c
        self.x_embedder, self.t_embedder, self.step_embedder = PatchEmbed(c), Embedder(c["D"]), Embedder(c["D"])
        self.pooled_projection = nn.Linear(c["E"], c["D"])
        self.blocks = nn.ModuleList(Block(c) for _ in range(c["depth"]))
        self.final_layer = Final(c)

    def forward(self, x, t, k, tokens, padding, pooled):
        c = self.c
        cond = self.t_embedder(t * c["time_scale"]) + self.step_embedder(k) + self.pooled_projection(pooled)
        cond = F.silu(cond)
        h = self.x_embedder(x) + positions(c["side"], c["D"])[None]
        for block in self.blocks:
            h = block(h, cond, tokens, padding)
        h = self.final_layer(h, cond)  # [B, T, p p C]
        h = h.unflatten(2, (c["p"], c["p"], c["C"])).unflatten(1, (c["side"], c["side"]))
        return torch.einsum("nhwpqc->nchpwq", h).reshape(x.shape)


BASE = dict(C=2, p=2, side=3, D=16, N=2, depth=2, E=12, time_scale=1.0)
CASES = {
    "reference": BASE | dict(tokens=False, qk_norm=False, swiglu=False, rms=False, rope=False),
    "all_options": BASE | dict(tokens=True, qk_norm=True, swiglu=True, rms=True, rope=True, time_scale=30.0),
}


def model_and_inputs(case, batch):
    torch.manual_seed(0)
    c = CASES[case]
    model = Dit(c)
    with torch.no_grad():  # nothing stays at zero, so that every path shows
        for name, p in model.named_parameters():
            p.copy_(torch.randn_like(p) * (0.3 if p.dim() > 1 else 0.2) + (1.0 if "_norm" in name else 0.0))
            p.mul_(0.25 if "embedder.linear_1" in name else 1.0)
    size = c["side"] * c["p"]
    length = 5
    inputs = dict(
        tokens=torch.randn(batch, length, c["E"]),
        padding=torch.arange(length)[None] > torch.randint(1, length, (batch, 1)),
        pooled=torch.randn(batch, c["E"]),
    )
    return c, model, inputs, (batch, c["C"], size, size)


def export_forward(case):
    _, model, inputs, shape = model_and_inputs(case, 3)
    x, t, k = torch.randn(shape), torch.tensor([0.0, 0.25, 0.984375]), torch.tensor([0.0, 3.0, 7.0])
    v = model(x, t, k, inputs["tokens"], inputs["padding"], inputs["pooled"])
    tensors = {f"model.{n}": p for n, p in model.named_parameters()}
    tensors |= dict(x_t=x, t=t, log2_steps=k, velocity=v, **inputs)
    write(f"dit_{case}", tensors)


def export_shortcut_loss():
    """Eight rows: one self-consistency row a level, and one flow row. Teacher: 0.9 x the weights."""
    _, model, inputs, shape = model_and_inputs("reference", 8)
    teacher = Dit(CASES["reference"])
    teacher.load_state_dict({n: p * 0.9 for n, p in model.state_dict().items()})
    x_0, x_1 = torch.randn(shape), torch.randn(shape)
    k = torch.tensor([6.0, 5.0, 4.0, 3.0, 2.0, 1.0, 0.0, 7.0])
    t = torch.tensor([17 / 64, 31 / 32, 0.0, 5 / 8, 1 / 4, 1 / 2, 0.0, 100 / 128])
    wide = lambda v: v[:, None, None, None]
    x_t = (1 - (1 - 1e-5) * wide(t)) * x_0 + wide(t) * x_1
    clip = 2.0  # tight, so that both clips act
    with torch.no_grad():
        text = lambda rows: (inputs["tokens"][rows], inputs["padding"][rows], inputs["pooled"][rows])
        boot = slice(0, 7)
        h = 2.0 ** -(k[boot] + 1)
        v_1 = teacher(x_t[boot], t[boot], k[boot] + 1, *text(boot))
        x_next = (x_t[boot] + wide(h) * v_1).clamp(-clip, clip)
        v_2 = teacher(x_next, t[boot] + h, k[boot] + 1, *text(boot))
        target = torch.cat([((v_1 + v_2) / 2).clamp(-clip, clip), (x_1 - (1 - 1e-5) * x_0)[7:]])
    prediction = model(x_t, t, k, inputs["tokens"], inputs["padding"], inputs["pooled"])
    loss = ((prediction - target) ** 2).mean()
    loss.backward()
    tensors = {f"model.{n}": p for n, p in model.named_parameters()}
    tensors |= {f"grad.{n}": p.grad for n, p in model.named_parameters()}
    tensors |= dict(x_0=x_0, x_1=x_1, t=t, log2_steps=k, v_target=target, loss=loss.reshape(1), **inputs)
    write("shortcut_loss", tensors)


def write(name, tensors):
    OUT.mkdir(parents=True, exist_ok=True)
    tensors = {n: (v.float() if v.dtype == torch.bool else v.detach()).contiguous() for n, v in tensors.items()}
    save_file(tensors, OUT / f"{name}.safetensors", metadata={"torch": torch.__version__, "seed": "0"})
    print(f"{name}: {sum(v.numel() for v in tensors.values()) * 4 // 1024} KiB", file=sys.stderr)


if __name__ == "__main__":
    for case in CASES:
        export_forward(case)
    export_shortcut_loss()
