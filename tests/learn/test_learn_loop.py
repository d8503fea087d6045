"""The loop's choices: which problems a step asks, what it writes, what a signal changes. And what other rewards say."""

import json
import shutil
import signal
from dataclasses import asdict
from pathlib import Path

import pytest
from processes import BIN, run, started, wait_until
from test_learn_run import PROBLEMS, RECIPE, metrics_of, without_times

from dc_tools.core.records import Finish, Line, Problem, Rollout, Status, Tokens, Verdict, encode
from dc_tools.learn.ahead import Ahead, Job, Place, rolled_out
from dc_tools.learn.folder import Folder
from dc_tools.learn.groups import group_line
from dc_tools.learn.loop import _reloaded
from dc_tools.learn.recipe import Recipe
from dc_tools.learn.rescore import Summary, rescored
from dc_tools.learn.rewards import SPARSE, Kind, Term
from dc_tools.learn.walk import Walk

EASY, HARD, MIXED = "easy", "hard", "mixed"


def problem(name: str, number: int) -> bytes:
    return encode({"id": f"{name}{number}", "statement": name, "tests": [{"input": "", "output": "6"}] * 2})


def answer(*, right: bool, tokens: int = 1) -> Rollout:
    verdict = Verdict(Status.AC, 2, 2) if right else Verdict(Status.WA, 1, 2)
    return Rollout("x", Finish.STOP, tokens=Tokens([1], [2] * tokens, [-0.1] * tokens), code="c", verdict=verdict)


class Scripted:
    """A cluster whose answers to easy problems are right, to hard ones wrong, to mixed ones either."""

    def __init__(self, recipe: Recipe) -> None:
        self.recipe = recipe
        self.asked: list[str] = []

    def roll_out(self, problems, step, seed, recipe, *, first=0, n=None):
        found = []
        for line in problems:
            name = Line(line).decode(Problem).id
            self.asked.append(name)
            right = {"e": (True, True), "h": (False, False), "m": (True, False)}[name[0]]
            found.append(group_line(line, [answer(right=each) for each in right], step, SPARSE, 8))
        return found, {"sample_s": 1.0, "judge_s": 0.5}


NAMES = [EASY, MIXED, HARD, MIXED, HARD, EASY, MIXED, MIXED]
PROBLEM_LINES = [problem(name, i) for i, name in enumerate(NAMES)]
WALK = Walk(len(PROBLEM_LINES), None)


@pytest.mark.parametrize(
    ("rounds", "asked"), [(1, 2), (2, 3), (4, 4)]  # easy and mixed; then hard; then mixed, and the batch is full
)
def test_groups_that_teach_nothing_are_replaced_for_some_rounds(rounds, asked):
    cluster = Scripted(Recipe(batch=2, minibatch=2, shuffle=False, dynamic_sampling=True, dynamic_rounds=rounds))
    lines, groups, times = rolled_out(cluster, PROBLEM_LINES, WALK, Place(), cluster.recipe, 0)
    assert cluster.asked == ["easy0", "mixed1", "hard2", "mixed3"][:asked]
    assert len(lines) == len(groups) == asked
    assert times["sample_s"] == asked - 1


def test_without_dynamic_sampling_a_batch_is_what_is_asked():
    cluster = Scripted(Recipe(batch=2, minibatch=2, shuffle=False))
    rolled_out(cluster, PROBLEM_LINES, WALK, Place(cursor=7), cluster.recipe, 0)
    assert cluster.asked == ["mixed7", "easy0"]


def test_other_rewards_give_other_advantages(tmp_path):
    rows = [
        group_line(problem(MIXED, 1), [answer(right=True, tokens=8), answer(right=False, tokens=2)], 3, SPARSE, 8),
        group_line(problem(HARD, 2), [answer(right=False, tokens=8), answer(right=False, tokens=4)], 3, SPARSE, 8),
    ]
    (tmp_path / "step-000003.jsonl").write_bytes(b"".join(row + b"\n" for row in rows))
    terms = (Term(kind=Kind.TESTS, fraction=True), Term(kind=Kind.LENGTH, weight=-1.0))
    summary = Summary()
    recipe = Recipe(objective="dr_grpo", rewards=terms, max_tokens=8)
    first, second = rescored([str(tmp_path)], recipe, summary)
    assert (first["id"], first["step"]) == ("mixed1", 3)
    assert first["was"] == {"rewards": [1.0, 0.0], "advantages": [0.5, -0.5]}
    assert first["now"] == {"rewards": [0.0, 0.25], "advantages": [-0.125, 0.125]}
    assert first["terms"] == [{"tests": 1.0, "length": 1.0}, {"tests": 0.5, "length": 0.25}]
    assert (second["was"]["advantages"], second["now"]["advantages"]) == ([0.0, 0.0], [-0.25, 0.25])
    assert summary.said() == (
        "groups 2, left out 0; mean reward 0.250 -> -0.062; groups that teach 1 -> 2; advantages that turn 2 of 4"
    )


