"""What all tests share: the model inside the package, and the program beside it."""

import os
import subprocess
from pathlib import Path

import pytest
import stride


@pytest.fixture(scope="session")
def pipeline():
    return stride.Pipeline.load()


@pytest.fixture(scope="session")
def program():
    """Runs the program `stride`, which `STRIDE_PROGRAM` names, and returns its stdout."""
    path = Path(os.environ["STRIDE_PROGRAM"])

    def run(*arguments, **options):
        done = subprocess.run([path, *arguments], capture_output=True, **options)
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout

    return run


@pytest.fixture(scope="session")
def repository():
    return Path(__file__).parents[3]
