"""The training loop, over Ray: one trainer that also samples, one judge with its sandboxes, one readable loop.

A step is: sample, judge, write the rollouts down, learn from what was written, log.
"""

import contextlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import ray

from dc_tools.core.cluster import connected
from dc_tools.core.errors import CannotRun, DcError
from dc_tools.core.extract import extract_code
from dc_tools.core.records import Finish, Line, Problem, Rollout, Status, Verdict
from dc_tools.learn.groups import group_line
from dc_tools.learn.recipe import Recipe
from dc_tools.learn.trainer import Trainer
from dc_tools.rollout.engine import Prompt, Sampling, sample_seed
from dc_tools.rollout.prompts import PromptStyle, render
from dc_tools.sandbox.judge import JudgePool

NO_CODE = "the answer has no code block"
LESS_MEMORY = "lower token_budget or sample_batch, or train an adapter (--set lora_rank=16)"


class Judge:
    """The sandboxes of one node."""

    def __init__(self, workers: int) -> None:
        self._pool = JudgePool(workers)

    def judge(self, problems: Sequence[bytes], groups: Sequence[Sequence[Rollout]]) -> list[list[Rollout]]:
        """The groups with code and verdict on every rollout."""
        pending = []
        for line, group in zip(problems, groups, strict=True):
            problem = Line(line).decode(Problem)
            for rollout in group:
                rollout.code = extract_code(rollout.text)
                if rollout.finish is not Finish.ERROR and rollout.code is not None:
                    pending.append((rollout, self._pool.submit(problem, rollout.code)))
                elif rollout.finish is not Finish.ERROR:
                    rollout.verdict = Verdict(Status.CE, 0, len(problem.tests), message=NO_CODE)
        for rollout, verdict in pending:
            rollout.verdict = verdict.result()
        return [list(group) for group in groups]


class TrainerActor(Trainer):
    """A trainer that is made after its process is there, so that what goes wrong comes back as an error of its own."""

    def __init__(self) -> None:
        """Nothing yet."""

    def open(self, model: str, recipe: Recipe, device: str) -> None:
        """Load the model. Errors: `CannotRun`."""
        super().__init__(model, recipe, device)


@dataclass
class Cluster:
    """The actors of a run."""

    trainer: Any
    judge: Any
    recipe: Recipe
    deadline_s: float

    def take(self, recipe: Recipe) -> None:
        """From now on another recipe holds."""
        if recipe != self.recipe:
            self.wait(self.trainer.take.remote(recipe), "the recipe")
            self.recipe = recipe

    def roll_out(
        self, problems: Sequence[bytes], step: int, seed: int, *, first: int = 0, n: int | None = None
    ) -> tuple[list[bytes], dict[str, float]]:
        """Sample and judge one step; its lines, in the order of `problems`, and how long each part took. `first` is
        how many problems of the step were asked before; `n` samples each, where it is not the recipe's group.

        Problems go to the trainer a few at a time, so that the judge works on one piece while the next is sampled.
        """
        style, started = PromptStyle(self.recipe.prompt_style), time.monotonic()
        sampled, judged = [], []
        pieces = [problems[i : i + self.recipe.sample_batch] for i in range(0, len(problems), self.recipe.sample_batch)]
        for number, piece in enumerate(pieces):
            prompts = [self._prompt(line, style, f"{first + number}.{i}") for i, line in enumerate(piece)]
            sampling = Sampling(
                n=n or self.recipe.group, temperature=self.recipe.temperature, max_tokens=self.recipe.max_tokens,
                seed=sample_seed(seed, "step", step),
            )
            rollouts = self.trainer.sample.remote(prompts, sampling, f"step-{step - 1}")
            sampled.append(rollouts)
            judged.append(self.judge.judge.remote(list(piece), rollouts))
        for reference in sampled:
            self.wait_only(reference, "rollouts")
        sample_s = time.monotonic() - started
        groups = [group for reference in judged for group in self.wait(reference, "verdicts")]
        lines = [
            group_line(problem, group, step, self.recipe.terms, self.recipe.max_tokens)
            for problem, group in zip(problems, groups, strict=True)
        ]
        return lines, {"sample_s": sample_s, "judge_s": time.monotonic() - started - sample_s}

    def wait(self, reference: Any, what: str) -> Any:
        """The value of a reference. Errors: `CannotRun` past the deadline, or when the actor died."""
        try:
            return ray.get(reference, timeout=self.deadline_s)
        except ray.exceptions.GetTimeoutError:
            raise CannotRun(f"waited {self.deadline_s:.0f} s for {what}: a process hangs; see --step-timeout") from None
        except ray.exceptions.RayTaskError as error:
            cause = error.cause
            if isinstance(cause, DcError):
                raise type(cause)(str(cause)) from error
            if isinstance(cause, MemoryError) or "memory" in str(cause):
                raise CannotRun(f"out of memory while making {what}: {LESS_MEMORY}") from error
            raise CannotRun(f"{what}: {type(cause).__name__}: {cause}") from error
        except ray.exceptions.RayError as error:
            first = str(error).strip().splitlines()[0]
            raise CannotRun(f"the process that makes {what} died (out of memory?): {first}") from error

    def wait_only(self, reference: Any, what: str) -> None:
        """Wait until a reference is there, without fetching it."""
        ready, _ = ray.wait([reference], timeout=self.deadline_s, fetch_local=False)
        if not ready:
            self.wait(reference, what)

    def _prompt(self, line: bytes, style: PromptStyle, slot: str) -> Prompt:
        prompt = render(Line(line).decode(Problem), style)
        return Prompt(f"{prompt.id}#{slot}", prompt.messages, prompt.prefix, prompt.stop)


@contextlib.contextmanager
def cluster(
    model: str, recipe: Recipe, *, address: str | None, device: str, judges: int, deadline_s: float
) -> Iterator[Cluster]:
    """The actors, on the cluster at `address`, or on one of our own that ends with us."""
    with connected(address):
        gpus = 1 if ray.cluster_resources().get("GPU", 0) >= 1 and device != "cpu" else 0
        trainer = ray.remote(num_cpus=1, num_gpus=gpus)(TrainerActor).remote()
        judge = ray.remote(num_cpus=1)(Judge).remote(judges)
        actors = Cluster(trainer, judge, recipe, deadline_s)
        actors.wait(trainer.open.remote(model, recipe, device), "the model")
        yield actors
