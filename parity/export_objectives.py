"""Writes the parity fixture of the objectives and of the diffusion samplers.

Objectives: targets, losses and gradients of a small network, from formulas written a second time
in PyTorch; mean flow's derivative is an exact Jacobian-vector product. Samplers: trajectories of
diffusers' DDIMScheduler and DDPMScheduler.
"""

import math
from pathlib import Path

import diffusers
import torch
from safetensors.torch import save_file
from torch.func import jvp

OUT = Path(__file__).parent.parent / "crates/stride/tests/fixtures/objectives.safetensors"
SIGMA = 1e-5
BOOTSTRAP, FLOW, DIFFUSION = 0.0, 1.0, 2.0


def wide(v):
    return v[:, None]


class Net:
    """Two layers over (x, t, k, 1 - 1 / w, whether there is a caption); the third makes the second output."""

    def __init__(self, params):
        self.params = params

    def hidden(self, x, t, k, caption, w=None):
        w = torch.ones_like(t) if w is None else w
        inputs = torch.cat([x, torch.stack([t, k / 7, 1 - 1 / w, caption], 1)], 1)
        return torch.tanh(inputs @ self.params["w1"] + self.params["b1"])

    def __call__(self, *inputs):
        return self.hidden(*inputs) @ self.params["w2"] + self.params["b2"]

    def velocity(self, *inputs):
        return self.hidden(*inputs) @ self.params["w3"] + self.params["b3"]


def level(d):
    return torch.clamp(-torch.log2(d), max=7.0)


def path(c):
    t = wide(c["t"])
    return (1 - (1 - SIGMA) * t) * c["x_0"] + t * c["x_1"], c["x_1"] - (1 - SIGMA) * c["x_0"]


def flow_matching(c, net, teacher):
    x_t, v = path(c)
    return x_t, v, None


def shortcut(c, net, teacher, scale=1.0, scale_is_input=False, offset=None, clip=4.0):
    x_t, v = path(c)
    n = int((c["kind"] == BOOTSTRAP).sum())
    k, t, caption, w = c["k"][:n], c["t"][:n], c["caption"][:n], c["w"][:n]
    h = 2.0 ** -(k + 1)
    base = k + 1 == 7

    def guided(x, t):
        asked = torch.where(base, 1.0, w) if scale_is_input else None
        v_text, v_null = teacher(x, t, k + 1, caption, asked), teacher(x, t, k + 1, 0 * caption, asked)
        s = w if scale_is_input else torch.full_like(w, scale)
        return torch.where(wide(base), v_null + wide(s) * (v_text - v_null), v_text)

    v_1 = guided(x_t[:n], t)
    v_2 = guided((x_t[:n] + wide(h) * v_1).clamp(-clip, clip), t + h)
    target = torch.cat([((v_1 + v_2) / 2).clamp(-clip, clip), v[n:]])
    return x_t, target, None if offset is None else (lambda e: 1 / (e + offset))


def data_anchored(c, net, teacher, guidance=None, power=0):
    x_t, v = path(c)
    n = int((c["kind"] == BOOTSTRAP).sum())
    k, t, caption = c["k"][:n], c["t"][:n], c["caption"][:n]
    d = 2.0**-k
    a = 0.1 * 0.02 ** c["progress"]
    v_t = v[:n]
    if guidance is not None:
        w, mix, fade = guidance
        full = w * v_t + mix * teacher(x_t[:n], t, 0 * k + 7, caption)
        full = full + (1 - w - mix) * teacher(x_t[:n], t, 0 * k + 7, 0 * caption)
        v_t = v_t + wide((t / fade).clamp(max=1) * caption) * (full - v_t)
    rest = teacher(x_t[:n] + wide(a * d) * v_t, t + a * d, level(d - a * d), caption)
    target = torch.cat([a * v_t + (1 - a) * rest, v[n:]])
    # SoFlow: the error over a, divided by its mean square plus 0.01; alpha-Flow: that times a.
    share = torch.where(c["kind"] == BOOTSTRAP, a, 1.0)
    return x_t, target, lambda e: share**power / share**2 / (e / share**2 + 0.01)


