"""A training run in its folder: what is on disk at each moment, and how a killed run goes on.

    RUN/run.json                    what run this is
    RUN/rollouts/step-000001.jsonl.zst   written before learning from it
    RUN/metrics.jsonl               one line a step
    RUN/checkpoints/step-000010.pt  everything that step 11 depends on
    RUN/model/                      the exported policy, at the end
    RUN/manifest.json               last of all
"""

import contextlib
import fcntl
import os
import shutil
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

import msgspec
import orjson

from dc_tools.core.errors import CannotRun, Stopped
from dc_tools.core.manifest import write_atomic, write_manifest
from dc_tools.core.records import Finish, Line, Problem, Status
from dc_tools.core.run import Run
from dc_tools.learn.batches import Group, batch_at
from dc_tools.learn.checkpoint import latest_checkpoint, prune_checkpoints
from dc_tools.learn.driver import Cluster
from dc_tools.learn.groups import group_of, read_ahead, write_ahead
from dc_tools.learn.recipe import Recipe

LOCK = "run.lock"
OWN = ("run.json", "rollouts", "metrics.jsonl", "checkpoints", "model", "manifest.json")


@dataclass
class Folder:
    """The folder of a run."""

    path: Path

    @contextlib.contextmanager
    def opened(self, run: Run, recipe: Recipe, model: str) -> Iterator[None]:
        """The folder, locked: a new run is begun in it, or it is the one to go on with. Errors: `CannotRun`."""
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            lock = os.open(self.path / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        except OSError as error:
            raise CannotRun(f"{self.path}: {error.strerror}") from error
        try:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise CannotRun(f"{self.path}: another dc-learn is at work in it") from None
            self._begin(run, recipe, model)
            yield
        finally:
            os.close(lock)

    def _begin(self, run: Run, recipe: Recipe, model: str) -> None:
        identity = {**run.fingerprint.to_dict(), "recipe": orjson.loads(orjson.dumps(msgspec.to_builtins(recipe)))}
        marker = self.path / "run.json"
        found = [name for name in OWN if (self.path / name).exists()]
        if marker.exists() and run.options.resume and not run.options.force:
            self._check_same(orjson.loads(marker.read_bytes()), identity, run)
            return
        if found and not run.options.force:
            is_run = marker.exists()
            what = "a run: --resume goes on with it, --force starts over" if is_run else f"{found[0]}, of no run"
            raise CannotRun(f"{self.path} holds {what}")
        inside = [p for p in (model, *run.files) if any((self.path / n).resolve() in _with_parents(p) for n in found)]
        if inside:
            raise CannotRun(f"--force would remove {inside[0]}, which this run needs: choose another -o")
        for name in found:
            old = self.path / name
            shutil.rmtree(old) if old.is_dir() else old.unlink()
        write_manifest(marker, identity)

    def _check_same(self, earlier: dict[str, Any], identity: dict[str, Any], run: Run) -> None:
        changed = sorted(k for k in identity["recipe"] if earlier["recipe"].get(k) != identity["recipe"][k])
        if changed:
            raise CannotRun(f"--resume: the recipe's {', '.join(changed)} changed; --force starts over")
        if difference := run.fingerprint.difference(earlier):
            raise CannotRun(f"--resume: {self.path} is of another run: {difference}; --force starts over")

    @property
    def checkpoints(self) -> Path:
        """Where the checkpoints are."""
        return self.path / "checkpoints"

    def rollouts(self, step: int) -> Path:
        """The file of a step's rollouts."""
        return self.path / "rollouts" / f"step-{step:06d}.jsonl.zst"

    def cut_metrics(self, step: int) -> None:
        """Forget the lines after `step`, whose work will be done again."""
        path = self.path / "metrics.jsonl"
        if path.exists():
            kept = [line for line in path.read_bytes().splitlines() if _step_of(line) <= step]
            write_atomic(path, b"".join(line + b"\n" for line in kept))

    def log(self, metrics: dict[str, Any]) -> None:
        """Append one line to metrics.jsonl, durably."""
        rounded = {k: round(v, 6) if isinstance(v, float) else v for k, v in metrics.items()}
        try:
            with (self.path / "metrics.jsonl").open("ab") as stream:
                stream.write(orjson.dumps(rounded) + b"\n")
                stream.flush()
                os.fsync(stream.fileno())
        except OSError as error:
            raise CannotRun(f"{self.path}/metrics.jsonl: {error.strerror}") from error


def train(
    run: Run, cluster: Cluster, folder: Folder, problems: Sequence[bytes], steps: int, stop_after_s: float
) -> None:
    """Take the run from where it is to `steps`. Errors: `Stopped` when `stop_after_s` is over, `CannotRun`."""
    recipe, started = cluster.recipe, time.monotonic()
    order = run.options.seed if recipe.shuffle else None
    step, cursor = 0, 0
    if latest := latest_checkpoint(folder.checkpoints):
        step, cursor = cluster.wait(cluster.trainer.restore.remote(latest[1]), "the checkpoint")
        run.say(f"going on after step {step}")
    folder.cut_metrics(step)
    while step < steps:
        step += 1
        chosen = [problems[i] for i in batch_at(len(problems), cursor, recipe.batch, order)]
        metrics = _one_step(cluster, folder, chosen, step, run.options.seed)
        cursor += recipe.batch
        folder.log(metrics)
        if step % recipe.save_every == 0 or step == steps or time.monotonic() - started > stop_after_s:
            cluster.wait(cluster.trainer.save.remote(folder.checkpoints, step, cursor), "the checkpoint")
            prune_checkpoints(folder.checkpoints, recipe.keep)
        run.say(
            f"step {step}/{steps}  reward {metrics['reward']:.3f}  truncated {metrics['truncated']:.2f}  "
            f"tokens {metrics['response_tokens']:.0f}  {metrics['wall_s']:.1f} s"
        )
        if step < steps and time.monotonic() - started > stop_after_s:
            raise Stopped(f"stopped after step {step} of {steps}: run again with --resume")
    run.counts.written = cursor
    cluster.wait(cluster.trainer.export.remote(folder.path / "model"), "the exported model")


def _one_step(cluster: Cluster, folder: Folder, problems: Sequence[bytes], step: int, seed: int) -> dict[str, Any]:
    started = time.monotonic()
    times = {"sample_s": 0.0, "judge_s": 0.0}
    lines = read_ahead(folder.rollouts(step)) or []
    groups = _usable(lines)
    if not groups:
        lines, times = cluster.roll_out(problems, step, seed)
        groups = _usable(lines)
        if not groups:
            raise CannotRun(f"step {step}: {_failure(lines)}")
        write_ahead(folder.rollouts(step), lines)
    learned = cluster.wait(cluster.trainer.learn.remote(groups), "the update")
    wall_s = time.monotonic() - started
    return {"step": step, **_of_groups(groups, len(lines)), **learned, **times, "wall_s": wall_s}


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


def _with_parents(path: str) -> set[Path]:
    whole = Path(path).resolve()
    return {whole, *whole.parents}


def _of_groups(groups: Sequence[Group], asked: int) -> dict[str, Any]:
    """The metrics that the rollouts alone give."""
    responses = [response for group in groups for response in group.responses]
    solved = [fmean(r.solved for r in group.responses) for group in groups]
    terms = sorted({name for r in responses for name in r.rewards})
    tokens = sum(len(r.ids) for r in responses)
    return {
        "reward": fmean(r.reward for r in responses),
        **{f"reward/{name}": fmean(r.rewards[name] for r in responses if name in r.rewards) for name in terms},
        "solved": fmean(r.solved for r in responses),
        "solved_all": solved.count(1.0), "solved_none": solved.count(0.0),
        "partial": len(solved) - solved.count(1.0) - solved.count(0.0), "lost_groups": asked - len(groups),
        "truncated": fmean(r.truncated for r in responses), "response_tokens": tokens / len(responses),
        "entropy": -sum(sum(r.logprobs) for r in responses) / max(tokens, 1), "sampled_tokens": tokens,
    }


def _step_of(line: bytes) -> int:
    try:
        return int(orjson.loads(line)["step"])
    except (ValueError, KeyError):
        return 1 << 62
