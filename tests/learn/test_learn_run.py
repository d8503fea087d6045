"""dc-learn as users run it: on a real local Ray cluster, killed, gone on with, and told nonsense."""

import json
import os
import shutil
from collections import Counter
from pathlib import Path
from unittest import mock

import pytest
import zstandard
from processes import BIN, run, started, wait_until
from reference import Reference
from safetensors.torch import load_file
from tools import TOOLS

from dc_tools.core.records import Line, Problem
from dc_tools.learn.command import main
from dc_tools.learn.recipe import load_recipe
from dc_tools.rollout.prompts import PromptStyle, render
from dc_tools.rollout.transformers import TransformersEngine

ROOT = Path(__file__).parents[2]
PROBLEMS = ROOT / "examples" / "data" / "train.jsonl"
RECIPE = """
prompt_style = "fenced"
batch = 2
group = 4
max_tokens = 20
temperature = 1.0
lr = 1e-3
token_budget = 512
sample_batch = 2
save_every = 2
shuffle = false
threads = 1
"""
MEASURED = {
    "wall_s", "wait_s", "sample_s", "judge_s", "learn_s", "sync_s", "update_s", "tokens_per_s", "mfu",
    "joules", "joules_per_token", "joules_per_solved",
}


def finish_here(arguments: list[str], capfd: pytest.CaptureFixture[str]) -> tuple[int, str]:
    """The command in this process, which has imported torch: for what ends before there is a cluster."""
    with mock.patch.dict(os.environ), pytest.raises(SystemExit) as ended:
        main(arguments)
    return int(ended.value.code or 0), capfd.readouterr().err


def metrics_of(run: Path) -> list[dict]:
    path = run / "metrics.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def without_times(run: Path) -> list[dict]:
    return [{k: v for k, v in line.items() if k not in MEASURED} for line in metrics_of(run)]


@pytest.fixture(scope="module")
def arguments(taught_model, tmp_path_factory) -> list[str]:
    recipe = tmp_path_factory.mktemp("recipe") / "recipe.toml"
    recipe.write_text(RECIPE)
    return [str(PROBLEMS), "--recipe", str(recipe), "--model", str(taught_model), "--steps", "5", "--workers", "1"]


@pytest.fixture
def undisturbed(reference) -> Reference:
    """The run that the contract looks at too: five steps, each of two problems."""
    made = reference(next(tool for tool in TOOLS if tool.name == "dc-learn"))
    assert made.ended.code == 1, made.ended.err  # its input has a bad line
    return made


@pytest.fixture
def whole(undisturbed) -> Path:
    """The folder that it made."""
    return undisturbed.folder / "out"


def test_a_run_leaves_metrics_rollouts_checkpoint_model_and_manifest(whole):
    lines = metrics_of(whole)
    assert [line["step"] for line in lines] == [1, 2, 3, 4, 5]
    assert all(line["logprob_gap"] < 1e-4 and 0 <= line["reward"] <= 1 for line in lines)
    assert [p.name for p in sorted((whole / "checkpoints").iterdir())] == ["step-000004.pt", "step-000005.pt"]
    assert (whole / "model" / "model.safetensors").exists()
    card = (whole / "model" / "README.md").read_text()
    assert "grpo+, 5 steps" in card and "| in.jsonl |" in card
    assert json.loads((whole / "manifest.json").read_bytes())["command"] == "dc-learn"


def test_the_timeline_has_what_each_process_did_at_each_step(whole):
    events = json.loads((whole / "timeline.json").read_text() + "]")
    names = {event["pid"]: event["args"]["name"] for event in events if event["ph"] == "M"}
    assert set(names.values()) == {"driver", "trainer 0", "judge 0"}
    done = Counter((names[e["pid"]], e["name"], e["args"].get("step")) for e in events if e["ph"] == "X")
    for step in range(1, 6):
        for span in (("trainer 0", "sample"), ("trainer 0", "learn"), ("judge 0", "judge"), ("driver", "learn")):
            assert done[*span, step] >= 1
    assert done["trainer 0", "load", None] == 1
    assert done["driver", "save", 4] == done["trainer 0", "save", 4] == done["trainer 0", "export", None] == 1


def test_a_group_is_one_line_with_verdict_tokens_and_reward(whole):
    packed = (whole / "rollouts" / "step-000001.jsonl.zst").read_bytes()
    lines = [json.loads(line) for line in zstandard.ZstdDecompressor().decompress(packed).splitlines()]
    assert [len(line["rollouts"]) for line in lines] == [4, 4]
    for rollout in (r for line in lines for r in line["rollouts"]):
        assert len(rollout["tokens"]["ids"]) == len(rollout["tokens"]["logprobs"]) > 0
        assert rollout["reward"] == float(rollout["verdict"]["status"] == "AC")


