"""The folder of a run: what it refuses to touch, and what it keeps of a step that failed. And the recipe."""

import fcntl
import json
from pathlib import Path

import pytest
from test_learn_run import finish_here, metrics_of

from dc_tools.core.errors import CannotRun
from dc_tools.core.records import Finish, Rollout, Status, Tokens, Verdict, encode
from dc_tools.learn.ahead import Ahead, Job, Place
from dc_tools.learn.folder import Folder
from dc_tools.learn.groups import group_line
from dc_tools.learn.recipe import Recipe, load_recipe, parse_settings
from dc_tools.learn.rewards import SPARSE

ROOT = Path(__file__).parents[2]
PROBLEM = encode({"id": "p", "statement": "Say 6.", "tests": [{"input": "", "output": "6"}]})


@pytest.fixture
def arguments(taught_model, tmp_path) -> list[str]:
    problems = tmp_path / "problems.jsonl"
    problems.write_bytes(PROBLEM + b"\n")
    return [str(problems), "--model", str(taught_model), "--set", "batch=1", "--set", "max_tokens=4", "--steps", "1"]


def test_a_folder_with_other_things_in_it_is_left_alone(arguments, tmp_path, capfd):
    run = tmp_path / "work"
    (run / "model").mkdir(parents=True)
    (run / "model" / "precious").write_text("weights")
    for flags in ([], ["--resume"]):
        code, said = finish_here([*arguments, "-o", str(run), *flags], capfd)
        assert (code, "holds model, of no run" in said) == (3, True), said
    assert (run / "model" / "precious").read_text() == "weights"


def test_force_does_not_remove_the_model_it_starts_from(arguments, taught_model, tmp_path, capfd):
    run = tmp_path / "work"
    run.mkdir()
    (run / "model").symlink_to(taught_model)
    code, said = finish_here([*arguments, "-o", str(run), "--force"], capfd)
    assert (code, "which this run needs" in said) == (3, True), said
    assert (taught_model / "model.safetensors").exists()


def test_two_runs_do_not_share_a_folder(arguments, tmp_path, capfd):
    run = tmp_path / "run"
    run.mkdir()
    with (run / "run.lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        code, said = finish_here([*arguments, "-o", str(run)], capfd)
    assert (code, "another dc-learn is at work" in said) == (3, True), said


def rollouts(status: Status | None) -> list[Rollout]:
    verdict = Verdict(status, 0, 1, message="no sandbox") if status else None
    finish_ = Finish.STOP if status else Finish.ERROR
    return [Rollout("x", finish_, tokens=Tokens([1], [2], [-0.1]), verdict=verdict, error="too long")] * 2


class ClusterOf:
    """A cluster whose rollouts are given."""

    def __init__(self, status: Status | None) -> None:
        self.status = status

    recipe = Recipe(batch=1, minibatch=1)
    updates_in_flight = False

    def roll_out(self, problems, step, seed, recipe, *, first=0, n=None):
        return [group_line(problem, rollouts(self.status), step, SPARSE, 8) for problem in problems], {}


@pytest.mark.parametrize(("status", "words"), [(Status.IE, "the judge failed.*no sandbox"), (None, "too long")])
def test_a_step_that_nothing_can_be_learned_from_is_not_written_down(tmp_path, status, words):
    folder = Folder(tmp_path, _recipes=[(1, ClusterOf.recipe)])
    with pytest.raises(CannotRun, match=words):
        Ahead(ClusterOf(status), folder, Job([PROBLEM], 1, 1e9, Recipe), 0).next(Place())
    assert not folder.rollouts(1).exists()


def test_lines_of_steps_that_are_done_again_are_cut_and_torn_ones_too(tmp_path):
    folder = Folder(tmp_path)
    for step in (1, 2, 3):
        folder.log({"step": step, "reward": 0.1234567, "lr": 1.2345678e-7})
    with (tmp_path / "metrics.jsonl").open("ab") as stream:
        stream.write(b'{"step":4,"rew')
    folder.cut_metrics(2)
    assert metrics_of(tmp_path) == [{"step": step, "reward": 0.123457, "lr": 1.23457e-07} for step in (1, 2)]


@pytest.mark.parametrize(
    "setting",
    [
        "lr=nan", "temperature=inf", "temperature=0", "clip_low=-1", "clip_low=1.5", "clip_high=-0.1", "grad_clip=0",
        "warmup=-5", "threads=-1", "betas=[2, 3]", "prompt_style='foo'", "lora_rank=-2", "lora_alpha=0",
        "weight_decay=-1", "group=1", "batch=0", "token_budget=-1", "save_every=0", "keep=0", "minibatch=5",
    ],
)
def test_a_setting_that_cannot_work_is_refused_by_name(setting):
    with pytest.raises(CannotRun, match=setting.partition("=")[0]):
        load_recipe(None, parse_settings([setting]))


def test_every_recipe_of_the_examples_is_one():
    found = {path.name: load_recipe(str(path), {}) for path in (ROOT / "examples" / "recipes").glob("*.toml")}
    assert {"cpu-demo.toml", "deepcoder-14b-16k.toml", "deepcoder-14b-32k.toml"} <= set(found)
    stage = found["deepcoder-14b-32k.toml"]
    assert (stage.batch, stage.minibatch, stage.group, stage.max_tokens) == (128, 64, 8, 32768)
    assert (stage.clip_low, stage.clip_high, stage.temperature, stage.lr) == (0.2, 0.28, 0.6, 1e-6)


def test_flags_come_after_the_file_and_a_lone_batch_is_one_minibatch(tmp_path):
    (tmp_path / "r.toml").write_text("lr = 1e-5\nbatch = 6\n")
    made = load_recipe(str(tmp_path / "r.toml"), parse_settings(["lr=1e-4", "prompt_style=fenced"]))
    assert (made.lr, made.batch, made.minibatch, made.prompt_style) == (1e-4, 6, 6, "fenced")
    assert Recipe().minibatch == 16


def test_the_line_of_a_group_keeps_the_problem_and_says_each_reward():
    line = json.loads(group_line(PROBLEM, rollouts(Status.WA), 3, SPARSE, 8))
    assert (line["id"], line["step"], [r["reward"] for r in line["rollouts"]]) == ("p", 3, [0.0, 0.0])
