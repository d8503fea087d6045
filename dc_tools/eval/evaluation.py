"""One evaluation from lines to scores: judge what lacks a verdict, count, gate, and write the report.

What happens to each line is in parts.py; this file is the order in which it happens.
"""

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from dc_tools.core.errors import UsageError
from dc_tools.core.extract import extract_code
from dc_tools.core.folder import open_folder
from dc_tools.core.manifest import write_atomic
from dc_tools.core.records import encode
from dc_tools.core.run import Run
from dc_tools.eval.benchmarks import Benchmark
from dc_tools.eval.curves import read_curves
from dc_tools.eval.gates import failures, parse_gates
from dc_tools.eval.kept import InFolder, Kept, Nowhere, one_file
from dc_tools.eval.parts import judged, parts
from dc_tools.eval.report import Shown, render
from dc_tools.eval.report_data import ReportData
from dc_tools.eval.rows import Rows
from dc_tools.eval.sampling import Asking
from dc_tools.eval.summary import Summary
from dc_tools.eval.telling import tell
from dc_tools.eval.traces import Traces
from dc_tools.eval.wanted import Wanted, check_targets, rows_of

if TYPE_CHECKING:
    from dc_tools.sandbox.judge import JudgePool


def evaluate(run: Run, want: Wanted) -> None:
    """Read, judge and count all lines of `run`, then write what `want` asks for."""
    check_targets(run, want)
    names = rows_of(run, want)
    rows = Rows(list(dict.fromkeys(names.values())), want.ks)
    if want.compare and len(rows.tallies) < 2:
        raise UsageError("--compare wants two or more FILEs")
    gates = parse_gates(want.minimums, want.ks, list(rows.tallies), has_benchmark=bool(want.datasets))
    curves = read_curves(want.runs)
    with contextlib.ExitStack() as stack:
        folder = None if run.lines_out else stack.enter_context(open_folder(run))
        run.facts["is_folder"] = folder is not None
        kept = stack.enter_context(_kept(want, folder, list(rows.tallies)))
        report = Path(want.report) if want.report else folder and folder / "report.html"
        pool = stack.enter_context(_pool(run))
        traces = Traces(pool, want.traces if report else 0)
        seen = ReportData(list(rows.tallies)) if report else None
        benchmarks = _counted(run, want, names, rows, kept, pool, seen, traces)
        summaries = _summaries(run, want, rows, benchmarks)
        comparisons = rows.comparisons(run.options.seed) if want.compare else {}
        if report and seen:
            traces.finish()
            is_one_model = bool(want.asked and want.datasets)
            shown = Shown(
                want.ks, _title(summaries, is_one_model=is_one_model), curves, comparisons, is_one_model,
                traces.made, traces.failing,
            )
            write_atomic(report, render(summaries, seen, shown))
        told = tell(run, want, summaries, comparisons)
        if folder:
            suffix = {"json": "json", "markdown": "md", "latex": "tex"}[want.format]
            write_atomic(folder / f"scores.{suffix}", encode(told) + b"\n")
        else:
            run.write_line(told)
    for text in failures(gates, summaries):
        run.fail_gate(text)


def _title(summaries: Mapping[str, Summary], *, is_one_model: bool) -> str:
    """The model and what it was asked, or the runs."""
    models = sorted({model for summary in summaries.values() for model in summary["models"]})
    if is_one_model and models:
        return f"{models[0]}: {', '.join(summaries)}"
    return ", ".join(summaries) if len(summaries) <= 3 else f"{len(summaries)} runs"


def _pool(run: Run) -> "JudgePool":
    from dc_tools.sandbox.judge import JudgePool

    return JudgePool(run.options.workers)


def _summaries(run: Run, want: Wanted, rows: Rows, benchmarks: Mapping[str, Benchmark]) -> dict[str, Summary]:
    """The summary of each row, with what its benchmark adds."""
    summaries = rows.summaries(want.group_by, run.options.seed)
    for name, benchmark in benchmarks.items():
        found = benchmark.overall(rows.tallies[name], run.options.seed)
        summaries[name]["scores"] |= found.pop("scores", {})
        asked_of = name if want.asked else want.datasets[0]
        summaries[name] |= {"benchmark": asked_of, "benchmark_problems": len(benchmark.problems), **found}
        if not benchmark.runs_programs:
            summaries[name] |= {"judged": "answers", "reliability": None}
    return summaries


def _counted(
    run: Run, want: Wanted, names: Mapping[str, str], rows: Rows, kept: Kept, pool: "JudgePool",
    seen: ReportData | None, traces: Traces,
) -> dict[str, Benchmark]:
    """Judge, count and keep all lines; returns the benchmark of each row that is of one."""
    benchmarks: dict[str, Benchmark] = {}
    with contextlib.ExitStack() as stack:
        asking = Asking(run, want.asked, stack, kept.models) if want.asked else None
        for part in parts(run, want, names, pool):
            benchmark = part.benchmark
            if benchmark:
                benchmarks |= dict.fromkeys(part.rows.values(), benchmark)
            runs_programs = benchmark is None or benchmark.runs_programs
            for line, problem in judged(run, part, kept, asking, pool if want.judge else None):
                row = part.rows[line.file]
                asked = asking.timings.pop((row, problem.id), None) if asking else None
                scores = benchmark.scores(problem, want.ks) if benchmark else {}
                extract = benchmark.extract if benchmark else extract_code
                rows.add(row, problem, scores, asked or kept.timing(row, problem.id), extract)
                kept.judged(row, problem.id, line)
                run.counts.written += not run.lines_out
                if seen:
                    seen.add(row, problem, traces, runs_programs=runs_programs)
        kept.finish()
    return benchmarks


@contextlib.contextmanager
def _kept(want: Wanted, folder: Path | None, rows: list[str]) -> Iterator[Kept]:
    """Where the judged lines go."""
    if folder:
        with contextlib.closing(InFolder(folder, rows)) as kept:
            yield kept
    elif want.samples_out:
        with one_file(want.samples_out) as kept_file:
            yield kept_file
    else:
        yield Nowhere()
