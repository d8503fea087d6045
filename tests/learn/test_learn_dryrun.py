"""--dry-run: the numbers of a plan worked by hand, and what cannot be."""

import json

import pytest
from processes import BIN, run
from test_learn_run import PROBLEMS, RECIPE

from dc_tools.core.errors import CannotRun
from dc_tools.learn.dryrun import ModelSize, check_room, planned_run, size_of
from dc_tools.learn.recipe import Recipe
from dc_tools.learn.shape import Shape
from dc_tools.learn.stages import Stage

SIZE = ModelSize(
    parameters=14_770_000_000, embeddings=778_000_000, layers=48, width=5120, vocabulary=152_064, cache_units=2 * 1024
)


def test_a_plan_of_deepcoder_has_the_sizes_of_its_largest_stage():
    stages = (Stage(at=0, max_tokens=16_384), Stage(at=180, max_tokens=32_768, batch=128, minibatch=64))
    plan = planned_run(Recipe(stages=stages), Shape(trainers=8, samplers=8), SIZE, 24_000, 300, gpu=True)
    assert (plan["rollouts_a_step"], plan["most_tokens_a_step"]) == (1024, 1024 * 32_768)
    assert plan["longest_row"] == 32_768 + 2048
    trainer = plan["memory_gb"]["trainer"]
    # 4, 4 and 8 bytes a weight over 8 trainers; 34 bytes x 34,816 tokens x 48 layers x 5,120
    assert (trainer["weights"], trainer["gradients"], trainer["optimizer"]) == (7.38, 7.38, 14.77)
    assert trainer["activations"] == 290.92
    # 2 bytes x 4 x 8 samples x 34,816 tokens x 48 layers x 2,048
    assert plan["memory_gb"]["sampler"] == {"cache": 219.04, "weights": 29.54, "total": 248.58}
    assert plan["checkpoint_gb"] == 177.24
    little = planned_run(Recipe(stages=stages, gradient_checkpointing=True), Shape(8, 8), SIZE, 1, 1, gpu=True)
    assert little["memory_gb"]["trainer"]["activations"] == 23.17  # 2 bytes x 34,816 x 5,120 x (48 + 17)
    with pytest.raises(CannotRun, match=r"a trainer needs about .* GB and its device has 80: most are activations"):
        check_room(plan, 80)


def test_an_adapter_and_frozen_embeddings_train_less():
    small = ModelSize(1000, 300, 2, 10, 30, 10)
    assert planned_run(Recipe(freeze_embeddings=True), Shape(), small, 1, 1, gpu=False)["trained"] == 700
    assert planned_run(Recipe(lora_rank=4), Shape(), small, 1, 1, gpu=False)["trained"] == 2 * 4 * 10 * 7 * 2


def test_a_model_is_sized_by_its_files(taught_model):
    from dc_tools.learn.policy import load_policy

    model = load_policy(taught_model, device="cpu").model
    size = size_of(taught_model)
    assert size.parameters == sum(p.numel() for p in model.parameters())
    assert (size.layers, size.width) == (model.config.num_hidden_layers, model.config.hidden_size)


def test_the_command_says_its_plan_makes_nothing_and_refuses_what_cannot_be(taught_model, tmp_path):
    (tmp_path / "recipe.toml").write_text(RECIPE)
    argv = [BIN / "dc-learn", PROBLEMS, "--recipe", tmp_path / "recipe.toml", "--model", taught_model, "--dry-run"]
    done = run(argv, cwd=tmp_path)
    assert done.code == 0, done.err
    assert json.loads(done.out)["rollouts_a_step"] == 8
    assert "rollouts a step  8" in done.err
    assert [path.name for path in tmp_path.iterdir()] == ["recipe.toml"]
    refused = run([*argv, "--device-memory", "0.001"], cwd=tmp_path)
    assert (refused.code, "GB and its device has 0.001: most are" in refused.err) == (3, True)


def test_rescoring_by_the_command(tmp_path):
    rollouts = [
        {"text": "x", "finish": "stop", "verdict": {"status": s, "passed": p, "total": 2}, "reward": float(s == "AC")}
        for s, p in (("AC", 2), ("WA", 1))
    ]
    row = {"id": "p", "statement": "s", "tests": [{"input": "", "output": "1"}] * 2, "rollouts": rollouts}
    (tmp_path / "step-000001.jsonl").write_text(json.dumps(row) + "\n")
    (tmp_path / "rewards.toml").write_text('[[rewards]]\nkind = "tests"\nfraction = true\n')
    argv = [BIN / "dc-learn", "--rescore", tmp_path, "--rewards", tmp_path / "rewards.toml"]
    done = run(argv, cwd=tmp_path)
    assert done.code == 0, done.err
    assert json.loads(done.out)["now"]["rewards"] == [1.0, 0.5]
    assert "mean reward 0.500 -> 0.750" in done.err
    assert run([*argv, "-o", tmp_path / "x"], cwd=tmp_path).code == 2
