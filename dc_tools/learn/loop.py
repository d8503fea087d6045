"""The training loop: sample, judge, write the rollouts down, learn from what was written, log. One readable loop.

What it depends on is in the last checkpoint and in the files of the steps after it, so it can be killed at any moment.
SIGHUP makes it look, before its next step, for another recipe and for a newer checkpoint.
"""

import contextlib
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import msgspec

from dc_tools.core.errors import CannotRun, DcError, Stopped
from dc_tools.core.run import Run
from dc_tools.learn.ahead import Ahead, Job, Place, Rolled, failure, usable
from dc_tools.learn.budget import Budget, OutOfMemory
from dc_tools.learn.checkpoint import latest_checkpoint, prune_checkpoints
from dc_tools.learn.driver import ActorLost, Cluster
from dc_tools.learn.folder import Folder, changes
from dc_tools.learn.metrics import of_evaluation, of_groups
from dc_tools.learn.recipe import FIXED
from dc_tools.learn.track import trackers
from dc_tools.learn.watch import Watch

MOST_LOSSES = 3
REPORT_S = 5.0
"""How long a step waits for what its processes report of it."""
EVAL_SEED = 1 << 20
"""The evaluation is sampled with the same seeds at each step."""


def train(run: Run, cluster: Cluster, folder: Folder, job: Job) -> None:
    """Take the run from where it is to `job.steps`. Errors: `Stopped` when its time is over, `CannotRun`.

    Where a process or a node is lost, all begin anew from the last checkpoint, and learn again from the rollouts that
    were written since. What was lost is lost for good where that happens `MOST_LOSSES` times without a step between.
    So do they where memory runs out, by shorter rows.
    """
    ends, furthest, losses, is_lost = time.monotonic() + job.stop_after_s, -1, 0, False
    fitting: Job | None = None
    budget: Budget | None = None
    while True:
        try:
            if is_lost:
                cluster.start()
            fitting = fitting or _without_long_prompts(run, cluster, job)
            _trained(run, cluster, folder, fitting, ends, budget)
            return
        except OutOfMemory as error:
            run.say(f"{error}; all begin anew")
            is_lost, budget = True, error.budget
        except ActorLost as error:
            losses = losses + 1 if folder.steps() <= furthest else 1
            furthest = max(furthest, folder.steps())
            if losses >= MOST_LOSSES:
                raise
            run.say(f"{error}; all begin anew")
            is_lost = True


def _without_long_prompts(run: Run, cluster: Cluster, job: Job) -> Job:
    problems = cluster.fitting(job.problems)
    if left_out := len(job.problems) - len(problems):
        most = cluster.recipe.max_prompt
        run.say(f"{left_out} of {len(job.problems)} problems are left out: their prompts have over {most} tokens")
    if not problems:
        raise CannotRun("no problem is left; see max_prompt")
    return replace(job, problems=problems)


def _trained(
    run: Run, cluster: Cluster, folder: Folder, job: Job, ends: float, budget: Budget | None = None
) -> None:
    place = Place()
    if latest := latest_checkpoint(folder.checkpoints):
        place = _restored(cluster, latest[1])
        run.say(f"going on after step {place.step}")
    if place.step > job.steps:
        raise CannotRun(f"the run has done {place.step} steps: --steps {job.steps} lies behind it")
    if budget:
        cluster.by_trainers("lower", "the budget", budget)
    folder.cut_metrics(place.step)
    prune_checkpoints(folder.checkpoints, folder.recipe(place.step + 1).keep)
    config = msgspec.to_builtins(folder.recipe(place.step + 1))
    places = trackers(job.trackers, folder.path, config, first_step=place.step + 1, say=run.say)
    with (
        contextlib.closing(Watch(folder.path / "timeline.json", place.step, places)) as watch,
        contextlib.closing(Ahead(cluster, folder, job, run.options.seed)) as ahead, _hangups() as hung_up,
    ):
        watch.take(cluster.reports(cluster.deadline_s))
        watch.energy(0, 0)
        if not watch.measures_energy:
            run.say("energy is not measured: no counter of a GPU (extra energy) or a processor can be read")
        while place.step < job.steps:
            if hung_up():
                place = _reloaded(run, cluster, folder, job, place, ahead)
            begun = time.monotonic()
            with watch.spans("wait for rollouts", step=place.step + 1):
                rolled = ahead.next(place)
            waited_s = time.monotonic() - begun
            cluster.check()
            sync_s = time.monotonic() - begun - waited_s
            cluster.take(rolled.recipe)
            rolled.place.best, place = place.best, rolled.place
            if lost := len(rolled.lines) - len(rolled.groups):
                run.say(f"step {place.step}: {lost} of {len(rolled.lines)} groups dropped: {failure(rolled.lines)}")
            last, over = place.step == job.steps, time.monotonic() > ends
            evaluates = bool(job.evaluation) and (last or place.step % job.eval_every == 0)
            with watch.spans("learn", step=place.step):
                metrics = _learned(cluster, rolled, (place.step - 1) / job.steps)
            samplers_work = rolled.recipe.staleness and not cluster.updates_in_flight
            if not samplers_work or evaluates:
                sync_s += _synced(cluster, rolled)
            if evaluates:
                with watch.spans("evaluate", step=place.step):
                    metrics |= _evaluated(cluster, folder, job, place)
            watch.take(cluster.reports(0 if rolled.recipe.staleness else REPORT_S))
            metrics |= watch.energy(metrics["sampled_tokens"], metrics["solved_responses"])
            wall_s = time.monotonic() - begun
            speed = metrics["sampled_tokens"] / wall_s
            metrics |= {"wait_s": waited_s, "sync_s": sync_s, "wall_s": wall_s, "tokens_per_s": speed}
            folder.log(metrics)
            watch.log(metrics, place.step)
            if place.step % rolled.recipe.save_every == 0 or last or over:
                with watch.spans("save", step=place.step):
                    what = folder.checkpoints, place.step, asdict(place)
                    cluster.by_trainers("save", "the checkpoint", *what, step=place.step)
                prune_checkpoints(folder.checkpoints, rolled.recipe.keep)
            if samplers_work and not evaluates:  # the trainers wait for them, so what is not for them comes first
                _synced(cluster, rolled)
            run.say(_said(metrics, job.steps, time.monotonic() - begun))
            if over and not last:
                raise Stopped(f"stopped after step {place.step} of {job.steps}: run again with --resume")
        cluster.check()
        run.counts.written, run.facts["steps"] = place.cursor, job.steps
        cluster.by_trainers("export", "the exported model", folder.path / "model", folder.card(cluster.model))
        watch.take(cluster.reports(REPORT_S))


