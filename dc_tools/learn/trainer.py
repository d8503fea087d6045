"""The trainer: samples from its policy and updates it. Knows nothing of Ray, files of a run, or judges."""

import math
import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from dc_tools.core.errors import CannotRun
from dc_tools.core.records import Rollout
from dc_tools.learn import memory
from dc_tools.learn.average import Average
from dc_tools.learn.batches import Group, Piece, Row, Weighed
from dc_tools.learn.budget import START, Budget, OutOfMemory
from dc_tools.learn.checkpoint import load_checkpoint, save_checkpoint
from dc_tools.learn.losses import correction, token_losses
from dc_tools.learn.mfu import Cost, peak
from dc_tools.learn.objective import OBJECTIVES, Correction, Size, overlong, token_weight
from dc_tools.learn.packing import Plan, planned
from dc_tools.learn.policy import LoraSpec, Scorer, load_policy
from dc_tools.learn.ranks import Ranks, load_whole_state, whole_state
from dc_tools.learn.recipe import Recipe
from dc_tools.learn.sampler import Sampler, probe_ids
from dc_tools.learn.schedule import rate
from dc_tools.learn.weights import weights_of, whole_model
from dc_tools.rollout.engine import Prompt, Sampling, model_name
from dc_tools.rollout.link import Link, Spec

MOST_NOT_FINITE = 3
"""Optimizer steps in a row whose gradient is not finite that end the run."""


@dataclass
class Update:
    """What one pass over a step's groups did, summed over its sampled tokens."""

    loss: float = 0.0
    clipped: int = 0
    kl: float = 0.0
    gaps: list[float] = field(default_factory=list)
    ratios: list[float] = field(default_factory=list)
    corrections: list[float] = field(default_factory=list)
    grad_norms: list[float] = field(default_factory=list)
    wastes: list[float] = field(default_factory=list)
    forward_tokens: int = 0
    flops: int = 0
    skipped: int = 0
    """Optimizer steps whose gradient was not finite."""

    def merged(self, others: "Sequence[Update]") -> "Update":
        """With what other ranks did in the same steps."""
        found = replace(self)
        for name in ("loss", "clipped", "kl", "forward_tokens", "flops"):
            setattr(found, name, sum((getattr(each, name) for each in others), getattr(self, name)))
        for name in ("gaps", "ratios", "corrections"):
            setattr(found, name, [value for each in (self, *others) for value in getattr(each, name)])
        return found


@dataclass(frozen=True)
class _LaidOut:
    """One rank's rows of an optimizer step, with their log-probabilities before it."""

    rows: list[Row]
    old: list[Tensor]
    waste: float
    longest: int
    """Tokens of the longest row of any rank."""


