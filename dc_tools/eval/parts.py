"""The parts of an evaluation: lines that are judged by one set of rules, and their way through it.

    lines -> sampled, where a model is asked; those that were before take their places as they are
          -> judged -> counted and kept (evaluation.py)
"""

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from dc_tools.core.records import Line, Problem, encode
from dc_tools.core.run import Run
from dc_tools.eval.benchmarks import Benchmark, load, locate
from dc_tools.eval.judging import Grader, Item, Judging
from dc_tools.eval.kept import Kept
from dc_tools.eval.samples import matched
from dc_tools.eval.sampling import Asking
from dc_tools.eval.wanted import Wanted
from dc_tools.rollout.prompts import render

if TYPE_CHECKING:
    from dc_tools.sandbox.judge import JudgePool

IN_FLIGHT = 64
"""Rollouts being judged ahead of the reader, per worker: enough that none is idle behind one that takes long."""


@dataclass(frozen=True)
class Part:
    """Lines and the benchmark that they are of, None where their own tests and rules hold."""

    items: Iterator[Item]
    benchmark: Benchmark | None
    rows: Mapping[str, str]
    """File -> row; what is asked of a model has the benchmark's name as its file."""


def parts(run: Run, want: Wanted, rows: Mapping[str, str], pool: "JudgePool") -> list[Part]:
    """Each benchmark that a model is asked, all of them read before the first is; or else all files as one.

    Errors: as `load` and, once its items are taken, `matched`.
    """
    if not want.datasets:
        return [Part(run.read(Problem), None, rows)]
    found: list[Part] = []
    for name in want.datasets:
        options = want.options_of(name)
        data = locate(name, want.data, **options)
        benchmark = load(name, data.path, pool, **options)
        run.facts.setdefault("problems", {})[name] = len(benchmark.problems)
        if data.names:
            run.facts.setdefault("data", {})[name] = data.names
        if want.asked:
            found.append(Part(_asked_of(run, benchmark, name), benchmark, {name: name}))
        else:
            found.append(Part(matched(run, run.read_raw(), benchmark, rows, partial=want.partial), benchmark, rows))
    return found


def judged(run: Run, part: Part, kept: Kept, asking: Asking | None, pool: "JudgePool | None") -> Iterator[Item]:
    """The lines of a part with new rollouts, where a model is asked, and with verdicts, where there is a pool."""
    benchmark, rows = part.benchmark, part.rows

    def done(line: Line, problem: Problem) -> Line | None:
        return kept.earlier(rows[line.file]).get(problem.id)

    def ask(items: Iterator[Item]) -> Iterator[Item]:
        if not asking:
            yield from items
            return
        how = (benchmark.prompt, rows, benchmark.extract) if benchmark else (render, rows, None)
        for line, problem, timing in asking.sampled(items, *how):
            kept.sampled(timing.row, line, timing)
            yield line, problem

    answered = spliced(_once(run, part), done, ask, asking.piece if asking else 1)
    if pool is None:
        yield from answered
        return
    grader: Grader = benchmark.grader(pool) if benchmark else pool
    reading = (benchmark.extract, benchmark.nothing) if benchmark else ()
    judging = Judging(grader, IN_FLIGHT * run.options.workers, *reading)
    yield from judging.lines(answered)
    run.add_faults(judging.faults)


def _once(run: Run, part: Part) -> Iterator[Item]:
    """The items without those whose id their row has had before, which are rejected."""
    seen: set[tuple[str, str]] = set()
    for line, problem in part.items:
        key = part.rows[line.file], problem.id
        if key in seen:
            run.reject(line, f"the id '{problem.id}' came before: one problem is one line, with all its rollouts")
        else:
            seen.add(key)
            yield line, problem


def spliced(
    items: Iterator[Item], done: Callable[[Line, Problem], Line | None],
    work: Callable[[Iterator[Item]], Iterator[Item]], piece: int,
) -> Iterator[Item]:
    """The items in order: as they were `done` before, or as `work` makes them.

    Of a, b, c, d, where b and c are done, `work` is given a and d; b and c come out just before d does. What `work`
    leaves out is left out. Items are taken `piece` at a time, and a piece of which not all is done is worked on as a
    whole: engines that work in batches then meet the same ones.
    """
    order: deque[tuple[int, Line | None]] = deque()

    def left() -> Iterator[Item]:
        while batch := list(islice(items, piece)):
            earlier = [done(line, problem) for line, problem in batch]
            is_done = all(earlier)
            for (line, problem), found in zip(batch, earlier, strict=True):
                order.append((line.index, _placed(found, line) if found and is_done else None))
                if not is_done:
                    yield line, problem

    for line, problem in work(left()):
        while order:
            index, found = order.popleft()
            if found:
                yield found, found.decode(Problem)
            elif index == line.index:
                break
        yield line, problem
    yield from ((found, found.decode(Problem)) for _, found in order if found)


def _placed(found: Line, line: Line) -> Line:
    """The line that was kept, in the place of the one that it was made of."""
    return Line(found.raw, line.file, line.number, line.index)


def _asked_of(run: Run, benchmark: Benchmark, name: str) -> Iterator[Item]:
    for index, problem in enumerate(islice(benchmark.problems, run.options.limit)):
        run.counts.read += 1
        yield Line(encode(problem), name, index + 1, index), problem