def test_training_changes_the_weights(whole, taught_model):
    before, after = (load_file(p / "model.safetensors") for p in (taught_model, whole / "model"))
    assert max(float((before[name] - after[name]).abs().max()) for name in before if name in after) > 1e-4


@pytest.mark.slow
def test_a_killed_run_goes_on_to_the_same_weights(undisturbed, whole, tmp_path):
    argv, out = undisturbed.argv, tmp_path / "out"
    shutil.copy(undisturbed.folder / "in.jsonl", tmp_path)
    with started(argv, cwd=tmp_path) as process:
        wait_until(lambda: len(metrics_of(out)) >= 3 or process.poll() is not None)
        process.kill()
        process.communicate()
        assert 3 <= len(metrics_of(out)) <= 5
        done = run([*argv, "--resume"], cwd=tmp_path)
    assert done.code == 1, done.err
    assert "going on after step" in done.err
    assert without_times(out) == without_times(whole)
    assert (out / "model" / "model.safetensors").read_bytes() == (whole / "model" / "model.safetensors").read_bytes()


@pytest.mark.slow
def test_a_finished_run_goes_on_when_it_is_given_more_steps(arguments, tmp_path):
    def learned(name: str, steps: int, *more: str) -> str:
        done = run([BIN / "dc-learn", *arguments, "--steps", steps, "-o", tmp_path / name, *more])
        assert done.code == 0, done.err
        return done.err

    learned("grown", 2)
    assert "already" in learned("grown", 2, "--resume")
    said = learned("grown", 3, "--resume")
    assert "going on after step 2" in said and "3 steps in place of 2" in said
    dry = run([BIN / "dc-learn", *arguments, "--steps", "9", "-o", tmp_path / "grown", "--resume", "--dry-run"])
    assert dry.code == 0 and json.loads(dry.out)["steps"] == 9
    learned("whole", 3)
    assert without_times(tmp_path / "grown") == without_times(tmp_path / "whole")
    grown, whole = ((tmp_path / name / "model" / "model.safetensors").read_bytes() for name in ("grown", "whole"))
    assert grown == whole
    assert json.loads((tmp_path / "grown" / "manifest.json").read_text())["steps"] == 3


def test_a_run_is_not_overwritten_unasked(arguments, whole, capfd):
    code, said = finish_here([*arguments, "-o", str(whole)], capfd)
    assert (code, "--force starts over" in said) == (3, True)


@pytest.mark.slow
def test_problems_with_long_prompts_are_left_out_and_without_any_left_the_run_ends(arguments, taught_model, tmp_path):
    engine = TransformersEngine.load(taught_model, device="cpu")
    problems = [Line(raw).decode(Problem) for raw in PROBLEMS.read_bytes().splitlines()]
    style = PromptStyle(load_recipe(arguments[2], {}).prompt_style)
    lengths = sorted(len(engine.encode(render(each, style))) for each in problems)
    most = lengths[len(lengths) // 2]
    longer = sum(length > most for length in lengths)
    argv = [BIN / "dc-learn", *arguments, "--steps", "1", "-o", tmp_path / "run"]
    done = run([*argv, "--set", f"max_prompt={most}"])
    assert done.code == 0, done.err
    said = f"{longer} of {len(lengths)} problems are left out: their prompts have over {most} tokens"
    assert longer > 0 and said in done.err
    done = run([*argv, "--force", "--set", "max_prompt=2"])
    assert (done.code, "no problem is left" in done.err) == (3, True)


@pytest.mark.slow
def test_stop_after_saves_and_asks_to_be_run_again(arguments, tmp_path):
    done = run([BIN / "dc-learn", *arguments, "-o", tmp_path / "run", "--stop-after", "0"])
    assert (done.code, "run again with --resume" in done.err) == (75, True)
    assert [p.name for p in (tmp_path / "run" / "checkpoints").iterdir()] == ["step-000001.pt"]


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (["--model", "/nonexistent"], "not a model folder"),
        (["--set", "grupp=3"], "no setting 'grupp'; group?"),
        (["--set", "batch=3", "--set", "minibatch=2"], "multiple of minibatch"),
        (["--set", "lr=\"much\""], "lr"),
        (["--ray-address", "localhost:1"], "nothing answers there"),
        (["--ray-address", "nonsense"], "expected HOST:PORT"),
        (["--recipe", "/nonexistent.toml"], "No such file"),
    ],
)
def test_nonsense_is_refused_in_one_line(arguments, tmp_path, changed, message, capfd):
    code, said = finish_here([*arguments, "-o", str(tmp_path / "run"), *changed], capfd)
    assert code == 3
    assert message in said
    assert "Traceback" not in said and said.count("\n") == 1
