"""Draws with the networks of this folder in onnxruntime, as `stride generate --as-typed` does.

    pip install numpy onnxruntime pillow tokenizers
    python FOLDER/generate.py "a man with glasses" --steps 4 --seed 42 -o man.png

model.json says what the model is; stride_sampling.py has the steps, the noise and the rows of prompts. The text encoder makes
of `token_ids` [B, L] `tokens`, `padding_mask` and `pooled`; the transformer of these and of `x_t`, `t` and `log2_steps` a
`velocity`; the decoder of `latents` `pixels` in [-1, 1].
"""

import argparse
import json
from pathlib import Path

import numpy as np
import onnxruntime
import stride_sampling as sampling
from PIL import Image
from tokenizers import Tokenizer


class Model:
    def __init__(self, folder):
        folder = Path(folder)
        self.about = json.loads((folder / "model.json").read_text())
        self.tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self.networks = {
            name: onnxruntime.InferenceSession(str(folder / f"{name}.onnx"), providers=["CPUExecutionProvider"])
            for name in ("text_encoder", "transformer", "decoder")
        }

    def run(self, name, **inputs):
        """The outputs of a network by name; inputs that it does not have are left out."""
        network = self.networks[name]
        taken = {place.name for place in network.get_inputs()}
        outputs = network.run(None, {name: value for name, value in inputs.items() if name in taken})
        return {place.name: value for place, value in zip(network.get_outputs(), outputs)}

    def encode(self, prompt):
        """What the transformer is told of a prompt."""
        prompt = sampling.without_emphasis(prompt).replace("\0", " ")
        tokens = self.tokenizer.encode(prompt, add_special_tokens=False)
        encoding = (tokens.ids, tokens.word_ids, tokens.offsets)
        rows = sampling.rows_of(prompt, encoding, self.about["token_rows"], self.about["max_tokens"])
        return self.run("text_encoder", token_ids=np.array([rows], dtype=np.int64))

    def generate(self, prompt, steps=None, seed=0, cfg_scale=None, negative_prompt=None):
        """The image of a seed, [H, W, 3] bytes."""
        about = self.about
        steps = sampling.step_plan(steps or about["default_steps"])
        scale = about["default_cfg_scale"] if cfg_scale is None else cfg_scale
        times = sampling.network_times(about["sampler"], steps)
        is_guided = sampling.check_guidance(about["guidance"], times, scale, negative_prompt)
        text, negative = self.encode(prompt), self.encode(negative_prompt or "") if is_guided else None
        noise = lambda step: sampling.stride_noise(seed, step, about["latent_shape"])[None]
        x = noise(0)
        for index, (t, level) in enumerate(times):
            at = {"x_t": x, "t": np.float32([t]), "log2_steps": np.float32([level])}
            network = lambda text, scale: self.run("transformer", **at, **text, guidance_scale=np.float32([scale]))["velocity"]
            if not is_guided:
                velocity = network(text, 1)
            elif sampling.guidance_at(about["guidance"], level) == "input":
                velocity = network(text, scale)
            else:
                velocity, away = network(text, 1), network(negative, 1)
                velocity = away + (velocity - away) * np.float32(scale)
            x = sampling.advance(about["sampler"], x, velocity, steps, times, index, noise).astype(np.float32)
        pixels = self.run("decoder", latents=x)["pixels"][0].transpose(1, 2, 0)
        return np.floor(np.clip((pixels + 1) * 127.5 + 0.5, 0, 255)).astype(np.uint8)


def main():
    parser = argparse.ArgumentParser(description="Draw with the networks of this folder")
    parser.add_argument("prompt")
    parser.add_argument("--steps", type=int)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--cfg-scale", type=float)
    parser.add_argument("--negative-prompt")
    parser.add_argument("-o", "--output", default="image.png")
    options = vars(parser.parse_args())
    output = options.pop("output")
    Image.fromarray(Model(Path(__file__).parent).generate(**options)).save(output)


if __name__ == "__main__":
    main()
