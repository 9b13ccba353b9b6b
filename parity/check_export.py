"""Compares what diffusers and onnxruntime draw with `stride export` and what `stride generate` draws.

    python parity/check_export.py target/release/stride [MODEL ...]

For every model folder (where none is named, the model inside the program, and small ones with random weights that have the other
kinds of networks): images of the same prompt, seed, steps and guidance, which may differ by two levels of 255 in any channel; what
prompts are completed to; noise given as latents. Needs onnx and onnxruntime beside requirements.txt. Writes no fixtures.
"""

import importlib.util
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import onnx
import torch
from diffusers import AutoencoderKL, DiffusionPipeline
from PIL import Image
from safetensors.torch import save_file

ROOT = Path(__file__).parent.parent
MOST = 2
PROMPTS = ["a man with glasses", "a ((smiling)) woman with (red hair:1.3), blue background!!! zyzzyva", "a hat.", ""]
# Steps, guidance scale, negative prompt, and whether the prompt is drawn as it is.
CASES = [(1, 1, None, True), (1, 1, None, False), (4, 1, None, False), (6, 2, None, True), (8, 1.5, "(glasses:2)", False)]


def module(path):
    """A Python file as a module."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    found = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(path.parent))
    spec.loader.exec_module(found)
    sys.path.pop(0)
    return found


def check(stride, model):
    place = Path(tempfile.mkdtemp())
    for target in ("diffusers", "onnx"):
        subprocess.run([stride, "export", *model, "--to", target, "--out", place / target], check=True)
    pipeline = DiffusionPipeline.from_pretrained(place / "diffusers", trust_remote_code=True)
    pipeline.set_progress_bar_config(disable=True)
    for network in ("text_encoder", "transformer", "decoder"):
        onnx.checker.check_model(place / "onnx" / f"{network}.onnx", full_check=True)
    networks = module(place / "onnx/generate.py").Model(place / "onnx")
    flags = ["--model", *model] if model else []
    guidance = json.loads((place / "diffusers/model_index.json").read_text())["guidance"]
    has_input = isinstance(guidance, dict)
    for prompt in PROMPTS:
        for steps, scale, negative, as_typed in CASES:
            if negative and has_input or scale != 1 and guidance in ("never", "base_level"):
                continue
            path = place / "image.png"
            command = [stride, "generate", "-q", f"--prompt={prompt}", "--seed=42", f"--steps={steps}", f"-o={path}", *flags]
            command += [f"--cfg-scale={scale}", *([f"--negative-prompt={negative}"] if negative else [])]
            command += ["--as-typed"] if as_typed else []
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            expected = np.asarray(Image.open(path)).astype(int)
            assert expected.std() > 1, "an image of one colour shows nothing"
            arguments = dict(num_inference_steps=steps, guidance_scale=scale, negative_prompt=negative, as_typed=as_typed)
            found = {"diffusers": pipeline(prompt, seed=42, **arguments).images[0]}
            if as_typed or negative or pipeline.completion is None:
                found["onnxruntime"] = networks.generate(prompt, steps, 42, scale, negative)
            for name, image in found.items():
                apart = np.abs(np.asarray(image).astype(int) - expected)
                print(f"{name}, {prompt!r}, {steps} steps, guidance {scale}: {apart.max()} levels, mean {apart.mean():.1e}")
                assert apart.max() <= MOST, "the images differ"
    if pipeline.completion is not None:
        command = [stride, "generate", "--json", *flags, "a man", "--steps=1", "--seeds=0-19"]
        told = json.loads(subprocess.run(command, check=True, cwd=place, stdout=subprocess.PIPE).stdout)
        completed = [pipeline.completed("a man", seed) for seed in range(20)]
        assert completed == [image["completed_prompt"] for image in told["files"]], "prompts are completed otherwise"
    config = pipeline.transformer.config
    latents = torch.randn(1, config.in_channels, config.input_size, config.input_size)
    first, second = (pipeline("a man", seed=1, latents=latents, output_type="np").images for _ in range(2))
    assert np.array_equal(first, second), "the same latents draw other images"
    # More rows than one, with captions of two lengths, as a batch has them.
    with torch.no_grad():
        text = pipeline.encode_prompts(["a man", "a woman with long red hair"])
    rows = dict(zip(("tokens", "padding_mask", "pooled"), (value.numpy() for value in text)))
    x = torch.cat([latents, -latents])
    at = dict(x_t=x.numpy(), t=np.float32([0.25, 0.5]), log2_steps=np.float32([2, 7]))
    batch = networks.run("transformer", **at, **rows, guidance_scale=np.ones(2, np.float32))["velocity"]
    with torch.no_grad():
        expected = pipeline.transformer(x, torch.tensor([0.25, 0.5]), torch.tensor([2.0, 7.0]), *text).numpy()
    print(f"a batch in onnxruntime: {np.abs(batch - expected).max():.1e}")
    assert np.abs(batch - expected).max() < 1e-3
    shutil.rmtree(place)


def other_models(place):
    """Small models with random weights: of the shipped one's parts, each has some of another kind."""
    torch.manual_seed(0)
    source = ROOT / "crates/stride-cli/src/commands/export/diffusers"
    networks = module(source / "stride_transformer.py"), module(source / "stride_text_encoder.py")

    def save(folder, part, config, state, name="diffusion_pytorch_model"):
        (folder / part / "config.json").write_text(json.dumps(config))
        save_file({key: value.contiguous() for key, value in state.items()}, folder / part / f"{name}.safetensors")

    def model(name, index, transformer):
        folder = place / name
        shutil.copytree(ROOT / "models/avatars", folder)
        shutil.rmtree(folder / "completion")
        found = json.loads((folder / "model_index.json").read_text())
        del found["completion"]
        (folder / "model_index.json").write_text(json.dumps(found | index))
        config = json.loads((folder / "transformer/config.json").read_text()) | transformer
        config |= {"hidden_size": 64, "depth": 2, "num_heads": 2}
        save(folder, "transformer", config, networks[0].Dit(**config).state_dict())
        return folder

    rotary = {"rope": True, "qk_norm": False, "mlp": "swiglu", "norm": "layer_norm", "text_conditioning": "tokens"}
    scale_input = {"guidance": {"scale_input": {"max_scale": 3.0}}}
    first = model("rotary", scale_input, rotary | {"guidance_input": True})

    pooled = {"text_conditioning": "pooled", "context_dim": 32, "input_size": 8, "patch_size": 2}
    index = {"resolution": 16, "sampler": {"kind": "consistency"}, "guidance": "never", "text_encoder": ["stride", "ClipTextModel"]}
    second = model("clip", index, pooled)
    text = {
        "vocab_size": 49408, "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2,
        "max_position_embeddings": 77, "hidden_act": "quick_gelu", "layer_norm_eps": 1e-5, "eos_token_id": 49407,
    }  # fmt: skip
    state = networks[1].StrideTextEncoder(**text).state_dict()
    state = {f"text_model.{name}": value for name, value in state.items()}
    save(second, "text_encoder", text | {"architectures": ["CLIPTextModel"]}, state, "model")
    (second / "tokenizer/vocabulary.json").write_text('{"kind": "full"}')
    kl = {"block_out_channels": [16, 32], "norm_num_groups": 8, "layers_per_block": 1, "scaling_factor": 0.5, "shift_factor": 0.1}
    kinds = {"down_block_types": ["DownEncoderBlock2D"] * 2, "up_block_types": ["UpDecoderBlock2D"] * 2}
    state = AutoencoderKL(**kl, **kinds).state_dict()
    save(second, "vae", {"_class_name": "AutoencoderKL", **kl, **kinds}, state)
    return [first, second]


if __name__ == "__main__":
    models = [[model] for model in sys.argv[2:]]
    if not models:
        models = [[], *([model] for model in other_models(Path(tempfile.mkdtemp())))]
    for model in models:
        check(Path(sys.argv[1]).resolve(), model)
    print("all as it should be")
