"""One evaluation from lines to scores: judge what lacks a verdict, count, gate, and write the report.

What happens to each line is in parts.py; this file is the order in which it happens.
"""

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path

from dc_tools.core.errors import BadLine, UsageError
from dc_tools.core.folder import open_folder
from dc_tools.core.manifest import write_atomic
from dc_tools.core.records import Line, Problem, encode
from dc_tools.core.run import Run
from dc_tools.eval.benchmarks import Benchmark
from dc_tools.eval.curves import read_curves
from dc_tools.eval.gates import failures, parse_gates
from dc_tools.eval.kept import InFolder, Kept, Nowhere, one_file
from dc_tools.eval.parts import judged, parts
from dc_tools.eval.report import ReportData, render
from dc_tools.eval.rows import Rows
from dc_tools.eval.sampling import Asking
from dc_tools.eval.telling import tell
from dc_tools.eval.timing import Timing
from dc_tools.eval.wanted import Wanted, check_targets, rows_of


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
        seen = ReportData(list(rows.tallies)) if want.report or folder else None
        benchmarks = _counted(run, want, names, rows, kept, seen)
        summaries = rows.summaries(want.group_by, run.options.seed)
        for name, benchmark in benchmarks.items():
            found = benchmark.overall(rows.tallies[name], run.options.seed)
            summaries[name]["scores"] |= found.pop("scores", {})
            summaries[name] |= found
        comparisons = rows.comparisons(run.options.seed) if want.compare else {}
        report = want.report or (folder and folder / "report.html")
        if report and seen:
            title = ", ".join(summaries) if len(summaries) <= 3 else f"{len(summaries)} runs"
            write_atomic(Path(report), render(summaries, want.ks, seen, curves, title))
        told = tell(run, want, summaries, comparisons)
        if folder:
            suffix = {"json": "json", "markdown": "md", "latex": "tex"}[want.format]
            write_atomic(folder / f"scores.{suffix}", encode(told) + b"\n")
        else:
            run.write_line(told)
    for text in failures(gates, summaries):
        run.fail_gate(text)


def _counted(
    run: Run, want: Wanted, names: Mapping[str, str], rows: Rows, kept: Kept, seen: ReportData | None
) -> dict[str, Benchmark]:
    """Judge, count and keep all lines; returns the benchmark of each row that is of one."""
    from dc_tools.sandbox.judge import JudgePool

    benchmarks: dict[str, Benchmark] = {}
    with contextlib.ExitStack() as stack:
        pool = stack.enter_context(JudgePool(run.options.workers))
        asking = Asking(run, want.asked, stack) if want.asked else None
        for part in parts(run, want, names, pool):
            benchmark = part.benchmark
            if benchmark:
                benchmarks |= dict.fromkeys(part.rows.values(), benchmark)
            for line, problem in judged(run, part, kept, asking, pool if want.judge else None):
                row = part.rows[line.file]
                timing = (asking.timings.pop(problem.id, None) if asking else None) or kept.timing(row, problem.id)
                scores = benchmark.scores(problem, want.ks) if benchmark else {}
                if _count(run, line, problem, rows, row, scores, timing):
                    kept.judged(row, problem.id, line)
                    run.counts.written += not run.lines_out
                    if seen:
                        seen.add(row, problem)
        if isinstance(kept, InFolder):
            kept.finish()
    return benchmarks


def _count(
    run: Run, line: Line, problem: Problem, rows: Rows, row: str, scores: dict[str, float], timing: Timing | None
) -> bool:
    """Whether the line counts; what came before is rejected."""
    try:
        rows.add(row, problem, scores, timing)
    except BadLine as error:
        run.reject(line, error.error)
        return False
    return True


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
