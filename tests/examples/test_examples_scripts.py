"""The example scripts: each is one that bash reads, and the nightly run goes on, ends and is measured."""

import json
import os
import subprocess
from pathlib import Path

import pytest
from processes import BIN, environment

EXAMPLES = Path(__file__).parents[2] / "examples"
SCRIPTS = sorted([*EXAMPLES.rglob("*.sh"), *EXAMPLES.rglob("*.sbatch")])
RECIPE = """
prompt_style = "fenced"
batch = 2
group = 4
max_tokens = 16
lr = 1e-3
threads = 1
"""


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_a_script_is_one_that_bash_reads_and_that_can_be_started(script: Path) -> None:
    assert script.read_text().startswith("#!/usr/bin/env bash\n#")
    assert os.access(script, os.X_OK)
    done = subprocess.run(["bash", "-n", script], capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")


def test_nodes_without_a_word_says_how_it_is_used() -> None:
    done = subprocess.run([EXAMPLES / "nodes.sh"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("dc-learn over two machines") and "examples/nodes.sh join FIRST" in done.stderr


@pytest.mark.slow
def test_nights_go_on_until_the_steps_are_done_and_then_change_nothing(taught_model: Path, tmp_path: Path) -> None:
    (tmp_path / "recipe.toml").write_text(RECIPE)
    heldout, run = tmp_path / "heldout.jsonl", tmp_path / "run"
    heldout.write_bytes(b"".join((EXAMPLES / "data/heldout.jsonl").read_bytes().splitlines(True)[:3]))

    def night(hours: int) -> None:
        argv = [EXAMPLES / "cron" / "nightly.sh", EXAMPLES / "data/train.jsonl", taught_model, heldout, run]
        own = {"DC_HOURS": str(hours), "DC_STEPS": "2", "DC_RECIPE": str(tmp_path / "recipe.toml")}
        chosen = environment(PATH=f"{BIN}:{os.environ['PATH']}", **own)
        done = subprocess.run(list(map(str, argv)), capture_output=True, text=True, env=chosen, check=False)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", ""), (tmp_path / "run.log").read_text()

    night(0)
    assert len((run / "metrics.jsonl").read_text().splitlines()) == 1
    assert not (run / "report.html").exists()
    night(1)
    assert len((run / "metrics.jsonl").read_text().splitlines()) == 2
    assert (run / "report.html").exists()
    scores = [json.loads(line) for line in (run / "scores.jsonl").read_text().splitlines()]
    assert scores
    weights = (run / "model" / "model.safetensors").stat().st_mtime_ns
    night(1)
    assert (run / "model" / "model.safetensors").stat().st_mtime_ns == weights
