"""Further tests for a verified problem: mutated inputs, with the outputs on which its solutions agree.

What is generated is as right as the solutions are on inputs that nobody wrote. So every test is marked `generated`,
and the record says how many inputs were tried and why the others were left out.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import islice
from random import Random
from typing import Any

from msgspec import structs

from dc_tools.core.records import Checker, CheckerType, Limits, Mode, Problem, Test, TestKind
from dc_tools.curate.coverage import NotCovered, probed
from dc_tools.curate.mutation import mutants
from dc_tools.curate.runs import each_alone
from dc_tools.curate.syntax import NotJson, json_value
from dc_tools.sandbox.compare import difference, value_difference
from dc_tools.sandbox.execution import OK
from dc_tools.sandbox.judge import Execution, JudgePool

ROUND = range(4, 17)
"""Inputs that are tried together: as many as tests are wanted, within this."""
ROUNDS = 16
"""Rounds for one problem, at most."""
SHARE_OF_TIME = 0.5
"""Of the CPU limit that the reference may use on a new test: a slower machine shall accept it, too."""
QUICK_S, SLOWER = 0.2, 2.0
"""A new test may take that, or so many times the slowest one that is there."""
OUTPUT_CHARACTERS = 1 << 16


@dataclass
class Expansion:
    """The new tests of a problem and how they came to be."""

    tests: list[Test] = field(default_factory=list)
    tried: int = 0
    failed: int = 0
    """Inputs on which the reference crashed, took too long, or gave what is no answer."""
    disagreed: int = 0
    """Inputs on which the second solution, or the second run of the only one, answered otherwise."""

    def to_dict(self, asked: int, solutions: list[int]) -> dict[str, Any]:
        """For the record; `solutions` are the places of those that agreed."""
        return {
            "asked": asked, "tests": len(self.tests), "tried": self.tried, "failed": self.failed,
            "disagreed": self.disagreed, "solutions": solutions,
        }


def expanded(
    problem: Problem, codes: list[str], most: int, pool: JudgePool, *, seed: str, slowest_s: float, least: int = 0
) -> Expansion:
    """At most `most` new tests. `codes` is the reference, and a second verified solution where there is one.

    Inputs are tried in rounds; the rounds go on while they reach new branches or conditions, or fewer than `least`
    tests have been made. `slowest_s` is the most CPU that the reference takes on a test. Errors: `SandboxFault`.
    """
    found = Expansion()
    time_s = min(problem.limits.time_s * SHARE_OF_TIME, max(QUICK_S, SLOWER * slowest_s))
    try:
        work = _Work(problem, codes, pool, time_s)
    except NotCovered:
        return found
    candidates = mutants(problem, Random(seed))
    for _ in range(ROUNDS):
        inputs = list(islice(candidates, min(max(most, ROUND.start), ROUND.stop - 1)))
        if not inputs or len(found.tests) >= most:
            break
        before = work.reached
        work.take(inputs, most, found)
        if work.reached == before and len(found.tests) >= least:
            break
    return found


class _Work:
    """The solutions at work on new inputs."""

    def __init__(self, problem: Problem, codes: list[str], pool: JudgePool, time_s: float) -> None:
        self._problem = structs.replace(problem, limits=Limits(time_s, problem.limits.memory_mb))
        self._pool = pool
        self._code, self._other = codes[0], codes[-1]
        self._probed = probed(codes[0])
        self._checker = Checker() if problem.checker.type is CheckerType.CUSTOM else problem.checker
        self._compare: Callable[[str, str, Checker], str | None] = (
            value_difference if problem.mode is Mode.FUNCTION else difference
        )
        inputs = [test.input for test in problem.tests]
        self._size = max(1, len(self._probed.is_branch))
        runs = each_alone(problem, self._probed.code, inputs, pool, probes=self._size)
        self.reached = int.from_bytes(runs.probes)
        """The probes of the tests so far, as one number."""

    def take(self, inputs: list[str], most: int, found: Expansion) -> None:
        """Try the inputs, and take those that reach something new before the others."""
        done = each_alone(self._problem, self._probed.code, inputs, self._pool, probes=self._size)
        if len(done.runs) != len(inputs):  # it brought its cell down
            found.tried, found.failed = found.tried + len(inputs), found.failed + len(inputs)
            return
        answered, before = [], 0
        for data, run in zip(inputs, done.runs, strict=True):
            after = int.from_bytes(run.probes)
            found.tried += 1
            if self._is_answer(run):
                answered.append((data, run.output, after & ~before))
            else:
                found.failed += 1
            before = after
        agreed = self._agreed(answered, found)
        agreed.sort(key=lambda each: not each[2] & ~self.reached)
        for data, output, reached in agreed[: most - len(found.tests)]:
            found.tests.append(Test(data, output, TestKind.GENERATED))
            self.reached |= reached

    def _is_answer(self, run: Execution) -> bool:
        """Whether a run gave what can be the expected output of a test."""
        if run.status != OK or not run.output or len(run.output) > OUTPUT_CHARACTERS:
            return False
        if self._problem.mode is not Mode.FUNCTION:
            return bool(run.output.strip())
        try:
            return json_value(json.loads(run.output)) is not None
        except (ValueError, NotJson, RecursionError):
            return False

    def _agreed(self, answered: list[tuple[str, str, int]], found: Expansion) -> list[tuple[str, str, int]]:
        """Those that the other solution answers alike, without probes; counts the others."""
        if not answered:
            return []
        again = each_alone(self._problem, self._other, [data for data, _, _ in answered], self._pool)
        runs = again.runs + [Execution(status="")] * (len(answered) - len(again.runs))
        alike = [
            each for each, run in zip(answered, runs, strict=True)
            if run.status == OK and self._compare(each[1], run.output, self._checker) is None
        ]
        found.disagreed += len(answered) - len(alike)
        return alike
