"""A model of Stride in diffusers.

    from diffusers import DiffusionPipeline
    pipeline = DiffusionPipeline.from_pretrained("FOLDER", trust_remote_code=True)
    image = pipeline("a man with glasses", num_inference_steps=4, seed=42).images[0]

The same prompt, steps, guidance scale and seed draw what `stride generate` draws, but for rounding. With `generator` or
`latents` in place of `seed`, the noise is PyTorch's or your own. Weights of words, as in (glasses:1.3), are no more than
text here; `stride generate` leaves them out. Nor are prompts completed here: `stride generate` prints what it draws instead of a
short prompt, and draws the prompt itself with --as-typed.
"""

import torch
from diffusers import DiffusionPipeline, ImagePipelineOutput
from diffusers.image_processor import VaeImageProcessor

BASE_LEVEL = 7


class StridePipeline(DiffusionPipeline):
    model_cpu_offload_seq = "text_encoder->transformer->vae"

    def __init__(
        self, transformer, text_encoder, tokenizer, vae, token_rows=None, resolution=256, default_steps=4,
        default_cfg_scale=1.0, guidance="any_level", sampler=None,
    ):  # fmt: skip
        super().__init__()
        self.register_modules(transformer=transformer, text_encoder=text_encoder, tokenizer=tokenizer, vae=vae)
        self.register_to_config(
            token_rows=token_rows, resolution=resolution, default_steps=default_steps,
            default_cfg_scale=default_cfg_scale, guidance=guidance, sampler=sampler,
        )  # fmt: skip

    @torch.no_grad()
    def __call__(
        self, prompt, negative_prompt=None, num_inference_steps=None, guidance_scale=None, num_images_per_prompt=1,
        seed=None, generator=None, latents=None, output_type="pil", return_dict=True, callback_on_step_end=None,
    ):  # fmt: skip
        """Draws images. Image k of a call with `seed` is that of seed + k."""
        prompts = [prompt] if isinstance(prompt, str) else list(prompt)
        prompts = [text for text in prompts for _ in range(num_images_per_prompt)]
        steps = step_plan(num_inference_steps or self.config.default_steps)
        scale = self.config.default_cfg_scale if guidance_scale is None else guidance_scale
        times = self.times(steps)
        is_guided = self.check_guidance(times, scale, negative_prompt)
        text = self.encode_prompts(prompts)
        negative = self.encode_prompts([negative_prompt or ""] * len(prompts)) if is_guided else None
        shape = (self.transformer.config.in_channels, *[self.transformer.config.input_size] * 2)
        fresh = self.noise(len(prompts), shape, seed, generator)
        x = fresh(0) if latents is None else latents.to(self.device, self.dtype)
        for index, (step, (t, level)) in enumerate(zip(self.progress_bar(steps), times)):
            velocity = self.velocity(x, t, level, text, negative, scale)
            if (self.config.sampler or {}).get("kind") == "consistency":
                x = x + velocity * (1 - t)
                if index + 1 < len(times):
                    after = times[index + 1][0]
                    x = fresh(index + 1) * (1 - after) + x * after
            else:
                x = x + velocity * 2.0 ** -step[1]
            if callback_on_step_end is not None:
                callback_on_step_end(self, index, t, {"latents": x})
        images = self.decode(x)
        if output_type == "latent":
            images = x
        elif output_type != "pt":
            # As Stride rounds: halves upwards.
            images = ((images.float() + 1) * 127.5 + 0.5).clamp(0, 255).floor().permute(0, 2, 3, 1).cpu().numpy()
            images = images / 255
            if output_type == "pil":
                images = VaeImageProcessor.numpy_to_pil(images)
        return ImagePipelineOutput(images=images) if return_dict else (images,)

    def velocity(self, x, t, level, text, negative, scale):
        """s(x, t, d) of the prompts, guided where `negative` says so."""
        rows = lambda value: torch.full((len(x),), value, device=x.device, dtype=x.dtype)
        network = lambda text, scale=None: self.transformer(x, rows(t), rows(level), *text, guidance_scale=scale)
        if negative is None:
            return network(text)
        if self.guidance_at(level) == "input":
            return network(text, rows(scale))
        v_text, v_negative = network(text), network(negative)
        return v_negative + (v_text - v_negative) * scale

    def guidance_at(self, level):
        """How a step can be guided: by two passes, by an input of the network, or not at all."""
        guidance = self.config.guidance
        if isinstance(guidance, dict):
            is_two_passes = level >= BASE_LEVEL and not guidance["scale_input"].get("at_base_level", False)
            return "two passes" if is_two_passes else "input"
        is_known = guidance == "any_level" or (guidance == "base_level" and level >= BASE_LEVEL)
        return "two passes" if is_known else None

    def check_guidance(self, times, scale, negative_prompt):
        if scale == 1 and negative_prompt is None:
            return False
        ways = {self.guidance_at(level) for _, level in times}
        if None in ways:
            raise ValueError(f"this model cannot be guided in {len(times)} steps; use guidance_scale=1")
        if "input" in ways:
            most = self.config.guidance["scale_input"]["max_scale"]
            if negative_prompt is not None:
                raise ValueError("the guidance scale is an input of this model, so it takes no negative prompt")
            if not 1 <= scale <= most:
                raise ValueError(f"this model takes guidance scales from 1 to {most}, found {scale}")
        return scale != 1

    def times(self, steps):
        """What the network is asked for at each step: time and level."""
        sampler = self.config.sampler or {"kind": "euler"}
        if sampler["kind"] == "consistency":
            times = [index / len(steps) for index in range(len(steps))]
            return [(t, min(-torch.log2(torch.tensor(1 - t)).item(), BASE_LEVEL)) for t in times]
        is_base = sampler.get("base_level_only", False)
        return [(t, float(BASE_LEVEL if is_base else level)) for t, level in steps]

    def encode_prompts(self, prompts):
        """Tokens, their padding mask and pooled vectors of prompts."""
        rows = [self.rows_of(prompt) for prompt in prompts]
        end, longest = rows[0][-1], max(map(len, rows))
        rows = [row + [end] * (longest - len(row)) for row in rows]
        return self.text_encoder(torch.tensor(rows, device=self.device))

    def rows_of(self, prompt):
        """The rows of the embedding table. Of a compact vocabulary, words that it lacks have row 2, and punctuation that
        it lacks is left out."""
        encoding = self.tokenizer(prompt.replace("\0", " "), return_offsets_mapping=True, add_special_tokens=False)
        most = self.text_encoder.config.max_position_embeddings - 2
        ids = encoding["input_ids"][:most]
        start, end = self.tokenizer.bos_token_id, self.tokenizer.eos_token_id
        if self.config.token_rows is None:
            return [start, *ids, end]
        row_of = {token: row for row, token in enumerate(self.config.token_rows) if token is not None}
        words, offsets = encoding.word_ids(), encoding["offset_mapping"]
        rows = []
        for word in dict.fromkeys(words[:most]):
            places = [place for place in range(len(ids)) if words[place] == word]
            own = [row_of.get(ids[place], 2) for place in places]
            text = prompt[offsets[places[0]][0] : offsets[places[-1]][1]]
            if 2 not in own or any(letter.isalnum() for letter in text):
                rows += own
        return [0, *rows, 1]

    def decode(self, latents):
        if hasattr(self.vae.config, "block_out_channels"):  # AutoencoderKL
            shift = self.vae.config.shift_factor or 0.0
            return self.vae.decode(latents / self.vae.config.scaling_factor + shift).sample
        return self.vae.decode(latents)

    def noise(self, count, shape, seed, generator):
        """A function that draws noise for the start, 0, and for a step, from 1."""
        if seed is None:
            draw = lambda _: torch.randn((count, *shape), generator=generator, dtype=torch.float32)
        else:
            draw = lambda step: torch.stack([stride_noise(seed + image, step, shape) for image in range(count)])
        return lambda step: draw(step).to(self.device, self.dtype)


