"""Writes the networks of this folder as ONNX files and compares them with PyTorch in onnxruntime.

    pip install torch diffusers transformers onnx onnxruntime
    python FOLDER/export_onnx.py [OUT]

text_encoder.onnx: token_ids [B, L] to tokens, padding_mask, pooled. transformer.onnx: x_t [B, C, H, W], t [B], log2_steps [B],
tokens, padding_mask, pooled (and guidance_scale [B] where it is an input of the model) to velocity. decoder.onnx: latents
to pixels in [-1, 1]. pipeline.py shows how they are called.
"""

import sys
import warnings
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from diffusers import DiffusionPipeline


class Transformer(torch.nn.Module):
    """The transformer with all of its inputs by place."""

    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, x_t, t, log2_steps, tokens, padding_mask, pooled, *guidance_scale):
        return self.network(x_t, t, log2_steps, tokens, padding_mask, pooled, *guidance_scale)


class Decoder(torch.nn.Module):
    """Latents of unit scale to pixels."""

    def __init__(self, pipeline):
        super().__init__()
        self.pipeline, self.vae = [pipeline], pipeline.vae

    def forward(self, latents):
        return self.pipeline[0].decode(latents)


def export(network, inputs, outputs, path):
    """Writes a network, whose inputs are tensors by name, and prints how far onnxruntime is from PyTorch."""
    axes = {name: {0: "batch"} for name in [*inputs, *outputs]}
    for name in ("token_ids", "tokens", "padding_mask"):
        axes.get(name, {})[1] = "length"
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            network, tuple(inputs.values()), path, dynamo=False, opset_version=18,
            input_names=list(inputs), output_names=outputs, dynamic_axes=axes,
        )  # fmt: skip
        # Another batch than the one that was traced, so that no size is fixed.
        twice = {name: torch.cat([value] * 2) for name, value in inputs.items()}
        expected = network(*twice.values())
    expected = expected if isinstance(expected, tuple) else (expected,)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    taken = {found.name for found in session.get_inputs()}
    found = session.run(outputs, {name: value.numpy() for name, value in twice.items() if name in taken})
    apart = max(np.abs(a.astype(float) - b.numpy().astype(float)).max() for a, b in zip(found, expected))
    print(f"{path}: largest difference from PyTorch {apart:.1e}")
    if not apart < 1e-3:
        sys.exit("expected less than 1e-3")
    return [value[: len(value) // 2] for value in expected]


def main():
    folder = Path(__file__).parent
    out = Path(sys.argv[1]) if len(sys.argv) > 1 else folder / "onnx"
    out.mkdir(parents=True, exist_ok=True)
    pipeline = DiffusionPipeline.from_pretrained(folder, trust_remote_code=True)
    token_ids = torch.tensor([pipeline.rows_of("a man with a hat")])
    names = ["tokens", "padding_mask", "pooled"]
    text = export(pipeline.text_encoder, {"token_ids": token_ids}, names, str(out / "text_encoder.onnx"))
    config = pipeline.transformer.config
    latents = torch.randn(1, config.in_channels, config.input_size, config.input_size)
    inputs = {"x_t": latents, "t": torch.tensor([0.25]), "log2_steps": torch.tensor([2.0]), **dict(zip(names, text))}
    if config.guidance_input:
        inputs["guidance_scale"] = torch.tensor([1.5])
    export(Transformer(pipeline.transformer), inputs, ["velocity"], str(out / "transformer.onnx"))
    export(Decoder(pipeline), {"latents": latents}, ["pixels"], str(out / "decoder.onnx"))


if __name__ == "__main__":
    main()
