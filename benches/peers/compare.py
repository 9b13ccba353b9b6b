"""Compares `stride bench` with PyTorch on this machine, as a Markdown table.

The programs run in turn, several rounds long, on the same processors and with the same number of
threads, so that a machine that slows down slows all of them. A cell holds the median time over
the rounds, and how many times as long as Stride in the same number format that is: the median over
the rounds and, in brackets, the smallest and largest. Above 1, Stride is faster. Below the rows
stands the most memory each program held.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

PEERS = {
    "f32": [],
    "f32-compile": ["--compile"],
    "bf16": ["--dtype", "bf16"],
    "bf16-compile": ["--dtype", "bf16", "--compile"],
}
GROUPS = ["text", "denoise", "decode", "e2e", "train"]


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--preset", default="dit-s2", help="dit-s2, dit-b2, or avatars, the model in the program")
    parser.add_argument("--peers", default=",".join(PEERS), help="settings of PyTorch, separated by commas")
    parser.add_argument("--only", default=",".join(GROUPS), help="groups of rows, separated by commas")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--reps", type=int, default=5, help="repetitions of a row in a round")
    parser.add_argument("--seconds", type=float, default=20, help="time of a row in a round")
    parser.add_argument("--threads", type=int, help="processors to use [default: all that this process may]")
    parser.add_argument("--stride", default="target/release/stride", help="the program")
    parser.add_argument("--python", default=sys.executable, help="a Python with requirements.txt installed")
    parser.add_argument("--save", type=Path, help="also write every report of every round to this JSON file")
    arguments = parser.parse_args()
    arguments.peers = arguments.peers.split(",")
    for peer in arguments.peers:
        if peer not in PEERS:
            parser.error(f"--peers {peer}: expected some of {', '.join(PEERS)}")
    if arguments.rounds < 1:
        parser.error("--rounds: expected at least 1")
    return arguments


def limit_threads(threads):
    """Keeps this process and its children on so many processors; returns the number and the environment."""
    environment = dict(os.environ)
    if hasattr(os, "sched_setaffinity"):
        allowed = sorted(os.sched_getaffinity(0))
        threads = min(threads or len(allowed), len(allowed))
        os.sched_setaffinity(0, allowed[:threads])
    else:
        threads = threads or os.cpu_count() or 1
    environment.update(OMP_NUM_THREADS=str(threads), RAYON_NUM_THREADS=str(threads))
    return threads, environment


def run(command, environment):
    print("running", " ".join(command), file=sys.stderr)
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True)
    if done.returncode != 0:
        sys.exit(f"error: {command[0]} ended with exit code {done.returncode}")
    return json.loads(done.stdout)


def medians(report):
    return {row["name"]: row["median_s"] for row in report["rows"]}


def duration(seconds):
    return f"{seconds:.2f} s" if seconds >= 1 else f"{1e3 * seconds:.1f} ms"


def peak_memory(report):
    """The most memory that a program held, in MiB."""
    return max((row.get("peak_memory_mib") or 0 for row in report["rows"]), default=0)


def best_peak(reports):
    return max(report["peak_gflop_per_s"] for report in reports)


def dtype_of(peer):
    return peer.partition("-")[0]


def table(stride, peers):
    """Rows of Stride with the same rows of the peers; the values of both hold one report a round."""
    ours = {dtype: [medians(report) for report in reports] for dtype, reports in stride.items()}
    heads = [f"stride {dtype}" for dtype in stride] + [f"torch {peer}" for peer in peers]
    yield f"| row | {' | '.join(heads)} |"
    yield "|---|" + "---:|" * len(heads)
    for name in next(iter(ours.values()))[0]:
        cells = [duration(statistics.median(times[name] for times in rounds)) for rounds in ours.values()]
        for peer, reports in peers.items():
            theirs = [medians(report) for report in reports]
            if not all(name in times for times in theirs):
                cells.append("-")
                continue
            ratios = [their[name] / our[name] for their, our in zip(theirs, ours[dtype_of(peer)])]
            time = duration(statistics.median(times[name] for times in theirs))
            cells.append(f"{time}, {statistics.median(ratios):.2f} ({min(ratios):.2f}-{max(ratios):.2f})")
        yield f"| {name} | {' | '.join(cells)} |"
    memory = [max(map(peak_memory, reports)) for reports in [*stride.values(), *peers.values()]]
    yield f"| most memory | {' | '.join(f'{mib:.0f} MiB' if mib else '-' for mib in memory)} |"


def main():
    arguments = parse_arguments()
    threads, environment = limit_threads(arguments.threads)
    options = ["--only", arguments.only, "--json"]
    options += ["--reps", str(arguments.reps), "--seconds", str(arguments.seconds)]
    script = str(Path(__file__).parent / "pytorch.py")
    stride = {dtype: [] for dtype in dict.fromkeys(map(dtype_of, arguments.peers))}
    peers = {peer: [] for peer in arguments.peers}
    for number in range(1, arguments.rounds + 1):
        print(f"round {number} of {arguments.rounds}", file=sys.stderr)
        for dtype, reports in stride.items():
            # The avatar model is in the program, the others are presets of it.
            preset = [] if arguments.preset == "avatars" else ["--preset", arguments.preset]
            report = run([arguments.stride, "bench", *options, *preset, "--dtype", dtype], environment)
            reports.append(report)
        same = ["--preset", arguments.preset, "--threads", str(threads)]
        same += ["--caption-length", str(report["caption_length"])]
        for peer in arguments.peers:
            command = [arguments.python, script, *options, *same, *PEERS[peer]]
            peers[peer].append(run(command, environment))
    if arguments.save:
        arguments.save.write_text(json.dumps({"stride": stride, "peers": peers}, indent=1))
    first = next(iter(stride.values()))[0]
    versions = [f"stride {first['version']}"] + [peers[peer][0]["version"] for peer in arguments.peers[:1]]
    print(
        f"{first['model']} on {first.get('cpu', 'an unknown processor')}, {threads} threads, peak "
        f"{', '.join(f'{dtype} {best_peak(reports):.0f}' for dtype, reports in stride.items())} GFLOP/s, "
        f"{', '.join(versions)}, "
        f"{arguments.rounds} rounds\n"
    )
    print("\n".join(table(stride, peers)))


if __name__ == "__main__":
    main()
