"""Summaries as tables for people: aligned text for the terminal, Markdown for a page."""

from collections.abc import Iterator, Mapping, Sequence

from dc_tools.core.records import Status
from dc_tools.eval.compare import Comparison
from dc_tools.eval.groups import GroupBy, easy_first
from dc_tools.eval.passk import Estimate
from dc_tools.eval.summary import Summary

SMALL_P = 1e-4
_LATEX = {char: f"\\{char}" for char in "&%$#_{}"} | {
    "\\": "\\textbackslash{}", "~": "\\textasciitilde{}", "^": "\\textasciicircum{}", "<": "$<$", ">": "$>$",
}
Table = list[list[str]]


def score_table(rows: Mapping[str, Summary], ks: Sequence[int]) -> Table:
    """One line per row: problems, rollouts, pass@k with its interval, and what went wrong."""
    head = ["run", "problems", "rollouts", *(f"pass@{k}" for k in ks), "truncated", "no code", "tokens"]
    body = [
        [
            name, str(s["problems"]), str(s["rollouts"]), *(estimate_text(s[f"pass@{k}"]) for k in ks),
            percent(s["truncated"]["rate"]), percent(s["no_code"]["rate"]), number(s["response_tokens"]["mean"]),
        ]
        for name, s in rows.items()
    ]
    return [head, *body]


def group_tables(rows: Mapping[str, Summary], ks: Sequence[int]) -> Iterator[tuple[str, Table]]:
    """For each grouping its table: one line per group and row. A grouping with one label would say nothing."""
    for by in dict.fromkeys(by for summary in rows.values() for by in summary["groups"]):
        head = [by, "run", "problems", *(f"pass@{k}" for k in ks)]
        body = [
            [label, name, str(group["problems"]), *(estimate_text(group[f"pass@{k}"]) for k in ks)]
            for name, s in rows.items()
            for label, group in s["groups"][by].items()
        ]
        if len({line[0] for line in body}) > 1:
            yield by, [head, *sorted(body, key=lambda line: easy_first(line[0]))]


def verdict_table(rows: Mapping[str, Summary]) -> Table:
    """One line per row, one column per verdict that occurs."""
    found = [s.value for s in Status if any(s.value in each["verdicts"] for each in rows.values())]
    return [["run", *found], *([n, *(str(s["verdicts"].get(v, 0)) for v in found)] for n, s in rows.items())]


def further_table(rows: Mapping[str, Summary]) -> Table | None:
    """One line per row, one column per further score; None where there are none."""
    names = list(dict.fromkeys(name for summary in rows.values() for name in summary["scores"]))
    body = [
        [name, *(score_text(each, s["scores"][each]) if each in s["scores"] else "-" for each in names)]
        for name, s in rows.items()
    ]
    return [["run", *names], *body] if names else None


def score_text(name: str, estimate: Summary) -> str:
    """A further score in words: a share, or a rating, `1846 [1700, 2010]`."""
    if name != "rating" or estimate["value"] is None:
        return estimate_text(estimate)
    interval = "" if estimate["low"] is None else f" [{estimate['low']:.0f}, {estimate['high']:.0f}]"
    return f"{estimate['value']:.0f}{interval}"


def all_tables(rows: Mapping[str, Summary], ks: Sequence[int]) -> list[Table]:
    """Scores, verdicts and groups."""
    further = further_table(rows)
    groups = (table for _, table in group_tables(rows, ks))
    return [score_table(rows, ks), *([further] if further else []), verdict_table(rows), *groups]


def comparison_table(first: str, comparisons: Mapping[str, Comparison]) -> Table:
    """One line per further run: its difference from the `first` one, and how likely that is by chance."""
    head = ["run", "problems", f"pass@1 of {first}", "pass@1", "difference", "better", "worse", "p", "test"]
    body = [
        [
            name, str(c.problems), percent(c.first), percent(c.second), _points(c.difference), str(len(c.better)),
            str(len(c.worse)), f"{c.p:.4f}" if c.p >= SMALL_P else f"< {SMALL_P:g}", c.test,
        ]
        for name, c in comparisons.items()
    ]
    return [head, *body]


def estimate_text(estimate: Summary) -> str:
    """`52.0 % [40.0, 64.0]`."""
    if estimate["value"] is None:
        return "-"
    interval = "" if estimate["low"] is None else f" [{100 * estimate['low']:.1f}, {100 * estimate['high']:.1f}]"
    return f"{100 * estimate['value']:.1f} %{interval}"


def _points(difference: Estimate) -> str:
    """`+4.0 [-1.0, 9.0]`, in percentage points."""
    interval = "" if difference.low is None else f" [{100 * difference.low:+.1f}, {100 * (difference.high or 0):+.1f}]"
    return f"{100 * (difference.value or 0):+.1f}{interval}"


def percent(share: float | None) -> str:
    """`1.5 %`, or a dash where unknown."""
    return "-" if share is None else f"{100 * share:.1f} %"


def number(value: float | None) -> str:
    """A whole number, or a dash where unknown."""
    return "-" if value is None else f"{value:.0f}"


def as_text(table: Table) -> str:
    """Columns aligned: names to the left, numbers to the right."""
    columns = [_aligned(list(column)) for column in zip(*table, strict=True)]
    return "\n".join("  ".join(line).rstrip() for line in zip(*columns, strict=True))


def as_markdown(table: Table) -> str:
    """A pipe table; pipes inside cells are escaped."""
    head, *body = [[cell.replace("|", "\\|") for cell in line] for line in table]
    rule = ["---" if _is_name(name) else "---:" for name in head]
    return "\n".join(f"| {' | '.join(line)} |" for line in (head, rule, *body))


def as_latex(table: Table) -> str:
    """A tabular with the rules of booktabs."""
    head, *body = [[_in_latex(cell) for cell in line] for line in table]
    columns = "".join("l" if _is_name(name) else "r" for name in table[0])
    lines = ["\\toprule", _latex_row(head), "\\midrule", *map(_latex_row, body), "\\bottomrule"]
    return "\n".join([f"\\begin{{tabular}}{{{columns}}}", *lines, "\\end{tabular}"])


def _latex_row(cells: Sequence[str]) -> str:
    return " & ".join(cells) + " \\\\"


def _in_latex(cell: str) -> str:
    """The text with what LaTeX gives a meaning escaped."""
    return "".join(_LATEX.get(char, char) for char in cell)


def _is_name(column: str) -> bool:
    return column == "run" or column in list(GroupBy)


def _aligned(column: list[str]) -> list[str]:
    width = max(map(len, column))
    return [cell.ljust(width) if _is_name(column[0]) else cell.rjust(width) for cell in column]