class Trainer:
    """A policy with its optimizer, and an engine that samples from the very same weights."""

    def __init__(self, model: str, recipe: Recipe, device: str = "auto", ranks: Ranks | None = None) -> None:
        if recipe.threads:
            torch.set_num_threads(recipe.threads)
        self.ranks = ranks or Ranks()
        lora = LoraSpec(recipe.lora_rank, recipe.lora_alpha) if recipe.lora_rank else None
        self.recipe = recipe
        self.objective = OBJECTIVES[recipe.objective]
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)  # the same adapter on each rank, and in each run
            self.policy = load_policy(model, device=device, lora=lora, freeze_embeddings=recipe.freeze_embeddings)
        self.own_dtype = self.policy.hold_in_float32()
        self.policy.model.eval()  # no dropout: the learner must see the sampler's distribution
        self.sampler = Sampler(self.policy.model, self.policy.tokenizer, model_name(model), recipe)
        self.cost = Cost.of(self.policy.base)
        self.scorer = self.ranks.shard(Scorer(self.policy, little_memory=recipe.gradient_checkpointing))
        self.optimizer = torch.optim.AdamW(
            self._trained(), lr=recipe.lr, betas=recipe.betas, weight_decay=recipe.weight_decay
        )
        named = {name: p for name, p in self.scorer.named_parameters() if p.requires_grad}
        self.average = Average(named, recipe.ema) if recipe.ema else None
        self.budget = Budget(recipe.token_budget or START, grows=not recipe.token_budget)
        self.updates = 0
        self.not_finite = 0
        """Optimizer steps in a row that had to be skipped."""

    def take(self, recipe: Recipe) -> None:
        """From now on another recipe holds, whose fixed settings are the same."""
        if recipe.token_budget != self.recipe.token_budget:
            self.budget = Budget(recipe.token_budget or START, grows=not recipe.token_budget)
        self.recipe, self.objective = recipe, OBJECTIVES[recipe.objective]
        self.sampler.take(recipe)
        for group in self.optimizer.param_groups:
            group |= {"betas": recipe.betas, "weight_decay": recipe.weight_decay}

    def sample(
        self, prompts: Sequence[Prompt], sampling: Sampling, version: str
    ) -> Iterator[tuple[int, list[Rollout]]]:
        """The place of each prompt and its group of rollouts, with the tokens and log-probabilities of this policy."""
        return self.sampler.sample(prompts, sampling, version)

    def fits(self, prompts: Sequence[Prompt]) -> list[bool]:
        """Which prompts are not too long to learn from."""
        return [len(self.sampler.engine.encode(prompt)) <= self.recipe.max_prompt for prompt in prompts]

    def learn(self, groups: Sequence[Group], progress: float = 0.0) -> dict[str, float]:
        """One pass of updates, an optimizer step for each `minibatch` groups; returns the step's metrics. `progress` is
        the share of the run that lies behind.

        Errors: `CannotRun` where sampler and trainer disagree about the first minibatch, or the loss is not finite.
        """
        started = time.monotonic()
        update = Update()
        size = self.recipe.minibatch
        minibatches = [groups[first : first + size] for first in range(0, len(groups), size)]
        memory.begin(self.policy.device)
        laid_out = [self._laid_out(each) for each in minibatches]
        for number, minibatch in enumerate(minibatches):
            on_policy = number == 0 and not self.recipe.staleness
            again = self.recipe.correction is Correction.NONE or number == 0  # else old_S could not be had any more
            part = self._gradient(minibatch, laid_out[number], on_policy=on_policy, again=again)
            update = self._optimizer_step(update, part, progress, on_policy=on_policy)
        used = self.ranks.largest_known(memory.used(self.policy.device))
        self.budget.after_step(used, max((each.longest for each in laid_out), default=0))
        seconds = time.monotonic() - started
        update = self.ranks.merged(update)
        ratios = torch.tensor(update.ratios or [1.0])
        quantiles = torch.quantile(ratios[:1_000_000], torch.tensor([0.0, 0.5, 1.0])).tolist()
        steps = max(len(update.grad_norms), 1)
        return {
            "loss": update.loss / steps,
            "grad_norm": sum(update.grad_norms) / steps,
            "clip_fraction": update.clipped / max(len(update.ratios), 1),
            "kl": update.kl / max(len(update.ratios), 1),
            "logprob_gap": max(update.gaps, default=0.0),
            "ratio_min": quantiles[0], "ratio_median": quantiles[1], "ratio_max": quantiles[2],
            "correction": sum(update.corrections) / max(len(update.corrections), 1),
            "lr": self.optimizer.param_groups[0]["lr"],
            "learn_tokens": update.forward_tokens, "skipped_updates": update.skipped,
            "token_budget": self.budget.tokens,
            "packing_waste": sum(update.wastes) / max(len(update.wastes), 1),
            "learn_s": seconds, "mfu": self._utilisation(update.flops, seconds),
        }

    def _utilisation(self, flops: int, seconds: float) -> float | None:
        """Share of what the devices of all ranks could do; None where that is not known."""
        device = self.policy.device
        best = peak(torch.cuda.get_device_name(device)) if device.type == "cuda" else None
        return flops / (seconds * best * self.ranks.world) if best and flops else None

    def plan(self, groups: Sequence[Group]) -> Plan:
        """How an optimizer step over these groups is cut up."""
        objective, recipe = self.objective, self.recipe
        responses = [response for group in groups for response in group.responses]
        size = Size(sum(len(r.ids) for r in responses), len(responses), recipe.max_tokens)
        found: list[Piece] = []
        for number, group in enumerate(groups):
            rewards = [r.reward for r in group.responses]
            advantages = objective.advantages(rewards)
            if recipe.filters_overlong:
                solved = [float(r.solved) for r in group.responses]
                advantages = overlong(advantages, solved, [r.truncated for r in group.responses])
            weighed = [
                Weighed(r.ids, r.logprobs, advantage, token_weight(objective.scale, len(r.ids), size))
                for r, advantage in zip(group.responses, advantages, strict=True)
            ]
            found.append(Piece(number, group.prompt_ids, weighed))
        return planned(found, self.budget.tokens, self.ranks.world)

    def accumulate(self, rows: Sequence[Row], old: Sequence[Tensor], update: Update, *, on_policy: bool) -> None:
        """Add the gradient of this rank's rows; `old` are the log-probabilities before the step's first update."""
        recipe = self.recipe
        for row, old_S in zip(rows, old, strict=True):
            logprobs_S = self.scorer(row, recipe.temperature)
            sampled_S, advantages_S, weights_S, responses_S = (
                torch.tensor(values, device=logprobs_S.device)
                for values in (row.sampled_logprobs, row.advantages, row.weights, row.responses)
            )
            loss_S, bound_S = token_losses(self.objective, logprobs_S, old_S, advantages_S, responses_S, recipe.clip)
            correction_S = correction(old_S, sampled_S, responses_S, recipe.correction, recipe.correction_cap)
            loss = (loss_S * weights_S * correction_S).sum()
            (loss * self.ranks.world).backward()  # gradients are means over the ranks
            with torch.no_grad():
                if not any(row.weights):
                    continue
                log_ratio_S = logprobs_S.detach() - sampled_S
                update.loss += float(loss)
                update.clipped += int(bound_S.sum())
                update.ratios += log_ratio_S.exp().tolist()
                update.corrections += correction_S.tolist()
                update.kl += float((log_ratio_S.exp() - 1 - log_ratio_S).sum())
                update.forward_tokens += len(row.ids)
                update.flops += self.cost.flops(row) if self.cost else 0
                if on_policy:
                    update.gaps.append(float(log_ratio_S.abs().max()))

    def _old_logprobs(self, rows: Sequence[Row]) -> list[Tensor]:
        """What ratios are taken of: the engine's word, or, where that is corrected, the trainer's before it learns."""
        if self.recipe.correction is Correction.NONE:
            return [torch.tensor(row.sampled_logprobs, device=self.policy.device) for row in rows]
        with torch.no_grad():
            return [self.scorer(row, self.recipe.temperature) for row in rows]

    def _trained(self) -> list[torch.nn.Parameter]:
        return [p for p in self.scorer.parameters() if p.requires_grad]

    def _laid_out(self, groups: Sequence[Group]) -> "_LaidOut":
        plan = self.plan(groups)
        rows = plan.rows(self.ranks.rank)
        return _LaidOut(rows, self._old_logprobs(rows), plan.waste, plan.longest)

    def _gradient(self, groups: Sequence[Group], laid_out: "_LaidOut", *, on_policy: bool, again: bool) -> Update:
        """The gradient of an optimizer step, by shorter rows where memory runs out and it can be done `again`. Errors:
        `OutOfMemory` where it cannot: of several ranks, the others wait for the one that failed."""
        while True:
            part = Update(wastes=[laid_out.waste] if laid_out.rows else [])
            self.optimizer.zero_grad(set_to_none=True)
            try:
                self.accumulate(laid_out.rows, laid_out.old, part, on_policy=on_policy)
                return part
            except (RuntimeError, MemoryError) as error:
                if not memory.ran_out(error) or not self._shorten(groups, laid_out.longest):
                    raise
                if self.ranks.world > 1 or not again:
                    raise OutOfMemory(self.budget) from error
            memory.give_back(self.policy.device)
            laid_out = self._laid_out(groups)

    def _shorten(self, groups: Sequence[Group], longest: int) -> bool:
        """Halve the budget until no row has `longest` tokens; whether there is such a budget."""
        while self.budget.halve():
            if self.plan(groups).longest < longest:
                return True
        return False

    def _optimizer_step(self, before: Update, part: Update, progress: float, *, on_policy: bool) -> Update:
        """Take the step whose gradient is there; what was done so far."""
        update = before.merged([part])
        if not part.wastes:
            return update  # no group of this minibatch has anything to learn
        update.wastes += part.wastes
        if on_policy:
            self._check_gap(self.ranks.largest(max(part.gaps, default=0.0)))
        recipe = self.recipe
        for parameter_group in self.optimizer.param_groups:
            parameter_group["lr"] = rate(
                recipe.schedule, recipe.lr, recipe.lr_floor, recipe.warmup, self.updates, progress
            )
        norm = self.ranks.whole(torch.nn.utils.clip_grad_norm_(self._trained(), self.recipe.grad_clip))
        if not math.isfinite(norm):
            self._skip(update)
            return update
        self.not_finite = 0
        update.grad_norms.append(norm)
        self.optimizer.step()
        if self.average:
            self.average.update()
        self.updates += 1
        return update

    def _skip(self, update: Update) -> None:
        update.skipped += 1
        self.not_finite += 1
        if self.not_finite >= MOST_NOT_FINITE:
            raise CannotRun(
                f"the gradient was not finite {MOST_NOT_FINITE} times in a row: lower the learning rate, or start from "
                "an earlier checkpoint"
            )

    def _check_gap(self, gap: float) -> None:
        if gap > self.recipe.max_logprob_gap:
            raise CannotRun(
                f"sampler and trainer disagree by {gap:.3g} about a token "
                f"(max_logprob_gap {self.recipe.max_logprob_gap:g}): the sampler's weights are stale or rounded"
            )

    def lower(self, budget: Budget) -> None:
        """Learn by rows that are no longer than those of a budget that memory ran out with."""
        self.budget.lower(budget)

    def save(self, directory: Path, step: int, place: dict[str, Any]) -> None:
        """A checkpoint of everything that the next step depends on; `place` is the loop's. Any number of ranks can go
        on from it."""
        policy, optimizer = whole_state(self.scorer, self.optimizer)
        average = self.average.state() if self.average else {}
        if self.ranks.rank == 0:
            counts = {"updates": self.updates, "not_finite": self.not_finite, "budget": asdict(self.budget)}
            tensors = {"policy": policy, "optimizer": optimizer, "average": average}
            save_checkpoint(directory, step, {"place": place, **counts, **tensors})

    def restore(self, path: Path) -> dict[str, Any]:
        """Take up a checkpoint; returns the loop's place. Errors: `CannotRun`."""
        state = load_checkpoint(path)
        load_whole_state(self.scorer, self.optimizer, state["policy"], state["optimizer"])
        if self.average:
            self.average.load(state["average"])
        self.updates, self.not_finite, self.budget = state["updates"], state["not_finite"], Budget(**state["budget"])
        place: dict[str, Any] = state["place"]
        return place

    def join(self, address: str, seats: int, timeout_s: float) -> list[Spec]:
        """Meet the samplers that have weights of their own, at `address` of rank 0; what they will be sent."""
        seat = None if self.ranks.rank else 0
        self.link = Link(address, seat, seats, self.policy.device, timeout_s)
        return [weight.spec for weight in weights_of(self.scorer)]

    def send(self) -> None:
        """The weights to all samplers, when these are there for them; every rank must ask."""
        self.link.wait()
        whole = (weight.whole() for weight in weights_of(self.scorer))
        if self.ranks.rank == 0:
            self.link.send(whole)
        else:
            deque(whole, maxlen=0)

    def probe(self) -> list[float]:
        """Log-probabilities of a fixed text's tokens; every rank must ask."""
        first, *rest = probe_ids(self.policy.tokenizer)
        row = Row()
        row.add(Piece(0, [first], [Weighed(rest, [0.0] * len(rest), 1.0, 1.0)]))
        with torch.no_grad():
            return [float(value) for value in self.scorer(row, 1.0)]

    def export(self, directory: Path, card: str) -> None:
        """The policy as a Hugging Face folder with its card, in the number type it came in; where there is a moving
        average, that as well, beside it."""
        self._export(directory, card)
        if self.average:
            with self.average.in_place():
                self._export(directory.with_name(f"{directory.name}-average"), card)

    def _export(self, directory: Path, card: str) -> None:
        keep = self.ranks.rank == 0
        state = whole_model(self.scorer, self.own_dtype, keep=keep)
        if keep:
            self.policy.save_state(directory, state, card)
