"""Compares what diffusers and onnxruntime draw with `stride export` and what `stride generate` draws.

    python parity/check_export.py target/release/stride [MODEL ...]

For every model folder (and the model inside the program, where none is named): images of the same prompt, seed, steps and
guidance, which may differ by two levels of 255 in any channel; noise given as latents; the networks as ONNX. Writes no
fixtures.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
from diffusers import DiffusionPipeline
from PIL import Image

MOST = 2
PROMPTS = ["a man with glasses", "a smiling woman with red hair, blue background!!! zyzzyva", ""]


def check(stride, model):
    place = Path(tempfile.mkdtemp())
    folder = place / "exported"
    subprocess.run([stride, "export", *model, "--to", "diffusers", "--out", folder], check=True)
    pipeline = DiffusionPipeline.from_pretrained(folder, trust_remote_code=True)
    pipeline.set_progress_bar_config(disable=True)
    guidance = json.loads((folder / "model_index.json").read_text())["guidance"]
    has_input = isinstance(guidance, dict)
    for prompt in PROMPTS:
        for steps, scale, negative in [(1, 1, None), (4, 1, None), (6, 2, None), (8, 1.5, "glasses")]:
            if negative and has_input or scale != 1 and guidance in ("never", "base_level"):
                continue
            path = place / "image.png"
            command = [stride, "generate", "-q", "--as-typed", f"--prompt={prompt}", "--seed=42", f"--steps={steps}", f"-o={path}"]
            command += [f"--cfg-scale={scale}", *([f"--negative-prompt={negative}"] if negative else [])]
            command += ["--model", *model] if model else []
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            arguments = dict(num_inference_steps=steps, guidance_scale=scale, negative_prompt=negative)
            image = pipeline(prompt, seed=42, **arguments).images[0]
            expected = np.asarray(Image.open(path)).astype(int)
            apart = np.abs(np.asarray(image).astype(int) - expected)
            print(f"{prompt!r}, {steps} steps, guidance {scale}: {apart.max()} levels, mean {apart.mean():.1e}")
            assert apart.max() <= MOST, "the images differ"
    config = pipeline.transformer.config
    latents = torch.randn(1, config.in_channels, config.input_size, config.input_size)
    first, second = (pipeline("a man", latents=latents, output_type="np").images for _ in range(2))
    assert np.array_equal(first, second), "the same latents draw other images"
    subprocess.run([sys.executable, folder / "export_onnx.py", place / "onnx"], check=True)


if __name__ == "__main__":
    models = [[model] for model in sys.argv[2:]] or [[]]
    for model in models:
        check(sys.argv[1], model)
    print("all as it should be")
