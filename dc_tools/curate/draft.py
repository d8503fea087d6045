"""What a source makes of one row: the problem, and where the tests' values are not written down, how to learn them."""

import json
import sys
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from dc_tools.core.records import Checker, CheckerType, Line, Problem, Test, TestKind
from dc_tools.curate.reading.asserts import FLOAT_TOLERANCE, Checks
from dc_tools.curate.reading.syntax import holds_float
from dc_tools.curate.reasons import Reason, Refusal
from dc_tools.curate.statements.statement import tolerance_of


@dataclass(frozen=True)
class Script:
    """Test code that only running it, with the reference solution in the candidate's place, turns into tests."""

    program: str
    """The reference solution as a whole program."""
    target: str
    """The expression, in the program's namespace, of the function under test."""
    code: str
    """The test code; where it defines `check`, that is called with the function."""
    names: frozenset[str]
    """The names by which the test code calls the function."""
    kind: TestKind
    """What its tests are."""


@dataclass
class Draft:
    """One problem on its way through the filters."""

    problem: Problem
    script: Script | None = None
    checks: Checks | None = None
    """What was read in the script's code."""
    left_out: Counter[str] = field(default_factory=Counter)
    """Tests that could not become ours: what was in the way, and how many."""
    own: Line | None = None
    """The row itself where it is a record already, so that what we do not know passes through."""

    @property
    def must_run(self) -> bool:
        """Whether the tests are still to be learned by running the script."""
        return bool(self.checks and self.checks.must_run)


def draft_of(
    problem: Problem, script: Script, checks: Checks, left_out: Counter[str] | None = None
) -> Draft | Refusal:
    """The draft of a problem whose tests are written as asserts; `left_out` are those that the source gave up."""
    draft = Draft(problem, script, checks, left_out or Counter())
    return draft if checks.must_run else with_tests(draft, checks.tests, checks.left_out)


LEAST_TOLERANCE = 1e-9
"""Below this, the order of two additions would decide."""


def with_tests(draft: Draft, tests: list[Test], left_out: Counter[str]) -> Draft | Refusal:
    """The draft with its tests, and the checker that their values ask for."""
    left_out = draft.left_out + left_out
    if not tests and left_out:
        return Refusal(Reason.PARSE_ERROR, f"no test can be said in JSON: {in_words(left_out)}")
    problem, script, checks = draft.problem, draft.script, draft.checks
    assert script is not None and checks is not None
    problem.tests = [Test(each.input, each.output, script.kind) for each in tests]
    draft.left_out = left_out
    values = [json.loads(each.output) for each in tests]
    if checks.tolerance is not None:
        tolerance = max(checks.tolerance / max([1.0, *map(largest, values)]), min(checks.tolerance, LEAST_TOLERANCE))
        problem.checker = Checker(CheckerType.FLOAT, tolerance)
    elif any(map(holds_float, values)):
        problem.checker = Checker(CheckerType.FLOAT, tolerance_of(problem.statement) or FLOAT_TOLERANCE)
    return draft


def largest(value: Any) -> float:
    """The largest size of a number in a JSON value. Our tolerance grows with the value, an assert's does not."""
    if isinstance(value, int | float):
        return min(abs(value), sys.float_info.max)
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else []
    return max(map(largest, parts), default=0.0)


def in_words(left_out: Counter[str]) -> str:
    """Counts of what was left out, for a message."""
    return ", ".join(f"{why} ({count})" for why, count in sorted(left_out.items()))
