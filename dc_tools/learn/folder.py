"""The folder of a run: what is on disk at each moment, whose it is, and how a killed run finds it.

    RUN/run.json                    what run this is, and which recipe held from which step on
    RUN/rollouts/step-000001.jsonl.zst   written before learning from it
    RUN/metrics.jsonl               one line a step
    RUN/timeline.json               which process did what when, for Perfetto
    RUN/checkpoints/step-000010.pt  everything that step 11 depends on
    RUN/best/                       the policy that did best on --eval
    RUN/model/                      the exported policy, at the end
    RUN/manifest.json               last of all
"""

import contextlib
import fcntl
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import orjson

import dc_tools
from dc_tools.core.errors import CannotRun
from dc_tools.core.manifest import git_revision, package_versions, write_atomic, write_manifest
from dc_tools.core.run import Run
from dc_tools.learn.card import model_card
from dc_tools.learn.disk import writing
from dc_tools.learn.recipe import Recipe
from dc_tools.rollout.engine import model_name

LOCK = "run.lock"
OWN = (
    "run.json", "rollouts", "metrics.jsonl", "timeline.json", "checkpoints", "best", "best-average", "model",
    "model-average", "tensorboard", "wandb",
    "track-id", "manifest.json",
)


@dataclass
class Folder:
    """The folder of a run."""

    path: Path
    goal: int = 0
    """Steps to reach."""
    _identity: dict[str, Any] = field(default_factory=dict)
    _recipes: list[tuple[int, Recipe]] = field(default_factory=list)

    @contextlib.contextmanager
    def opened(self, run: Run, recipe: Recipe, model: str, steps: int | None, once: int) -> Iterator[None]:
        """The folder, locked: a new run is begun in it, or it is the one to go on with. Its goal are `steps`, or where
        nothing is said, those that the run had, or else `once`. Errors: `CannotRun`."""
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
            self.goal = steps or once
            self._begin(run, recipe, model, steps)
            yield
        finally:
            os.close(lock)

    def _begin(self, run: Run, recipe: Recipe, model: str, steps: int | None) -> None:
        self._identity = run.fingerprint.to_dict()
        self._recipes = [(1, recipe)]
        marker = self.path / "run.json"
        found = [name for name in OWN if (self.path / name).exists()]
        if marker.exists() and run.options.resume and not run.options.force:
            earlier = orjson.loads(marker.read_bytes())
            self._check_same(earlier, recipe, run)
            before = earlier.get("goal", self.goal)
            self.goal = steps or before
            if self.goal != before:
                run.say(f"{self.goal} steps in place of {before}; a schedule of the learning rate is stretched to them")
                self._write()
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
        self._write()

    def _check_same(self, earlier: dict[str, Any], recipe: Recipe, run: Run) -> None:
        if difference := run.fingerprint.difference(earlier):
            raise CannotRun(f"--resume: {self.path} is of another run: {difference}; --force starts over")
        self._recipes = [(each["from"], msgspec.convert(each["recipe"], Recipe)) for each in earlier["recipes"]]
        changed = changes(self._recipes[-1][1], recipe)
        if changed:
            raise CannotRun(f"--resume: the recipe's {', '.join(changed)} changed; --force starts over")

    def _write(self) -> None:
        recipes = [{"from": step, "recipe": msgspec.to_builtins(recipe)} for step, recipe in self._recipes]
        account = {**self._identity, "goal": self.goal, "recipes": orjson.loads(orjson.dumps(recipes))}
        write_manifest(self.path / "run.json", account)

    def recipe(self, step: int) -> Recipe:
        """The recipe that holds for a step."""
        return next(recipe for first, recipe in reversed(self._recipes) if first <= step)

    def change(self, step: int, recipe: Recipe) -> None:
        """From `step` on another recipe holds, durably."""
        self._recipes = [(first, each) for first, each in self._recipes if first < step] + [(step, recipe)]
        self._write()

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
            with writing(path):
                write_atomic(path, b"".join(line + b"\n" for line in kept))

    def steps(self) -> int:
        """Steps that metrics.jsonl has."""
        path = self.path / "metrics.jsonl"
        return len(path.read_bytes().splitlines()) if path.exists() else 0

    def card(self, model: str) -> str:
        """The model card of what the run has made so far."""
        path = self.path / "metrics.jsonl"
        lines = path.read_bytes().splitlines() if path.exists() else []
        last = orjson.loads(lines[-1]) if lines else {}
        base, recipe = model_name(model), self.recipe(last.get("step", 0) + 1)
        versions = {"dc-tools": git_revision() or dc_tools.__version__} | package_versions()
        return model_card(base, recipe, self._identity, versions, last)

    def log(self, metrics: dict[str, Any]) -> None:
        """Append one line to metrics.jsonl, to six significant digits, durably. Errors: as `writing`."""
        rounded = {k: float(f"{v:.6g}") if isinstance(v, float) else v for k, v in metrics.items()}
        path = self.path / "metrics.jsonl"
        with writing(path), path.open("ab") as stream:
            stream.write(orjson.dumps(rounded) + b"\n")
            stream.flush()
            os.fsync(stream.fileno())


def changes(before: Recipe, after: Recipe) -> dict[str, Any]:
    """The settings that differ, as they are after."""
    names = Recipe.__struct_fields__
    return {name: getattr(after, name) for name in names if getattr(before, name) != getattr(after, name)}


def _with_parents(path: str) -> set[Path]:
    whole = Path(path).resolve()
    return {whole, *whole.parents}


def _step_of(line: bytes) -> int:
    try:
        return int(orjson.loads(line)["step"])
    except (ValueError, KeyError):
        return 1 << 62
