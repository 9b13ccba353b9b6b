"""The diffusion transformer of Stride: the velocity s(x_t, t, d | text) of shortcut models and their relatives."""

import math

import torch
import torch.nn as nn
import torch.nn.functional as F
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.modeling_utils import ModelMixin

HIDDEN_SCORE = -3e4


class Dit(ModelMixin, ConfigMixin):
    """Predicts the mean velocity over [t, t + d], d = 2^-k given as k, of latents `x_t` [B, C, H, W]; t = 0 is noise."""

    @register_to_config
    def __init__(
        self, input_size, patch_size, in_channels, hidden_size, depth, num_heads, context_dim, mlp_ratio=4.0,
        text_conditioning="pooled", time_scale=1.0, guidance_input=False, qk_norm=False, mlp="gelu",
        norm="layer_norm", rope=False, velocity_head=False,
    ):  # fmt: skip
        super().__init__()
        c, width = self.config, hidden_size
        side = input_size // patch_size
        self.x_embedder = PatchEmbed(in_channels, width, patch_size)
        self.t_embedder, self.step_embedder = ScalarEmbedder(width), ScalarEmbedder(width)
        self.guidance_embedder = ScalarEmbedder(width) if guidance_input else None
        uses_pooled = text_conditioning in ("pooled", "pooled_and_tokens")
        self.pooled_projection = nn.Linear(context_dim, width) if uses_pooled else None
        self.blocks = nn.ModuleList(Block(c) for _ in range(depth))
        self.final_layer = FinalLayer(c)
        self.register_buffer("positions", sincos_2d(side, width), persistent=False)
        rotary = rotary_angles(side, width // num_heads) if rope else None
        self.register_buffer("rotary", rotary, persistent=False)

    def forward(self, x_t, t, log2_steps, tokens, padding_mask, pooled, guidance_scale=None):
        """`t`, `log2_steps` and `guidance_scale` are [B]; `tokens` [B, L, E], `padding_mask` [B, L] true where nothing is
        seen, and `pooled` [B, E] are what the text encoder gives."""
        scale = self.config.time_scale
        condition = self.t_embedder(t * scale) + self.step_embedder(log2_steps)
        if self.guidance_embedder is not None:
            strength = torch.zeros_like(t) if guidance_scale is None else 1 - 1 / guidance_scale
            condition = condition + self.guidance_embedder(strength * scale)
        if self.pooled_projection is not None:
            condition = condition + self.pooled_projection(pooled)
        condition = F.silu(condition)
        bias = (padding_mask.to(x_t.dtype) * HIDDEN_SCORE)[:, None, None, :]
        x = self.x_embedder(x_t) + self.positions
        for block in self.blocks:
            x = block(x, condition, tokens, bias, self.rotary)
        x = self.final_layer(x, condition)  # [B, T, p p C]
        side, p = self.config.input_size // self.config.patch_size, self.config.patch_size
        x = x.unflatten(2, (p, p, -1)).unflatten(1, (side, side))
        return x.permute(0, 5, 1, 3, 2, 4).flatten(4, 5).flatten(2, 3)


class PatchEmbed(nn.Module):
    def __init__(self, channels, width, patch):
        super().__init__()
        self.proj = nn.Conv2d(channels, width, patch, patch)

    def forward(self, x):
        return self.proj(x).flatten(2).transpose(1, 2)


class ScalarEmbedder(nn.Module):
    """One number an image: sinusoid, linear, SiLU, linear."""

    def __init__(self, width):
        super().__init__()
        self.linear_1, self.linear_2 = nn.Linear(256, width), nn.Linear(width, width)
        frequencies = 10000.0 ** (-torch.arange(128, dtype=torch.float64) / 128)
        self.register_buffer("frequencies", frequencies.float(), persistent=False)

    def forward(self, value):
        angle = value.float()[:, None] * self.frequencies.float()
        sinusoid = torch.cat([angle.cos(), angle.sin()], -1).to(self.linear_1.weight.dtype)
        return self.linear_2(F.silu(self.linear_1(sinusoid)))


class HeadNorm(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x):
        return rms_norm(x) * self.weight


class Attention(nn.Module):
    """What the two kinds of attention have in common."""

    def __init__(self, c):
        super().__init__()
        self.heads, head = c.num_heads, c.hidden_size // c.num_heads
        self.q_norm = HeadNorm(head) if c.qk_norm else nn.Identity()
        self.k_norm = HeadNorm(head) if c.qk_norm else nn.Identity()

    def mix(self, q, k, v, bias=None, rotary=None):
        q, k, v = (x.unflatten(-1, (self.heads, -1)).transpose(1, 2) for x in (q, k, v))
        q, k = self.q_norm(q), self.k_norm(k)
        if rotary is not None:
            q, k = turn(q, rotary), turn(k, rotary)
        return F.scaled_dot_product_attention(q, k, v, attn_mask=bias).transpose(1, 2).flatten(2)


class SelfAttention(Attention):
    def __init__(self, c):
        super().__init__(c)
        self.qkv, self.proj = nn.Linear(c.hidden_size, 3 * c.hidden_size), nn.Linear(c.hidden_size, c.hidden_size)

    def forward(self, x, rotary):
        return self.proj(self.mix(*self.qkv(x).chunk(3, -1), rotary=rotary))


class CrossAttention(Attention):
    def __init__(self, c):
        super().__init__(c)
        width = c.hidden_size
        self.to_q, self.to_out = nn.Linear(width, width), nn.Linear(width, width)
        self.to_k, self.to_v = nn.Linear(c.context_dim, width), nn.Linear(c.context_dim, width)

    def forward(self, x, tokens, bias):
        return self.to_out(self.mix(self.to_q(x), self.to_k(tokens), self.to_v(tokens), bias=bias))


class Mlp(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.is_gated = c.mlp == "swiglu"
        hidden = int(c.hidden_size * c.mlp_ratio)
        if self.is_gated:
            hidden = max(math.floor(c.hidden_size * c.mlp_ratio * 2 / 3 / 8 + 0.5), 1) * 8
        self.fc1 = nn.Linear(c.hidden_size, 2 * hidden if self.is_gated else hidden)
        self.fc2 = nn.Linear(hidden, c.hidden_size)

    def forward(self, x):
        hidden = self.fc1(x)
        if self.is_gated:
            gate, value = hidden.chunk(2, -1)
            return self.fc2(F.silu(gate) * value)
        return self.fc2(F.gelu(hidden, approximate="tanh"))


class Block(nn.Module):
    """Self-attention, attention to the text, and feed-forward, shifted, scaled and gated by the condition."""

    def __init__(self, c):
        super().__init__()
        self.norm = norm_of(c)
        self.attn, self.mlp = SelfAttention(c), Mlp(c)
        uses_tokens = c.text_conditioning in ("tokens", "pooled_and_tokens")
        self.cross_attn = CrossAttention(c) if uses_tokens else None
        self.modulation = nn.Linear(c.hidden_size, 6 * c.hidden_size)

    def forward(self, x, condition, tokens, bias, rotary):
        shift_1, scale_1, gate_1, shift_2, scale_2, gate_2 = self.modulation(condition)[:, None].chunk(6, -1)
        x = x + gate_1 * self.attn(self.norm(x) * (1 + scale_1) + shift_1, rotary)
        if self.cross_attn is not None:
            x = x + self.cross_attn(self.norm(x), tokens, bias)
        return x + gate_2 * self.mlp(self.norm(x) * (1 + scale_2) + shift_2)


class FinalLayer(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.norm = norm_of(c)
        self.modulation = nn.Linear(c.hidden_size, 2 * c.hidden_size)
        self.linear = nn.Linear(c.hidden_size, c.patch_size**2 * c.in_channels)
        # The second output, which only training uses.
        self.velocity = nn.Linear(c.hidden_size, c.patch_size**2 * c.in_channels) if c.velocity_head else None

    def forward(self, x, condition):
        shift, scale = self.modulation(condition)[:, None].chunk(2, -1)
        return self.linear(self.norm(x) * (1 + scale) + shift)


def norm_of(c):
    """A norm without weights of its own."""
    return rms_norm if c.norm == "rms_norm" else lambda x: F.layer_norm(x, x.shape[-1:], eps=1e-6)


def rms_norm(x):
    """PyTorch's own function is none of ONNX's."""
    return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + 1e-6)


def sincos_2d(side, width):
    """MAE's position codes: columns, then rows."""
    quarter = width // 4
    omega = 10000.0 ** (-torch.arange(quarter, dtype=torch.float64) / quarter)
    rows, columns = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")

    def code(position):
        angle = position.flatten()[:, None] * omega
        return torch.cat([angle.sin(), angle.cos()], -1)

    return torch.cat([code(columns), code(rows)], -1)[None].float()


def rotary_angles(side, head):
    """Cosines and sines, [2, T, head]: the first half of the pairs turns by column, the second by row."""
    quarter = head // 4
    omega = 10000.0 ** (-torch.arange(quarter, dtype=torch.float64) / quarter)
    rows, columns = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
    angle = torch.cat([position.flatten()[:, None] * omega for position in (columns, rows)], -1)
    angle = torch.cat([angle, angle], -1)
    return torch.stack([angle.cos(), angle.sin()]).float()


def turn(x, rotary):
    a, b = x.chunk(2, -1)
    return x * rotary[0] + torch.cat([-b, a], -1) * rotary[1]
