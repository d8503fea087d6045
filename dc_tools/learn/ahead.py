"""The rollouts of the next steps, made while the trainer still learns from earlier ones; and what a run has to do.

Step t + 1 + staleness is begun when step t is at hand, so with a staleness of 1 it is sampled by the policy that step t
is learned with. From a staleness of 2 on, samplers that are vLLM work at several steps at once, and take on new weights
between two tokens: they wait for no step's slowest rollout, unless what a step asks depends on the one before (dynamic
sampling, stages = "auto"). Whatever is sampled is written down at once: a run that is killed finds it again.
"""

from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean

import msgspec

from dc_tools.core.errors import CannotRun
from dc_tools.core.records import Finish, Line, Problem, Status
from dc_tools.learn.batches import Group
from dc_tools.learn.driver import Cluster
from dc_tools.learn.folder import Folder
from dc_tools.learn.groups import group_of, read_ahead, write_ahead
from dc_tools.learn.recipe import Recipe
from dc_tools.learn.rewards import weight_of
from dc_tools.learn.stages import AUTO, WINDOW, next_length, stage_of
from dc_tools.learn.walk import Walk


@dataclass
class Place:
    """Where a run is: all of it is in the checkpoint, beside the policy and its optimizer."""

    step: int = 0
    cursor: int = 0
    """Problems that were asked so far."""
    lengths: list[int] = field(default_factory=list)
    """Most tokens of a response, of the last steps."""
    truncated: list[float] = field(default_factory=list)
    """Share of their responses that was cut off."""
    best: float = -1.0
    """The share that the best evaluation solved."""

    def after(self, recipe: Recipe, asked: int, truncated: float) -> "Place":
        """After a step more, which asked so many problems."""
        lengths, shares = [*self.lengths, recipe.max_tokens], [*self.truncated, truncated]
        return Place(self.step + 1, self.cursor + asked, lengths[-WINDOW:], shares[-WINDOW:], self.best)


@dataclass
class Job:
    """What a run is asked to do."""

    problems: Sequence[bytes]
    steps: int
    stop_after_s: float
    reload: Callable[[], Recipe]
    """The recipe as its files are now. Errors: `CannotRun`."""
    evaluation: Sequence[bytes] = ()
    eval_every: int = 10
    trackers: Sequence[str] = ()
    """Names of the places that metrics go to."""
    replay: Path | None = None
    """A folder of rollouts to learn from, in place of sampling."""


@dataclass
class Rolled:
    """The rollouts of a step."""

    recipe: Recipe
    lines: list[bytes]
    groups: list[Group]
    """Those of the lines that can be learned from."""
    times: dict[str, float]
    place: Place
    """Where the run is after the step."""


class Ahead:
    """Makes the rollouts of steps in order, at most `1 + staleness` steps of them at a time."""

    def __init__(self, cluster: Cluster, folder: Folder, job: Job, seed: int) -> None:
        self._cluster, self._folder, self._job, self._seed = cluster, folder, job, seed
        self._threads = ThreadPoolExecutor(1 + cluster.recipe.staleness)
        self._begun: deque[Future[Rolled]] = deque()
        self._last: Future[Rolled] | None = None
        self._walk = walk_of(job.problems, cluster.recipe, seed)

    def close(self) -> None:
        """Forget what was begun; the threads have ended afterwards."""
        self._cluster.is_closing = True
        self._threads.shutdown(wait=True, cancel_futures=True)
        self._cluster.is_closing = False

    @property
    def begun(self) -> int:
        """Steps whose rollouts were begun and not yet asked for."""
        return len(self._begun)

    def forget(self) -> None:
        """Begin anew at the next place that is asked for."""
        self._cluster.is_closing = True
        wait([future for future in self._begun if not future.cancel()])
        self._cluster.is_closing = False
        self._begun.clear()
        self._last = None

    def next(self, place: Place) -> Rolled:
        """The rollouts of the step after `place`. Errors: `CannotRun`."""
        while len(self._begun) <= self._cluster.recipe.staleness and place.step + len(self._begun) < self._job.steps:
            if self._may_overlap(place.step):
                self._last = self._threads.submit(self._step, self._expected(place, len(self._begun)))
            else:
                self._last = self._threads.submit(self._after, self._last, place)
            self._begun.append(self._last)
        return self._begun.popleft().result()

    def _may_overlap(self, step: int) -> bool:
        """Whether a step is begun while those after `step` are still sampled: what they give must not matter."""
        recipes = [self._folder.recipe(step + 1 + ahead) for ahead in range(len(self._begun) + 1)]
        depends = any(recipe.replaces_equal or recipe.stages == AUTO for recipe in recipes)
        return self._cluster.updates_in_flight and not depends

    def _expected(self, place: Place, steps: int) -> Place:
        """Where the run will be so many steps after `place`."""
        for _ in range(steps):
            recipe = staged(self._folder.recipe(place.step + 1), place)
            place = place.after(recipe, recipe.batch, 0.0)
        return place

    def _after(self, before: "Future[Rolled] | None", place: Place) -> Rolled:
        """Of the step after one that was made before, or after `place`."""
        return self._step(before.result().place if before else place)

    def _step(self, place: Place) -> Rolled:
        step, recipe = place.step + 1, staged(self._folder.recipe(place.step + 1), place)
        lines, times = _known(self._folder, self._job, step), {"sample_s": 0.0, "judge_s": 0.0}
        groups = usable(lines)
        if not groups:
            if not self._job.replay:
                lines, groups, times = rolled_out(
                    self._cluster, self._job.problems, self._walk, place, recipe, self._seed
                )
            if not groups:
                raise CannotRun(f"step {step}: nothing can be learned from: {failure(lines)}")
            write_ahead(self._folder.rollouts(step), lines)
        oldest = min(r.version for group in groups for r in group.responses)
        if oldest < place.step - recipe.staleness:
            raise CannotRun(
                f"step {step}: rollouts of the policy after step {oldest} are older than a staleness of "
                f"{recipe.staleness} allows"
            )
        truncated = fmean(r.truncated for group in groups for r in group.responses)
        return Rolled(recipe, lines, groups, times, place.after(recipe, len(lines), truncated))


