"""Further tests for a verified problem: mutated inputs, with the outputs on which its solutions agree.

What is generated is as right as the solutions are on inputs that nobody wrote. So every test is marked `generated`,
and the record says how many inputs were tried and why the others were left out.
"""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import reduce
from itertools import islice
from operator import or_
from random import Random
from typing import Any, NamedTuple

from msgspec import structs

from dc_tools.core.records import Checker, CheckerType, Limits, Mode, Problem, Status, Test, TestKind
from dc_tools.curate.coverage import Coverage, probed
from dc_tools.curate.expansion.mutation import mutants
from dc_tools.curate.reading.syntax import NotJson, holds_float, json_value
from dc_tools.curate.runs import each_alone
from dc_tools.sandbox.compare import difference, value_difference
from dc_tools.sandbox.execution import OK
from dc_tools.sandbox.judge import Execution, JudgePool

ROUND = 8
"""Inputs that are tried together."""
PATIENCE = 16
"""Inputs that may reach nothing new, or give no test, before there are no further ones."""
MOST_TRIED = 256
"""Inputs for one problem."""
SHARE_OF_TIME = 0.5
"""Of the CPU limit that the reference may use on a new test: a slower machine shall accept it, too."""
QUICK_S, SLOWER = 0.2, 2.0
"""A new test may take that, or so many times the slowest one that is there."""
OUTPUT_CHARACTERS = 1 << 16
_FRACTION = re.compile(r"[0-9]\.[0-9]|[0-9][eE][+-]?[0-9]")
_NAN = re.compile(r"[+-]?nan", re.IGNORECASE)


@dataclass
class Expansion:
    """The new tests of a problem and how they came to be."""

    tests: list[Test] = field(default_factory=list)
    tried: int = 0
    failed: int = 0
    """Inputs on which one of the two runs crashed, took too long, or gave what is no answer."""
    disagreed: int = 0
    """Inputs on which the second solution, or the second run of the only one, answered otherwise."""

    def to_dict(self, asked: int, solutions: list[int]) -> dict[str, Any]:
        """For the record; `solutions` are the places of those that agreed."""
        return {
            "asked": asked, "tests": len(self.tests), "tried": self.tried, "failed": self.failed,
            "disagreed": self.disagreed, "solutions": solutions,
        }


def expanded(
    problem: Problem, codes: list[str], covered: Coverage, most: int, pool: JudgePool, *, seed: str, slowest_s: float,
    least: int = 0,
) -> Expansion:
    """At most `most` new tests. `codes` is the reference, and a second verified solution where there is one.

    Inputs are tried as long as they reach branches or conditions beyond `covered`, or fewer than `least` tests have
    been made. `slowest_s` is the most CPU that the reference takes on a test. Errors: `SandboxFault`.
    """
    found = Expansion()
    time_s = min(problem.limits.time_s * SHARE_OF_TIME, max(QUICK_S, SLOWER * slowest_s))
    work = _Work(problem, codes, covered, pool, time_s)
    candidates = mutants(problem, Random(seed.encode("utf-8", "surrogatepass")))
    unmoved = barren = 0
    while len(found.tests) < most and found.tried < MOST_TRIED:
        inputs = list(islice(candidates, ROUND))
        if not inputs:
            break
        reached, tests = work.reached, len(found.tests)
        work.take(inputs, most, found)
        unmoved = 0 if work.reached != reached else unmoved + len(inputs)
        barren = 0 if len(found.tests) > tests else barren + len(inputs)
        if work.is_stuck or barren >= PATIENCE or (unmoved >= PATIENCE and len(found.tests) >= least):
            break
    return found


class _Answer(NamedTuple):
    """What the reference said to an input, and the probes that no input before it reached."""

    input: str
    output: str
    reached: int


