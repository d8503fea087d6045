"""What was measured beside what was published: one line per model, one column per benchmark."""

from collections.abc import Mapping
from typing import Any

from dc_tools.eval.summary import Summary

COLUMNS = {
    "LiveCodeBench": ("lcb", "pass@1"), "Codeforces": ("codeforces", "rating"),
    "percentile": ("codeforces", "percentile"), "HumanEval+": ("humaneval+", "pass@1"), "AIME 2024": ("aime", "pass@1"),
}
"""Of the published table -> the benchmark and its score."""
Cells = dict[str, dict[str, Any]]


def measured(rows: Mapping[str, Summary], *, is_one_model: bool) -> dict[str, Cells]:
    """Line -> column -> {value, low, high, is_partial}, percentages as such.

    Rows of one model are one line, named after it; rows without a published benchmark are none.
    """
    found: dict[str, Cells] = {}
    for row, summary in rows.items():
        models = summary["models"]
        name = models[0] if is_one_model and models else row
        cells = {column: cell for column in COLUMNS if (cell := _cell(summary, *COLUMNS[column]))}
        for cell in cells.values():
            cell["is_partial"] = missing(summary) > 0
        if cells:
            found.setdefault(name, {}).update(cells)
    return found


def missing(summary: Summary) -> int:
    """Problems of the benchmark that have no rollouts."""
    there = summary["problems"] - summary["without_rollouts"]["count"]
    asked: int = summary.get("benchmark_problems", there)
    return max(0, asked - int(there))


def _cell(summary: Summary, benchmark: str, score: str) -> dict[str, Any] | None:
    if summary.get("benchmark") != benchmark:
        return None
    if score == "percentile":
        return _of(summary["rating"]["percentile"])
    if score == "rating":
        estimate = summary["scores"]["rating"]
        return _of(estimate["value"], estimate["low"], estimate["high"])
    estimate = summary.get(score) or {"value": None}
    as_percent = [None if estimate.get(key) is None else 100 * estimate[key] for key in ("value", "low", "high")]
    return _of(*as_percent)


def _of(value: float | None, low: float | None = None, high: float | None = None) -> dict[str, Any] | None:
    return None if value is None else {"value": value, "low": low, "high": high}