def mean_flow(c, net, teacher):
    x_t, v = path(c)
    n = int((c["kind"] == BOOTSTRAP).sum())
    t, d, caption = c["t"][:n], 2.0 ** -c["k"][:n], c["caption"][:n]
    s = lambda x, t, d: teacher(x, t, -torch.log2(d), caption)
    _, derivative = jvp(s, (x_t[:n], t, d), (v[:n], torch.ones_like(t), -torch.ones_like(d)))
    return x_t, torch.cat([v[:n] + wide(d) * derivative, v[n:]]), lambda e: 1 / (e + 1e-3)


def improved_mean_flow(c, teacher):
    """States, what the two outputs should answer, and the weights of their errors."""
    x_t, v = path(c)
    n = int((c["kind"] == BOOTSTRAP).sum())
    m = int((c["k"][:n] < 7).sum())
    t, d, caption, w = c["t"][:n], 2.0 ** -c["k"][:n], c["caption"][:n], c["w"][:n]
    v_w = teacher.velocity(x_t[:n], t, 0 * t + 7, caption, w)
    v_null = teacher.velocity(x_t[:n], t, 0 * t + 7, 0 * caption, 0 * w + 1)
    guided = v[:n] + wide(1 - 1 / w) * (v_w - v_null)
    s = lambda x, t, d: teacher(x, t, -torch.log2(d), caption[:m], w[:m])
    _, derivative = jvp(s, (x_t[:m], t[:m], d[:m]), (v_w[:m], torch.ones_like(t[:m]), -torch.ones_like(d[:m])))
    target = torch.cat([guided[:m] + wide(d[:m]) * derivative, guided[m:], v[n:]])
    return x_t, target, torch.cat([guided, v[n:]]), lambda e: 1 / (e + 1e-3)


def consistency(c, net, teacher):
    x_t, v = path(c)
    n = int((c["kind"] == BOOTSTRAP).sum())
    t, caption = c["t"][:n], c["caption"][:n]
    u = t + 0.125  # progress 0.5: the fourth seventh
    x_u = (1 - (1 - SIGMA) * wide(u)) * c["x_0"][:n] + wide(u) * c["x_1"][:n]
    x_1 = x_u + wide(1 - u) * teacher(x_u, u, level(1 - u), caption)
    return x_t, torch.cat([(x_1 - x_t[:n]) / wide(1 - t), v[n:]]), None


def diffusion(c, net, teacher, schedule, prediction, gamma=None):
    scheduler = diffusers.DDPMScheduler(beta_schedule=schedule, beta_start=1e-4, beta_end=0.02)
    index = torch.round((1 - c["t"]) * 1000).long() - 1
    x_t = scheduler.add_noise(c["x_1"], c["x_0"], index)
    target = c["x_0"] if prediction == "epsilon" else scheduler.get_velocity(c["x_1"], c["x_0"], index)
    if gamma is None:
        return x_t, target, None
    snr = scheduler.alphas_cumprod[index] / (1 - scheduler.alphas_cumprod[index])
    weight = snr.clamp(max=gamma) / (snr if prediction == "epsilon" else snr + 1)
    return x_t, target, lambda e: weight


def rows(kinds, t, k, caption=None, w=None):
    n = len(kinds)
    return dict(
        kind=torch.tensor(kinds), t=torch.tensor(t, dtype=torch.float64), k=torch.tensor(k, dtype=torch.float64),
        caption=torch.ones(n) if caption is None else torch.tensor(caption),
        w=torch.ones(n) if w is None else torch.tensor(w),
    )  # fmt: skip


