"""Benchmarks: each is one file that reads its published data, knows its programs' shape and grades them."""

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from dc_tools.core.errors import UsageError
from dc_tools.core.extract import extract_code
from dc_tools.core.records import Problem
from dc_tools.eval.judging import NO_CODE, Grader
from dc_tools.eval.tally import Tally
from dc_tools.rollout.engine import Prompt
from dc_tools.rollout.prompts import PromptStyle, render

if TYPE_CHECKING:
    from dc_tools.sandbox.judge import JudgePool

MODULES = {
    "humaneval": "humaneval", "humaneval+": "humaneval_plus", "lcb": "lcb", "codeforces": "codeforces", "aime": "aime",
    "plain": "plain",
}


class Benchmark(Protocol):
    """A benchmark whose data has been read."""

    problems: list[Problem]
    nothing: str
    """What is said of an answer in which nothing was found to judge."""
    runs_programs: bool
    """Whether what is judged are programs, run on the problem's tests."""

    def prompt(self, problem: Problem, style: PromptStyle) -> Prompt:
        """How a problem is asked."""
        ...

    def extract(self, text: str) -> str | None:
        """What is judged of an answer; None where nothing is found."""
        ...

    def program(self, problem: Problem, sample: dict[str, Any]) -> str | None:
        """The program to judge for one line of a samples file; None where the line holds no code."""
        ...

    def grader(self, pool: "JudgePool") -> Grader:
        """What judges this benchmark's programs."""
        ...

    def scores(self, problem: Problem, ks: Sequence[int]) -> dict[str, float]:
        """Further scores of a judged problem, by name; each from 0 to 1."""
        ...

    def overall(self, tallies: Sequence[Tally], seed: int) -> dict[str, Any]:
        """What all problems together come to, besides means; what is under `scores` joins the further scores."""
        ...


class Programs:
    """What benchmarks of programs have in common."""

    nothing = NO_CODE
    runs_programs = True

    def prompt(self, problem: Problem, style: PromptStyle) -> Prompt:
        """As everywhere."""
        return render(problem, style)

    def extract(self, text: str) -> str | None:
        """The last block of code."""
        return extract_code(text)

    def scores(self, problem: Problem, ks: Sequence[int]) -> dict[str, float]:
        """None."""
        return {}

    def overall(self, tallies: Sequence[Tally], seed: int) -> dict[str, Any]:
        """Nothing."""
        return {}


def load(name: str, data: Path, pool: "JudgePool", **options: Any) -> Benchmark:
    """Read the benchmark called `name`, with options that it takes, from a folder or file.

    Errors: `UsageError`, `CannotRun`.
    """
    if name not in MODULES:
        raise UsageError(f"--datasets {name}: choose from {', '.join(MODULES)}")
    benchmark: Benchmark = import_module(f"dc_tools.eval.benchmarks.{MODULES[name]}").read(data, pool, **options)
    return benchmark
