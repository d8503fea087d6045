"""Thresholds that a score must reach: `--min pass@1=0.5`."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dc_tools.core.errors import UsageError
from dc_tools.eval.summary import Summary

ROUNDING = 1e-9
"""A mean of fractions that is 0.5 may come out a little below."""


@dataclass(frozen=True)
class Gate:
    """`metric` must be at least `least`, in the row called `row` or in every row."""

    metric: str
    least: float
    row: str | None = None


def parse_gates(
    texts: Sequence[str], ks: Sequence[int], rows: Sequence[str], further: Sequence[str] = ()
) -> list[Gate]:
    """`pass@1=0.5`, or `after:pass@1=0.5` for one of several rows. Errors: `UsageError`, before any work is done.

    `further` are regular expressions of the further scores that benchmarks may have, as `maj@8`.
    """
    gates = [_parse(text) for text in texts]
    for gate in gates:
        if gate.row is not None and gate.row not in rows:
            raise UsageError(f"--min {gate.row}:{gate.metric}: no such row; there is {', '.join(rows)}")
        is_further = any(re.fullmatch(pattern, gate.metric) for pattern in further)
        if gate.metric not in {f"pass@{k}" for k in ks} and not is_further:
            names = ", ".join([f"pass@{k}" for k in ks] + [pattern.replace(r"\d+", "N") for pattern in further])
            raise UsageError(f"--min {gate.metric}: not computed; there is {names} (--k names the k)")
    return gates


def failures(gates: Sequence[Gate], rows: Mapping[str, Summary]) -> list[str]:
    """In words, each gate that does not hold. A score that is unknown holds no gate."""
    return [
        _in_words(gate, name, value)
        for gate in gates
        for name, summary in rows.items()
        if gate.row in (None, name) and not _holds(gate, value := _value(gate.metric, summary))
    ]


def _value(metric: str, summary: Summary) -> float | None:
    found = summary.get(metric) or summary["scores"].get(metric) or {"value": None}
    value: float | None = found["value"]
    return value


def _parse(text: str) -> Gate:
    left, mark, number = text.rpartition("=")
    row, colon, metric = left.rpartition(":")
    try:
        least = float(number)
    except ValueError:
        least = math.nan
    if not mark or math.isnan(least) or metric.endswith((">", "<", "=")):
        raise UsageError(f"--min {text}: say it as pass@1=0.5, or NAME:pass@1=0.5 for one of several files")
    return Gate(metric, least, row if colon else None)


def _holds(gate: Gate, value: float | None) -> bool:
    return value is not None and value >= gate.least - ROUNDING


def _in_words(gate: Gate, name: str, value: float | None) -> str:
    shown = "unknown" if value is None else f"{value:.6g}"
    return f"{name}: {gate.metric} is {shown}, wanted at least {gate.least:g}"
