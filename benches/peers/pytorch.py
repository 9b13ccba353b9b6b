"""Measures in PyTorch what `stride bench` measures, under the same row names.

bf16 means bf16 weights and activations for generating, and autocast over f32 weights for training,
since weights are trained in f32. tf32 means f32 whose products NVIDIA's matrix units round to 10 bits.
`--compile` puts every network through torch.compile.
"""

import argparse
import copy
import json
import platform
import resource
import statistics
import sys
import time

import diffusers
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

import networks
from networks import LATENT_CHANNELS, LATENT_SIDE, PRESETS, SCALING_FACTOR

GROUPS = ["text", "denoise", "decode", "e2e", "train"]
TRAIN_BATCH, NUM_BOOTSTRAP, CLIP, TEACHER_DECAY = 8, 2, 4.0, 0.999
TRAIN_ROWS = [f"train_b{TRAIN_BATCH}{phase}" for phase in ["", "_targets", "_forward", "_backward", "_optimizer"]]


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--preset", choices=PRESETS, default="dit-s2")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--dtype", choices=["f32", "tf32", "bf16"], default="f32")
    parser.add_argument("--compile", action="store_true", help="use torch.compile")
    parser.add_argument("--only", default=",".join(GROUPS), help="groups, separated by commas")
    parser.add_argument("--reps", type=int, default=10, help="repetitions after one to warm up")
    parser.add_argument("--seconds", type=float, default=20, help="no repetition begins after this time")
    parser.add_argument("--threads", type=int, help="threads of one operation [default: PyTorch's choice]")
    parser.add_argument("--caption-length", type=int, default=16, help="tokens with start and end")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of lines")
    parser.add_argument("--count-flops", action="store_true", help="only let PyTorch count the arithmetic")
    arguments = parser.parse_args()
    arguments.only = arguments.only.split(",")
    if arguments.dtype == "tf32" and arguments.device == "cpu":
        parser.error("--dtype tf32: expected --device cuda, since only NVIDIA's GPUs have it")
    for group in arguments.only:
        if group not in GROUPS:
            parser.error(f"--only {group}: expected some of {', '.join(GROUPS)}")
    return arguments


class Recorder:
    """Runs things as `stride bench` does, and keeps the rows."""

    def __init__(self, arguments):
        self.reps, self.time, self.compiles = arguments.reps, arguments.seconds, arguments.compile
        self.is_gpu = arguments.device == "cuda"
        self.rows = []

    def row(self, name, work):
        def timed():
            start = time.perf_counter()
            work()
            finish(self.is_gpu)
            return [time.perf_counter() - start]

        self.rows_at_once([name], timed)

    def rows_at_once(self, names, work):
        print(f"measuring {names[0]}", file=sys.stderr)
        if self.compiles:
            # Compiling is no part of the warm-up that may count as a measurement.
            work()
        start = time.perf_counter()
        elapsed = lambda: time.perf_counter() - start
        samples = [work()]
        if elapsed() < self.time:
            samples = [work()]
            while len(samples) < self.reps and elapsed() < self.time:
                samples.append(work())
        memory = peak_memory_mib(self.is_gpu)
        for name, times in zip(names, zip(*samples)):
            self.rows.append({
                "name": name, "reps": len(times), "min_s": min(times), "median_s": statistics.median(times),
                "peak_memory_mib": memory,
            })  # fmt: skip


def finish(is_gpu):
    """Waits until the GPU has done what it was asked."""
    if is_gpu:
        torch.cuda.synchronize()


def peak_memory_mib(is_gpu):
    """The most memory of the GPU, or of the process."""
    if is_gpu:
        return torch.cuda.max_memory_allocated() / (1 << 20)
    # Linux counts in KiB, macOS in bytes.
    unit = 1 << 20 if platform.system() == "Darwin" else 1 << 10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


