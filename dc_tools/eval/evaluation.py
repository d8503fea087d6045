"""One evaluation from lines to scores: judge what lacks a verdict, count, gate, and write the report.

What happens to each line is in parts.py; this file is the order in which it happens.
"""

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from dc_tools.core.errors import UsageError
from dc_tools.core.extract import extract_code
from dc_tools.core.folder import open_folder
from dc_tools.core.manifest import write_atomic
from dc_tools.core.records import Line, Problem, encode
from dc_tools.core.run import Run
from dc_tools.eval.benchmarks import Benchmark, further_scores
from dc_tools.eval.curves import read_curves
from dc_tools.eval.gates import failures, parse_gates
from dc_tools.eval.kept import InFolder, Kept, Nowhere, one_file
from dc_tools.eval.parts import judged, parts
from dc_tools.eval.report import Page
from dc_tools.eval.rows import Rows
from dc_tools.eval.sampling import Asking
from dc_tools.eval.summary import Summary
from dc_tools.eval.telling import tell
from dc_tools.eval.timing import Timing
from dc_tools.eval.wanted import Wanted, check_targets, rows_of

if TYPE_CHECKING:
    from dc_tools.sandbox.judge import JudgePool

SUFFIXES = {"json": "json", "markdown": "md", "latex": "tex"}


def evaluate(run: Run, want: Wanted) -> None:
    """Read, judge and count all lines of `run`, then write what `want` asks for."""
    from dc_tools.sandbox.judge import JudgePool

    check_targets(run, want)
    names = rows_of(run, want)
    rows = Rows(list(dict.fromkeys(names.values())), want.ks)
    if want.compare and len(rows.tallies) < 2:
        raise UsageError("--compare wants two or more FILEs")
    gates = parse_gates(want.minimums, want.ks, list(rows.tallies), further_scores(want.datasets))
    curves = read_curves(want.runs)
    with contextlib.ExitStack() as stack:
        folder = None if run.lines_out else stack.enter_context(open_folder(run))
        run.facts["is_folder"] = folder is not None
        kept = stack.enter_context(_kept(want, folder, list(rows.tallies)))
        report = Path(want.report) if want.report else folder and folder / "report.html"
        pool = stack.enter_context(JudgePool(run.options.workers))
        evaluation = Evaluation(run, want, rows, kept, pool, Page(list(rows.tallies), pool, want.traces, report))
        evaluation.count(names)
        summaries = evaluation.summaries()
        comparisons = rows.comparisons(run.options.seed) if want.compare else {}
        evaluation.page.write(summaries, want, curves, comparisons)
        told = tell(run, want, summaries, comparisons)
        if folder:
            write_atomic(folder / f"scores.{SUFFIXES[want.format]}", encode(told) + b"\n")
        else:
            run.write_line(told)
    for text in failures(gates, summaries):
        run.fail_gate(text)


@dataclass(frozen=True)
class Evaluation:
    """One evaluation: what it counts, keeps and shows."""

    run: Run
    want: Wanted
    rows: Rows
    kept: Kept
    pool: "JudgePool"
    page: Page
    benchmarks: dict[str, Benchmark] = field(default_factory=dict)
    """Of the rows that are of one."""

    def count(self, names: Mapping[str, str]) -> None:
        """Judge, count, keep and show all lines; `names` are the rows of files."""
        run, want = self.run, self.want
        with contextlib.ExitStack() as stack:
            asking = Asking(run, want.asked, stack, self.kept.models) if want.asked else None
            for part in parts(run, want, names, self.pool):
                if part.benchmark:
                    self.benchmarks.update(dict.fromkeys(part.rows.values(), part.benchmark))
                for line, problem in judged(run, part, self.kept, asking, self.pool if want.judge else None):
                    row = part.rows[line.file]
                    timing = asking.timings.pop((row, problem.id), None) if asking else None
                    self._add(row, line, problem, part.benchmark, timing or self.kept.timing(row, problem.id))
        self.kept.finish()

    def _add(
        self, row: str, line: Line, problem: Problem, benchmark: Benchmark | None, timing: Timing | None
    ) -> None:
        scores = benchmark.scores(problem, self.want.ks) if benchmark else {}
        self.rows.add(row, problem, scores, timing, benchmark.extract if benchmark else extract_code)
        self.kept.judged(row, problem.id, line)
        self.run.counts.written += not self.run.lines_out
        self.page.add(row, problem, runs_programs=benchmark is None or benchmark.runs_programs)

    def summaries(self) -> dict[str, Summary]:
        """The summary of each row, with what its benchmark adds."""
        summaries = self.rows.summaries(self.want.group_by, self.run.options.seed)
        for name, benchmark in self.benchmarks.items():
            found = benchmark.overall(self.rows.tallies[name], self.run.options.seed)
            summaries[name]["scores"] |= found.pop("scores", {})
            asked_of = name if self.want.asked else self.want.datasets[0]
            summaries[name] |= {"benchmark": asked_of, "benchmark_problems": len(benchmark.problems), **found}
            if not benchmark.runs_programs:
                summaries[name] |= {"judged": "answers", "reliability": None}
        return summaries


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
