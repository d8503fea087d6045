"""Which failing rollouts are traced for a report: the first ones of each line, until there are enough."""

from collections.abc import Iterator
from concurrent.futures import Future
from itertools import islice
from typing import TYPE_CHECKING, Any

import msgspec

from dc_tools.core.languages import PYTHON
from dc_tools.core.records import Problem
from dc_tools.eval.structure import structure
from dc_tools.eval.tracing import Trace, failing_test, submit_trace

if TYPE_CHECKING:
    from dc_tools.sandbox.judge import JudgePool

PER_LINE = 2


class Traces:
    """At most `most` traces, made by `pool` while other things go on."""

    def __init__(self, pool: "JudgePool", most: int) -> None:
        self._pool, self._left = pool, most
        self._made: list[tuple[dict[str, Any], Future[Trace]]] = []
        self.failing = 0
        """Rollouts that could be traced, whether they are or not."""

    @property
    def made(self) -> int:
        """How many were begun."""
        return len(self._made)

    def begin(self, problem: Problem, shown: list[dict[str, Any]]) -> None:
        """Begin with rollouts of a line; `shown` are all of them as the page has them, and get `trace` in the end."""
        failing = dict(_failing(problem))
        self.failing += len(failing)
        codes = {str(problem.rollouts[place].code): place for place in reversed(failing)}
        for place in islice(sorted(codes.values()), min(PER_LINE, self._left)):
            code = str(problem.rollouts[place].code)
            self._left -= 1
            self._made.append((shown[place], submit_trace(self._pool, problem, code, failing[place])))
            shown[place]["code"] = code  # whole, for the lines of the trace
            shown[place]["trace"] = {"test": failing[place], "parts": msgspec.to_builtins(structure(code))}

    def finish(self) -> None:
        """Wait for all of them."""
        for shown, trace in self._made:
            shown["trace"] |= msgspec.to_builtins(trace.result())


def _failing(problem: Problem) -> Iterator[tuple[int, int]]:
    """The places of rollouts with a program in Python and a test that it fails, and of this test."""
    for place, rollout in enumerate(problem.rollouts):
        if rollout.verdict and rollout.code and rollout.lang == PYTHON:
            test = failing_test(rollout.verdict, problem)
            if test is not None:
                yield place, test
