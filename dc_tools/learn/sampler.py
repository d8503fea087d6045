"""The sampler: an engine that makes groups of rollouts, from weights that it shares with a trainer or is sent."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch

from dc_tools.core.records import Rollout, Tokens
from dc_tools.learn.policy import computing
from dc_tools.learn.recipe import Recipe
from dc_tools.rollout.engine import Prompt, Sample, Sampling
from dc_tools.rollout.link import Link, Spec
from dc_tools.rollout.transformers import TransformersEngine, load_model

PROBE = "n = int(input())\nprint(sum(i * i for i in range(n + 1)))\n"
"""What trainer and samplers are compared by after weights were sent."""


class Sampler:
    """Samples from `model`, whose weights may change between two calls."""

    def __init__(self, model: Any, tokenizer: Any, name: str, recipe: Recipe) -> None:
        self.engine = TransformersEngine(model, tokenizer, name, recipe.sample_batch, recipe.sample_rows)

    @classmethod
    def load(cls, directory: str, recipe: Recipe, device: str = "auto") -> "Sampler":
        """With weights of its own, from a model folder. Errors: `CannotRun`."""
        if recipe.threads:
            torch.set_num_threads(recipe.threads)
        model, tokenizer = load_model(directory, device)
        return cls(model, tokenizer, Path(directory).resolve().name, recipe)

    def take(self, recipe: Recipe) -> None:
        """From now on another recipe holds."""
        self.engine.batch_prompts, self.engine.rows = recipe.sample_batch, recipe.sample_rows

    def join(self, address: str, seat: int, seats: int, timeout_s: float) -> None:
        """Meet the trainers, as one of the `seats` ends of a link."""
        self.link = Link(address, seat, seats, next(self.engine.model.parameters()).device, timeout_s)

    def receive(self, specs: Sequence[Spec]) -> None:
        """Take on the trainers' weights, when they are sent."""
        own = self.engine.model.state_dict()
        with torch.no_grad():
            for name, weight in self.link.receive(specs):
                own[name].copy_(weight)

    def probe(self) -> list[float]:
        """Log-probabilities of a fixed text's tokens, as the engine's model has them."""
        ids = probe_ids(self.engine.tokenizer)
        model = self.engine.model
        where = next(model.parameters()).device
        with torch.no_grad(), computing(where):
            logits_TV = model(torch.tensor([ids], device=where)).logits[0, :-1]
        logprobs_TV = logits_TV.float().log_softmax(-1)
        return [float(logprobs_V[token]) for logprobs_V, token in zip(logprobs_TV, ids[1:], strict=True)]

    def sample(
        self, prompts: Sequence[Prompt], sampling: Sampling, version: str
    ) -> Iterator[tuple[int, list[Rollout]]]:
        """The place of each prompt and its group of rollouts, with tokens and log-probabilities."""
        self.engine.version = version
        with computing(next(self.engine.model.parameters()).device):
            groups = list(self.engine.generate(prompts, sampling))
        for place, samples in enumerate(groups):
            yield place, [rollout_of(sample, f"{self.engine.name}@{version}") for sample in samples]


def probe_ids(tokenizer: Any) -> list[int]:
    """The fixed text."""
    return list(tokenizer(PROBE, add_special_tokens=False)["input_ids"])


def rollout_of(sample: Sample, model: str) -> Rollout:
    """The record of a sample, by `model`."""
    tokens = Tokens(sample.prompt_ids, sample.token_ids, sample.logprobs)
    return Rollout(sample.text, sample.finish, model, sample.seed, tokens, error=sample.error)
