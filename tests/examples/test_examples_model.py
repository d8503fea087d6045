"""Making the small model's folder: what is whole is left alone, what is not is never taken for it."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"


def get_model(
    *args: str | Path, script: Path = EXAMPLES / "get_model.sh", python: str = sys.executable
) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "DC_PYTHON": python}
    return subprocess.run([script, *args], env=environment, capture_output=True, text=True, timeout=60)


def test_a_whole_folder_is_left_alone(tiny_model: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in tiny_model.iterdir()}
    done = get_model(tiny_model)
    assert (done.returncode, "nothing done" in done.stderr) == (0, True)
    assert {path: path.stat().st_mtime_ns for path in tiny_model.iterdir()} == before


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "tokenizer.json"])
def test_a_folder_with_a_file_cut_short_is_not_whole_and_is_not_touched(
    tiny_model: Path, tmp_path: Path, name: str
) -> None:
    folder = tmp_path / "model"
    shutil.copytree(tiny_model, folder)
    cut = (folder / name).read_bytes()[:-10]
    (folder / name).write_bytes(cut)
    done = get_model(folder)
    assert (done.returncode, "is not a whole model" in done.stderr) == (3, True)
    assert (folder / name).read_bytes() == cut


def test_without_a_python_or_a_folder_it_says_what_is_missing(tmp_path: Path) -> None:
    elsewhere = tmp_path / "examples"
    elsewhere.mkdir()
    script = Path(shutil.copy(EXAMPLES / "get_model.sh", elsewhere))
    lost = get_model(tmp_path / "m", script=script, python="/no/such/python")
    assert (lost.returncode, "no such Python" in lost.stderr) == (3, True)
    usage = get_model()
    assert (usage.returncode, "examples/get_model.sh FOLDER" in usage.stderr) == (2, True)
