"""Why a row is dropped: the closed set of reasons, and the pair of reason and detail that every filter answers with."""

from dataclasses import dataclass
from enum import StrEnum


class Reason(StrEnum):
    """The closed set of reasons for dropping a row."""

    PARSE_ERROR = "parse_error"
    UNSAFE_PAYLOAD = "unsafe_payload"
    NO_SOLUTION = "no_solution"
    FEW_TESTS = "few_tests"
    SOLUTION_FAILS = "solution_fails"
    TIMEOUT = "timeout"
    NONDETERMINISTIC = "nondeterministic"
    NEEDS_CHECKER = "needs_checker"
    INTERACTIVE = "interactive"
    IMAGE = "image"
    COMPLEXITY_HIGH = "complexity_high"
    COVERAGE_LOW = "coverage_low"
    DIFFICULTY = "difficulty"
    DUPLICATE = "duplicate"
    CONTAMINATED = "contaminated"


@dataclass(frozen=True)
class Refusal:
    """The row is dropped: `detail` says in words what was found."""

    reason: Reason
    detail: str
