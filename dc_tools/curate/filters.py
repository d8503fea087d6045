"""The filters that need no running: pure functions from a problem to nothing, or to the reason why it is dropped."""

import json
import re
from collections import Counter

from dc_tools.core.languages import PYTHON, language
from dc_tools.core.records import CheckerType, Mode, Problem, Solution, Test
from dc_tools.curate.complexity import Complexity
from dc_tools.curate.coverage import Coverage
from dc_tools.curate.draft import in_words
from dc_tools.curate.reasons import Reason, Refusal

SHOWN = 60
MANY_ANSWERS = re.compile(
    r"(?:return|returned|output|print)\b[^.\n]{0,80}\bin any order\b"
    r"|\b(?:return|output|print|choose) any (?:one|of (?:them|these|those)|(?:such|valid|possible)\b)",
    re.IGNORECASE,
)
"""How statements say that other answers than the listed one are right, too."""


def one_answer(problem: Problem) -> Refusal | None:
    """A statement that allows several answers cannot be judged by comparison with one; it takes a checker's program."""
    if problem.checker.type is CheckerType.CUSTOM:
        return None
    found = MANY_ANSWERS.search(problem.statement)
    if not found:
        return None
    return Refusal(Reason.NEEDS_CHECKER, f"the statement allows several answers: '{' '.join(found[0].split())}'")


def contradicting_tests(problem: Problem) -> Refusal | None:
    """Two tests with the same input must agree on the output."""
    known: dict[str, Test] = {}
    for test in problem.tests:
        first = known.setdefault(test.input, test)
        if not _same_output(first.output, test.output, problem.mode):
            detail = f"tests contradict each other: input {_shown(test.input)} gives"
            return Refusal(Reason.PARSE_ERROR, f"{detail} {_shown(first.output)} and {_shown(test.output)}")
    return None


def distinct_tests(problem: Problem) -> list[Test]:
    """The tests without those whose input was seen before."""
    first: dict[str, Test] = {}
    for test in problem.tests:
        first.setdefault(test.input, test)
    return list(first.values())


def enough_tests(problem: Problem, minimum: int, left_out: Counter[str]) -> Refusal | None:
    """At least `minimum` tests."""
    found = len(problem.tests)
    if found >= minimum:
        return None
    missing = f"; left out: {in_words(left_out)}" if left_out else ""
    return Refusal(Reason.FEW_TESTS, f"{found} distinct test{'s' * (found != 1)}, {minimum} are asked for{missing}")


def telling_tests(problem: Problem) -> Refusal | None:
    """A function that returns nothing on every test is judged by something that we cannot see."""
    if problem.mode is Mode.FUNCTION and all(test.output.strip() == "null" for test in problem.tests):
        return Refusal(Reason.NEEDS_CHECKER, "every expected value is null: the function changes its argument?")
    return None


def references_of(problem: Problem, most: int) -> list[int] | Refusal:
    """The places of the first `most` different Python solutions."""
    first = {s.code: place for place, s in reversed(list(enumerate(problem.solutions))) if _is_python(s)}
    if first:
        return sorted(first.values())[:most]
    languages = sorted(other_languages(problem))
    return Refusal(Reason.NO_SOLUTION, f"only in {', '.join(languages)}" if languages else "no solution is listed")


def other_languages(problem: Problem) -> dict[str, int]:
    """How many solutions there are in each language but Python."""
    return dict(sorted(Counter(s.lang for s in problem.solutions if not _is_python(s)).items()))


def simple_enough(complexity: Complexity, maximum: int) -> Refusal | None:
    """No block of the reference above `maximum`."""
    if complexity.value <= maximum:
        return None
    return Refusal(Reason.COMPLEXITY_HIGH, f"{complexity.block} has complexity {complexity.value}, above {maximum}")


def covered_enough(coverage: Coverage, minimum: float) -> Refusal | None:
    """At least the share `minimum` of the reference's branches taken by the tests."""
    if coverage.ratio >= minimum:
        return None
    taken = f"{coverage.covered} of {coverage.branches} branches ({coverage.ratio:.0%})"
    return Refusal(Reason.COVERAGE_LOW, f"the tests take {taken}, {minimum:.0%} are asked for")


def _is_python(solution: Solution) -> bool:
    return language(solution.lang) == PYTHON


def _same_output(first: str, second: str, mode: Mode) -> bool:
    if first.strip() == second.strip():
        return True
    if mode is not Mode.FUNCTION:
        return False
    try:
        return bool(json.loads(first) == json.loads(second))
    except (ValueError, RecursionError):
        return False


def _shown(text: str) -> str:
    return text.strip() if len(text) <= SHOWN else f"{text[:SHOWN]}..."
