"""Folders of small random models as transformers, diffusers and torch save them, with what they compute.

Writes `stride-models/tests/fixtures/components`, for `tests/it/components.rs` and its neighbours. `expected.safetensors`
holds inputs and outputs. Weights are moved off their initial values, so that norms and biases show.
"""

import json
import shutil
from pathlib import Path

import diffusers
import numpy as np
import torch
import transformers
from diffusers import AutoencoderKL, AutoencoderTiny, DiTTransformer2DModel
from PIL import Image
from safetensors.torch import save_file
from torch import nn
from transformers import (
    CLIPConfig,
    CLIPModel,
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTextModelWithProjection,
    CLIPVisionConfig,
    CLIPVisionModelWithProjection,
)

OUT = Path(__file__).resolve().parent.parent / "crates/stride-models/tests/fixtures/components"
TOKEN_IDS = torch.tensor([[38, 5, 6, 7, 39], [38, 20, 39, 39, 39]])
TEXT = dict(vocab_size=40, hidden_size=16, intermediate_size=24, projection_dim=10, num_hidden_layers=2,
            num_attention_heads=2, max_position_embeddings=8, bos_token_id=38, eos_token_id=39)
VISION = dict(hidden_size=8, intermediate_size=12, projection_dim=10, num_hidden_layers=2, num_attention_heads=2,
              image_size=16, patch_size=8)
KL = dict(block_out_channels=(4, 8), layers_per_block=1, norm_num_groups=2, latent_channels=3,
          down_block_types=("DownEncoderBlock2D",) * 2, up_block_types=("UpDecoderBlock2D",) * 2)
EXPECTED = {}


def randomise(model, seed, spread=0.1):
    torch.manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * spread)
    return model.eval()


def expect(case, **tensors):
    EXPECTED.update({f"{case}.{name}": tensor.detach().float().contiguous().clone() for name, tensor in tensors.items()})


@torch.no_grad()
def text(case, model, **saving):
    """Saves a text encoder, in half precision where asked for, and what it computes in f32 with the stored weights."""
    model = model.to(saving.pop("dtype", torch.float32))
    model.save_pretrained(OUT / case, **saving)
    output = model.float()(TOKEN_IDS)
    pooled = output.text_embeds if hasattr(output, "text_embeds") else output.pooler_output
    expect(case, tokens=output.last_hidden_state, pooled=pooled)


@torch.no_grad()
def vae(case, model, **saving):
    path = OUT / saving.pop("folder", case)
    model = model.to(saving.pop("dtype", torch.float32))
    model.save_pretrained(path, **saving)
    model = model.float()
    pixels = torch.rand(1, 3, 8, 12) * 2 - 1
    encoded = model.encode(pixels)
    latents = encoded.latents if hasattr(encoded, "latents") else encoded.latent_dist.mode()
    scaled = latents * model.config.scaling_factor
    expect(case, pixels=pixels, latents=scaled, decoded=model.decode(latents).sample)
    return path


def old_names(path):
    """Attention as diffusers 0.10 named it, its weights as 1x1 convolutions."""
    from safetensors.torch import load_file

    file = path / "diffusion_pytorch_model.safetensors"
    names = {".to_q.": ".query.", ".to_k.": ".key.", ".to_v.": ".value.", ".to_out.0.": ".proj_attn."}
    tensors = {}
    for name, tensor in load_file(file).items():
        if ".attentions." in name and "group_norm" not in name:
            for new, old in names.items():
                name = name.replace(new, old)
            if tensor.dim() == 2:
                tensor = tensor[:, :, None, None]
        tensors[name] = tensor.contiguous()
    save_file(tensors, file, {"format": "pt"})


@torch.no_grad()
def clip():
    """A whole CLIP and its image side alone."""
    config = CLIPConfig(text_config=TEXT, vision_config=VISION, projection_dim=10)
    model = randomise(CLIPModel(config), 3)
    # Older checkpoints hold the positions, too.
    model.save_pretrained(OUT / "clip")
    file = OUT / "clip" / "model.safetensors"
    from safetensors.torch import load_file

    tensors = load_file(file)
    tensors["text_model.embeddings.position_ids"] = torch.arange(8)[None]
    tensors["vision_model.embeddings.position_ids"] = torch.arange(5)[None]
    save_file(tensors, file, {"format": "pt"})
    pixels = torch.randn(2, 3, 16, 16)
    output = model(input_ids=TOKEN_IDS, pixel_values=pixels)
    expect("clip", pixels=pixels, text_embeds=output.text_embeds, image_embeds=output.image_embeds,
           tokens=output.text_model_output.last_hidden_state)
    vision = randomise(CLIPVisionModelWithProjection(CLIPVisionConfig(**VISION, hidden_act="gelu")), 4)
    vision.save_pretrained(OUT / "vision")
    output = vision(pixels, output_hidden_states=True)
    pooled = vision.vision_model(pixels).pooler_output
    expect("vision", hidden=output.last_hidden_state, pooled=pooled, image_embeds=output.image_embeds)


