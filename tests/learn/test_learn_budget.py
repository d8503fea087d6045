"""The token budget: it grows while there is memory, and running out of memory spoils no step."""

import pickle

import pytest
import torch
from safetensors.torch import load_file
from test_learn_trainer import RECIPE, sampled_groups, with_changes

from dc_tools.learn.budget import Budget, OutOfMemory
from dc_tools.learn.objective import Correction
from dc_tools.learn.policy import Scorer
from dc_tools.learn.trainer import Trainer


def test_a_budget_grows_until_a_larger_one_would_be_too_much():
    budget, seen = Budget(4096, grows=True), []
    for used in (0.2, 0.3, 0.59, 0.61, None):
        budget.after_step(used, budget.tokens)
        seen.append(budget.tokens)
    assert seen == [6144, 9216, 13824, 13824, 13824]


def test_a_budget_that_no_row_fills_grows_only_as_far_as_is_known():
    budget = Budget(4000, grows=True)
    budget.after_step(0.3, 1000)  # six times as many tokens may be too much
    assert budget.tokens == 4000
    budget.after_step(0.3, 2000)
    assert budget.tokens == 6000
    budget.after_step(0.1, 0)
    assert budget.tokens == 6000


def test_a_budget_that_was_too_much_is_not_come_back_to():
    budget = Budget(9000, grows=True)
    assert budget.halve()
    budget.after_step(0.1, 4500)
    assert budget.tokens == 6750
    budget.after_step(0.1, 6750)
    assert budget.tokens == 6750


def test_a_given_budget_does_not_grow_and_one_token_is_the_least():
    budget = Budget(3)
    budget.after_step(0.01, 3)
    assert budget.tokens == 3
    assert budget.halve() and budget.tokens == 1
    assert not budget.halve()


@pytest.mark.parametrize("error", [torch.OutOfMemoryError("CUDA"), RuntimeError("can't allocate memory: you tried")])
def test_a_step_that_runs_out_of_memory_is_done_again_by_smaller_rows(taught_model, tmp_path, monkeypatch, error):
    small = Trainer(str(taught_model), with_changes(token_budget=512), "cpu")
    groups = sampled_groups(small)
    expected = small.learn(groups)
    small.export(tmp_path / "small", "")
    large = Trainer(str(taught_model), with_changes(token_budget=1024), "cpu")
    forward, failed = Scorer.forward, []

    def scarce(self, row, temperature):
        if len(row.ids) > 256:
            failed.append(len(row.ids))
            raise error
        return forward(self, row, temperature)

    monkeypatch.setattr(Scorer, "forward", scarce)
    found = large.learn(groups)
    large.export(tmp_path / "large", "")
    assert failed and large.budget.tokens == found["token_budget"] == 512
    for name in ("loss", "grad_norm", "learn_tokens", "kl", "packing_waste"):
        assert found[name] == expected[name]
    one, two = (load_file(tmp_path / name / "model.safetensors") for name in ("small", "large"))
    assert all(torch.equal(one[name], two[name]) for name in one)
    large.save(tmp_path / "checkpoints", 1, {})
    other = Trainer(str(taught_model), with_changes(token_budget=1024), "cpu")
    other.restore(tmp_path / "checkpoints" / "step-000001.pt")
    assert other.budget == large.budget


def test_what_cannot_be_done_again_is_an_error(taught_model, monkeypatch):
    trainer = Trainer(str(taught_model), with_changes(minibatch=2, correction=Correction.TOKEN), "cpu")
    groups = sampled_groups(trainer)
    forward, calls = Scorer.forward, []

    def scarce(self, row, temperature):
        calls.append(torch.is_grad_enabled())
        if calls.count(True) > 1:
            raise torch.OutOfMemoryError("CUDA")
        return forward(self, row, temperature)

    monkeypatch.setattr(Scorer, "forward", scarce)
    with pytest.raises(OutOfMemory, match="tokens at most") as raised:
        trainer.learn(groups)
    assert 0 < raised.value.budget.tokens < RECIPE.token_budget
    assert pickle.loads(pickle.dumps(raised.value)).budget == raised.value.budget


def test_what_no_shorter_row_helps_against_is_the_error_that_it_was(taught_model, monkeypatch):
    trainer = Trainer(str(taught_model), RECIPE, "cpu")
    groups = sampled_groups(trainer)

    def scarce(self, row, temperature):
        raise torch.OutOfMemoryError("CUDA")

    monkeypatch.setattr(Scorer, "forward", scarce)
    with pytest.raises(torch.OutOfMemoryError):
        trainer.learn(groups)
