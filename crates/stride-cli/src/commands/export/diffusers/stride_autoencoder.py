"""The small autoencoder of Stride: TAESD's, with squares of pixels folded into channels and a linear path for colour."""

import torch
import torch.nn as nn
import torch.nn.functional as F
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.modeling_utils import ModelMixin

LATENT_MAGNITUDE = 3.0


class StrideAutoencoder(ModelMixin, ConfigMixin):
    """Pixels [B, 3, H, W] in [-1, 1] to latents [B, C, h, w] of unit scale, and back."""

    @register_to_config
    def __init__(
        self, encoder_block_out_channels, decoder_block_out_channels, num_encoder_blocks, num_decoder_blocks,
        in_channels=3, out_channels=3, latent_channels=4, scaling_factor=1.0, shift_factor=0.0,
        encoder_pixel_shuffle=1, decoder_pixel_shuffle=1, color_skip=False, latents_mean=None, latents_std=None,
    ):  # fmt: skip
        super().__init__()
        self.factor = encoder_pixel_shuffle * 2 ** (len(encoder_block_out_channels) - 1)
        layers, width = [], in_channels * encoder_pixel_shuffle**2
        for stage, (after, blocks) in enumerate(zip(encoder_block_out_channels, num_encoder_blocks)):
            layers.append(conv(width, after, stride=1 if stage == 0 else 2, bias=stage == 0))
            layers += [Block(after) for _ in range(blocks)]
            width = after
        self.encoder = Stack(layers + [conv(width, latent_channels)])
        widths = decoder_block_out_channels
        layers = [conv(latent_channels, widths[0]), nn.ReLU()]
        for stage, (width, blocks) in enumerate(zip(widths, num_decoder_blocks)):
            layers += [Block(width) for _ in range(blocks)]
            if stage + 1 < len(widths):
                layers += [nn.Upsample(scale_factor=2), conv(width, widths[stage + 1], bias=False)]
            else:
                layers.append(conv(width, out_channels * decoder_pixel_shuffle**2))
        self.decoder = Stack(layers)
        self.encoder_color = nn.Conv2d(in_channels, latent_channels, 1) if color_skip else None
        self.decoder_color = nn.Conv2d(latent_channels, out_channels, 1) if color_skip else None
        column = lambda values, other: torch.tensor(values or [other]).view(1, -1, 1, 1)
        self.register_buffer("mean", column(latents_mean, 0.0), persistent=False)
        self.register_buffer("std", column(latents_std, 1.0), persistent=False)

    def encode(self, pixels):
        pixels = (pixels + 1) / 2
        z = self.encoder(F.pixel_unshuffle(pixels, self.config.encoder_pixel_shuffle))
        if self.encoder_color is not None:
            z = z + self.encoder_color(F.avg_pool2d(pixels, self.factor))
        z = (z - self.config.shift_factor) * self.config.scaling_factor
        return (z - self.mean) / self.std

    def decode(self, latents):
        z = (latents * self.std + self.mean) / self.config.scaling_factor + self.config.shift_factor
        z = (z / LATENT_MAGNITUDE).tanh() * LATENT_MAGNITUDE
        pixels = F.pixel_shuffle(self.decoder(z), self.config.decoder_pixel_shuffle)
        if self.decoder_color is not None:
            pixels = pixels + F.interpolate(self.decoder_color(z), scale_factor=self.factor)
        return pixels * 2 - 1

    def forward(self, latents):
        return self.decode(latents)


class Stack(nn.Module):
    def __init__(self, layers):
        super().__init__()
        self.layers = nn.Sequential(*layers)

    def forward(self, x):
        return self.layers(x)


class Block(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.conv = nn.Sequential(conv(width, width), nn.ReLU(), conv(width, width), nn.ReLU(), conv(width, width))

    def forward(self, x):
        return F.relu(self.conv(x) + x)


def conv(width, after, stride=1, bias=True):
    return nn.Conv2d(width, after, 3, stride, 1, bias=bias)
