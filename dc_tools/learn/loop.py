"""The training loop: sample, judge, write the rollouts down, learn from what was written, log. One readable loop.

What it depends on is in the last checkpoint and in the files of the steps after it, so it can be killed at any moment.
SIGHUP makes it look, before its next step, for another recipe and for a newer checkpoint.
"""

import contextlib
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from dc_tools.core.errors import CannotRun, DcError, Stopped
from dc_tools.core.records import Finish, Line, Problem, Status
from dc_tools.core.run import Run
from dc_tools.learn.batches import Group, batch_at
from dc_tools.learn.checkpoint import latest_checkpoint, prune_checkpoints
from dc_tools.learn.driver import Cluster
from dc_tools.learn.folder import Folder, changes
from dc_tools.learn.groups import group_of, read_ahead, write_ahead
from dc_tools.learn.metrics import of_evaluation, of_groups
from dc_tools.learn.recipe import FIXED, Recipe
from dc_tools.learn.stages import WINDOW, next_length, stage_of

EVAL_SEED = 1 << 20
"""The evaluation is sampled with the same seeds at each step."""


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

    def after(self, recipe: Recipe, metrics: dict[str, Any]) -> "Place":
        """After a step more."""
        lengths, truncated = [*self.lengths, recipe.max_tokens], [*self.truncated, metrics["truncated"]]
        asked = self.cursor + metrics["asked"]
        return Place(self.step + 1, asked, lengths[-WINDOW:], truncated[-WINDOW:], self.best)


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
    replay: Path | None = None
    """A folder of rollouts to learn from, in place of sampling."""


def train(run: Run, cluster: Cluster, folder: Folder, job: Job) -> None:
    """Take the run from where it is to `job.steps`. Errors: `Stopped` when its time is over, `CannotRun`."""
    started, place = time.monotonic(), Place()
    if latest := latest_checkpoint(folder.checkpoints):
        place = _restored(cluster, latest[1])
        run.say(f"going on after step {place.step}")
    folder.cut_metrics(place.step)
    with _hangups() as hung_up:
        while place.step < job.steps:
            if hung_up():
                place = _reloaded(run, cluster, folder, job, place)
            step = place.step + 1
            recipe = staged(folder.recipe(step), place)
            cluster.take(recipe)
            metrics = _one_step(cluster, folder, job, place, run.options.seed)
            place = place.after(recipe, metrics)
            last, over = step == job.steps, time.monotonic() - started > job.stop_after_s
            if job.evaluation and (last or step % job.eval_every == 0):
                metrics |= _evaluated(cluster, folder, job, place)
            folder.log(metrics)
            if step % recipe.save_every == 0 or last or over:
                cluster.wait(cluster.trainer.save.remote(folder.checkpoints, step, asdict(place)), "the checkpoint")
                prune_checkpoints(folder.checkpoints, recipe.keep)
            run.say(_said(metrics, job.steps))
            if over and not last:
                raise Stopped(f"stopped after step {step} of {job.steps}: run again with --resume")
    run.counts.written = place.cursor
    cluster.wait(cluster.trainer.export.remote(folder.path / "model"), "the exported model")


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


def _one_step(cluster: Cluster, folder: Folder, job: Job, place: Place, seed: int) -> dict[str, Any]:
    started, step = time.monotonic(), place.step + 1
    times = {"sample_s": 0.0, "judge_s": 0.0}
    lines = _known(folder, job, step)
    if not _usable(lines):
        if job.replay:
            raise CannotRun(f"step {step}: {_failure(lines)}")
        lines, times = _rolled_out(cluster, job.problems, place, seed)
        if not _usable(lines):
            raise CannotRun(f"step {step}: {_failure(lines)}")
        write_ahead(folder.rollouts(step), lines)
    usable = _usable(lines)
    groups = [group for group in usable if group.teaches or not cluster.recipe.replaces_equal][: cluster.recipe.batch]
    learned: dict[str, float] = cluster.wait(cluster.trainer.learn.remote(groups), "the update")
    counts: dict[str, Any] = {"step": step, "asked": len(lines), "max_tokens": cluster.recipe.max_tokens}
    return counts | of_groups(usable, len(lines)) | learned | times | {"wall_s": time.monotonic() - started}


def _known(folder: Folder, job: Job, step: int) -> list[bytes]:
    """The lines of a step that were written before, by this run or by the one that is replayed."""
    path = folder.rollouts(step)
    if job.replay:
        path = job.replay / path.name
        if not path.exists():
            raise CannotRun(f"{path}: there are no rollouts of step {step} to replay")
    return read_ahead(path) or []


