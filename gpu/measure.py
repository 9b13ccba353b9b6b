"""Checks and measures Stride on a machine with an NVIDIA card and PyTorch.

In this order: what the program finds (`stride doctor`), whether the card computes what the processor computes
(`stride doctor --check`), the times of the parts of DiT-B/2 in Stride and in PyTorch in turn, and a training of the
avatar model for some minutes. Everything goes into one JSON file, and the table for RESULTS.md to stdout. A step that
fails is recorded with its message, and the others go on.

The programs may be built on another machine, with `cargo build --release --workspace --features stride-cli/gpu-vulkan`.
Python needs benches/peers/requirements.txt, with a PyTorch for the card's driver.
"""

import argparse
import json
import statistics
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
PYTORCH = {
    "f32": ["--dtype", "f32"],
    "TF32": ["--dtype", "tf32"],
    "bf16 compiled": ["--dtype", "bf16", "--compile"],
}
GROUPS = "text,denoise,decode,e2e,train"


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stride", default="target/release/stride", help="the program, built for GPUs")
    parser.add_argument("--avatars", default="target/release/stride-avatars", help="the program that draws avatars")
    parser.add_argument("--device", default="gpu", help="as stride takes it")
    parser.add_argument("--preset", default="dit-b2")
    parser.add_argument("--rounds", type=int, default=3, help="of both programs in turn")
    parser.add_argument("--minutes", type=float, default=10, help="of training; 0 leaves it out")
    parser.add_argument("--images", type=int, default=12_128, help="avatars to train on")
    parser.add_argument("--out", type=Path, default=Path("runs/gpu"), help="folder for the results")
    return parser.parse_args()


class Failed(Exception):
    """A program ended with an error, whose last lines are the message."""


def run(*command):
    command = [str(part) for part in command]
    print("running", " ".join(command), file=sys.stderr)
    try:
        done = subprocess.run(command, cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    except OSError as error:
        raise Failed(f"{command[0]}: {error}") from error
    if done.returncode != 0:
        last = "\n".join((done.stdout + done.stderr).strip().splitlines()[-20:])
        raise Failed(f"{command[0]} ended with exit code {done.returncode}: {last}")
    return done.stdout


def read(*command):
    return json.loads(run(*command))


def bench(arguments):
    """Reports of all rounds by the name of what was measured."""
    options = ["--preset", arguments.preset, "--only", GROUPS, "--json"]
    reports = {}
    for number in range(1, arguments.rounds + 1):
        print(f"round {number} of {arguments.rounds}", file=sys.stderr)
        ours = read(arguments.stride, "bench", *options, "--device", arguments.device)
        reports.setdefault("stride f32", []).append(ours)
        for name, settings in PYTORCH.items():
            script = REPOSITORY / "benches/peers/pytorch.py"
            length = ["--caption-length", ours["caption_length"]]
            report = read(sys.executable, script, *options, *length, "--device", "cuda", *settings)
            reports.setdefault(f"torch {name}", []).append(report)
    return reports


def train(arguments):
    """The last numbers of a training on avatars."""
    data, run_dir = arguments.out.resolve() / "avatars", arguments.out.resolve() / "run"
    if not (data / "metadata.jsonl").exists():
        run(arguments.avatars, "--out", data, "--count", arguments.images, "--distribution", "flat")
    settings = {
        "data.dir": data, "data.max_images": arguments.images, "dit.autoencoder": "models/avatars",
        "dit.latent_cache": arguments.out.resolve() / "latents",
        "training.budget.max_seconds": 60 * arguments.minutes, "training.budget.max_steps": 1_000_000,
        # The schedule cannot know where the time will end.
        "training.schedule.decay_fraction": 0.0,
    }  # fmt: skip
    overrides = [part for key, value in settings.items() for part in ("--set", f"{key}={value}")]
    config = ["--config", "configs/avatars-dit.toml", "--run-dir", run_dir, "--overwrite"]
    run(arguments.stride, "train", *config, "--device", arguments.device, *overrides)
    lines = [json.loads(line) for line in (run_dir / "metrics.jsonl").read_text().splitlines()]
    last = {key: value for line in lines for key, value in line.items()}
    return {"minutes": arguments.minutes, "steps": last["step"], "last": last}


def medians(reports):
    times = [{row["name"]: row["median_s"] for row in report["rows"]} for report in reports]
    return {name: statistics.median(of[name] for of in times) for name in times[0]}


def table(results):
    """Markdown: a row for every part, a column for every program."""
    reports = results["bench"]
    if "error" in reports:
        return f"no times: {reports['error']}"
    columns = {name: medians(of_program) for name, of_program in reports.items()}
    ours = columns["stride f32"]
    lines = [f"| row | {' | '.join(columns)} |", "|---|" + "---:|" * len(columns)]
    for row, seconds in ours.items():
        cells = [f"{1e3 * seconds:.2f} ms"]
        for name in list(columns)[1:]:
            their = columns[name].get(row)
            cells.append("-" if their is None else f"{1e3 * their:.2f} ms ({their / seconds:.2f})")
        lines.append(f"| {row} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main():
    arguments = parse_arguments()
    arguments.out.mkdir(parents=True, exist_ok=True)
    results = {}
    steps = {
        "doctor": lambda: read(arguments.stride, "doctor", "--json"),
        "check": lambda: read(arguments.stride, "doctor", "--check", arguments.device, "--json"),
        "bench": lambda: bench(arguments),
        "training": lambda: train(arguments) if arguments.minutes > 0 else None,
    }
    failed = False
    for name, step in steps.items():
        try:
            results[name] = step()
        except (Failed, KeyError, ValueError, OSError) as error:
            failed = True
            results[name] = {"error": f"{type(error).__name__}: {error}"}
            print(f"error in {name}: {error}", file=sys.stderr)
        # After every step, so that nothing is lost when the machine is taken away.
        (arguments.out / "results.json").write_text(json.dumps(results, indent=1))
    cards = results["doctor"].get("cards") or [{"name": "an unknown card"}]
    print(f"{arguments.preset} on {cards[0]['name']}, medians of {arguments.rounds} rounds;")
    print("in brackets how many times as long as Stride: above 1, Stride is faster\n")
    print(table(results))
    training = results["training"]
    if training and "error" not in training:
        print(f"\navatar model: {training['steps']} steps in {training['minutes']:g} minutes, {training['last']}")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
