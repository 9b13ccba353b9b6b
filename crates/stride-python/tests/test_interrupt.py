"""Ctrl-C, in a process of its own."""

import signal
import subprocess
import sys
import time

import pytest

# What runs in the background of a shell ignores Ctrl-C, and hands that on.
LISTEN = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)
"""
DRAW = """
import stride
pipeline = stride.Pipeline.load()
first = lambda progress: print("drawing", flush=True) if (progress.image, progress.step) == (0, 1) else None
try:
    pipeline.generate("a man", steps=128, count=1000, callback=first)
except KeyboardInterrupt:
    print("ended")
"""
EVALUATE = """
import pathlib, stride, sys
pipeline = stride.Pipeline.load()
prompts = pathlib.Path(sys.argv[1])
prompts.write_text('{"text": "a man", "attributes": {"gender": "man"}}')
begun = lambda *at: print("drawing", flush=True)
try:
    pipeline.evaluate_prompts(prompts, steps=[128], seeds=1000, callback=begun)
except KeyboardInterrupt:
    print("ended")
"""


@pytest.mark.parametrize("script", [DRAW, EVALUATE], ids=["generate", "evaluate"])
def test_ctrl_c_ends_the_work(script, tmp_path):
    arguments = [sys.executable, "-c", LISTEN + script, tmp_path / "prompts.jsonl"]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "drawing\n"
        process.send_signal(signal.SIGINT)
        start = time.monotonic()
        try:
            said, _ = process.communicate(timeout=60)
        finally:
            process.kill()
        assert said.splitlines()[-1] == "ended" and process.returncode == 0
        assert time.monotonic() - start < 10
