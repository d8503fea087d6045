"""The problems of a run: those it learns from, and those it is measured on."""

from collections.abc import Iterable, Sequence

from dc_tools.core.errors import BadLine, CannotRun
from dc_tools.core.lines import expand_inputs, read_lines
from dc_tools.core.records import Line, Problem
from dc_tools.core.run import Run


def problem_lines(run: Run) -> list[bytes]:
    """The run's input; a problem without statement or tests is a reject. Errors: `CannotRun` where nothing is left."""
    found = []
    for line, problem in run.read(Problem):
        if lack := _lack(problem):
            run.reject(line, f"problem '{problem.id}' has no {lack}")
        else:
            found.append(line.raw)
    if not found:
        raise CannotRun("there is no problem to learn from")
    return found


def evaluation_lines(names: Sequence[str]) -> list[bytes]:
    """The problems of --eval. Errors: `CannotRun` for a line that cannot be asked."""
    return [line.raw for line in _checked(read_lines(expand_inputs(list(names))))] if names else []


def _checked(lines: Iterable[Line]) -> Iterable[Line]:
    for line in lines:
        try:
            lack = _lack(line.decode(Problem))
        except BadLine as error:
            lack = error.error
        if lack:
            raise CannotRun(f"--eval {line.file}:{line.number}: no {lack}")
        yield line


def _lack(problem: Problem) -> str:
    """What keeps a problem from being asked."""
    return "" if problem.statement and problem.tests else "tests" if problem.statement else "statement"
