"""One evaluation from lines to scores: judge what lacks a verdict, count, gate, and write the report.

What happens to each line is in judging.py and tally.py; this file is the order in which it happens.
"""

import contextlib
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from dc_tools.core.errors import BadLine, CannotRun, UsageError
from dc_tools.core.manifest import write_atomic
from dc_tools.core.outputs import FLUSH_BYTES, sink_for
from dc_tools.core.records import Line, Problem, encode
from dc_tools.core.run import Run
from dc_tools.eval.benchmarks import Benchmark, load
from dc_tools.eval.compare import Comparison
from dc_tools.eval.curves import read_curves
from dc_tools.eval.gates import failures, parse_gates
from dc_tools.eval.groups import GroupBy, parse_group_by
from dc_tools.eval.judging import Grader, Item, Judging
from dc_tools.eval.report import ReportData, render
from dc_tools.eval.rows import Rows, row_names
from dc_tools.eval.samples import matched
from dc_tools.eval.sampling import Asked, sampled
from dc_tools.eval.summary import Summary, parse_ks
from dc_tools.eval.tables import all_tables, as_latex, as_markdown, as_text, comparison_table
from dc_tools.rollout.prompts import render as render_problem

if TYPE_CHECKING:
    from dc_tools.sandbox.judge import JudgePool

SCHEMA = "dc-eval/1"
SHOWN_IDS = 5
IN_FLIGHT = 64
"""Rollouts being judged ahead of the reader, per worker: enough that none is idle behind one that takes long."""
FORMATS = {"markdown": as_markdown, "latex": as_latex}
OPTIONS = {
    "lcb": ("grader", "extraction", "start_date", "end_date"), "codeforces": ("contests", "users", "method"),
}
"""Flags that only one benchmark takes."""


@dataclass(frozen=True)
class Wanted:
    """What the flags ask for, parsed; `asked` is None where no model is sampled."""

    ks: list[int]
    group_by: list[GroupBy]
    minimums: list[str]
    judge: bool
    format: str
    dataset: str | None
    data: str | None
    options: dict[str, Any]
    """What the benchmark is asked for beside its data."""
    samples_out: str | None
    report: str | None
    runs: list[str]
    compare: bool
    partial: bool
    asked: Asked | None


def wanted(k: str, group_by: str, asked: Asked | None, **rest: Any) -> Wanted:
    """The flags, checked before any work is done. Errors: `UsageError`."""
    ks = parse_ks(k)
    if asked and asked.sampling.n < max(ks):
        raise UsageError(f"pass@{max(ks)} needs n >= k: --n is {asked.sampling.n}")
    if rest["format"] not in ("json", *FORMATS):
        raise UsageError(f"--format {rest['format']}: choose json, {' or '.join(FORMATS)}")
    if (rest["dataset"] is None) != (rest["data"] is None):
        raise UsageError("--datasets NAME and --data DIR belong together")
    for dataset, flags in OPTIONS.items():
        given = sorted(set(flags) & set(rest["options"]))
        if given and rest["dataset"] != dataset:
            raise UsageError(f"--{given[0].replace('_', '-')} is for --datasets {dataset}")
    return Wanted(ks=ks, group_by=parse_group_by(group_by), asked=asked, **rest)


def evaluate(run: Run, want: Wanted) -> None:
    """Read, judge and count all lines of `run`, then write what `want` asks for."""
    from dc_tools.sandbox.judge import JudgePool

    _check_targets(want)
    names = _rows_of(run, want)
    if want.compare and len(set(names.values())) < 2:
        raise UsageError("--compare wants two or more FILEs")
    gates = parse_gates(want.minimums, want.ks, list(dict.fromkeys(names.values())), has_benchmark=bool(want.dataset))
    curves = read_curves(want.runs)
    rows = Rows(list(dict.fromkeys(names.values())), want.ks)
    seen = ReportData(list(rows.tallies)) if want.report else None
    with JudgePool(run.options.workers) as pool, _kept(want.samples_out) as keep:
        benchmark = load(want.dataset, Path(want.data or ""), pool, **want.options) if want.dataset else None
        for line, problem in _judged(run, want, benchmark, names, pool):
            further = benchmark.scores(problem, want.ks) if benchmark else {}
            _count(run, line, problem, rows, names[line.file], seen, further)
            keep(line)
    summaries = rows.summaries(want.group_by, run.options.seed)
    for name, summary in summaries.items():
        found = benchmark.overall(rows.tallies[name], run.options.seed) if benchmark else {}
        summary["scores"] |= found.pop("scores", {})
        summary |= found
    comparisons = rows.comparisons(run.options.seed) if want.compare else {}
    if want.report and seen:
        title = ", ".join(summaries) if len(summaries) <= 3 else f"{len(summaries)} runs"
        write_atomic(Path(want.report), render(summaries, want.ks, seen, curves, title))
    _tell(run, want, summaries, comparisons)
    for text in failures(gates, summaries):
        run.fail_gate(text)


def _check_targets(want: Wanted) -> None:
    """Refuse now what could not be written when all is judged."""
    for flag, target in (("--samples-out", want.samples_out), ("--report", want.report)):
        if target is None:
            continue
        if Path(target).is_dir():
            raise CannotRun(f"{flag} {target}: that is a folder")
        if not Path(target).parent.is_dir():
            raise CannotRun(f"{flag} {target}: the folder {Path(target).parent} does not exist")


