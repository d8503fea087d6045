"""The trace of a program on one test: which lines ran, what they changed, how it ended.

The program runs in the sandbox, as it is judged, with eval/traced.py around it; it is slower there and is stopped
early. What it leaves is its own word: a program that tampers with its tracer may leave anything, in this shape.
"""

import json
from collections.abc import Iterator
from concurrent.futures import Future
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec

from dc_tools.core.records import Limits, Mode, Problem, Status, Struct, Verdict
from dc_tools.eval import shown, traced

if TYPE_CHECKING:
    from dc_tools.sandbox.judge import Execution, Executions, JudgePool, Program

TIME_S = 5.0
"""Of CPU; the tracer ends a program earlier, unless that is in the middle of one step."""
LEAST_MEMORY_MB = 256
OUTPUT = 4000
"""Characters of the output that are kept."""
SHOWN = 200
"""Characters of a value in `Trace.end`."""
Natural = Annotated[int, msgspec.Meta(ge=0, lt=1 << 31)]


class Event(StrEnum):
    """What a step is: a line that is about to run, a value that is returned or yielded, an exception that is raised."""

    LINE = "line"
    RETURN = "return"
    RAISE = "raise"


class Step(Struct):
    """One moment of a run."""

    line: Natural
    """From 1, in the program as it was written."""
    depth: Natural
    """Calls of the program's own functions around this one."""
    function: str
    changed: dict[str, str] = msgspec.field(default_factory=dict)
    """Variables of this call that have changed since its last step, as they are now; '' for one that is gone."""
    output: int = 0
    """Characters of `Trace.output` that were there before."""
    event: Event = Event.LINE
    value: str = ""
    """What was returned, or the exception."""


class Trace(Struct):
    """The first and the last steps of a run."""

    steps: list[Step] = msgspec.field(default_factory=list)
    skipped: int = 0
    """Steps that are left out."""
    skipped_after: int = 0
    """How many of `steps` were before them."""
    total: int = 0
    output: str = ""
    """The beginning of what was printed."""
    end: str = ""
    """In words, how it ended."""


def failing_test(verdict: Verdict, problem: Problem) -> int | None:
    """The place of the first failing test among the problem's; None where it is not known, or not one of them.

    Of a verdict on fewer tests than the problem has (--max-tests) nobody knows which they were.
    """
    if verdict.total < len(problem.tests):
        return None
    for place, test in enumerate(verdict.tests[: len(problem.tests)]):
        if test.status is not Status.AC:
            return None if test.status in (Status.CE, Status.IE) else place
    return None


def submit_trace(pool: "JudgePool", problem: Problem, code: str, test: int) -> "Future[Trace]":
    """Start running the Python program `code` on the problem's test at the place `test`.

    What goes wrong in the sandbox is told by `Trace.end`.
    """
    settled: Future[Trace] = Future()

    def settle(done: "Future[Executions]") -> None:
        try:
            settled.set_result(_trace(done.result().runs[0], problem))
        except Exception as error:
            settled.set_result(Trace(end=f"not run: {error or type(error).__name__}"))

    pool.submit_execute(_program(problem, code), [problem.tests[test].input]).add_done_callback(settle)
    return settled


@cache
def _source() -> tuple[str, str]:
    first, second = (Path(str(module.__file__)).read_text() for module in (shown, traced))
    return first, second


def _program(problem: Problem, code: str) -> "Program":
    """A program of one expression, which leaves no names, and what a benchmark puts behind all programs."""
    from dc_tools.sandbox.judge import Program

    show, trace = _source()
    start = (
        f"(lambda show, trace: (exec({show!r}, show), exec({trace!r}, trace), "
        f"trace['run']({code.encode('utf-8', 'surrogatepass')!r}, globals(), show['shown'])))"
        f"({{'__name__': 'shown'}}, {{'__name__': 'traced'}})"
    )
    return Program(
        code=f"{start}\n{problem.meta.get('glue', '')}", mode=problem.mode, entry=problem.entry, probes=traced.SIZE,
        limits=Limits(TIME_S, max(problem.limits.memory_mb, LEAST_MEMORY_MB)),
    )


def _trace(run: "Execution", problem: Problem) -> Trace:
    steps = sorted(_steps(run.probes), key=lambda each: each[0])
    total = steps[-1][0] + 1 if steps else 0
    before = sum(number < traced.FIRST for number, _ in steps)
    output = run.output if problem.mode is Mode.STDIN else _printed(run.probes)
    kept = output[:OUTPUT]
    ends = _ends(kept)
    made = [step for _, step in steps]
    for step in made:
        step.output = ends[min(step.output, len(ends) - 1)]
    skipped = max(total - len(steps), 0)
    return Trace(made, skipped, before if skipped else 0, total, kept, _end(run, made, total, problem.mode))


_WIRE = msgspec.json.Decoder(tuple[Natural, Natural, Natural, str, Natural, Event, str, dict[str, str]])


def _steps(buffer: bytes) -> Iterator[tuple[int, Step]]:
    """Numbered steps; what cannot be read is left out."""
    for at in range(traced.STEPS, traced.PRINTED if buffer else 0, traced.SLOT):
        size = min(int.from_bytes(buffer[at : at + 4], "little"), traced.SLOT - 4)
        try:
            number, line, depth, function, output, event, value, changed = _WIRE.decode(buffer[at + 4 : at + 4 + size])
        except (msgspec.DecodeError, UnicodeDecodeError):
            continue
        yield number, Step(line, depth, function, changed, output, event, value)


def _printed(buffer: bytes) -> str:
    return buffer[traced.PRINTED :].partition(b"\0")[0].decode("utf-8", "replace")


def _ends(text: str) -> list[int]:
    """For each number of bytes the number of whole characters; a byte that was no text has become one character."""
    ends = [0]
    for place, character in enumerate(text):
        size = 1 if character == "\ufffd" else len(character.encode("utf-8", "replace"))
        ends += [place] * (size - 1) + [place + 1]
    return ends


def _end(run: "Execution", steps: list[Step], total: int, mode: Mode) -> str:
    if run.probes[traced.FLAG : traced.STEPS] == b"\1":
        return f"stopped after {total} steps"
    if run.status == Status.RE:
        return _raised(run.message, steps)
    if run.status != "OK":
        return f"{run.status}: {run.message}"
    end = "ended" if mode is Mode.STDIN else f"returned {_value(run.output)}" if run.output else "ended without a value"
    is_cut = bool(steps) and steps[-1].event is Event.LINE
    return f"{end}; the trace breaks off at line {steps[-1].line}" if is_cut else end


def _raised(message: str, steps: list[Step]) -> str:
    """What the sandbox says, which is the last line on stderr, and where it was raised."""
    kind = message.partition(":")[0]
    at = next((step for step in reversed(steps) if step.event is Event.RAISE and step.value.startswith(kind)), None)
    if at or (steps and kind == RecursionError.__name__):  # which ends the tracing
        return f"raised {message} at line {(at or steps[-1]).line}"
    if steps and steps[-1].event is Event.RAISE and not steps[-1].value.startswith(SystemExit.__name__):
        return f"raised {steps[-1].value} at line {steps[-1].line}"
    return message


def _value(text: str) -> str:
    """JSON text as Python writes the value."""
    try:
        value = shown.shown(json.loads(text), SHOWN)
    except (ValueError, RecursionError):
        value = text
    return value[:SHOWN]