def step_plan(count):
    """Times and levels of the steps: powers of two are uniform; of others, evenly spaced parts are halved."""
    if not 1 <= count <= 128:
        raise ValueError(f"num_inference_steps must be from 1 to 128, found {count}")
    level = count.bit_length() - 1
    parts = 1 << level
    halved, steps = count - parts, []
    for part in range(parts):
        t = part / parts
        if (part + 1) * halved // parts > part * halved // parts:
            steps += [(t, level + 1), (t + 0.5 / parts, level + 1)]
        else:
            steps.append((t, level))
    return steps


def stride_noise(seed, step, shape):
    """Stride's noise: ChaCha with 8 rounds, keyed by seed and step, and Box-Muller in 64 bits."""
    import numpy as np

    count = int(np.prod(shape))
    pairs = (count + 1) // 2
    blocks = (pairs * 4 + 15) // 16
    key = np.array([seed, 0, step, 0], dtype="<u8").view("<u4")
    start = np.zeros((16, blocks), dtype=np.uint32)
    start[:4] = np.frombuffer(b"expand 32-byte k", dtype="<u4")[:, None]
    start[4:12] = key[:, None]
    start[12] = np.arange(blocks)
    x = start.copy()

    def quarter(a, b, c, d):
        for first, second, third, turn in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
            x[first] += x[second]
            x[third] ^= x[first]
            x[third] = (x[third] << np.uint32(turn)) | (x[third] >> np.uint32(32 - turn))

    for _ in range(4):
        for column in range(4):
            quarter(column, column + 4, column + 8, column + 12)
        for column in range(4):
            quarter(column, (column + 1) % 4 + 4, (column + 2) % 4 + 8, (column + 3) % 4 + 12)
    words = (x + start).T.reshape(-1).astype("<u4").view("<u8")[: 2 * pairs]
    uniform = (words >> np.uint64(11)).astype(np.float64) * 2.0**-53
    radius, angle = np.sqrt(-2 * np.log(1 - uniform[0::2])), 2 * np.pi * uniform[1::2]
    values = np.stack([radius * np.cos(angle), radius * np.sin(angle)], 1).reshape(-1)[:count]
    return torch.from_numpy(values.astype(np.float32).reshape(shape))
