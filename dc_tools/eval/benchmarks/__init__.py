"""Benchmarks: each is one file that reads its published data, knows its programs' shape and grades them."""

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from dc_tools.core.errors import UsageError
from dc_tools.core.records import Problem
from dc_tools.eval.judging import Grader

if TYPE_CHECKING:
    from dc_tools.sandbox.judge import JudgePool

NAMES = ("humaneval", "plain")


class Benchmark(Protocol):
    """A benchmark whose data has been read."""

    problems: list[Problem]

    def program(self, problem: Problem, sample: dict[str, Any]) -> str | None:
        """The program to judge for one line of a samples file; None where the line holds no code."""
        ...

    def grader(self, pool: "JudgePool") -> Grader:
        """What judges this benchmark's programs."""
        ...


def load(name: str, data: Path, pool: "JudgePool") -> Benchmark:
    """Read the benchmark called `name` from a folder or file. Errors: `UsageError`, `CannotRun`."""
    if name not in NAMES:
        raise UsageError(f"--datasets {name}: choose from {', '.join(NAMES)}")
    benchmark: Benchmark = import_module(f"dc_tools.eval.benchmarks.{name}").read(data, pool)
    return benchmark
