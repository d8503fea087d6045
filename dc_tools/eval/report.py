"""One HTML file with the scores, the training curves, and every problem with its rollouts and verdicts.

It opens from disk and loads nothing. What models wrote is data in it, never markup: it is embedded as JSON without
`<`, and the page shows it through text nodes only.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from dc_tools.core.manifest import write_atomic
from dc_tools.core.records import Problem, Status
from dc_tools.eval import leaderboard, published
from dc_tools.eval.compare import Comparison
from dc_tools.eval.groups import easy_first
from dc_tools.eval.report_data import ReportData
from dc_tools.eval.summary import Summary
from dc_tools.eval.tables import number, percent, score_text
from dc_tools.eval.traces import Traces
from dc_tools.eval.wanted import Wanted

if TYPE_CHECKING:
    from dc_tools.sandbox.judge import JudgePool

NOTHING = "\N{EN DASH}"
PAGE = Path(__file__).parent / "page"


@dataclass(frozen=True)
class Shown:
    """What the report shows beside rows and problems."""

    ks: Sequence[int]
    title: str
    curves: Mapping[str, Any] = field(default_factory=lambda: {"runs": [], "metrics": []})
    comparisons: Mapping[str, Comparison] = field(default_factory=dict)
    is_one_model: bool = False
    """Whether all rows are of one model, on benchmarks after which they are named."""
    traced: int = 0
    traceable: int = 0
    """Failing rollouts that are traced, and all that could be."""


@dataclass(frozen=True)
class Page:
    """The report while it is gathered; there is none where `target` is None."""

    rows: list[str]
    pool: "JudgePool"
    most_traces: int
    target: Path | None

    @cached_property
    def data(self) -> ReportData:
        """Problems and rollouts."""
        return ReportData(self.rows)

    @cached_property
    def traces(self) -> Traces:
        """Of failing rollouts."""
        return Traces(self.pool, self.most_traces)

    def add(self, row: str, problem: Problem, *, runs_programs: bool) -> None:
        """Show a judged problem."""
        if self.target:
            self.data.add(row, problem, self.traces, runs_programs=runs_programs)

    def write(
        self, summaries: Mapping[str, Summary], want: Wanted, curves: Mapping[str, Any],
        comparisons: Mapping[str, Comparison],
    ) -> None:
        """Write it."""
        if self.target is None:
            return
        self.traces.finish()
        is_one_model = bool(want.asked and want.datasets)
        title = _title(summaries, is_one_model=is_one_model)
        made = self.traces.made, self.traces.failing
        write_atomic(
            self.target, render(summaries, self.data, Shown(want.ks, title, curves, comparisons, is_one_model, *made))
        )


def _title(summaries: Mapping[str, Summary], *, is_one_model: bool) -> str:
    """The model and what it was asked, or the runs."""
    models = sorted({model for summary in summaries.values() for model in summary["models"]})
    if is_one_model and models:
        return f"{models[0]}: {', '.join(summaries)}"
    return ", ".join(summaries) if len(summaries) <= 3 else f"{len(summaries)} runs"


def render(rows: Mapping[str, Summary], data: ReportData, shown: Shown) -> bytes:
    """The page."""
    from jinja2 import Environment, FileSystemLoader

    environment = Environment(loader=FileSystemLoader(PAGE), autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {"percent": _dashed(percent), "number": _dashed(number)}
    environment.filters |= {"share": _share, "score": score_text}
    page = environment.get_template("page.html").render(
        rows=rows, shown=shown, ks=list(shown.ks), groups=_groups(rows), statuses=_statuses(rows),
        further=list(dict.fromkeys(name for summary in rows.values() for name in summary["scores"])),
        partial={name: left for name, summary in rows.items() if (left := leaderboard.missing(summary))},
        published=published, measured=leaderboard.measured(rows, is_one_model=shown.is_one_model),
        data=embedded({**data.to_dict(), "curves": shown.curves}),
    )
    return page.encode("utf-8", "replace")


def embedded(value: object) -> Any:
    """JSON that can stand inside a script element: nothing in it can end the element or begin a comment."""
    from markupsafe import Markup

    text = orjson.dumps(value).decode()
    return Markup(text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e"))


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


def _dashed(words: Callable[[float | None], str]) -> Callable[[float | None], str]:
    """The same words, with an en dash where nothing is known."""
    return lambda value: NOTHING if value is None else words(value)


def _share(part: float | None) -> str:
    """A fraction as a CSS percentage."""
    return f"{100 * (part or 0):.3f}%"
