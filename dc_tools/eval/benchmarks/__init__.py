"""Benchmarks: each is one file that reads its published data, knows its programs' shape and grades them."""

from collections.abc import Sequence, Set
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from dc_tools.core.errors import UsageError
from dc_tools.core.extract import extract_code
from dc_tools.core.lines import ON_THE_HUB, expand_inputs, on_disk
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
    elsewhere: Set[str]
    """Names of problems that the data have, but that are not asked for."""

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
    elsewhere: Set[str] = frozenset()

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


@dataclass(frozen=True)
class Data:
    """Where the problems of a benchmark are, and for those from the hub the names that say which bytes these are."""

    path: Path
    names: list[str]


def locate(name: str, data: str | None, **options: Any) -> Data:
    """The data of the benchmark called `name`: a file or folder, files of a dataset on the hub, or, where nothing is
    named, those that its publisher has there. Errors: `UsageError`, `CannotRun`."""
    if data is not None and not data.startswith(ON_THE_HUB):
        return Data(Path(data), [])
    named = _module(name).on_the_hub(**options) if data is None else [data]
    names = expand_inputs(named)
    paths = [Path(on_disk(each)) for each in names]
    return Data(paths[0] if len(paths) == 1 else paths[0].parent, names)


def is_on_the_hub(name: str) -> bool:
    """Whether the benchmark's publisher has its data on the hub, as they are read here."""
    return hasattr(_module(name), "on_the_hub")


def further_scores(names: Sequence[str]) -> list[str]:
    """Regular expressions of the scores that these benchmarks may have beside pass@k."""
    return [pattern for name in names for pattern in getattr(_module(name), "SCORES", ())]


def load(name: str, data: Path, pool: "JudgePool", **options: Any) -> Benchmark:
    """Read the benchmark called `name`, with options that it takes. Errors: `UsageError`, `CannotRun`."""
    benchmark: Benchmark = _module(name).read(data, pool, **options)
    return benchmark


def _module(name: str) -> Any:
    if name not in MODULES:
        raise UsageError(f"--datasets {name}: choose from {', '.join(MODULES)}")
    return import_module(f"dc_tools.eval.benchmarks.{MODULES[name]}")
