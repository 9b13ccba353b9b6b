"""The networks of `stride bench --preset ...` in PyTorch: same shapes, same options, random weights.

The transformer is written here after DiT (Peebles and Xie 2022, arXiv 2212.09748) with adaLN-Zero,
the step-size embedder of shortcut models (Frans et al. 2024, arXiv 2410.12557) and pooled text in
place of labels, in the ways that PyTorch is fast with: fused attention, layer_norm and gelu.
Text encoder and autoencoders are those of transformers and diffusers.
"""

import math
from dataclasses import dataclass

import torch
import torch.nn as nn
import torch.nn.functional as F
from diffusers import AutoencoderKL, AutoencoderTiny
from transformers import CLIPTextConfig, CLIPTextModel

LATENT_CHANNELS, LATENT_SIDE, TEXT_WIDTH = 4, 32, 512
SCALING_FACTOR = 0.18215


@dataclass(frozen=True)
class Shape:
    width: int
    depth: int
    heads: int
    patch: int = 2


PRESETS = {"dit-s2": Shape(384, 12, 6), "dit-b2": Shape(768, 12, 12)}


class ScalarEmbedder(nn.Module):
    """One number a picture: sinusoid, linear, SiLU, linear."""

    def __init__(self, width):
        super().__init__()
        self.linear_1, self.linear_2 = nn.Linear(256, width), nn.Linear(width, width)
        freqs = torch.exp(-math.log(10000) * torch.arange(128, dtype=torch.float32) / 128)
        self.register_buffer("freqs", freqs, persistent=False)

    def forward(self, value):
        angle = value[:, None].float() * self.freqs[None].float()
        sinusoid = torch.cat([angle.cos(), angle.sin()], -1).to(self.linear_1.weight.dtype)
        return self.linear_2(F.silu(self.linear_1(sinusoid)))


class Block(nn.Module):
    """Self-attention and feed-forward, shifted, scaled and gated by the condition."""

    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.qkv, self.proj = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.fc1, self.fc2 = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        self.modulation = zeros(width, 6 * width)

    def forward(self, x, condition):
        b, t, d = x.shape
        shift_1, scale_1, gate_1, shift_2, scale_2, gate_2 = self.modulation(condition)[:, None].chunk(6, -1)
        h = modulate(x, shift_1, scale_1)
        q, k, v = self.qkv(h).view(b, t, 3, self.heads, d // self.heads).permute(2, 0, 3, 1, 4)
        h = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(b, t, d)
        x = x + gate_1 * self.proj(h)
        h = modulate(x, shift_2, scale_2)
        return x + gate_2 * self.fc2(F.gelu(self.fc1(h), approximate="tanh"))


class Dit(nn.Module):
    """The velocity s(x_t, t, d | text), d = 2^-k given as k."""

    def __init__(self, shape):
        super().__init__()
        width, self.patch = shape.width, shape.patch
        self.x_embedder = nn.Conv2d(LATENT_CHANNELS, width, shape.patch, shape.patch)
        self.t_embedder, self.step_embedder = ScalarEmbedder(width), ScalarEmbedder(width)
        self.pooled_projection = nn.Linear(TEXT_WIDTH, width)
        self.blocks = nn.ModuleList(Block(width, shape.heads) for _ in range(shape.depth))
        self.modulation = zeros(width, 2 * width)
        self.linear = zeros(width, shape.patch**2 * LATENT_CHANNELS)
        self.register_buffer("positions", sincos_2d(LATENT_SIDE // shape.patch, width), persistent=False)

    def forward(self, x_t, t, log2_steps, pooled):
        condition = self.t_embedder(t) + self.step_embedder(log2_steps) + self.pooled_projection(pooled)
        condition = F.silu(condition)
        x = self.x_embedder(x_t).flatten(2).transpose(1, 2) + self.positions
        for block in self.blocks:
            x = block(x, condition)
        shift, scale = self.modulation(condition)[:, None].chunk(2, -1)
        x = self.linear(modulate(x, shift, scale))
        b, t, _ = x.shape
        p, side = self.patch, math.isqrt(t)
        x = x.view(b, side, side, p, p, LATENT_CHANNELS).permute(0, 5, 1, 3, 2, 4)
        return x.reshape(b, LATENT_CHANNELS, side * p, side * p)


class TextToLatent(nn.Module):
    """What is trained: text encoder and transformer."""

    def __init__(self, shape):
        super().__init__()
        self.dit, self.text_encoder = Dit(shape), text_encoder()

    def forward(self, x_t, t, log2_steps, token_ids):
        return self.dit(x_t, t, log2_steps, self.text_encoder(token_ids).pooler_output)


def text_encoder():
    """The text encoder of CLIP ViT-B/32."""
    config = CLIPTextConfig(
        vocab_size=49408, hidden_size=TEXT_WIDTH, intermediate_size=2048, num_hidden_layers=12,
        num_attention_heads=8, max_position_embeddings=77, hidden_act="quick_gelu",
        bos_token_id=49406, eos_token_id=49407,
    )  # fmt: skip
    return CLIPTextModel(config)


def autoencoder():
    """Stable Diffusion's."""
    return AutoencoderKL(
        block_out_channels=(128, 256, 512, 512), layers_per_block=2, latent_channels=LATENT_CHANNELS,
        down_block_types=("DownEncoderBlock2D",) * 4, up_block_types=("UpDecoderBlock2D",) * 4,
        scaling_factor=SCALING_FACTOR,
    )  # fmt: skip


def tiny_autoencoder():
    """TAESD."""
    return AutoencoderTiny()


def token_ids(batch, length):
    """Captions of `length` tokens with their start and end."""
    ids = torch.randint(0, 49406, (batch, length))
    ids[:, 0], ids[:, -1] = 49406, 49407
    return ids


def zeros(from_width, to_width):
    layer = nn.Linear(from_width, to_width)
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer


def modulate(x, shift, scale):
    return F.layer_norm(x, x.shape[-1:], eps=1e-6) * (1 + scale) + shift


def sincos_2d(side, width):
    quarter = width // 4
    omega = 1 / 10000 ** (torch.arange(quarter, dtype=torch.float64) / quarter)
    rows, cols = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")

    def code(position):
        angle = position.flatten()[:, None] * omega[None]
        return torch.cat([angle.sin(), angle.cos()], -1)

    return torch.cat([code(cols), code(rows)], -1)[None].float()