@pytest.fixture(scope="module")
def staged_run(taught_model, tmp_path_factory) -> tuple[list[str], Path]:
    """Four steps in two stages, with two terms of reward, dynamic sampling and an evaluation."""
    folder = tmp_path_factory.mktemp("staged")
    (folder / "recipe.toml").write_text(RECIPE + 'objective = "dapo"\ndynamic_rounds = 2\n')
    (folder / "rewards.toml").write_text(
        '[[rewards]]\nkind = "tests"\nfraction = true\n[[rewards]]\nkind = "format"\nweight = 0.1\n'
    )
    (folder / "eval.jsonl").write_bytes(b"".join(PROBLEMS.read_bytes().splitlines(keepends=True)[-2:]))
    argv = [
        str(PROBLEMS), "--recipe", str(folder / "recipe.toml"), "--rewards", str(folder / "rewards.toml"), "--model",
        str(taught_model), "--steps", "4", "--workers", "1", "--stages", "12@0,18@2", "--eval",
        str(folder / "eval.jsonl"), "--eval-every", "3",
    ]
    done = run([BIN / "dc-learn", *argv, "-o", folder / "run"])
    assert done.code == 0, done.err
    return argv, folder / "run"


@pytest.mark.slow
def test_stages_rewards_and_evaluation_show_in_the_metrics(staged_run):
    lines = metrics_of(staged_run[1])
    assert [line["max_tokens"] for line in lines] == [12, 12, 18, 18]
    assert ["eval_solved" in line for line in lines] == [False, False, True, True]
    for line in lines:
        assert line["reward"] == pytest.approx(line["reward/tests"] + 0.1 * line["reward/format"], abs=1e-5)
        assert 2 <= line["asked"] <= 4
    assert (staged_run[1] / "best" / "model.safetensors").exists()


@pytest.mark.slow
def test_rollouts_that_are_replayed_give_the_same_losses_bit_for_bit(staged_run, tmp_path):
    argv, before = staged_run
    shutil.copytree(before / "rollouts", tmp_path / "rollouts")
    done = run([BIN / "dc-learn", *argv, "--replay", tmp_path / "rollouts", "-o", tmp_path / "again"])
    assert done.code == 0, done.err
    measured = {"eval_s", "update_s", "sync_s"}
    again, first = (
        [{name: value for name, value in line.items() if name not in measured} for line in without_times(each)]
        for each in (tmp_path / "again", before)
    )
    assert again == first
    models = [(each / "model" / "model.safetensors").read_bytes() for each in (tmp_path / "again", before)]
    assert models[0] == models[1]


class Trainers:
    """Trainers whose checkpoints hold a place and nothing else."""

    recipe = Recipe()

    def __init__(self) -> None:
        self.sent: list[int] = []

    def by_trainers(self, method, what, path):
        return asdict(Place(step=int(path.stem.removeprefix("step-")), cursor=99))

    def sync(self, step):
        self.sent.append(step)
        return 0.0


class Mute:
    """A run that says things."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.say = self.said.append


@pytest.mark.parametrize(("newest", "step"), [(7, 7), (2, 3)])
def test_a_hangup_takes_up_a_newer_checkpoint_and_no_older_one(tmp_path, newest, step):
    folder = Folder(tmp_path, _recipes=[(1, Recipe())])
    folder.checkpoints.mkdir()
    (folder.checkpoints / f"step-{newest:06d}.pt").touch()
    job, cluster, run = Job([], 9, 1e9, Recipe), Trainers(), Mute()
    place = _reloaded(run, cluster, folder, job, Place(step=3, cursor=12), Ahead(cluster, folder, job, 0))
    assert (place.step, place.cursor) == ((7, 99) if step == 7 else (3, 12))
    assert (cluster.sent, len(run.said)) == (([7], 1) if step == 7 else ([], 0))


def recipes(folder: Path) -> list[dict]:
    return json.loads((folder / "run.json").read_bytes())["recipes"]


@pytest.mark.slow
def test_a_hangup_makes_it_read_its_recipe_again_and_the_change_survives_a_kill(taught_model, tmp_path):
    recipe, out = tmp_path / "recipe.toml", tmp_path / "run"
    recipe.write_text(RECIPE)
    argv = [
        str(BIN / "dc-learn"), str(PROBLEMS), "--recipe", str(recipe), "--model", str(taught_model), "--workers", "1",
        "--steps", "400", "-o", str(out),
    ]
    with started(argv) as process:
        wait_until(lambda: len(metrics_of(out)) >= 2 or process.poll() is not None)
        recipe.write_text(RECIPE + "lora_rank = 4\n")
        process.send_signal(signal.SIGHUP)
        before = len(metrics_of(out))
        wait_until(lambda: len(metrics_of(out)) >= before + 2 or process.poll() is not None)
        assert len(recipes(out)) == 1
        recipe.write_text(RECIPE.replace("lr = 1e-3", "lr = 5e-4"))
        process.send_signal(signal.SIGHUP)
        wait_until(lambda: metrics_of(out)[-1]["lr"] == 5e-4 or process.poll() is not None)
        process.kill()
        said = process.communicate()[1].decode()
    assert "nothing was reloaded: lora_rank cannot change inside a run" in said
    changed = recipes(out)[1]["from"]
    assert f"from step {changed}: lr = 0.0005" in said
    done = run([*argv, "--resume", "--stop-after", "0"])
    assert done.code == 75, done.err
    assert {(line["step"] >= changed, line["lr"]) for line in metrics_of(out)} == {(False, 1e-3), (True, 5e-4)}