def _rows_of(run: Run, want: Wanted) -> dict[str, str]:
    """File -> row. A model sampled on a benchmark is one row without a file, named after the benchmark."""
    if not (want.asked and want.dataset):
        return row_names(run.files)
    if run.files != [os.devnull]:
        raise UsageError("--model with --datasets takes its problems from --data, not from FILE")
    return {os.devnull: want.dataset}


def _judged(
    run: Run, want: Wanted, benchmark: Benchmark | None, names: Mapping[str, str], pool: "JudgePool"
) -> Iterator[Item]:
    """The lines of all rows with verdicts, sampled first where a model is asked."""
    items: Iterator[Item]
    if benchmark and want.asked:
        items = _asked_of(run, benchmark)
    elif benchmark:
        items = matched(run, run.read_raw(), benchmark, names, partial=want.partial)
    else:
        items = run.read(Problem)
    if want.asked:
        items = sampled(run, items, want.asked, benchmark.prompt if benchmark else render_problem)
    if not want.judge:
        yield from items
        return
    grader: Grader = benchmark.grader(pool) if benchmark else pool
    reading = (benchmark.extract, benchmark.nothing) if benchmark else ()
    judging = Judging(grader, IN_FLIGHT * run.options.workers, *reading)
    yield from judging.lines(items)
    run.add_faults(judging.faults)


def _asked_of(run: Run, benchmark: Benchmark) -> Iterator[Item]:
    for index, problem in enumerate(islice(benchmark.problems, run.options.limit)):
        run.counts.read += 1
        yield Line(encode(problem), run.files[0], index + 1, index), problem


def _count(
    run: Run, line: Line, problem: Problem, rows: Rows, row: str, seen: ReportData | None, further: dict[str, float]
) -> None:
    try:
        rows.add(row, problem, further)
    except BadLine as error:
        run.reject(line, error.error)
        return
    if seen:
        seen.add(row, problem)


def _tell(
    run: Run, want: Wanted, summaries: Mapping[str, Summary], comparisons: Mapping[str, Comparison]
) -> None:
    """The scores: tables for people on stderr, one object (or Markdown) as the output."""
    tables = all_tables(summaries, want.ks)
    if comparisons:
        tables.append(comparison_table(next(iter(summaries)), comparisons))
    run.say("pass@k with 95 % intervals over problems\n\n" + "\n\n".join(map(as_text, tables)) + "\n")
    for name, summary in summaries.items():
        for remark in _remarks(summary):
            run.say(f"{name}: {remark}")
    for name, comparison in comparisons.items():
        for remark in _changes(comparison):
            run.say(f"{name}: {remark}")
    if want.format in FORMATS:
        run.write_line(orjson.Fragment("\n\n".join(map(FORMATS[want.format], tables)).encode()))
    elif len(summaries) == 1:
        run.write_line({"schema": SCHEMA, **next(iter(summaries.values()))})
    else:
        compared = {"comparisons": {name: asdict(each) for name, each in comparisons.items()}} if comparisons else {}
        run.write_line({"schema": SCHEMA, "runs": summaries, **compared})


def _remarks(summary: Summary) -> list[str]:
    """What a reader of the scores must know, in words."""
    bare = summary["without_rollouts"]
    said = [
        (bare["count"], f"problems without rollouts, not in the mean ({', '.join(bare['ids'][:SHOWN_IDS])})"),
        (summary["internal_errors"], "rollouts that could not be judged (IE), not scored"),
        (summary["engine_errors"], "rollouts that failed in the engine, not scored"),
        (summary["unjudged"], "rollouts without a verdict, not scored"),
        (summary["no_code"]["count"], "answers without code, counted as failures"),
    ]
    for name in (name for name in summary if name.startswith("pass@")):
        short = summary["problems"] - bare["count"] - summary[name]["n_problems"]
        said.append((short, f"problems with too few scored rollouts, not in {name}"))
    return [f"{text}: {count}" for count, text in said if count]


def _changes(comparison: Comparison) -> list[str]:
    """Which problems changed, and which were not compared, in words."""
    said = [
        ("better", [change.id for change in comparison.better]), ("worse", [change.id for change in comparison.worse]),
        ("only in the first, not compared", comparison.only_first),
        ("only here, not compared", comparison.only_second),
    ]
    return [
        f"{text}: {len(ids)} ({', '.join(ids[:SHOWN_IDS])}{', ...' if len(ids) > SHOWN_IDS else ''})"
        for text, ids in said if ids
    ]


@contextlib.contextmanager
def _kept(target: str | None) -> Iterator[Callable[[Line], None]]:
    """A function that keeps a judged line in `target`, which is whole or absent."""
    if target is None:
        yield lambda line: None
        return
    sink = sink_for(target)

    def keep(line: Line) -> None:
        sink.write(line.to_bytes())
        if sink.pending > FLUSH_BYTES:
            sink.flush()

    try:
        yield keep
    except BaseException:
        sink.discard()
        raise
    sink.commit()
