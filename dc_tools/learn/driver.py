"""The processes of a run, over Ray: they are begun, asked, waited for, and missed when they die.

On one device the trainer samples as well. Else samplers have weights of their own, which are sent after each step.
"""

import contextlib
import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import ray

from dc_tools.core.cluster import connected
from dc_tools.core.errors import CannotRun, DcError
from dc_tools.core.records import Line, Problem
from dc_tools.learn.actors import Judge, SamplerActor, TrainerActor
from dc_tools.learn.batches import Group
from dc_tools.learn.groups import group_line
from dc_tools.learn.recipe import Recipe
from dc_tools.learn.shape import SamplerEngine, Shape
from dc_tools.learn.watch import Report
from dc_tools.rollout.engine import Prompt, Sampling, sample_seed
from dc_tools.rollout.link import Spec
from dc_tools.rollout.prompts import PromptStyle, render


class ActorLost(CannotRun):
    """A process of the run died, by itself or with its node."""


class Failed(CannotRun):
    """A process of the run met an error that is none of ours: perhaps since another died that it worked with."""


NOTICE_S = 60.0
"""How long Ray may take to notice a death that the network of the trainers notices at once."""
JUDGED = 64
"""Groups that a judge may have at a time."""
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
LOOK_S = 0.3
"""How often whoever waits looks whether the run is being ended."""
LESS_MEMORY = "lower token_budget or sample_rows, or train an adapter (--set lora_rank=16)"


@dataclass(frozen=True)
class _Synced:
    """Weights on their way: where it will be known that they were sent, and what all then say of a fixed text."""

    sent: list[Any]
    trainers: list[Any]
    samplers: list[Any]