def pictures():
    """CLIP's preprocessing of two pictures, with Pillow as the original has it."""
    random = np.random.RandomState(0)
    for case, (width, height) in {"wide": (60, 41), "tall": (20, 33)}.items():
        smooth = Image.fromarray(random.randint(0, 256, (7, 9, 3), np.uint8)).resize((width, height))
        pixels = np.array(smooth)
        processor = getattr(transformers, "CLIPImageProcessorPil", transformers.CLIPImageProcessor)
        for side in (32, 224):
            made = processor(size={"shortest_edge": side}, crop_size={"height": side, "width": side})
            values = made(smooth, return_tensors="pt").pixel_values[0]
            if side == 224:
                values = values.flatten()[::997]
            expect(f"picture.{case}.{side}", values=values)
        EXPECTED[f"picture.{case}.pixels"] = torch.from_numpy(pixels)


class Block(nn.Module):
    """facebookresearch/DiT's block, by its names."""

    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.attn = nn.ModuleDict({"qkv": nn.Linear(width, 3 * width), "proj": nn.Linear(width, width)})
        self.mlp = nn.ModuleDict({"fc1": nn.Linear(width, 4 * width), "fc2": nn.Linear(4 * width, width)})
        self.adaLN_modulation = nn.Sequential(nn.SiLU(), nn.Linear(width, 6 * width))

    def forward(self, x, c):
        b, t, d = x.shape
        norm = lambda x, shift, scale: nn.functional.layer_norm(x, (d,), eps=1e-6) * (1 + scale) + shift
        s1, c1, g1, s2, c2, g2 = self.adaLN_modulation(c)[:, None].chunk(6, -1)
        q, k, v = self.attn["qkv"](norm(x, s1, c1)).reshape(b, t, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        mixed = nn.functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(b, t, d)
        x = x + g1 * self.attn["proj"](mixed)
        hidden = nn.functional.gelu(self.mlp["fc1"](norm(x, s2, c2)), approximate="tanh")
        return x + g2 * self.mlp["fc2"](hidden)


class Dit(nn.Module):
    """facebookresearch/DiT with a learned variance, by its names."""

    def __init__(self, width=8, depth=2, heads=2, patch=2, side=4, channels=3, classes=5):
        super().__init__()
        self.patch, self.side, self.channels = patch, side, channels
        self.x_embedder = nn.ModuleDict({"proj": nn.Conv2d(channels, width, patch, patch)})
        self.t_embedder = nn.ModuleDict({"mlp": nn.Sequential(nn.Linear(256, width), nn.SiLU(), nn.Linear(width, width))})
        self.y_embedder = nn.ModuleDict({"embedding_table": nn.Embedding(classes + 1, width)})
        self.blocks = nn.ModuleList([Block(width, heads) for _ in range(depth)])
        self.final_layer = nn.ModuleDict({
            "linear": nn.Linear(width, patch * patch * 2 * channels),
            "adaLN_modulation": nn.Sequential(nn.SiLU(), nn.Linear(width, 2 * width)),
        })
        self.register_parameter("pos_embed", nn.Parameter(positions(side // patch, width), requires_grad=False))

    def forward(self, x, t, y):
        b, p, n = x.shape[0], self.patch, self.side // self.patch
        frequencies = torch.exp(-np.log(10000) * torch.arange(128) / 128)
        angles = t[:, None] * frequencies
        c = self.t_embedder["mlp"](torch.cat([angles.cos(), angles.sin()], -1)) + self.y_embedder["embedding_table"](y)
        x = self.x_embedder["proj"](x).flatten(2).transpose(1, 2) + self.pos_embed
        for block in self.blocks:
            x = block(x, c)
        shift, scale = self.final_layer["adaLN_modulation"](c)[:, None].chunk(2, -1)
        x = nn.functional.layer_norm(x, x.shape[-1:], eps=1e-6) * (1 + scale) + shift
        x = self.final_layer["linear"](x).reshape(b, n, n, p, p, 2 * self.channels)
        return torch.einsum("nhwpqc->nchpwq", x).reshape(b, 2 * self.channels, self.side, self.side)


def positions(side, width):
    """Sines and cosines of column and row, MAE's and DiT's."""
    omega = 10000 ** (-torch.arange(width // 4) / (width / 4))
    of = lambda place: torch.cat([(place[:, None] * omega).sin(), (place[:, None] * omega).cos()], 1)
    rows, columns = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
    return torch.cat([of(columns.flatten()), of(rows.flatten())], 1)[None]


@torch.no_grad()
def dit():
    x, t, y = torch.randn(2, 3, 4, 4), torch.tensor([37.0, 801.0]), torch.tensor([1, 4])
    model = Dit()
    pos = model.pos_embed.clone()
    model = randomise(model, 6)
    model.pos_embed.copy_(pos)
    (OUT / "dit").mkdir()
    torch.save(model.state_dict(), OUT / "dit" / "dit.pt")
    torch.save({"model": model.state_dict(), "ema": model.state_dict(), "args": {"lr": 1e-4}}, OUT / "dit" / "trained.pt")
    expect("dit", x=x, t=t, class_embedding=model.y_embedder["embedding_table"](y), answer=model(x, t, y)[:, :3])
    model = randomise(DiTTransformer2DModel(
        num_attention_heads=2, attention_head_dim=4, in_channels=3, out_channels=6, num_layers=2, sample_size=4,
        patch_size=2, num_embeds_ada_norm=1000, attention_bias=True, activation_fn="gelu-approximate",
        norm_type="ada_norm_zero", norm_elementwise_affine=False,
    ), 7)
    # As in converted checkpoints, all blocks embed time and class alike.
    first = model.transformer_blocks[0].norm1.emb
    for block in model.transformer_blocks[1:]:
        block.norm1.emb.load_state_dict(first.state_dict())
    # 1,000 classes are large; the classes asked for are enough.
    first_class = first.class_embedder.embedding_table
    model.save_pretrained(OUT / "dit_diffusers")
    # Its sinusoid has slightly other frequencies, which time 0 does not show.
    t = torch.zeros(2)
    expect("dit_diffusers", x=x, t=t, class_embedding=first_class(y),
           answer=model(x, timestep=t.long(), class_labels=y).sample[:, :3])
    slim(OUT / "dit_diffusers" / "diffusion_pytorch_model.safetensors")


def slim(file):
    """Drops what is large and not read: the table of 1,000 classes."""
    from safetensors.torch import load_file

    tensors = load_file(file)
    save_file({name: tensor[:8].contiguous() if "class_embedder" in name else tensor for name, tensor in tensors.items()},
              file, {"format": "pt"})


def pytorch(model):
    """One text encoder in torch's formats."""
    folder = OUT / "pytorch"
    folder.mkdir()
    model.config.architectures = [type(model).__name__]
    model.config.save_pretrained(folder)
    state = {name: tensor.detach() for name, tensor in model.state_dict().items()}
    torch.save(state, folder / "pytorch_model.bin")
    legacy = OUT / "pytorch_legacy"
    legacy.mkdir()
    model.config.save_pretrained(legacy)
    torch.save(state, legacy / "pytorch_model.bin", _use_new_zipfile_serialization=False)
    command = OUT / "pytorch_command"
    command.mkdir()
    model.config.save_pretrained(command)
    torch.save({"text_model.final_layer_norm.weight": Command()}, command / "pytorch_model.bin")


class Command:
    """A pickle that would run a program if it were executed."""

    def __reduce__(self):
        import os

        return os.system, ("exit 1",)


def main():
    shutil.rmtree(OUT, ignore_errors=True)
    OUT.mkdir(parents=True)
    torch.manual_seed(0)
    plain = randomise(CLIPTextModel(CLIPTextConfig(**TEXT, hidden_act="gelu")), 1)
    projected = randomise(CLIPTextModelWithProjection(CLIPTextConfig(**TEXT)), 2)
    text("text_plain", plain)
    pytorch(plain)
    text("text_sharded", projected, max_shard_size="6KB")
    text("text_fp16", projected, variant="fp16", dtype=torch.float16)
    text("text_fp16_sharded", projected, variant="fp16", max_shard_size="4KB", dtype=torch.float16)
    torch.manual_seed(0)
    old_names(vae("vae_old", randomise(AutoencoderKL(**KL, scaling_factor=0.5), 5)))
    vae("taesd", randomise(AutoencoderTiny(
        encoder_block_out_channels=(8, 8), decoder_block_out_channels=(8, 8), num_encoder_blocks=(1, 1),
        num_decoder_blocks=(1, 1)), 8))
    pipeline = OUT / "pipeline"
    vae("vae_fp16", randomise(AutoencoderKL(**KL, use_quant_conv=False, use_post_quant_conv=False, scaling_factor=0.5), 9),
        folder="pipeline/vae", variant="fp16", dtype=torch.float16)
    text("pipeline/text_encoder", randomise(CLIPTextModel(CLIPTextConfig(**TEXT)), 10), dtype=torch.bfloat16)
    index = {
        "_class_name": "StableDiffusionPipeline", "_diffusers_version": diffusers.__version__,
        "safety_checker": [None, None], "requires_safety_checker": False, "text_encoder": ["transformers", "CLIPTextModel"],
        "tokenizer": ["transformers", "CLIPTokenizer"], "vae": ["diffusers", "AutoencoderKL"],
    }
    (pipeline / "model_index.json").write_text(json.dumps(index, indent=2))
    clip()
    pictures()
    dit()
    versions = {"torch": torch.__version__, "transformers": transformers.__version__, "diffusers": diffusers.__version__}
    save_file(EXPECTED, OUT / "expected.safetensors", versions)
    for path in sorted(OUT.rglob("*")):
        if path.is_file():
            print(f"{path.relative_to(OUT)}: {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
