"""Several processes: what they learn together is what one learns, and what dies begins anew."""

import os
import shutil
import signal
import sys
from pathlib import Path

import numpy as np
import pytest
from linked import join, send
from processes import BIN, descendants, run, started, wait_until
from safetensors.torch import load_file
from test_learn_run import PROBLEMS, RECIPE, metrics_of, without_times
from test_learn_trainer import RECIPE as SMALL
from test_learn_trainer import sampled_groups, with_changes

from dc_tools.core.errors import CannotRun, UsageError
from dc_tools.learn.recipe import Recipe
from dc_tools.learn.sampler import Sampler
from dc_tools.learn.shape import Shape
from dc_tools.learn.trainer import Trainer

SCARCE = Path(__file__).with_name("scarce.py")


@pytest.mark.parametrize(
    ("shape", "recipe", "message"),
    [
        (Shape(trainers=2), Recipe(), "--samplers must be at least 1"),
        (Shape(), Recipe(staleness=1), "--samplers must be at least 1"),
    ],
)
def test_shapes_that_cannot_be_are_refused(shape, recipe, message):
    with pytest.raises(UsageError, match=message):
        shape.check(recipe)
    Shape(trainers=2, samplers=1).check(Recipe(staleness=1))


@pytest.mark.parametrize("rank", [0, 4])
def test_a_sampler_that_was_sent_the_weights_says_what_the_trainer_says(taught_model, rank):
    recipe = with_changes(lora_rank=rank, lr=1e-2)
    trainer, sampler = Trainer(str(taught_model), recipe, "cpu"), Sampler.load(str(taught_model), recipe, "cpu")
    specs = join(trainer, sampler)
    assert sampler.probe() == pytest.approx(trainer.probe(), abs=1e-5)
    trainer.learn(sampled_groups(trainer))
    assert np.abs(np.subtract(sampler.probe(), trainer.probe())).max() > 1e-3
    send(trainer, specs, sampler)
    assert sampler.probe() == pytest.approx(trainer.probe(), abs=1e-5)


def test_a_gradient_that_is_not_finite_is_skipped_and_ends_the_run_the_third_time(taught_model):
    trainer = Trainer(str(taught_model), SMALL, "cpu")
    groups = sampled_groups(trainer)
    before = [p.clone() for p in trainer.policy.trainable()]
    groups[0].responses[0].logprobs[0] = float("nan")
    for _ in range(2):
        assert trainer.learn(groups)["skipped_updates"] == 1
    assert all((a == b).all() for a, b in zip(before, trainer.policy.trainable(), strict=True))
    with pytest.raises(CannotRun, match="not finite 3 times in a row"):
        trainer.learn(groups)


@pytest.fixture(scope="module")
def argv(taught_model, tmp_path_factory) -> list[str]:
    folder = tmp_path_factory.mktemp("recipe")
    (folder / "recipe.toml").write_text(RECIPE.replace("token_budget = 512", "token_budget = 150"))
    return [
        str(BIN / "dc-learn"), str(PROBLEMS), "--recipe", str(folder / "recipe.toml"), "--model", str(taught_model),
        "--workers", "1", "--steps", "5",
    ]


@pytest.fixture(scope="module")
def alone(argv, tmp_path_factory) -> Path:
    """What one process makes, undisturbed."""
    out = tmp_path_factory.mktemp("alone") / "run"
    done = run([*argv, "-o", out])
    assert done.code == 0, done.err
    return out


def weights(folder: Path) -> dict[str, np.ndarray]:
    return {name: tensor.numpy() for name, tensor in load_file(folder / "model" / "model.safetensors").items()}


def difference(one: Path, two: Path) -> float:
    mine, theirs = weights(one), weights(two)
    assert mine.keys() == theirs.keys()
    return max(float(np.abs(mine[name] - theirs[name]).max()) for name in mine)