class _Work:
    """The solutions at work on new inputs."""

    def __init__(
        self, problem: Problem, codes: list[str], covered: Coverage, pool: JudgePool, time_s: float
    ) -> None:
        self._problem = structs.replace(problem, limits=Limits(time_s, problem.limits.memory_mb))
        self._pool, self._other = pool, codes[-1]
        self._probed = probed(codes[0])
        self._checker = Checker() if problem.checker.type is CheckerType.CUSTOM else problem.checker
        self._compare: Callable[[str, str, Checker], str | None] = (
            value_difference if problem.mode is Mode.FUNCTION else difference
        )
        self._is_answer = _Answers(problem)
        self._size = max(1, len(self._probed.is_branch))
        self.is_stuck = False
        """Whether the inputs that were tried last all took too long."""
        self.reached = int.from_bytes(covered.probes)
        """The probes of the tests so far, as one number."""

    def take(self, inputs: list[str], most: int, found: Expansion) -> None:
        """Try the inputs, and take those that reach something new before the others."""
        others = self._without_probes(inputs)
        tried = self._with_probes(list(others))
        answered = [each for each in tried if each.output]
        agreed = [each for each in answered if self._compare(each.output, others[each.input], self._checker) is None]
        found.tried += len(inputs)
        found.failed += len(inputs) - len(answered)
        found.disagreed += len(answered) - len(agreed)
        taken_away = reduce(or_, (each.reached for each in tried if each not in agreed), 0)
        if agreed and taken_away & ~self.reached:  # by inputs of no use, before others could reach it
            again = self._with_probes([each.input for each in agreed])
            agreed = [each._replace(reached=new.reached) for each, new in zip(agreed, again, strict=False)]
        agreed.sort(key=lambda each: not each.reached & ~self.reached)
        for each in agreed[: most - len(found.tests)]:
            found.tests.append(Test(each.input, each.output, TestKind.GENERATED))
            self.reached |= each.reached

    def _without_probes(self, inputs: list[str]) -> dict[str, str]:
        """What the second solution answers, or the only one; first, since it is held to the shorter limits."""
        runs = each_alone(self._problem, self._other, inputs, self._pool).runs
        self.is_stuck = all(run.status == Status.TLE for run in runs)
        if len(runs) != len(inputs):  # it ended its cell
            return {}
        return {data: run.output for data, run in zip(inputs, runs, strict=True) if self._is_answer(run)}

    def _with_probes(self, inputs: list[str]) -> list[_Answer]:
        """What the reference says to each input, nothing where that is no answer; empty where it ends its cell."""
        if not inputs:
            return []
        done = each_alone(self._problem, self._probed.code, inputs, self._pool, probes=self._size)
        if len(done.runs) != len(inputs):
            return []
        answers, before = [], 0
        for data, run in zip(inputs, done.runs, strict=True):
            after = int.from_bytes(run.probes)
            answers.append(_Answer(data, run.output if self._is_answer(run) else "", after & ~before))
            before |= after
        return answers


class _Answers:
    """Tells what can be the expected output of a test from what can not, by the outputs that the problem has."""

    def __init__(self, problem: Problem) -> None:
        self._is_value = problem.mode is Mode.FUNCTION
        outputs = [test.output for test in problem.tests]
        is_float = problem.checker.type is CheckerType.FLOAT
        self._may_have_fractions = is_float or any(map(self._has_fraction, outputs))
        self._may_be_null = any(output.strip() == "null" for output in outputs)

    def __call__(self, run: Execution) -> bool:
        """Whether a run gave an answer: no fraction, and no null, where none has been expected so far."""
        text = run.output.strip()
        if run.status != OK or not text or len(text) > OUTPUT_CHARACTERS:
            return False
        if self._is_value and (not _is_json(text) or (text == "null" and not self._may_be_null)):
            return False
        if not self._is_value and any(map(_NAN.fullmatch, text.split())):
            return False
        return self._may_have_fractions or not self._has_fraction(text)

    def _has_fraction(self, text: str) -> bool:
        if not self._is_value:
            return _FRACTION.search(text) is not None
        try:
            return holds_float(json.loads(text))
        except (ValueError, RecursionError):
            return False


def _is_json(text: str) -> bool:
    try:
        json_value(json.loads(text))
    except (ValueError, NotJson, RecursionError):
        return False
    return True
