"""Verdicts for rollouts that have none. Lines come out in order, with many rollouts judged at the same time."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Protocol

import msgspec

from dc_tools.core.extract import extract_block, extract_code
from dc_tools.core.languages import PYTHON
from dc_tools.core.records import Fields, Finish, Line, Problem, Rollout, Status, Verdict

NO_CODE = "the answer has no code block"
Item = tuple[Line, Problem]


class Grader(Protocol):
    """Whatever judges a program: the sandbox's pool, or a benchmark's own rules on top of it."""

    def submit(self, problem: Problem, code: str, lang: str = PYTHON) -> "Future[Verdict]":
        """Start judging `code`, which is in `lang`."""
        ...


def read_answer(rollout: Rollout, extract: Callable[[str], str | None]) -> None:
    """Set the rollout's code, and its language where a fence names it, to what is found in its text."""
    rollout.code, block = extract(rollout.text), extract_block(rollout.text)
    rollout.lang = block.lang if block and block.code == rollout.code else PYTHON


@dataclass(frozen=True)
class _Pending:
    line: Line
    problem: Problem
    verdicts: dict[int, "Future[Verdict]"]
    """By the rollout's place on its line."""


class Judging:
    """Gives a verdict to each rollout that lacks one; an answer without code is CE.

    At most about `in_flight` rollouts are being judged ahead of the reader. `faults` counts the IE verdicts made.
    """

    def __init__(
        self, grader: Grader, in_flight: int, extract: Callable[[str], str | None] = extract_code,
        nothing: str = NO_CODE,
    ) -> None:
        """`extract` finds in an answer what is judged; `nothing` is said where it finds nothing."""
        self.faults = 0
        self._extract, self._nothing = extract, nothing
        self._grader = grader
        self._in_flight = in_flight

    def lines(self, items: Iterable[Item]) -> Iterator[Item]:
        """The same lines with their verdicts."""
        waiting: deque[_Pending] = deque()
        flying = 0
        for line, problem in items:
            waiting.append(self._start(line, problem))
            flying += len(waiting[-1].verdicts)
            while waiting and (flying >= self._in_flight or not waiting[0].verdicts):
                flying -= len(waiting[0].verdicts)
                yield self._finish(waiting.popleft())
        while waiting:
            yield self._finish(waiting.popleft())

    def _start(self, line: Line, problem: Problem) -> _Pending:
        verdicts: dict[int, Future[Verdict]] = {}
        same: dict[tuple[str, str], Future[Verdict]] = {}
        nothing = _without(problem, self._nothing)
        for index, rollout in enumerate(problem.rollouts):
            if rollout.verdict is None and rollout.finish is not Finish.ERROR:
                if rollout.code is None:
                    read_answer(rollout, self._extract)
                if rollout.code is None:
                    verdicts[index] = nothing
                    continue
                program = rollout.code, rollout.lang
                if program not in same:
                    same[program] = self._grader.submit(problem, *program)
                verdicts[index] = same[program]
        return _Pending(line, problem, verdicts)

    def _finish(self, pending: _Pending) -> Item:
        for index, future in pending.verdicts.items():
            verdict = future.result()
            self.faults += verdict.status is Status.IE
            pending.problem.rollouts[index].verdict = verdict
        if pending.verdicts:
            _write_back(pending.line, pending.problem.rollouts, list(pending.verdicts))
        return pending.line, pending.problem


def _without(problem: Problem, nothing: str) -> "Future[Verdict]":
    settled: Future[Verdict] = Future()
    settled.set_result(Verdict(Status.CE, passed=0, total=len(problem.tests), message=nothing))
    return settled


def _write_back(line: Line, rollouts: list[Rollout], judged: list[int]) -> None:
    """Put code and verdict of the `judged` rollouts on the line; all else in them stays as it came."""
    entries = [Fields.parse(bytes(raw)) for raw in line.fields.get_as("rollouts", list[msgspec.Raw], [])]
    for index in judged:
        if rollouts[index].code is not None:
            entries[index].put("code", rollouts[index].code)
            if rollouts[index].lang != PYTHON:
                entries[index].put("lang", rollouts[index].lang)
        entries[index].put("verdict", rollouts[index].verdict)
    line.fields.put_raw("rollouts", b"[" + b",".join(entry.to_bytes() for entry in entries) + b"]")
