"""The curves of training runs, from the metrics.jsonl that dc-learn writes into its run folder."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import orjson

from dc_tools.core.errors import CannotRun

METRICS = "metrics.jsonl"
FIRST = (
    "reward", "response_tokens", "truncated", "entropy", "grad_norm", "clip_fraction", "lr", "tokens_per_s", "wall_s",
)
"""The order of the charts; what else is numeric follows by name."""


def read_curves(folders: Sequence[str]) -> dict[str, Any]:
    """The names of the runs, and each metric with its [step, value] points by run. Errors: `CannotRun`."""
    runs = [_points(Path(folder)) for folder in folders]
    keys = {key for points in runs for key in points}
    ordered = [k for k in FIRST if k in keys] + sorted(keys - set(FIRST))
    metrics = [{"name": key, "series": [points.get(key, []) for points in runs]} for key in ordered]
    return {"runs": _names(folders), "metrics": metrics}


def _points(folder: Path) -> dict[str, list[list[float]]]:
    """Metric -> [step, value] of each line; the last line, where a running job is still writing it, may be cut."""
    path = folder if folder.is_file() else folder / METRICS
    try:
        lines = path.read_bytes().split(b"\n")
    except OSError as error:
        raise CannotRun(f"--run {folder}: {path}: {error.strerror}") from error
    found: dict[str, dict[float, float]] = {}
    for number, raw in enumerate(lines, 1):
        if raw.strip():
            for key, (step, value) in _numbers(raw, number, path, last=number == len(lines)).items():
                found.setdefault(key, {})[step] = value
    return {key: [[step, values[step]] for step in sorted(values)] for key, values in found.items()}


def _numbers(raw: bytes, number: int, path: Path, *, last: bool) -> dict[str, tuple[float, float]]:
    try:
        row = orjson.loads(raw)
    except ValueError as error:
        if last:
            return {}
        raise CannotRun(f"{path}:{number}: not JSON: {error}") from None
    if not isinstance(row, dict) or not _is_number(row.get("step")):
        raise CannotRun(f"{path}:{number}: a metrics line needs a numeric `step`")
    return {k: (row["step"], float(v)) for k, v in row.items() if k != "step" and _is_number(v)}


def _is_number(value: object) -> bool:
    return isinstance(value, int | float | bool) and math.isfinite(value)


def _names(folders: Sequence[str]) -> list[str]:
    short = [Path(f).resolve().name for f in folders]
    return short if len(set(short)) == len(short) else list(folders)
