"""The filters that need no running: pure functions from a problem to nothing, or to the reason why it is dropped."""

import re
from collections import Counter

from dc_tools.core.languages import PYTHON, language
from dc_tools.core.records import Checker, CheckerType, Mode, Problem, Solution, Test
from dc_tools.curate.complexity import Complexity
from dc_tools.curate.coverage import Coverage
from dc_tools.curate.draft import in_words
from dc_tools.curate.reasons import Reason, Refusal
from dc_tools.curate.statements.freedom import fixes_items_inside, freedom_of
from dc_tools.curate.statements.statement import unusable
from dc_tools.sandbox.compare import value_difference

SHOWN = 60
_LIST = re.compile(r"\s*\[")
_NESTED = re.compile(r'\s*\[(?:[^\[\]"{]++|"(?:[^"\\]++|\\.)*+")*+[\[{]')
"""A JSON list with a list or an object among its items; strings are read over."""


def self_contained(problem: Problem) -> Refusal | None:
    """A statement must not need a picture, nor a judge that answers questions."""
    return unusable(problem.statement)


def checker_for_order(problem: Problem) -> Checker:
    """The problem's checker, or `unordered` where the statement leaves free the order of the returned list, only.

    Text on stdout keeps its checker: `unordered` would let whole lines change places, between test cases, too.
    """
    freedom = freedom_of(problem.statement)
    if not freedom or not freedom.order_only or problem.checker.type is not CheckerType.DEFAULT:
        return problem.checker
    if problem.entry is None or problem.mode is not Mode.FUNCTION or problem.entry.return_type != "json":
        return problem.checker
    if not problem.tests or not all(_LIST.match(test.output) for test in problem.tests):
        return problem.checker
    if any(_NESTED.match(test.output) for test in problem.tests) and not fixes_items_inside(problem.statement):
        return problem.checker
    return Checker(CheckerType.UNORDERED)


def one_answer(problem: Problem) -> Refusal | None:
    """A statement that allows several answers cannot be judged by comparison with one; it takes a checker's program."""
    freedom = freedom_of(problem.statement)
    if freedom is None or problem.checker.type is CheckerType.CUSTOM:
        return None
    if freedom.order_only and problem.checker.type is CheckerType.UNORDERED:
        return None
    return Refusal(Reason.NEEDS_CHECKER, f"the statement allows several answers: '{freedom.words}'")


def contradicting_tests(problem: Problem) -> Refusal | None:
    """Two tests with the same input must agree on the output."""
    known: dict[str, Test] = {}
    for test in problem.tests:
        first = known.setdefault(test.input, test)
        if not _same_output(first.output, test.output, problem):
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


def _same_output(first: str, second: str, problem: Problem) -> bool:
    if first.strip() == second.strip():
        return True
    if problem.mode is not Mode.FUNCTION or problem.checker.type is CheckerType.CUSTOM:
        return False
    return value_difference(first, second, problem.checker) is None


def _shown(text: str) -> str:
    return text.strip() if len(text) <= SHOWN else f"{text[:SHOWN]}..."
