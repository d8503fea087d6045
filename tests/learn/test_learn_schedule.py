"""The learning rate over a run, the average of its weights, and the card of what it exports."""

import pytest
import torch
from safetensors.torch import load_file
from test_learn_trainer import sampled_groups, with_changes

from dc_tools.learn.card import model_card
from dc_tools.learn.recipe import Recipe
from dc_tools.learn.schedule import Schedule, rate
from dc_tools.learn.trainer import Trainer


@pytest.mark.parametrize(
    ("schedule", "rates"),
    [
        (Schedule.CONSTANT, [8.0, 8.0, 8.0, 8.0]), (Schedule.LINEAR, [8.0, 6.5, 5.0, 2.0]),
        (Schedule.COSINE, [8.0, 2.0 + 6.0 * 0.8535534, 5.0, 2.0]),
    ],
)
def test_the_rate_falls_to_its_floor(schedule, rates):
    found = [rate(schedule, 8.0, 0.25, 0, 100, progress) for progress in (0.0, 0.25, 0.5, 1.0)]
    assert found == pytest.approx(rates)


def test_the_rate_rises_over_the_first_updates_whatever_follows():
    assert [rate(Schedule.CONSTANT, 8.0, 0.0, 4, n, 0.0) for n in range(6)] == [2.0, 4.0, 6.0, 8.0, 8.0, 8.0]
    assert rate(Schedule.LINEAR, 8.0, 0.0, 4, 1, 0.5) == 2.0


def test_a_trainer_follows_the_schedule(taught_model):
    recipe = with_changes(schedule=Schedule.LINEAR, warmup=2, lr=1e-3, max_logprob_gap=100.0)
    trainer = Trainer(str(taught_model), recipe, "cpu")
    groups = sampled_groups(trainer)
    assert [trainer.learn(groups, progress)["lr"] for progress in (0.0, 0.25, 0.5)] == [5e-4, 7.5e-4, 5e-4]


def test_the_average_follows_the_weights_goes_with_the_checkpoint_and_is_exported(taught_model, tmp_path):
    recipe = with_changes(ema=0.75, max_logprob_gap=100.0)
    trainer = Trainer(str(taught_model), recipe, "cpu")
    name = "model.layers.0.mlp.up_proj.weight"
    weight = trainer.policy.model.get_parameter(name)
    groups = sampled_groups(trainer)
    seen = [weight.detach().clone()]
    for _ in range(2):
        trainer.learn(groups)
        seen.append(weight.detach().clone())
    expected = 0.75 * (0.75 * seen[0] + 0.25 * seen[1]) + 0.25 * seen[2]
    assert (seen[2] - seen[0]).abs().max() > 1e-4
    trainer.export(tmp_path / "model", "# card\n")
    assert torch.equal(load_file(tmp_path / "model" / "model.safetensors")[name], seen[2])
    average = load_file(tmp_path / "model-average" / "model.safetensors")[name]
    assert (average - expected).abs().max() < 1e-7
    assert torch.equal(weight.detach(), seen[2])
    assert (tmp_path / "model-average" / "README.md").read_text() == "# card\n"
    trainer.save(tmp_path / "checkpoints", 2, {})
    other = Trainer(str(taught_model), recipe, "cpu")
    other.restore(tmp_path / "checkpoints" / "step-000002.pt")
    other.export(tmp_path / "again", "")
    assert torch.equal(load_file(tmp_path / "again-average" / "model.safetensors")[name], average)


def test_a_card_says_what_the_model_was_made_from():
    identity = {"inputs": [{"path": "easy.jsonl", "sha256": "0123456789abcdef"}], "flags": {"seed": 3, "limit": None}}
    metrics = {"step": 20, "reward": 0.912345, "learn_s": 3.0, "eval_solved": 0.5}
    recipe = Recipe(objective="dapo", lr=2e-5)
    card = model_card("SmolLM2", recipe, identity, {"dc-tools": "0.1.0"}, metrics)
    assert card.startswith("---\nbase_model: SmolLM2\n")
    assert "# SmolLM2, dapo, 20 steps" in card
    for row in ("reward | 0.9123", "eval_solved | 0.5", "lr | 2e-05", "easy.jsonl | 0123456789ab", "seed | 3"):
        assert f"| {row} |" in card
    assert "learn_s" not in card and "| limit |" not in card and "| group |" not in card