B, F, D = BOOTSTRAP, FLOW, DIFFUSION
DYADIC = rows([B, B, B, B, F, F], [33 / 64, 0.75, 0.5, 0.0, 100 / 128, 0.3], [6, 2, 1, 0, 7, 7], [1.0, 0, 1, 1, 1, 0])
SCALES = DYADIC | dict(w=torch.tensor([3.0, 2.0, 1.5, 6.0, 1.0, 1.0]))
REAL = rows([B, B, B, B, F, F], [0.0, 0.2, 0.45, 0.05, 0.31, 0.9], [0.0, 0.7, 2.3, 4.4, 7, 7], [1.0, 0, 1, 1, 1, 0])
ENDS = rows([B, B, B, F, F], [0.0, 0.33, 0.8, 0.9, 0.95], [-math.log2(1 - t) for t in [0.0, 0.33, 0.8, 0.9, 0.95]])
INDICES = rows([D] * 5, [1 - (n + 1) / 1000 for n in [999, 700, 400, 30, 0]], [7] * 5)

CASES = {
    "flow_matching": (flow_matching, rows([F] * 4, [0.0, 0.3, 0.5, 127 / 128], [7] * 4), {}),
    "shortcut": (shortcut, DYADIC, dict(clip=1.0)),
    "shortcut_guided": (shortcut, DYADIC, dict(scale=2.5)),
    "shortcut_scale_input": (shortcut, SCALES, dict(scale_is_input=True)),
    "shortcut_adaptive": (shortcut, DYADIC, dict(offset=0.05)),
    "data_anchored": (data_anchored, REAL, {}),
    "data_anchored_guided": (data_anchored, REAL, dict(guidance=(1.8, 0.3, 0.4))),
    "data_anchored_alpha_flow": (data_anchored, REAL, dict(power=1)),
    "mean_flow": (mean_flow, REAL, {}),
    "consistency": (consistency, ENDS, {}),
    "diffusion_epsilon": (diffusion, INDICES, dict(schedule="linear", prediction="epsilon")),
    "diffusion_v": (diffusion, INDICES, dict(schedule="squaredcos_cap_v2", prediction="v_prediction")),
    "diffusion_epsilon_min_snr": (diffusion, INDICES, dict(schedule="linear", prediction="epsilon", gamma=5.0)),
    "diffusion_v_min_snr": (diffusion, INDICES, dict(schedule="linear", prediction="v_prediction", gamma=5.0)),
}


def export_objectives(tensors):
    shapes = dict(w1=(6, 8), b1=(8,), w2=(8, 2), b2=(2,))
    params = {name: torch.randn(shape) * 0.6 for name, shape in shapes.items()}
    tensors |= {f"net.{name}": value for name, value in params.items()}
    for name, (objective, plan, options) in CASES.items():
        c = {key: value.double() for key, value in plan.items()} | dict(progress=0.5)
        n = len(c["t"])
        c["x_0"], c["x_1"] = torch.randn(n, 2).double(), torch.randn(n, 2).double()
        student = {key: value.double().requires_grad_() for key, value in params.items()}
        # An average of other weights, or the student itself.
        factor = 0.9 if name.startswith(("shortcut", "consistency")) else 1.0
        teacher = Net({key: value.double() * factor for key, value in params.items()})
        with torch.no_grad():
            x_t, target, weight = objective(c, Net(student), teacher, **options)
        w = c["w"] if options.get("scale_is_input") else None
        errors = ((Net(student)(x_t, c["t"], c["k"], c["caption"], w) - target) ** 2).mean(1)
        loss = (errors * (1.0 if weight is None else weight(errors.detach()))).mean()
        loss.backward()
        columns = {key: c[key] for key in ["kind", "t", "k", "caption", "w", "x_0", "x_1"]}
        columns |= dict(x_t=x_t, target=target, errors=errors, loss=loss.reshape(1))
        columns |= {f"grad.{key}": value.grad for key, value in student.items()}
        tensors |= {f"{name}.{key}": value for key, value in columns.items()}


KINDS = [B, B, B, B, B, B, F, F]
TIMES = [0.2, 0.45, 0.0, 0.3, 0.05, 0.6, 0.31, 0.9]
LEVELS = [0.7, 2.3, 0.0, 1.2, 4.4, 7, 7, 7]
CAPTIONS = [0.0, 1, 1, 1, 1, 1, 1, 0]
# Rows without scale stand first; the sixth is one of flow matching that is guided.
WITH_TWO_OUTPUTS = {
    "improved_mean_flow": rows(KINDS[:5] + KINDS[6:], TIMES[:5] + TIMES[6:], LEVELS[:5] + LEVELS[6:], CAPTIONS[:5] + CAPTIONS[6:]),
    "improved_mean_flow_guided": rows(KINDS, TIMES, LEVELS, CAPTIONS, [1.0, 1, 2.5, 4, 1.5, 3, 1, 1]),
}