def staged(recipe: Recipe, place: Place) -> Recipe:
    """The recipe of the next step, with its stage's settings."""
    if isinstance(recipe.stages, str):
        if not place.lengths:
            return recipe
        most = recipe.stage_most_tokens
        length = next_length(place.lengths, place.truncated, recipe.stage_truncated, most)
        return msgspec.structs.replace(recipe, max_tokens=length)
    stage = stage_of(recipe.stages, place.step + 1)
    return msgspec.structs.replace(recipe, **stage.changes()) if stage else recipe


def _known(folder: Folder, job: Job, step: int) -> list[bytes]:
    """The lines of a step that were written before, by this run or by the one that is replayed."""
    path = folder.rollouts(step)
    if job.replay:
        path = job.replay / path.name
        if not path.exists():
            raise CannotRun(f"{path}: there are no rollouts of step {step} to replay")
    return read_ahead(path) or []


def walk_of(problems: Sequence[bytes], recipe: Recipe, seed: int) -> Walk:
    """The order in which problems are asked. Errors: `CannotRun` where the domains leave none."""
    weights = None
    if recipe.domains:
        weights = [weight_of(Line(line).decode(Problem), recipe.domains) for line in problems]
    try:
        return Walk(len(problems), seed if recipe.shuffle else None, weights)
    except ValueError:
        raise CannotRun("domains: every problem has the weight 0") from None


def rolled_out(
    cluster: Cluster, problems: Sequence[bytes], walk: Walk, place: Place, recipe: Recipe, seed: int
) -> tuple[list[bytes], list[Group], dict[str, float]]:
    """A step's lines, and the groups that can be learned from.

    Where groups whose rewards are equal are replaced, problems are asked until the batch is full, or `dynamic_rounds`
    are over (Yu et al. 2025, DAPO: dynamic sampling).
    """
    lines, groups, times = list[bytes](), list[Group](), {"sample_s": 0.0, "judge_s": 0.0}
    missing = recipe.batch
    for _ in range(recipe.dynamic_rounds if recipe.replaces_equal else 1):
        chosen = walk.at(place.cursor + len(lines), missing)
        more, took = cluster.roll_out([problems[i] for i in chosen], place.step + 1, seed, recipe, first=len(lines))
        lines += more
        times = {name: times[name] + took.get(name, 0.0) for name in times}
        groups += usable(more)
        missing = recipe.batch - sum(group.teaches for group in groups)
        if missing <= 0:
            break
    return lines, groups, times


def usable(lines: Sequence[bytes]) -> list[Group]:
    """The groups of the lines that can be learned from."""
    return [group for line in lines if (group := group_of(line)) is not None]


def failure(lines: Sequence[bytes]) -> str:
    """Why groups of a step cannot be learned from, in the words of the first failed rollout."""
    for rollout in (rollout for line in lines for rollout in Line(line).decode(Problem).rollouts):
        if rollout.finish is Finish.ERROR:
            return f"the engine failed: {rollout.error}"
        if rollout.verdict and rollout.verdict.status is Status.IE:
            return f"the judge failed: {rollout.verdict.message}"
    return "no rollout came back"