@pytest.mark.slow
def test_two_trainers_and_a_sampler_learn_what_one_process_learns(argv, alone, tmp_path):
    done = run([*argv, "--trainers", "2", "--samplers", "1", "-o", tmp_path / "run"])
    assert done.code == 0, done.err
    assert difference(alone, tmp_path / "run") < 1e-5
    shutil.rmtree(tmp_path / "run" / "model")
    again = run([*argv, "--resume", "-o", tmp_path / "run"])  # one trainer goes on from the checkpoint of two
    assert again.code == 0, again.err


@pytest.mark.slow
def test_two_trainers_and_a_sampler_learn_the_adapter_that_one_process_learns(argv, alone, tmp_path):
    adapted = [*argv, "--steps", "2", "--set", "lora_rank=4", "--set", "lr=1e-2"]
    for name, shape in (("one", []), ("two", ["--trainers", "2", "--samplers", "1"])):
        done = run([*adapted, *shape, "-o", tmp_path / name])
        assert done.code == 0, done.err
    assert difference(tmp_path / "one", tmp_path / "two") < 1e-5
    assert difference(tmp_path / "one", alone) > 1e-4


@pytest.mark.slow
def test_with_a_staleness_of_one_steps_are_sampled_by_the_policy_before(argv, tmp_path):
    done = run([*argv, "--samplers", "2", "--judges", "2", "--staleness", "1", "-o", tmp_path / "run"])
    assert done.code == 0, done.err
    lines = metrics_of(tmp_path / "run")
    assert [line["staleness_max"] for line in lines] == [0, 1, 1, 1, 1]
    assert lines[2]["ratio_max"] > 1.0


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["TrainerActor", "SamplerActor", "Judge"])
def test_a_process_that_is_killed_costs_no_rollout_and_changes_no_weight(argv, alone, tmp_path, kind):
    out = tmp_path / "run"
    with started([*argv, "--samplers", "1", "-o", str(out)]) as process:
        wait_until(lambda: len(metrics_of(out)) >= 2 or process.poll() is not None)
        (victim,) = [pid for pid in descendants(process.pid) if f"ray::{kind}" in title(pid)]
        os.kill(victim, signal.SIGKILL)
        said = process.communicate(timeout=200)[1].decode()
    assert process.returncode == 0, said
    assert "all begin anew" in said
    assert without_times(out) == without_times(alone)
    assert (out / "model" / "model.safetensors").read_bytes() == (alone / "model" / "model.safetensors").read_bytes()


@pytest.mark.slow
def test_trainers_of_which_one_runs_out_of_memory_begin_anew_by_shorter_rows(argv, tmp_path):
    out, short = tmp_path / "run", tmp_path / "short"
    flags = [*argv[1:], "--steps", "3", "--trainers", "2", "--samplers", "1"]
    done = run([sys.executable, SCARCE, 100, *flags, "-o", out])
    assert done.code == 0, done.err
    assert done.err.count("rows have 75 tokens at most from now on; all begin anew") == 1
    done = run([argv[0], *flags, "--set", "token_budget=75", "-o", short])
    assert done.code == 0, done.err
    assert without_times(out) == without_times(short)
    assert difference(out, short) == 0


@pytest.mark.slow
def test_a_sampler_that_dies_while_steps_overlap_is_missed_at_once(argv, tmp_path):
    out = tmp_path / "run"
    with started([*argv, "--samplers", "2", "--staleness", "1", "-o", str(out)]) as process:
        wait_until(lambda: len(metrics_of(out)) >= 2 or process.poll() is not None)
        victims = [pid for pid in descendants(process.pid) if "ray::SamplerActor" in title(pid)]
        os.kill(victims[-1], signal.SIGKILL)
        said = process.communicate(timeout=200)[1].decode()
    assert process.returncode == 0, said
    assert "all begin anew" in said
    assert [line["step"] for line in metrics_of(out)] == [1, 2, 3, 4, 5]


def title(pid: int) -> str:
    """The command line of a process; Ray's workers say there what they are."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return ""
