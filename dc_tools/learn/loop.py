"""A training run in its folder: what is on disk at each moment, and how a killed run goes on.

    RUN/run.json                    what run this is
    RUN/rollouts/step-000001.jsonl.zst   written before learning from it
    RUN/metrics.jsonl               one line a step
    RUN/checkpoints/step-000010.pt  everything that step 11 depends on
    RUN/model/                      the exported policy, at the end
    RUN/manifest.json               last of all
"""

import os
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

import msgspec
import orjson

from dc_tools.core.errors import CannotRun, Stopped
from dc_tools.core.manifest import write_manifest
from dc_tools.core.run import Run
from dc_tools.learn.batches import Group, batch_at
from dc_tools.learn.checkpoint import latest_checkpoint, prune_checkpoints
from dc_tools.learn.driver import Cluster
from dc_tools.learn.groups import group_of, read_ahead, write_ahead
from dc_tools.learn.recipe import Recipe

OWN = ("run.json", "rollouts", "metrics.jsonl", "checkpoints", "model", "manifest.json")


@dataclass
class Folder:
    """The folder of a run."""

    path: Path

    def open(self, run: Run, recipe: Recipe) -> None:
        """Begin the run, or check that it is the one to go on with. Errors: `CannotRun`."""
        identity = {**run.fingerprint.to_dict(), "recipe": orjson.loads(orjson.dumps(msgspec.to_builtins(recipe)))}
        marker = self.path / "run.json"
        if marker.exists() and not run.options.force:
            if not run.options.resume:
                raise CannotRun(f"{self.path} holds a run: --resume goes on with it, --force starts over")
            earlier = orjson.loads(marker.read_bytes())
            changed = sorted(k for k in identity["recipe"] if earlier["recipe"].get(k) != identity["recipe"][k])
            if changed:
                raise CannotRun(f"--resume: the recipe's {', '.join(changed)} changed; --force starts over")
            if difference := run.fingerprint.difference(earlier):
                raise CannotRun(f"--resume: {self.path} is of another run: {difference}; --force starts over")
            return
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            for name in OWN:
                found = self.path / name
                shutil.rmtree(found) if found.is_dir() else found.unlink(missing_ok=True)
        except OSError as error:
            raise CannotRun(f"{self.path}: {error.strerror}") from error
        write_manifest(marker, identity)

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
            path.write_bytes(b"".join(line + b"\n" for line in kept))

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
        run.counts.written += len(chosen)
        if step % recipe.save_every == 0 or step == steps or time.monotonic() - started > stop_after_s:
            saving = time.monotonic()
            cluster.wait(cluster.trainer.save.remote(folder.checkpoints, step, cursor), "the checkpoint")
            prune_checkpoints(folder.checkpoints, recipe.keep)
            metrics["save_s"] = time.monotonic() - saving
        folder.log(metrics)
        run.say(
            f"step {step}/{steps}  reward {metrics['reward']:.3f}  truncated {metrics['truncated']:.2f}  "
            f"tokens {metrics['response_tokens']:.0f}  {metrics['wall_s']:.1f} s"
        )
        if step < steps and time.monotonic() - started > stop_after_s:
            raise Stopped(f"stopped after step {step} of {steps}: run again with --resume")
    cluster.wait(cluster.trainer.export.remote(folder.path / "model"), "the exported model")


def _one_step(cluster: Cluster, folder: Folder, problems: Sequence[bytes], step: int, seed: int) -> dict[str, Any]:
    started = time.monotonic()
    times = {"sample_s": 0.0, "judge_s": 0.0}
    lines = read_ahead(folder.rollouts(step))
    if lines is None:
        lines, times = cluster.roll_out(problems, step, seed)
        write_ahead(folder.rollouts(step), lines)
    groups = [group for line in lines if (group := group_of(line)) is not None]
    if not groups:
        raise CannotRun(f"step {step}: the judge failed on every group; see {folder.rollouts(step)}")
    learned = cluster.wait(cluster.trainer.learn.remote(groups), "the update")
    wall_s = time.monotonic() - started
    return {"step": step, **_of_groups(groups, len(lines)), **learned, **times, "wall_s": wall_s}


def _of_groups(groups: Sequence[Group], asked: int) -> dict[str, Any]:
    """The metrics that the rollouts alone give."""
    responses = [response for group in groups for response in group.responses]
    sums = [sum(r.reward for r in group.responses) / len(group.responses) for group in groups]
    tokens = sum(len(r.ids) for r in responses)
    return {
        "reward": fmean(r.reward for r in responses),
        "solved_all": sums.count(1.0), "solved_none": sums.count(0.0),
        "partial": len(sums) - sums.count(1.0) - sums.count(0.0), "lost_groups": asked - len(groups),
        "truncated": fmean(r.truncated for r in responses), "response_tokens": tokens / len(responses),
        "entropy": -sum(sum(r.logprobs) for r in responses) / max(tokens, 1), "sampled_tokens": tokens,
    }


def _step_of(line: bytes) -> int:
    try:
        return int(orjson.loads(line)["step"])
    except (ValueError, KeyError):
        return 1 << 62
