"""From verdicts to rewards: a sum of weighted terms, each for the problems that it is meant for. Pure but for `python`.

The default is one sparse term: 1 where every test passed, else 0.
"""

import importlib.util
from collections.abc import Callable, Sequence
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Any

import msgspec

from dc_tools.core.errors import CannotRun
from dc_tools.core.records import Finish, Problem, Rollout, Status

Custom = Callable[[dict[str, Any], dict[str, Any]], float]


class Kind(StrEnum):
    """What a term looks at. All but `python` lie in [0, 1], where 1 is the most of it."""

    TESTS = "tests"
    """1 where every test passed, else 0; with `fraction` the share that passed."""
    FORMAT = "format"
    """1 where the answer ended by itself and has a code block."""
    LENGTH = "length"
    """The share of the token budget that was used: its weight is below 0. With `buffer` only the last so many tokens
    of the budget count, from 0 to 1 (Yu et al. 2025, DAPO: soft overlong punishment)."""
    RUNTIME = "runtime"
    """Of an accepted program the share of its time limits that it took, over all tests; 0 for others."""
    PYTHON = "python"
    """What a function of the user's says: `function(problem, rollout) -> float`, both as in a line."""


class Where(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Which problems; what is not given does not matter."""

    source: str | None = None
    """`source.dataset` of the record."""
    tag: str | None = None
    difficulty: str | None = None

    def holds(self, problem: Problem) -> bool:
        """Whether a problem is meant."""
        return (
            self.source in {None, problem.source.dataset}
            and self.difficulty in {None, problem.difficulty}
            and (self.tag is None or self.tag in problem.tags)
        )


class Domain(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """Problems that are asked more often than others, or less."""

    where: Where
    weight: float
    """2: twice as often; 0: never."""

    def __post_init__(self) -> None:
        if not 0 <= self.weight < float("inf"):
            raise ValueError(f"the weight of a domain must be at least 0, not {self.weight}")


def weight_of(problem: Problem, domains: Sequence[Domain]) -> float:
    """That of the first domain which has the problem; 1 where none does."""
    return next((domain.weight for domain in domains if domain.where.holds(problem)), 1.0)


class Term(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """One term of the reward."""

    kind: Kind
    name: str = ""
    """In metrics and lines; the kind where it is empty."""
    weight: float = 1.0
    where: Where = Where()
    fraction: bool = False
    buffer: int = 0
    """Tokens."""
    file: str = ""
    """Of `python`."""
    function: str = "reward"

    def __post_init__(self) -> None:
        if self.fraction and self.kind is not Kind.TESTS:
            raise ValueError("`fraction` is for tests")
        if self.buffer and self.kind is not Kind.LENGTH:
            raise ValueError("`buffer` is for length")
        if bool(self.file) != (self.kind is Kind.PYTHON):
            raise ValueError("`file` is for python, which needs it")
        if self.buffer < 0:
            raise ValueError(f"buffer must be at least 0, not {self.buffer}")

    @property
    def label(self) -> str:
        """What it is called."""
        return self.name or self.kind.value


SPARSE = (Term(kind=Kind.TESTS),)


def scores(terms: Sequence[Term], problem: Problem, rollout: Rollout, budget: int) -> dict[str, float] | None:
    """The value of each term that is meant for the problem, by name; None where judge or engine failed, which is no
    answer's fault. `budget` is the most tokens of a response. Errors: `CannotRun` from a user's function."""
    if rollout.finish is Finish.ERROR or rollout.verdict is None or rollout.verdict.status is Status.IE:
        return None
    return {term.label: _value(term, problem, rollout, budget) for term in terms if term.where.holds(problem)}


def total(terms: Sequence[Term], found: dict[str, float]) -> float:
    """The reward that some scores make."""
    return sum(term.weight * found[term.label] for term in terms if term.label in found)


def _value(term: Term, problem: Problem, rollout: Rollout, budget: int) -> float:
    verdict = rollout.verdict
    assert verdict is not None
    match term.kind:
        case Kind.TESTS if term.fraction:
            return verdict.passed / verdict.total if verdict.total else 0.0
        case Kind.TESTS:
            return float(verdict.status is Status.AC)
        case Kind.FORMAT:
            return float(rollout.finish is Finish.STOP and rollout.code is not None)
        case Kind.LENGTH:
            length = len(rollout.tokens.ids) if rollout.tokens else 0
            counted = term.buffer or budget
            return min(max(length - (budget - counted), 0) / counted, 1.0)
        case Kind.RUNTIME:
            limit = problem.limits.time_s * max(verdict.total, 1)
            return min(verdict.time_s / limit, 1.0) if verdict.status is Status.AC else 0.0
        case Kind.PYTHON:
            return _called(term, problem, rollout)


def _called(term: Term, problem: Problem, rollout: Rollout) -> float:
    function = load_function(term.file, term.function)
    try:
        return float(function(msgspec.to_builtins(problem), msgspec.to_builtins(rollout)))
    except Exception as error:
        where = f"{term.file}: {term.function}"
        raise CannotRun(f"{where} failed on problem '{problem.id}': {type(error).__name__}: {error}") from error


@cache
def load_function(file: str, name: str) -> Custom:
    """A function of a Python file. Errors: `CannotRun`."""
    spec = importlib.util.spec_from_file_location(Path(file).stem, file)
    if spec is None or spec.loader is None or not Path(file).is_file():
        raise CannotRun(f"{file}: no Python file with a reward function")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise CannotRun(f"{file}: {type(error).__name__}: {error}") from error
    function = getattr(module, name, None)
    if not callable(function):
        raise CannotRun(f"{file}: no function '{name}'")
    found: Custom = function
    return found
