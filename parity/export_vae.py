"""Writes the parity fixtures of the autoencoders, from diffusers' AutoencoderKL and AutoencoderTiny."""

import sys
from pathlib import Path

import diffusers
import torch
from diffusers import AutoencoderKL, AutoencoderTiny
from safetensors.torch import save_file

OUT = Path(__file__).parent.parent / "crates/stride/tests/fixtures"


def randomise(model):
    """Moves every parameter off its initial value, so that norms and biases show too."""
    with torch.no_grad():
        for p in model.parameters():
            p.add_(torch.randn_like(p) * 0.1)
    return model.eval()


def kl(name, **options):
    torch.manual_seed(0)
    model = randomise(AutoencoderKL(
        block_out_channels=(8, 16), layers_per_block=1, norm_num_groups=4, latent_channels=3,
        down_block_types=("DownEncoderBlock2D",) * 2, up_block_types=("UpDecoderBlock2D",) * 2,
        scaling_factor=0.5, **options,
    ))
    pixels = torch.rand(2, 3, 12, 8) * 2 - 1
    with torch.no_grad():
        posterior = model.encode(pixels).latent_dist
        decoded = model.decode(posterior.mode()).sample
    write(name, model, dict(pixels=pixels, mean=posterior.mean, logvar=posterior.logvar, decoded=decoded))


def tiny():
    torch.manual_seed(0)
    model = randomise(AutoencoderTiny(
        encoder_block_out_channels=(8, 8, 8), decoder_block_out_channels=(8, 8, 8), num_encoder_blocks=(1, 2, 1),
        num_decoder_blocks=(1, 2, 1), latent_channels=4,
    ))
    pixels = torch.rand(2, 3, 12, 8) * 2 - 1
    with torch.no_grad():
        latents = model.encode(pixels).latents
        decoded = model.decode(latents * 2).sample  # twice, so that the squeezing of latents shows
    write("autoencoder_tiny", model, dict(pixels=pixels, latents=latents, decoded=decoded))


def write(name, model, tensors):
    OUT.mkdir(parents=True, exist_ok=True)
    tensors = {n: t.contiguous() for n, t in tensors.items()}
    tensors |= {f"model.{n}": t.contiguous() for n, t in model.state_dict().items()}
    save_file(tensors, OUT / f"{name}.safetensors", metadata={"diffusers": diffusers.__version__, "seed": "0"})
    print(f"{name}: {sum(t.numel() for t in tensors.values()) * 4 // 1024} KiB", file=sys.stderr)


if __name__ == "__main__":
    kl("autoencoder_kl")
    kl("autoencoder_kl_plain", mid_block_add_attention=False, use_quant_conv=False, use_post_quant_conv=False)
    tiny()
