"""Where a run's metrics go besides its folder: TensorBoard, Weights & Biases, Trackio.

None of them can end a run: the first error of one is said, and it gets nothing more. A run that goes on is the same run
in each. Its steps that are done again replace those before in TensorBoard; in the others the first values stay. What
was logged in the last 15 seconds before a kill may be missing in W&B.
"""

import contextlib
import difflib
import importlib.util
import json
import os
import secrets
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

from dc_tools.core.errors import UsageError, missing_extra
from dc_tools.core.manifest import write_atomic

PROJECT = "dc-learn"
ID = "track-id"
"""File in a run's folder with what W&B and Trackio know the run by."""
FINISH_S = 60.0
"""How long the end of a run waits for W&B's server; what did not get there can be sent by `wandb sync`."""


class Tracker(Protocol):
    """A place that metrics go to."""

    def log(self, metrics: dict[str, float], step: int) -> None:
        """Metrics of a step."""

    def close(self) -> None:
        """Nothing more will come."""


def trackers(
    names: Sequence[str], folder: Path, config: dict[str, Any], *, first_step: int, say: Callable[[str], None]
) -> list[Tracker]:
    """The places of these names for the run in `folder`, whose next step is `first_step`; `say` gets their errors.

    Errors: `UsageError` where there is no such place, `CannotRun` where its package is missing.
    """
    check_names(names)
    return [_Harmless(name, SINKS[name](folder, config, first_step), say) for name in dict.fromkeys(names)]


def check_names(names: Sequence[str]) -> None:
    """Errors: as `trackers`."""
    for name in names:
        if name not in SINKS:
            near = difflib.get_close_matches(name, SINKS, 1)
            hint = f"{near[0]}?" if near else f"there are {', '.join(SINKS)}"
            raise UsageError(f"metrics cannot be sent to '{name}'; {hint}")
        spec = importlib.util.find_spec(name)
        if spec is None or spec.origin is None:  # as with a folder of that name, which W&B makes
            raise missing_extra(name, "track")


class _Harmless:
    """An open sink whose first error is said, and is its last."""

    def __init__(self, name: str, sink: "_Sink", say: Callable[[str], None]) -> None:
        self._name, self._say = name, say
        self._sink: _Sink | None = sink
        self._attempt(sink.open)

    def log(self, metrics: dict[str, float], step: int) -> None:
        """Metrics of a step."""
        if self._sink:
            self._attempt(self._sink.log, metrics, step)

    def close(self) -> None:
        """Nothing more will come."""
        if self._sink:
            self._attempt(self._sink.close)
            self._sink = None

    def _attempt(self, act: Callable[..., None], *arguments: Any) -> None:
        try:
            with contextlib.redirect_stdout(sys.stderr):  # a command's output is its own
                act(*arguments)
        except Exception as error:
            self._say(f"{self._name} gets no more metrics: {type(error).__name__}: {' '.join(str(error).split())}")
            self._sink = None


class _Sink:
    """A tracker that may fail; made without its package, which `open` imports."""

    def __init__(self, folder: Path, config: dict[str, Any], first_step: int) -> None:
        self.folder, self.config, self.first_step = folder, config, first_step

    def open(self) -> None:
        """Begin or go on with the run."""

    def log(self, metrics: dict[str, float], step: int) -> None:
        """Metrics of a step, sent or on disk when this returns or soon after."""

    def close(self) -> None:
        """Nothing more will come."""


class _TensorBoard(_Sink):
    def open(self) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self._writer = SummaryWriter(str(self.folder / "tensorboard"), purge_step=self.first_step)
        said = json.dumps(self.config, indent=2, default=str)
        self._writer.add_text("config", f"```\n{said}\n```", self.first_step)

    def log(self, metrics: dict[str, float], step: int) -> None:
        for name, value in metrics.items():
            self._writer.add_scalar(name, value, step)
        self._writer.flush()

    def close(self) -> None:
        self._writer.close()


class _Wandb(_Sink):
    def open(self) -> None:
        import wandb

        self._run = wandb.init(
            project=os.environ.get("WANDB_PROJECT", PROJECT), name=self.folder.resolve().name, id=_run_id(self.folder),
            resume="allow", dir=str(self.folder), config=self.config,
            settings=wandb.Settings(console="off", finish_timeout=FINISH_S),
        )

    def log(self, metrics: dict[str, float], step: int) -> None:
        self._run.log(metrics, step=step, commit=True)  # else the row waits for the next

    def close(self) -> None:
        self._run.finish()


class _Trackio(_Sink):
    def open(self) -> None:
        import trackio

        name = f"{self.folder.resolve().name}-{_run_id(self.folder)}"
        self._run = trackio.init(project=PROJECT, name=name, resume="allow", config=self.config)
        self._next_step = getattr(self._run, "_next_step", 0)  # it would keep both rows of a step

    def log(self, metrics: dict[str, float], step: int) -> None:
        if step >= self._next_step:
            self._run.log(metrics, step=step)

    def close(self) -> None:
        import trackio

        trackio.finish()


SINKS: dict[str, type[_Sink]] = {"tensorboard": _TensorBoard, "wandb": _Wandb, "trackio": _Trackio}


def _run_id(folder: Path) -> str:
    """The same whenever the run goes on."""
    path = folder / ID
    if not path.exists():
        write_atomic(path, secrets.token_hex(4).encode())
    return path.read_text()
