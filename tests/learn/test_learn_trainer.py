"""The trainer against itself: how a step is cut up must not show, and its sampler must agree with it."""

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoConfig

from dc_tools.core.errors import CannotRun
from dc_tools.core.records import Problem, Test
from dc_tools.learn import policy
from dc_tools.learn.batches import Group, Response
from dc_tools.learn.objective import OBJECTIVES, Correction
from dc_tools.learn.policy import LoraSpec, load_policy
from dc_tools.learn.recipe import Recipe
from dc_tools.learn.trainer import Trainer, Update
from dc_tools.rollout.engine import Sampling
from dc_tools.rollout.prompts import PromptStyle, render

RECIPE = Recipe(
    batch=4, minibatch=4, group=4, max_tokens=20, temperature=0.8, lr=1e-3, token_budget=4096, sample_batch=2, threads=1
)


def with_changes(**changes) -> Recipe:
    return Recipe(**{name: getattr(RECIPE, name) for name in Recipe.__struct_fields__} | changes)


def sampled_groups(trainer: Trainer) -> list[Group]:
    """Real rollouts, with rewards that differ within each group."""
    words = ("the square of n", "n plus 3", "twice n", "n minus 4")
    problems = [Problem(id=w, tests=[Test("1", "1")], statement=f"Read an integer n and print {w}.") for w in words]
    sampling = Sampling(n=4, temperature=0.8, max_tokens=20, seed=1)
    found = trainer.sample([render(p, PromptStyle.FENCED) for p in problems], sampling, "step-0")
    return [
        Group(
            problem.id, rollouts[0].tokens.prompt_ids,
            [
                Response(r.tokens.ids, r.tokens.logprobs, float(i % 3 == 0), r.finish == "length")
                for i, r in enumerate(rollouts)
            ],
        )
        for problem, (_, rollouts) in zip(problems, found, strict=True)
    ]


def take(trainer: Trainer, groups: list[Group], update: Update, *, on_policy: bool = True) -> None:
    """The gradient of one optimizer step."""
    rows = trainer.plan(groups).rows(0)
    trainer.accumulate(rows, trainer._old_logprobs(rows), update, on_policy=on_policy)


def gradient_of(model: Path, recipe: Recipe, groups: list[Group]) -> torch.Tensor:
    trainer = Trainer(str(model), recipe, "cpu")
    take(trainer, groups, Update())
    return torch.cat([p.grad.flatten() for p in trainer.policy.trainable() if p.grad is not None])


def test_trainer_and_sampler_agree_about_every_sampled_token(taught_model):
    trainer = Trainer(str(taught_model), RECIPE, "cpu")
    update = Update()
    take(trainer, sampled_groups(trainer), update)
    assert len(update.ratios) > 100
    assert max(update.gaps) < 1e-4


@pytest.fixture(scope="module")
def groups(taught_model) -> list[Group]:
    return sampled_groups(Trainer(str(taught_model), RECIPE, "cpu"))


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_the_gradient_does_not_depend_on_the_token_budget(taught_model, groups, objective):
    whole = gradient_of(taught_model, with_changes(objective=objective), groups)
    for budget in (1, 150, 200):
        cut = gradient_of(taught_model, with_changes(objective=objective, token_budget=budget), groups)
        assert float((cut - whole).norm() / whole.norm()) < 1e-5


def test_the_gradient_does_not_depend_on_how_many_logits_exist_at_once(taught_model, groups, monkeypatch):
    whole = gradient_of(taught_model, RECIPE, groups)
    monkeypatch.setattr(policy, "CHUNK", 7)
    chunked = gradient_of(taught_model, RECIPE, groups)
    assert float((chunked - whole).norm() / whole.norm()) < 1e-5


def test_the_gradient_does_not_depend_on_what_is_computed_again(taught_model, groups):
    whole = gradient_of(taught_model, RECIPE, groups)
    again = gradient_of(taught_model, with_changes(gradient_checkpointing=True), groups)
    assert float((again - whole).norm() / whole.norm()) < 1e-6
    calls = []
    for little in (False, True):
        trainer = Trainer(str(taught_model), with_changes(gradient_checkpointing=little), "cpu")
        layer = trainer.scorer.causal_lm.get_decoder().layers[0]
        layer.self_attn.register_forward_hook(lambda *_, little=little: calls.append(little))
        take(trainer, groups, Update())
    assert calls.count(True) == calls.count(False) + 1  # of the one row


def test_a_head_that_does_more_is_asked_for_its_logits(taught_model, groups):
    """As Gemma's, which caps them."""
    plain = gradient_of(taught_model, RECIPE, groups)
    trainer = Trainer(str(taught_model), RECIPE, "cpu")
    model = trainer.policy.model
    model.register_forward_hook(lambda module, given, found: found | {"logits": found["logits"] * 1.5})
    take(trainer, groups, Update(), on_policy=False)
    scaled = torch.cat([p.grad.flatten() for p in trainer.policy.trainable() if p.grad is not None])
    assert trainer.scorer._has_plain_head is False
    assert float((scaled - plain).norm() / plain.norm()) > 0.1


def test_a_corrected_step_takes_the_trainers_word_and_weighs_by_the_engines(taught_model, groups):
    """The engine was off by a constant: ratios are of the trainer's own, and every token weighs e^-0.1."""
    off = [
        replace(group, responses=[replace(r, logprobs=[x + 0.1 for x in r.logprobs]) for r in group.responses])
        for group in groups
    ]
    true = gradient_of(taught_model, RECIPE, groups)
    found = gradient_of(taught_model, with_changes(correction=Correction.TOKEN), off)
    assert float((found - math.exp(-0.1) * true).norm() / true.norm()) < 1e-4


