"""A model of Stride in diffusers.

    from diffusers import DiffusionPipeline
    pipeline = DiffusionPipeline.from_pretrained("FOLDER", trust_remote_code=True)
    image = pipeline("a man with glasses", num_inference_steps=4, seed=42).images[0]

The same prompt, steps, guidance scale and seed draw what `stride generate` draws, but for rounding. With `generator` or
`latents` in place of `seed`, the noise is PyTorch's or your own. A model with a completion chooses by the seed what a prompt
leaves open; `as_typed=True` draws the prompt itself, and without a seed, or with a negative prompt, it is always drawn so.
Brackets and weights of words, as in (glasses:1.3), have no effect and are left out.
"""

import torch
from diffusers import DiffusionPipeline, ImagePipelineOutput
from diffusers.image_processor import VaeImageProcessor

from .stride_sampling import (
    COMPLETION, advance, check_guidance, guidance_at, network_times, rows_of, step_plan, stride_noise, uniforms,
    without_emphasis,
)  # fmt: skip


class StridePipeline(DiffusionPipeline):
    model_cpu_offload_seq = "text_encoder->transformer->vae"
    _optional_components = ["completion"]

    def __init__(
        self, transformer, text_encoder, tokenizer, vae, completion=None, token_rows=None, resolution=256, default_steps=4,
        default_cfg_scale=1.0, guidance="any_level", sampler=None,
    ):  # fmt: skip
        super().__init__()
        self.register_modules(
            transformer=transformer, text_encoder=text_encoder, tokenizer=tokenizer, vae=vae, completion=completion
        )
        self.register_to_config(
            token_rows=token_rows, resolution=resolution, default_steps=default_steps,
            default_cfg_scale=default_cfg_scale, guidance=guidance, sampler=sampler,
        )  # fmt: skip

    @torch.no_grad()
    def __call__(
        self, prompt, negative_prompt=None, num_inference_steps=None, guidance_scale=None, num_images_per_prompt=1,
        seed=None, generator=None, latents=None, output_type="pil", return_dict=True, callback_on_step_end=None,
        as_typed=False,
    ):  # fmt: skip
        """Draws images. Image k of a call with `seed` is that of seed + k."""
        prompts = [prompt] if isinstance(prompt, str) else list(prompt)
        prompts = [text for text in prompts for _ in range(num_images_per_prompt)]
        steps = step_plan(num_inference_steps or self.config.default_steps)
        scale = self.config.default_cfg_scale if guidance_scale is None else guidance_scale
        sampler, guidance = self.config.sampler, self.config.guidance
        times = network_times(sampler, steps)
        is_guided = check_guidance(guidance, times, scale, negative_prompt)
        if not (as_typed or seed is None or negative_prompt is not None):
            prompts = [self.completed(prompt, seed + image) for image, prompt in enumerate(prompts)]
        text = self.encode_prompts(prompts)
        negative = self.encode_prompts([negative_prompt or ""] * len(prompts)) if is_guided else None
        shape = (self.transformer.config.in_channels, *[self.transformer.config.input_size] * 2)
        fresh = self.noise(len(prompts), shape, seed, generator)
        x = fresh(0) if latents is None else latents.to(self.device, self.dtype)
        for index, (t, level) in enumerate(self.progress_bar(times)):
            velocity = self.velocity(x, t, level, text, negative, scale)
            x = advance(sampler, x, velocity, steps, times, index, fresh)
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
        if guidance_at(self.config.guidance, level) == "input":
            return network(text, rows(scale))
        v_text, v_negative = network(text), network(negative)
        return v_negative + (v_text - v_negative) * scale

    @torch.no_grad()
    def completed(self, prompt, seed):
        """The prompt with what the seed chooses for all that it leaves open, as a model with a completion draws it."""
        if self.completion is None:
            return prompt
        config = self.completion.config
        most = config.text_encoder_config["max_position_embeddings"]
        rows = self.rows_of(prompt, config.token_rows, most)
        uniform = uniforms(seed, COMPLETION, 0, 1 + len(config.attributes)).tolist()
        token_ids = torch.tensor([rows], device=self.device)
        return self.completion.complete(without_emphasis(prompt), token_ids, iter(uniform).__next__)

    def encode_prompts(self, prompts):
        """Tokens, their padding mask and pooled vectors of prompts."""
        most = self.text_encoder.config.max_position_embeddings
        rows = [self.rows_of(prompt, self.config.token_rows, most) for prompt in prompts]
        end, longest = rows[0][-1], max(map(len, rows))
        rows = [row + [end] * (longest - len(row)) for row in rows]
        return self.text_encoder(torch.tensor(rows, device=self.device))

    def rows_of(self, prompt, token_rows, most):
        """The rows of an embedding table, at most so many."""
        prompt = without_emphasis(prompt).replace("\0", " ")
        encoding = self.tokenizer(prompt, return_offsets_mapping=True, add_special_tokens=False)
        return rows_of(prompt, (encoding["input_ids"], encoding.word_ids(), encoding["offset_mapping"]), token_rows, most)

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
            of = lambda image, step: torch.from_numpy(stride_noise(seed + image, step, shape))
            draw = lambda step: torch.stack([of(image, step) for image in range(count)])
        return lambda step: draw(step).to(self.device, self.dtype)
