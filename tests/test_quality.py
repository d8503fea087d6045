"""The code passes its linters: ruff over all of it, mypy strict over the package."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize("argv", [["ruff", "check", "--no-cache", "."], ["mypy"]], ids=lambda argv: argv[0])
def test_clean(argv, tmp_path):
    cache = ["--cache-dir", str(tmp_path)] if argv[0] == "mypy" else []
    done = subprocess.run(
        [sys.executable, "-m", *argv, *cache], cwd=ROOT, capture_output=True, text=True, timeout=280, check=False,
        env={"MYPY_NUM_WORKERS": "2", **os.environ},
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