def test_the_gradient_is_that_of_plain_padded_sequences(taught_model):
    """Against the loss written out over one sequence at a time, without packs or masks."""
    recipe = with_changes(overlong_filter=False)
    trainer = Trainer(str(taught_model), recipe, "cpu")
    groups = sampled_groups(trainer)
    packed = gradient_of(taught_model, recipe, groups)
    model = trainer.policy.model
    total = sum(len(r.ids) for g in groups for r in g.responses)
    loss = torch.zeros(())
    for group in groups:
        rewards = torch.tensor([r.reward for r in group.responses])
        advantages = (rewards - rewards.mean()) / (rewards.std() + 1e-6)
        for response, advantage in zip(group.responses, advantages, strict=True):
            ids = torch.tensor([group.prompt_ids + response.ids])
            logits = model(input_ids=ids).logits[0, len(group.prompt_ids) - 1 : -1] / recipe.temperature
            logprobs = logits.log_softmax(-1).gather(1, torch.tensor(response.ids)[:, None])[:, 0]
            ratio = (logprobs - torch.tensor(response.logprobs)).exp()
            loss = loss - torch.minimum(ratio * advantage, ratio.clamp(0.8, 1.28) * advantage).sum() / total
    loss.backward()
    plain = torch.cat([p.grad.flatten() for p in trainer.policy.trainable() if p.grad is not None])
    assert float((packed - plain).norm() / plain.norm()) < 1e-5


def test_two_minibatches_make_two_updates_and_the_second_is_off_policy(taught_model):
    trainer = Trainer(str(taught_model), with_changes(minibatch=2), "cpu")
    metrics = trainer.learn(sampled_groups(trainer))
    assert trainer.updates == 2
    assert metrics["logprob_gap"] < 1e-4
    assert metrics["ratio_max"] > 1.001


def test_stale_logprobs_stop_the_run(taught_model):
    trainer = Trainer(str(taught_model), with_changes(max_logprob_gap=0.01), "cpu")
    groups = sampled_groups(trainer)
    groups[0].responses[0].logprobs[0] -= 1.0
    with pytest.raises(CannotRun, match="sampler and trainer disagree"):
        trainer.learn(groups)


def test_groups_without_a_difference_change_nothing(taught_model):
    trainer = Trainer(str(taught_model), RECIPE, "cpu")
    before = [p.clone() for p in trainer.policy.trainable()]
    groups = [
        Group(g.id, g.prompt_ids, [Response(r.ids, r.logprobs, 1.0, r.truncated) for r in g.responses])
        for g in sampled_groups(trainer)
    ]
    assert trainer.learn(groups)["grad_norm"] == 0.0
    assert all(torch.equal(a, b) for a, b in zip(before, trainer.policy.trainable(), strict=True))


def test_a_checkpoint_brings_back_weights_optimizer_and_place(taught_model, tmp_path):
    trainer = Trainer(str(taught_model), RECIPE, "cpu")
    trainer.learn(sampled_groups(trainer))
    trainer.save(tmp_path, 3, {"step": 3, "cursor": 12})
    twin = Trainer(str(taught_model), RECIPE, "cpu")
    assert twin.restore(tmp_path / "step-000003.pt") == {"step": 3, "cursor": 12}
    again = sampled_groups(trainer)
    assert trainer.learn(again)["grad_norm"] == twin.learn(again)["grad_norm"]
    assert all(torch.equal(a, b) for a, b in zip(trainer.policy.trainable(), twin.policy.trainable(), strict=True))


def test_frozen_embeddings_stay_as_they_are(taught_model):
    trainer = Trainer(str(taught_model), with_changes(freeze_embeddings=True), "cpu")
    before = trainer.policy.model.get_input_embeddings().weight.clone()
    trainer.learn(sampled_groups(trainer))
    assert torch.equal(before, trainer.policy.model.get_input_embeddings().weight)


def test_a_model_is_exported_in_the_type_it_came_in(taught_model, tmp_path):
    half = load_policy(taught_model, device="cpu")
    half.save(tmp_path / "half", torch.bfloat16)
    trainer = Trainer(str(taught_model), RECIPE, "cpu")
    trainer.own_dtype = torch.bfloat16  # as on a GPU, where weights are loaded in it
    trainer.export(tmp_path / "model", "")
    for name in ("half", "model"):
        weights = load_file(tmp_path / name / "model.safetensors")
        assert {each.dtype for each in weights.values()} == {torch.bfloat16}
        assert AutoConfig.from_pretrained(tmp_path / name).dtype == torch.bfloat16


def test_a_merged_adapter_speaks_like_the_adapted_model(taught_model, tmp_path):
    trainer = Trainer(str(taught_model), with_changes(lora_rank=4, lr=1e-2), "cpu")
    groups = sampled_groups(trainer)
    trainer.learn(groups)
    trainer.policy.save(tmp_path / "merged")
    merged = load_policy(tmp_path / "merged", device="cpu")
    ids = torch.tensor([groups[0].prompt_ids])
    with torch.no_grad():
        apart = trainer.policy.model(input_ids=ids).logits
        together = merged.model(input_ids=ids).logits
        base = load_policy(taught_model, device="cpu", lora=LoraSpec(4)).model(input_ids=ids).logits
    assert float((apart - together).abs().max()) < 1e-4
    assert float((base - together).abs().max()) > 1e-3