@dataclass
class Cluster:
    """The actors of a run."""

    model: str
    shape: Shape
    device: str
    recipe: Recipe
    deadline_s: float
    trainers: list[Any] = field(default_factory=list)
    samplers: list[Any] = field(default_factory=list)
    """The trainer itself, where it samples."""
    judges: list[Any] = field(default_factory=list)
    is_closing: bool = False
    gpu: int | None = None
    """GPUs of a trainer: 1, or 0 on a cluster that had none at the start."""
    asked: dict[str, Any] = field(default_factory=dict)
    """Of processes by name, where their next report will be."""
    specs: list[Spec] = field(default_factory=list)
    """Of the weights that are sent."""
    synced: "_Synced | None" = None
    """The last weights that were sent, where they were not looked at yet."""

    def start(self) -> None:
        """Begin all actors, anew where there are some. Errors: `CannotRun`."""
        for actor in {*self.trainers, *self.samplers, *self.judges}:
            ray.kill(actor)
        shape, self.synced, self.asked = self.shape, None, {}
        if self.gpu is None:  # a run that lost its GPUs does not go on without
            self.gpu = int(ray.cluster_resources().get("GPU", 0) >= 1 and self.device != "cpu")
        gpu = self.gpu
        _check_room(shape, gpu)
        self.trainers = [ray.remote(num_cpus=1, num_gpus=gpu)(TrainerActor).remote() for _ in range(shape.trainers)]
        at_once = 8 + 2 * self.recipe.staleness if self.updates_in_flight else 1  # samples, updates, probes, reports
        kind = ray.remote(num_cpus=1, num_gpus=gpu * shape.tp, max_concurrency=at_once)(SamplerActor)
        own = [kind.remote() for _ in range(shape.samplers)]
        self.samplers = own or self.trainers
        judge = ray.remote(num_cpus=0, scheduling_strategy="SPREAD", max_concurrency=JUDGED)(Judge)
        self.judges = [judge.remote(shape.judge_workers) for _ in range(shape.judges)]
        first = self.trainers[0]
        meeting = self.wait(first.meeting_point.remote(), "the first trainer") if shape.trainers > 1 else ""
        opened = [
            trainer.open.remote(self.model, self.recipe, self.device, rank, shape.trainers, meeting)
            for rank, trainer in enumerate(self.trainers)
        ]
        opened += [sampler.open.remote(self.model, self.recipe, self.device, shape) for sampler in own]
        self.wait_all(opened, "the model")
        if own:
            self._connect()

    def _connect(self) -> None:
        """Make the link by which weights are sent."""
        address = self.wait(self.trainers[0].meeting_point.remote(), "the first trainer")
        tp = self.shape.tp
        seats = 1 + tp * len(self.samplers)
        joined = [trainer.do.remote("join", address, seats, self.deadline_s) for trainer in self.trainers]
        joined += [
            sampler.join.remote(address, 1 + tp * number, seats, self.deadline_s)
            for number, sampler in enumerate(self.samplers)
        ]
        self.specs = self.wait_all(joined, "the link between trainers and samplers")[0]

    @property
    def is_split(self) -> bool:
        """Whether samplers have weights of their own."""
        return self.samplers != self.trainers

    @property
    def updates_in_flight(self) -> bool:
        """Whether samplers take on weights while they sample, and what they are asked next begins at once."""
        return self.shape.engine is SamplerEngine.VLLM and self.recipe.staleness > 1

    def by_trainers(self, method: str, what: str, *arguments: Any, **of_span: Any) -> Any:
        """What rank 0 answers; all ranks are asked, and waited for."""
        return self.wait_all([trainer.do.remote(method, *arguments, **of_span) for trainer in self.trainers], what)[0]

    def learn(self, groups: Sequence[Group], step: int, progress: float) -> dict[str, float]:
        """One step's updates, in a run of which `progress` lies behind."""
        found: dict[str, float] = self.by_trainers("learn", "the update", ray.put(list(groups)), progress, step=step)
        return found

    def fitting(self, problems: Sequence[bytes]) -> list[bytes]:
        """The problems whose prompts are not too long."""
        style = PromptStyle(self.recipe.prompt_style)
        prompts = [render(Line(line).decode(Problem), style) for line in problems]
        fits = self.wait(self.trainers[0].do.remote("fits", prompts), "the lengths of the prompts")
        return [line for line, each in zip(problems, fits, strict=True) if each]

    def reports(self, wait_s: float) -> dict[str, Report]:
        """What processes, by name, did since they last reported; whoever is at work for longer than `wait_s` does so
        another time."""
        kinds = {"trainer": self.trainers, "sampler": self.samplers if self.is_split else [], "judge": self.judges}
        actors = {f"{kind} {number}": actor for kind, each in kinds.items() for number, actor in enumerate(each)}
        self.asked |= {name: actor.report.remote() for name, actor in actors.items() if name not in self.asked}
        ready, _ = ray.wait(list(self.asked.values()), num_returns=len(self.asked), timeout=wait_s)
        names = [name for name, reference in self.asked.items() if reference in ready]
        return {name: self.wait(self.asked.pop(name), f"the report of {name}") for name in names}

    def sync(self, step: int) -> None:
        """Send the weights after `step` to the samplers: when all have done what they were asked before, or, with
        updates in flight, at once. Errors: as `check`, of the weights before."""
        if self.is_split:
            self.check()
            sent = [trainer.do.remote("send", step=step) for trainer in self.trainers]
            mine = [trainer.do.remote("probe", step=step) for trainer in self.trainers]
            theirs = [sampler.update.remote(self.specs, f"step-{step}", step) for sampler in self.samplers]
            self.synced = _Synced(sent, mine, theirs)
            if self.updates_in_flight:
                self.check()

    def check(self) -> None:
        """Wait until the samplers have the weights that were sent last; they must say of a fixed text what the trainer
        says. Errors: `CannotRun`, where they do not."""
        if self.synced is None:
            return
        synced, self.synced = self.synced, None
        self.wait_all([*synced.sent, *synced.samplers], "the samplers' new weights")
        mine, *_ = self.wait_all(synced.trainers, "the probe")
        theirs = self.wait_all(synced.samplers, "the samplers' new weights")
        gap = max(abs(a - b) for each in theirs for a, b in zip(mine, each, strict=True))
        if gap > self.recipe.max_logprob_gap:
            raise CannotRun(
                f"a sampler and the trainer are {gap:.3g} apart about a fixed text (max_logprob_gap "
                f"{self.recipe.max_logprob_gap:g}): the sampler's weights are stale or rounded"
            )

    def take(self, recipe: Recipe) -> None:
        """From now on another recipe holds."""
        if recipe != self.recipe:
            self.by_trainers("take", "the recipe", recipe)
            if self.is_split:
                for sampler in self.samplers:
                    sampler.take.remote(recipe)  # when it has done what it was asked before
            self.recipe = recipe

    def roll_out(
        self, problems: Sequence[bytes], step: int, seed: int, recipe: Recipe, *, first: int = 0, n: int | None = None
    ) -> tuple[list[bytes], dict[str, float]]:
        """Sample and judge one step; its lines, in the order of `problems`, and how long each part took. `first` is
        how many problems of the step were asked before; `n` samples each, where it is not the recipe's group.

        Problems go to the samplers a few at a time, and a group to a judge as soon as it is there. Which sampler and
        which judge have it changes nothing but the time.
        """
        style, started = PromptStyle(recipe.prompt_style), time.monotonic()
        sampling = Sampling(
            n=n or recipe.group, temperature=recipe.temperature, max_tokens=recipe.max_tokens,
            seed=sample_seed(seed, "step", step),
        )
        first_of: dict[Any, int] = {}
        size = recipe.sample_batch
        if self.shape.engine is SamplerEngine.VLLM:
            size = max(size, -(-len(problems) // len(self.samplers)))  # it sees to it that its rows are full
        pieces = [problems[i : i + size] for i in range(0, len(problems), size)]
        for number, piece in enumerate(pieces):
            prompts = [self._prompt(line, style, f"{first + number}.{i}") for i, line in enumerate(piece)]
            sample = self.samplers[number % len(self.samplers)].sample.options(num_returns="streaming")
            first_of[sample.remote(prompts, sampling, f"step-{step - 1}", step)] = number * size
        judged = {
            place: self.judges[place % len(self.judges)].judge.remote(problems[place], group, step)
            for place, group in self._as_sampled(first_of)
        }
        sample_s = time.monotonic() - started
        groups = [self.wait(judged[place], "verdicts") for place in range(len(problems))]
        lines = [
            group_line(problem, group, step, recipe.terms, recipe.max_tokens)
            for problem, group in zip(problems, groups, strict=True)
        ]
        return lines, {"sample_s": sample_s, "judge_s": time.monotonic() - started - sample_s}

    def _as_sampled(self, first_of: dict[Any, int]) -> Iterator[tuple[int, Any]]:
        """Places of problems and references of their groups, as streams of samplers give them; each stream counts its
        places from a first one."""
        left = list(first_of)
        while left:
            ready, _ = self._ready(left, fetch=False)
            if not ready:
                raise self._hangs("rollouts")
            for stream in ready:
                place = next(stream, None)
                if place is None:
                    left.remove(stream)
                else:
                    yield first_of[stream] + self.wait(place, "rollouts"), next(stream)

    def wait_all(self, references: Sequence[Any], what: str) -> list[Any]:
        """The values of references; where one fails, its error, however the others wait for it."""
        left = list(references)
        while left:
            ready, left = self._ready(left)
            if not ready:
                break
            for number, reference in enumerate(ready):
                try:
                    self.wait(reference, what)
                except Failed:
                    self._look_for_the_dead([*ready[number + 1 :], *left], what)
                    raise
        return [self.wait(reference, what) for reference in references]

    def _look_for_the_dead(self, references: Sequence[Any], what: str) -> None:
        """One that failed may have done so since another died. Errors: `ActorLost`, where one of the others has."""
        left, ends = list(references), time.monotonic() + NOTICE_S
        while left and time.monotonic() < ends and not self.is_closing:
            ready, left = ray.wait(left, timeout=LOOK_S)
            for reference in ready:
                with contextlib.suppress(Failed):
                    self.wait(reference, what)

    def wait(self, reference: Any, what: str) -> Any:
        """The value of a reference. Errors: `CannotRun` past the deadline, or when the actor died."""
        try:
            ready, _ = self._ready([reference])
            return ray.get(reference, timeout=None if ready else 0.001)
        except ray.exceptions.GetTimeoutError:
            raise self._hangs(what) from None
        except ray.exceptions.RayTaskError as error:
            cause = error.cause
            if isinstance(cause, ray.exceptions.RayError):  # of what it was to work on
                raise _lost(what, cause) from error
            if isinstance(cause, DcError):
                raise type(cause)(*cause.args) from error
            if isinstance(cause, MemoryError) or "memory" in str(cause):
                raise CannotRun(f"out of memory while making {what}: {LESS_MEMORY}") from error
            raise Failed(f"{what}: {type(cause).__name__}: {cause}") from error
        except ray.exceptions.RayError as error:
            raise _lost(what, error) from error

    def _hangs(self, what: str) -> CannotRun:
        return CannotRun(f"waited {self.deadline_s:.0f} s for {what}: a process hangs; see --step-timeout")

    def _ready(self, references: list[Any], *, fetch: bool = True) -> tuple[list[Any], list[Any]]:
        """Those that are there, at least one, and the others; none past the deadline. Errors: `CannotRun` once the run
        is closing, so that no thread waits while Ray ends."""
        ends = time.monotonic() + self.deadline_s
        while True:
            if self.is_closing:
                raise CannotRun("the run was ended")
            ready, left = ray.wait(references, timeout=min(LOOK_S, self.deadline_s), fetch_local=fetch)
            if ready or time.monotonic() > ends:
                return ready, left

    def _prompt(self, line: bytes, style: PromptStyle, slot: str) -> Prompt:
        prompt = render(Line(line).decode(Problem), style)
        return Prompt(f"{prompt.id}#{slot}", prompt.messages, prompt.prefix, prompt.stop)


def _lost(what: str, error: Exception) -> ActorLost:
    said = [line for line in _COLOUR.sub("", str(error)).splitlines() if line.strip()] or [type(error).__name__]
    cause = said[-1] if "creation task" in said[0] else said[0]
    return ActorLost(f"the process that makes {what} died (out of memory?): {cause.strip()}")


@contextlib.contextmanager
def cluster(
    model: str, recipe: Recipe, shape: Shape, *, address: str | None, device: str, deadline_s: float
) -> Iterator[Cluster]:
    """The actors, on the cluster at `address`, or on one of our own that ends with us. Errors: `CannotRun`."""
    with connected(address, shape.trainers + shape.samplers):
        actors = Cluster(model, shape, device, recipe, deadline_s)
        actors.start()
        yield actors


def _check_room(shape: Shape, gpu: int) -> None:
    """Actors beyond the cluster's devices would wait for ever. Errors: `CannotRun`."""
    found = ray.cluster_resources()
    for name in ["CPU", "GPU"] if gpu else ["CPU"]:
        wanted = shape.trainers + shape.samplers * (shape.tp if name == "GPU" else 1)
        if wanted > found.get(name, 0):
            raise CannotRun(
                f"{shape.trainers} trainers and {shape.samplers} samplers need {wanted} {name}s; the cluster has "
                f"{found.get(name, 0):.0f}"
            )