def export_two_outputs(tensors):
    params = {key: tensors[f"net.{key}"] for key in ["w1", "b1", "w2", "b2"]}
    params |= dict(w3=torch.randn(8, 2) * 0.6, b3=torch.randn(2) * 0.6)
    tensors |= {f"net.{key}": params[key] for key in ["w3", "b3"]}
    for name, plan in WITH_TWO_OUTPUTS.items():
        c = {key: value.double() for key, value in plan.items()}
        n = len(c["t"])
        c["x_0"], c["x_1"] = torch.randn(n, 2).double(), torch.randn(n, 2).double()
        student = {key: value.double().requires_grad_() for key, value in params.items()}
        with torch.no_grad():
            teacher = Net({key: value.double() for key, value in params.items()})
            x_t, target, velocity, weight = improved_mean_flow(c, teacher)
        inputs = (x_t, c["t"], c["k"], c["caption"], c["w"])
        errors = ((Net(student)(*inputs) - target) ** 2).mean(1)
        velocity_errors = ((Net(student).velocity(*inputs) - velocity) ** 2).mean(1)
        loss = sum((e * weight(e.detach())).mean() for e in [errors, velocity_errors])
        loss.backward()
        columns = {key: c[key] for key in ["kind", "t", "k", "caption", "w", "x_0", "x_1"]}
        columns |= dict(x_t=x_t, target=target, velocity=velocity, loss=loss.reshape(1))
        columns |= dict(errors=errors, velocity_errors=velocity_errors)
        columns |= {f"grad.{key}": value.grad for key, value in student.items()}
        tensors |= {f"{name}.{key}": value for key, value in columns.items()}


SAMPLERS = {
    "ddim_epsilon_linear": (diffusers.DDIMScheduler, "linear", "epsilon"),
    "ddim_v_cosine": (diffusers.DDIMScheduler, "squaredcos_cap_v2", "v_prediction"),
    "ddpm_epsilon_linear": (diffusers.DDPMScheduler, "linear", "epsilon"),
    "ddpm_v_cosine": (diffusers.DDPMScheduler, "squaredcos_cap_v2", "v_prediction"),
}


def export_samplers(tensors):
    """Eight steps with the network 0.5 sin(2 x) + 0.2 t; estimates of the data are clamped to 1.5."""
    noise = torch.randn(9, 3, 2)
    tensors["sampler.noise"] = noise
    for name, (kind, schedule, prediction) in SAMPLERS.items():
        scheduler = kind(
            beta_schedule=schedule, beta_start=1e-4, beta_end=0.02, prediction_type=prediction,
            clip_sample=True, clip_sample_range=1.5, timestep_spacing="trailing",
        )  # fmt: skip
        scheduler.set_timesteps(8)
        x = noise[0]
        for step, index in enumerate(scheduler.timesteps):
            answer = 0.5 * torch.sin(2 * x) + 0.2 * (1 - (index + 1) / 1000)
            if kind is diffusers.DDPMScheduler:
                # Its noise comes from a generator; this one is made to give the stored noise.
                diffusers.schedulers.scheduling_ddpm.randn_tensor = lambda *_, **__: noise[step + 1]
            x = scheduler.step(answer, index, x).prev_sample
        tensors[f"sampler.{name}"] = x


if __name__ == "__main__":
    torch.manual_seed(0)
    tensors = {}
    export_objectives(tensors)
    export_samplers(tensors)
    export_two_outputs(tensors)
    tensors = {name: value.detach().float().contiguous() for name, value in tensors.items()}
    versions = dict(torch=torch.__version__, diffusers=diffusers.__version__, seed="0")
    save_file(tensors, OUT, metadata=versions)