def _rolled_out(
    cluster: Cluster, problems: Sequence[bytes], place: Place, seed: int
) -> tuple[list[bytes], dict[str, float]]:
    """A step's lines. Where groups whose rewards are equal are replaced, problems are asked until the batch is full, or
    `dynamic_rounds` are over (Yu et al. 2025, DAPO: dynamic sampling)."""
    recipe, lines, times = cluster.recipe, list[bytes](), {"sample_s": 0.0, "judge_s": 0.0}
    order = seed if recipe.shuffle else None
    missing = recipe.batch
    for _ in range(recipe.dynamic_rounds if recipe.replaces_equal else 1):
        chosen = batch_at(len(problems), place.cursor + len(lines), missing, order)
        more, took = cluster.roll_out([problems[i] for i in chosen], place.step + 1, seed, first=len(lines))
        lines += more
        times = {name: times[name] + took.get(name, 0.0) for name in times}
        missing = recipe.batch - sum(group.teaches for group in _usable(lines))
        if missing <= 0:
            break
    return lines, times


def _evaluated(cluster: Cluster, folder: Folder, job: Job, place: Place) -> dict[str, Any]:
    """What the policy makes of problems that it does not learn from; where it never did better, it is kept."""
    started = time.monotonic()
    lines, _ = cluster.roll_out(job.evaluation, EVAL_SEED, 0, n=cluster.recipe.eval_group)
    found = of_evaluation(_usable(lines))
    if found["eval_solved"] > place.best:
        place.best = found["eval_solved"]
        cluster.wait(cluster.trainer.export.remote(folder.path / "best"), "the best model")
    return found | {"eval_s": time.monotonic() - started}


def _restored(cluster: Cluster, path: Path) -> Place:
    return Place(**cluster.wait(cluster.trainer.restore.remote(path), "the checkpoint"))


def _reloaded(run: Run, cluster: Cluster, folder: Folder, job: Job, place: Place) -> Place:
    """After SIGHUP: another recipe, a newer checkpoint. What cannot be taken up is said, and nothing changes."""
    try:
        recipe = job.reload()
        found = changes(folder.recipe(place.step + 1), recipe)
        if fixed := sorted(found.keys() & FIXED):
            raise CannotRun(f"{', '.join(fixed)} cannot change inside a run")
        if found:
            folder.change(place.step + 1, recipe)
            run.say(f"from step {place.step + 1}: " + ", ".join(f"{name} = {value}" for name, value in found.items()))
        latest = latest_checkpoint(folder.checkpoints)
        if latest and latest[0] > place.step:
            place = _restored(cluster, latest[1])
            run.say(f"took up the checkpoint of step {place.step}")
    except DcError as error:
        run.say(f"nothing was reloaded: {error}")
    return place


@contextlib.contextmanager
def _hangups() -> Iterator[Callable[[], bool]]:
    """A function that says whether SIGHUP came since it was last asked."""
    came = [False]

    def on_signal(*_: object) -> None:
        came[0] = True

    def asked() -> bool:
        found, came[0] = came[0], False
        return found

    before = signal.signal(signal.SIGHUP, on_signal)
    try:
        yield asked
    finally:
        signal.signal(signal.SIGHUP, before)


def _said(metrics: dict[str, Any], steps: int) -> str:
    evaluation = f"  eval {metrics['eval_solved']:.3f}" if "eval_solved" in metrics else ""
    return (
        f"step {metrics['step']}/{steps}  reward {metrics['reward']:.3f}{evaluation}  "
        f"truncated {metrics['truncated']:.2f}  tokens {metrics['response_tokens']:.0f}  {metrics['wall_s']:.1f} s"
    )


def _usable(lines: Sequence[bytes]) -> list[Group]:
    return [group for line in lines if (group := group_of(line)) is not None]


def _failure(lines: Sequence[bytes]) -> str:
    """Why no group of a step can be learned from, in the words of its first failed rollout."""
    for rollout in (rollout for line in lines for rollout in Line(line).decode(Problem).rollouts):
        if rollout.finish is Finish.ERROR:
            return f"no prompt could be answered: {rollout.error}"
        if rollout.verdict and rollout.verdict.status is Status.IE:
            return f"the judge failed on every group: {rollout.verdict.message}"
    return "no rollout came back"
