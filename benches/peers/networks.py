"""The networks of `stride bench` in PyTorch: same shapes, same options, random weights.

The transformer is written here after DiT (Peebles and Xie 2022, arXiv 2212.09748) with adaLN-Zero,
the step-size embedder of shortcut models (Frans et al. 2024, arXiv 2410.12557) and text in place of
labels, in the ways that PyTorch is fast with: fused attention, norms and gelu. Text encoders and
autoencoders are those of transformers and diffusers, but for the one of the avatar model.
"""

import math
from dataclasses import dataclass

import torch
import torch.nn as nn
import torch.nn.functional as F
from diffusers import AutoencoderKL, AutoencoderTiny
from transformers import CLIPTextConfig, CLIPTextModel

LATENT_CHANNELS, LATENT_SIDE = 4, 32
SCALING_FACTOR = 0.18215


@dataclass(frozen=True)
class Shape:
    width: int
    depth: int
    heads: int
    patch: int = 2
    text_width: int = 512
    text_depth: int = 12
    vocabulary: int = 49408
    # As the model that comes with Stride is built: attention to the tokens of the text, RMS norms, also of
    # queries and keys, and an autoencoder of its own.
    is_avatars: bool = False


PRESETS = {
    "dit-s2": Shape(384, 12, 6),
    "dit-b2": Shape(768, 12, 12),
    "avatars": Shape(256, 8, 4, patch=4, text_width=256, text_depth=4, vocabulary=158, is_avatars=True),
}


class ScalarEmbedder(nn.Module):
    """One number an image: sinusoid, linear, SiLU, linear."""

    def __init__(self, width):
        super().__init__()
        self.linear_1, self.linear_2 = nn.Linear(256, width), nn.Linear(width, width)
        freqs = torch.exp(-math.log(10000) * torch.arange(128, dtype=torch.float32) / 128)
        self.register_buffer("freqs", freqs, persistent=False)

    def forward(self, value):
        angle = value[:, None].float() * self.freqs[None].float()
        sinusoid = torch.cat([angle.cos(), angle.sin()], -1).to(self.linear_1.weight.dtype)
        return self.linear_2(F.silu(self.linear_1(sinusoid)))


class Attention(nn.Module):
    """From queries, keys and values side by side to what they mix, with norms of queries and keys if asked for."""

    def __init__(self, shape):
        super().__init__()
        self.heads, head_width = shape.heads, shape.width // shape.heads
        norm = lambda: nn.RMSNorm(head_width, eps=1e-6) if shape.is_avatars else nn.Identity()
        self.q_norm, self.k_norm = norm(), norm()

    def forward(self, *qkv):
        q, k, v = (x.unflatten(-1, (self.heads, -1)).transpose(1, 2) for x in qkv)
        mixed = F.scaled_dot_product_attention(self.q_norm(q), self.k_norm(k), v)
        return mixed.transpose(1, 2).flatten(2)


class CrossAttention(nn.Module):
    """Attention of the image to the text, on its residual stream."""

    def __init__(self, shape):
        super().__init__()
        width = shape.width
        self.to_q, self.to_kv = nn.Linear(width, width), nn.Linear(shape.text_width, 2 * width)
        self.attention, self.to_out = Attention(shape), zeros(width, width)

    def forward(self, x, tokens):
        q, (k, v) = self.to_q(F.rms_norm(x, x.shape[-1:], eps=1e-6)), self.to_kv(tokens).chunk(2, -1)
        return x + self.to_out(self.attention(q, k, v))


class Block(nn.Module):
    """Self-attention and feed-forward, shifted, scaled and gated by the condition."""

    def __init__(self, shape):
        super().__init__()
        width = shape.width
        self.norm = F.rms_norm if shape.is_avatars else F.layer_norm
        self.qkv, self.attention, self.proj = nn.Linear(width, 3 * width), Attention(shape), nn.Linear(width, width)
        self.cross_attention = CrossAttention(shape) if shape.is_avatars else None
        self.fc1, self.fc2 = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        self.modulation = zeros(width, 6 * width)

    def forward(self, x, condition, tokens):
        shift_1, scale_1, gate_1, shift_2, scale_2, gate_2 = self.modulation(condition)[:, None].chunk(6, -1)
        h = modulate(self.norm, x, shift_1, scale_1)
        x = x + gate_1 * self.proj(self.attention(*self.qkv(h).chunk(3, -1)))
        if self.cross_attention is not None:
            x = self.cross_attention(x, tokens)
        h = modulate(self.norm, x, shift_2, scale_2)
        return x + gate_2 * self.fc2(F.gelu(self.fc1(h), approximate="tanh"))


