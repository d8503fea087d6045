"""One HTML file with the scores, the training curves, and every problem with its rollouts and verdicts.

It opens from disk and loads nothing. What models wrote is data in it, never markup: it is embedded as JSON without
`<`, and the page shows it through text nodes only.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson

from dc_tools.core.extract import extract_code
from dc_tools.core.records import Problem, Rollout, Status, Test, Verdict
from dc_tools.eval import published
from dc_tools.eval.groups import UNKNOWN, easy_first
from dc_tools.eval.summary import Summary
from dc_tools.eval.tables import number, percent

TEXT_CHARS = 24_000
"""Most characters kept of an answer or a program; its beginning and its end are shown."""
STATEMENT_CHARS = 20_000
TEST_CHARS = 600
TESTS_SHOWN = 40


class ReportData:
    """The problems of all rows, merged by id, as the page's viewer wants them."""

    def __init__(self, names: Sequence[str]) -> None:
        self._row = {name: index for index, name in enumerate(names)}
        self._problems: dict[str, dict[str, Any]] = {}

    def add(self, row: str, problem: Problem) -> None:
        """Add the rollouts that `row` holds for `problem`."""
        shown = self._problems.setdefault(problem.id, _problem(problem))
        shown["rollouts"] += [_rollout(rollout, self._row[row]) for rollout in problem.rollouts]

    def to_dict(self) -> dict[str, Any]:
        """Plain values in the order in which the problems came."""
        return {"rows": list(self._row), "problems": list(self._problems.values())}


def render(
    rows: Mapping[str, Summary], ks: Sequence[int], data: ReportData, curves: Mapping[str, Any], title: str
) -> bytes:
    """The page."""
    from jinja2 import Environment, FileSystemLoader

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"percent": percent, "number": number, "share": _share}
    page = environment.get_template("report.html").render(
        title=title, rows=rows, ks=list(ks), groups=_groups(rows), statuses=_statuses(rows), published=published,
        curves=curves, data=embedded({**data.to_dict(), "curves": curves}),
    )
    return page.encode("utf-8", "replace")


def embedded(value: object) -> Any:
    """JSON that can stand inside a script element: nothing in it can end the element or begin a comment."""
    from markupsafe import Markup

    text = orjson.dumps(value).decode()
    return Markup(text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e"))


def _problem(problem: Problem) -> dict[str, Any]:
    return {
        "id": problem.id,
        "statement": cut(problem.statement, STATEMENT_CHARS),
        "mode": problem.mode,
        "entry": problem.entry.fn_name if problem.entry else None,
        "difficulty": problem.difficulty or UNKNOWN,
        "source": problem.source.dataset or UNKNOWN,
        "date": problem.source.date,
        "tags": problem.tags,
        "tests": [_test(test) for test in problem.tests[:TESTS_SHOWN]],
        "tests_total": len(problem.tests),
        "rollouts": [],
    }


def _test(test: Test) -> list[str]:
    return [cut(test.input, TEST_CHARS), cut(test.output, TEST_CHARS)]


def _rollout(rollout: Rollout, row: int) -> dict[str, Any]:
    code = rollout.code if rollout.code is not None else extract_code(rollout.text)
    return {
        "row": row,
        "text": cut(rollout.text, TEXT_CHARS) if rollout.text != code else "",
        "code": None if code is None else cut(code, TEXT_CHARS),
        "finish": rollout.finish,
        "model": rollout.model,
        "seed": None if rollout.seed is None else str(rollout.seed),
        "tokens": rollout.taken.response if rollout.taken else None,
        "error": rollout.error,
        "verdict": _verdict(rollout.verdict) if rollout.verdict else None,
    }


def _verdict(verdict: Verdict) -> dict[str, Any]:
    return {
        "status": verdict.status,
        "passed": verdict.passed,
        "total": verdict.total,
        "time_s": round(verdict.time_s, 4),
        "memory_mb": round(verdict.memory_mb, 1),
        "message": cut(verdict.message, TEST_CHARS),
        "tests": [
            [t.status, round(t.time_s, 4), round(t.memory_mb, 1), cut(t.message, TEST_CHARS)]
            for t in verdict.tests[:TESTS_SHOWN]
        ],
    }


def cut(text: str, most: int) -> str:
    """`text`, or where it is longer than `most` its beginning and its end with a note between."""
    if len(text) <= most:
        return text
    half = most // 2
    return f"{text[:half]}\n[... {len(text) - 2 * half:,} characters left out ...]\n{text[-half:]}"


def _groups(rows: Mapping[str, Summary]) -> dict[str, list[tuple[str, list[tuple[str, Summary | None]]]]]:
    """Grouping -> [(label, [(row, its summary of the group, or None)])]; a grouping with one label shows nothing."""
    names = dict.fromkeys(by for summary in rows.values() for by in summary["groups"])
    found: dict[str, list[tuple[str, list[tuple[str, Summary | None]]]]] = {}
    for by in names:
        labels = sorted({label for summary in rows.values() for label in summary["groups"][by]}, key=easy_first)
        if len(labels) > 1:
            found[by] = [(at, [(name, s["groups"][by].get(at)) for name, s in rows.items()]) for at in labels]
    return found


def _statuses(rows: Mapping[str, Summary]) -> list[str]:
    return [s.value for s in Status if any(s.value in summary["verdicts"] for summary in rows.values())]


def _share(part: float | None) -> str:
    """A fraction as a CSS percentage."""
    return f"{100 * (part or 0):.3f}%"