class Generation:
    """The networks of a preset for generating."""

    def __init__(self, arguments):
        self.dtype = torch.bfloat16 if arguments.dtype == "bf16" else torch.float32
        self.compile = arguments.compile
        self.shape, self.caption_length = PRESETS[arguments.preset], arguments.caption_length
        self.ids = networks.token_ids(self.shape, 1, self.caption_length)

    def ready(self, network):
        network = network.to(self.dtype).eval()
        return torch.compile(network) if self.compile else network

    def text(self):
        return self.ready(networks.text_encoder(self.shape))

    def dit(self):
        return self.ready(networks.Dit(self.shape))

    def decoder(self, autoencoder, scaling_factor):
        # Channels last is the layout in which PyTorch convolves fastest.
        autoencoder = autoencoder.to(self.dtype).eval().to(memory_format=torch.channels_last)
        if self.compile:
            autoencoder.decoder = torch.compile(autoencoder.decoder)
        return lambda latents: autoencoder.decode(latents / scaling_factor, return_dict=False)[0]

    def decoders(self):
        """The decoder of the preset, and under other names those for the same latents."""
        if self.shape.is_avatars:
            return {"decode": self.decoder(networks.AvatarAutoencoder(), 1.0)}
        return {
            "decode": self.decoder(networks.autoencoder(), SCALING_FACTOR),
            "decode_taesd": self.decoder(networks.tiny_autoencoder(), 1.0),
        }

    def random(self, *shape):
        return torch.randn(*shape, dtype=self.dtype)

    def latents(self, batch):
        return self.random(batch, LATENT_CHANNELS, LATENT_SIDE, LATENT_SIDE)

    def step(self, dit, batch):
        """One Euler step of the second of four."""
        x, width = self.latents(batch), self.shape.text_width
        text = self.random(batch, self.caption_length, width), self.random(batch, width)
        t, log2_steps = torch.full((batch,), 0.25), torch.full((batch,), 2.0)
        return lambda: x + dit(x, t, log2_steps, *text) * 0.25

    def image(self, text, dit, decoder, num_steps):
        """Tokens to 8-bit pixels."""
        context, x = networks.context(text, self.ids), self.latents(1)
        log2_steps = torch.full((1,), float(num_steps.bit_length() - 1))
        for i in range(num_steps):
            x = x + dit(x, torch.full((1,), i / num_steps), log2_steps, *context) / num_steps
        pixels = ((decoder(x) + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)
        return pixels.permute(0, 2, 3, 1).contiguous().cpu().numpy()


class Training:
    """One shortcut step on one batch in memory; a quarter of the rows is self-consistency."""

    def __init__(self, arguments):
        shape = PRESETS[arguments.preset]
        model = networks.TextToLatent(shape).train()
        teacher = copy.deepcopy(model).eval().requires_grad_(False)
        self.parameters, self.averages = list(model.parameters()), list(teacher.parameters())
        self.optimizer = torch.optim.AdamW(self.parameters, lr=1e-3, betas=(0.9, 0.95), weight_decay=0.0, fused=True)
        compile_it = torch.compile if arguments.compile else lambda network: network
        self.model, self.teacher = compile_it(model), compile_it(teacher.dit)
        self.teacher_text = compile_it(teacher.text_encoder)
        is_bf16, self.is_gpu = arguments.dtype == "bf16", arguments.device == "cuda"
        self.autocast = lambda: torch.autocast(arguments.device, torch.bfloat16, enabled=is_bf16)
        self.ids = networks.token_ids(shape, TRAIN_BATCH, arguments.caption_length)
        shape = (TRAIN_BATCH, LATENT_CHANNELS, LATENT_SIDE, LATENT_SIDE)
        self.x_0, self.x_1 = torch.randn(shape), torch.randn(shape)
        # Self-consistency rows at d = 1/4 and d = 1, flow-matching rows at d = 1/128.
        self.log2_steps = torch.tensor([2.0, 0.0] + [7.0] * (TRAIN_BATCH - NUM_BOOTSTRAP))
        self.t = torch.tensor([0.5, 0.0] + [i / 8 for i in range(TRAIN_BATCH - NUM_BOOTSTRAP)])

    @torch.no_grad()
    def targets(self):
        t = self.t[:, None, None, None]
        x_t = (1 - (1 - 1e-5) * t) * self.x_0 + t * self.x_1
        v_target = self.x_1 - (1 - 1e-5) * self.x_0
        n = NUM_BOOTSTRAP
        half = 0.5 ** (self.log2_steps[:n] + 1)
        text = networks.context(self.teacher_text, self.ids[:n])
        v_1 = self.teacher(x_t[:n], self.t[:n], self.log2_steps[:n] + 1, *text)
        x_next = (x_t[:n] + half[:, None, None, None] * v_1).clamp(-CLIP, CLIP)
        v_2 = self.teacher(x_next, self.t[:n] + half, self.log2_steps[:n] + 1, *text)
        v_target[:n] = ((v_1 + v_2) / 2).clamp(-CLIP, CLIP)
        return x_t, v_target

    def step(self):
        def now():
            finish(self.is_gpu)
            return time.perf_counter()

        times = [now()]
        with self.autocast():
            x_t, v_target = self.targets()
            times.append(now())
            prediction = self.model(x_t, self.t, self.log2_steps, self.ids)
            loss = (prediction.float() - v_target).square().mean()
        times.append(now())
        loss.backward()
        times.append(now())
        torch.nn.utils.clip_grad_norm_(self.parameters, 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        with torch.no_grad():
            torch._foreach_lerp_(self.averages, self.parameters, 1 - TEACHER_DECAY)
        times.append(now())
        return [times[-1] - times[0]] + [after - before for before, after in zip(times, times[1:])]


def measure(arguments, recorder):
    wanted = lambda group: group in arguments.only
    parts = Generation(arguments)
    with torch.inference_mode():
        if wanted("text"):
            text = parts.text()
            recorder.row("text", lambda: text(parts.ids).pooler_output)
        if wanted("denoise"):
            dit = parts.dit()
            for batch in [1, 4, 16]:
                recorder.row(f"denoise_b{batch}", parts.step(dit, batch))
        if wanted("decode"):
            for name, decoder in parts.decoders().items():
                latents = parts.latents(1)
                recorder.row(name, lambda: decoder(latents))
        if wanted("e2e"):
            text, dit, decoder = parts.text(), parts.dit(), parts.decoders()["decode"]
            for num_steps in [1, 4, 128]:
                recorder.row(f"e2e_{num_steps}", lambda: parts.image(text, dit, decoder, num_steps))
    if wanted("train"):
        recorder.rows_at_once(TRAIN_ROWS, Training(arguments).step)


def count_flops(arguments):
    """What PyTorch counts for the parts, in GFLOP; the tests of stride's counts hold these."""

    def count(work):
        # The parts of attention are counted only where it is not fused.
        with torch.inference_mode(), sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
            work()
        return counter.get_total_flops() / 1e9

    parts = Generation(arguments)
    text, latents = parts.text(), parts.latents(1)
    decoders = {name: count(lambda: decoder(latents)) for name, decoder in parts.decoders().items()}
    return {
        "text": count(lambda: text(parts.ids)),
        arguments.preset: count(parts.step(parts.dit(), 1)),
        **decoders,
    }


def main():
    arguments = parse_arguments()
    diffusers.logging.set_verbosity_error()
    torch.manual_seed(0)
    torch.set_default_device(arguments.device)
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = arguments.dtype == "tf32"
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    if arguments.count_flops:
        print(json.dumps(count_flops(arguments)))
        return
    recorder = Recorder(arguments)
    measure(arguments, recorder)
    report = {
        "version": f"torch {torch.__version__}", "model": arguments.preset, "dtype": arguments.dtype,
        "device": torch.cuda.get_device_name() if arguments.device == "cuda" else "cpu",
        "compiled": arguments.compile, "threads": torch.get_num_threads(),
        "caption_length": arguments.caption_length, "rows": recorder.rows,
    }  # fmt: skip
    if arguments.json:
        print(json.dumps(report))
        return
    print(f"{report['model']}, {report['version']}, {report['dtype']}, {report['threads']} threads\n")
    print("| row | reps | min s | median s |\n|---|---:|---:|---:|")
    for row in recorder.rows:
        print(f"| {row['name']} | {row['reps']} | {row['min_s']:.4f} | {row['median_s']:.4f} |")


if __name__ == "__main__":
    main()