class Dit(nn.Module):
    """The velocity s(x_t, t, d | text), d = 2^-k given as k."""

    def __init__(self, shape):
        super().__init__()
        width, self.patch = shape.width, shape.patch
        self.norm = F.rms_norm if shape.is_avatars else F.layer_norm
        self.x_embedder = nn.Conv2d(LATENT_CHANNELS, width, shape.patch, shape.patch)
        self.t_embedder, self.step_embedder = ScalarEmbedder(width), ScalarEmbedder(width)
        self.pooled_projection = nn.Linear(shape.text_width, width)
        self.blocks = nn.ModuleList(Block(shape) for _ in range(shape.depth))
        self.modulation = zeros(width, 2 * width)
        self.linear = zeros(width, shape.patch**2 * LATENT_CHANNELS)
        self.register_buffer("positions", sincos_2d(LATENT_SIDE // shape.patch, width), persistent=False)

    def forward(self, x_t, t, log2_steps, tokens, pooled):
        condition = self.t_embedder(t) + self.step_embedder(log2_steps) + self.pooled_projection(pooled)
        condition = F.silu(condition)
        x = self.x_embedder(x_t).flatten(2).transpose(1, 2) + self.positions
        for block in self.blocks:
            x = block(x, condition, tokens)
        shift, scale = self.modulation(condition)[:, None].chunk(2, -1)
        x = self.linear(modulate(self.norm, x, shift, scale))
        b, t, _ = x.shape
        p, side = self.patch, math.isqrt(t)
        x = x.view(b, side, side, p, p, LATENT_CHANNELS).permute(0, 5, 1, 3, 2, 4)
        return x.reshape(b, LATENT_CHANNELS, side * p, side * p)


class TextToLatent(nn.Module):
    """What is trained: text encoder and transformer."""

    def __init__(self, shape):
        super().__init__()
        self.dit, self.text_encoder = Dit(shape), text_encoder(shape)

    def forward(self, x_t, t, log2_steps, token_ids):
        return self.dit(x_t, t, log2_steps, *context(self.text_encoder, token_ids))


def text_encoder(shape):
    """The text encoder of CLIP, by default that of ViT-B/32."""
    config = CLIPTextConfig(
        vocab_size=shape.vocabulary, hidden_size=shape.text_width, intermediate_size=4 * shape.text_width,
        num_hidden_layers=shape.text_depth, num_attention_heads=shape.text_width // 64,
        max_position_embeddings=77, hidden_act="quick_gelu",
        bos_token_id=shape.vocabulary - 2, eos_token_id=shape.vocabulary - 1,
    )  # fmt: skip
    return CLIPTextModel(config)


def context(text_encoder, token_ids):
    """What the transformer knows of captions: their tokens and a vector."""
    output = text_encoder(token_ids)
    return output.last_hidden_state, output.pooler_output


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


class AvatarAutoencoder(nn.Module):
    """The decoder of the avatar model: residual blocks at growing sizes, beside a linear path for colour."""

    def __init__(self):
        super().__init__()
        conv = lambda to_channels, from_channels, **options: nn.Conv2d(from_channels, to_channels, 3, padding=1, **options)
        self.decoder = nn.Sequential(
            conv(128, LATENT_CHANNELS), nn.ReLU(), ResidualBlock(128), ResidualBlock(128),
            nn.Upsample(scale_factor=2), conv(64, 128, bias=False), ResidualBlock(64),
            nn.Upsample(scale_factor=2), conv(32, 64, bias=False), ResidualBlock(32),
            conv(12, 32), nn.PixelShuffle(2),
        )  # fmt: skip
        self.color = nn.Sequential(nn.Conv2d(LATENT_CHANNELS, 3, 1), nn.Upsample(scale_factor=8))

    def decode(self, latents, return_dict):
        squeezed = (latents / 3).tanh() * 3
        return [(self.decoder(squeezed) + self.color(squeezed)) * 2 - 1]


class ResidualBlock(nn.Module):
    """Three convolutions beside an identity."""

    def __init__(self, width):
        super().__init__()
        conv = lambda: nn.Conv2d(width, width, 3, padding=1)
        self.convs = nn.Sequential(conv(), nn.ReLU(), conv(), nn.ReLU(), conv())

    def forward(self, x):
        return F.relu(self.convs(x) + x)


def token_ids(shape, batch, length):
    """Captions of `length` tokens with their start and end."""
    start, end = shape.vocabulary - 2, shape.vocabulary - 1
    ids = torch.randint(0, start, (batch, length))
    ids[:, 0], ids[:, -1] = start, end
    return ids


def zeros(from_width, to_width):
    layer = nn.Linear(from_width, to_width)
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer


def modulate(norm, x, shift, scale):
    return norm(x, x.shape[-1:], eps=1e-6) * (1 + scale) + shift


def sincos_2d(side, width):
    quarter = width // 4
    omega = 1 / 10000 ** (torch.arange(quarter, dtype=torch.float64) / quarter)
    rows, cols = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")

    def code(position):
        angle = position.flatten()[:, None] * omega[None]
        return torch.cat([angle.sin(), angle.cos()], -1)

    return torch.cat([code(cols), code(rows)], -1)[None].float()
