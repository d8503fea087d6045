"""Checkpoints that are whole or absent: `step-000123.pt`, written under another name, synced, renamed."""

import os
import re
from pathlib import Path
from typing import Any

import torch

from dc_tools.core.errors import CannotRun
from dc_tools.core.manifest import sync
from dc_tools.learn.disk import writing

_NAME = re.compile(r"step-(\d{6,})\.pt")


def save_checkpoint(directory: Path, step: int, state: dict[str, Any]) -> Path:
    """Write `state` (what `torch.save` takes) as that of `step`. Errors: as `writing`."""
    path = directory / f"step-{step:06d}.pt"
    partial = path.with_suffix(".partial")
    with writing(path, partial):
        directory.mkdir(parents=True, exist_ok=True)
        with partial.open("wb") as stream:
            torch.save(state, stream)
            stream.flush()
            os.fsync(stream.fileno())
        partial.replace(path)
        sync(directory)
    return path


def latest_checkpoint(directory: Path) -> tuple[int, Path] | None:
    """The last whole checkpoint and its step; None where there is none."""
    found = _checkpoints(directory)
    return found[-1] if found else None


def load_checkpoint(path: Path) -> dict[str, Any]:
    """What `save_checkpoint` was given, on the CPU. Errors: `CannotRun` for a file that is not one."""
    try:
        return dict(torch.load(path, map_location="cpu", weights_only=True))
    except Exception as error:
        raise CannotRun(f"{path}: not a checkpoint: {str(error).splitlines()[0]}") from error


def prune_checkpoints(directory: Path, keep: int) -> None:
    """Remove all but the last `keep` checkpoints, and what a killed write left."""
    for _, path in _checkpoints(directory)[:-keep]:
        path.unlink()
    for partial in directory.glob("*.partial"):
        partial.unlink()


def _checkpoints(directory: Path) -> list[tuple[int, Path]]:
    if not directory.is_dir():
        return []
    matches = [(m, p) for p in directory.iterdir() if (m := _NAME.fullmatch(p.name))]
    return sorted((int(match[1]), path) for match, path in matches)