def _learned(cluster: Cluster, rolled: Rolled, progress: float) -> dict[str, Any]:
    """Learn from a step's rollouts; its metrics."""
    started = time.monotonic()
    recipe = rolled.recipe
    groups = [group for group in rolled.groups if group.teaches or not recipe.replaces_equal][: recipe.batch]
    step = rolled.place.step
    learned = cluster.learn(groups, step, progress)
    counts: dict[str, Any] = {"step": step, "asked": len(rolled.lines), "max_tokens": recipe.max_tokens}
    taught = of_groups(rolled.groups, len(rolled.lines), step)
    return counts | taught | learned | rolled.times | {"update_s": time.monotonic() - started}


def _synced(cluster: Cluster, rolled: Rolled) -> float:
    """Send the samplers the weights after a step; the seconds that the run waits for that."""
    started = time.monotonic()
    cluster.sync(rolled.place.step)
    if not rolled.recipe.staleness:
        cluster.check()
    return time.monotonic() - started


def _evaluated(cluster: Cluster, folder: Folder, job: Job, place: Place) -> dict[str, Any]:
    """What the policy makes of problems that it does not learn from; where it never did better, it is kept."""
    started = time.monotonic()
    lines, _ = cluster.roll_out(job.evaluation, EVAL_SEED, 0, cluster.recipe, n=cluster.recipe.eval_group)
    found = of_evaluation(usable(lines))
    if found["eval_solved"] > place.best:
        place.best = found["eval_solved"]
        cluster.by_trainers("export", "the best model", folder.path / "best", folder.card(cluster.model))
    return found | {"eval_s": time.monotonic() - started}


def _restored(cluster: Cluster, path: Path) -> Place:
    place = Place(**cluster.by_trainers("restore", "the checkpoint", path))
    cluster.sync(place.step)
    return place


def _reloaded(run: Run, cluster: Cluster, folder: Folder, job: Job, place: Place, ahead: Ahead) -> Place:
    """After SIGHUP: another recipe, a newer checkpoint. What cannot be taken up is said, and nothing changes.

    Steps whose rollouts were begun before keep the recipe that these were begun with.
    """
    try:
        recipe, first = job.reload(), place.step + 1 + ahead.begun
        found = changes(folder.recipe(first), recipe)
        if fixed := sorted(found.keys() & FIXED):
            raise CannotRun(f"{', '.join(fixed)} cannot change inside a run")
        if found:
            folder.change(first, recipe)
            run.say(f"from step {first}: " + ", ".join(f"{name} = {value}" for name, value in found.items()))
        latest = latest_checkpoint(folder.checkpoints)
        if latest and latest[0] > place.step:
            ahead.forget()
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


def _said(metrics: dict[str, Any], steps: int, wall_s: float) -> str:
    evaluation = f"  eval {metrics['eval_solved']:.3f}" if "eval_solved" in metrics else ""
    return (
        f"step {metrics['step']}/{steps}  reward {metrics['reward']:.3f}{evaluation}  "
        f"truncated {metrics['truncated']:.2f}  tokens {metrics['response_tokens']:.0f}  {wall_s:.1f} s"
    )


