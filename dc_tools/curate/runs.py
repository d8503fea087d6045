"""Running a solution on inputs without judging it: each input in a process of its own, or all calls in one.

One process for all calls executes the module once, which spares a fork a call and every table that a module makes
first. It is believed only where somebody knows what each call must give: state that one call leaves to the next shows
there.
"""

import msgspec
from msgspec import structs

from dc_tools.core.records import Limits, Mode, Problem, Status
from dc_tools.sandbox.execution import OK
from dc_tools.sandbox.judge import Execution, Executions, JudgePool, Program, program_of

PROBED_TIME = 3.0
"""Times the CPU limit that a program with probes may take: the limit itself was held without them."""
TOGETHER_BYTES = 1 << 23
"""Most input that is sent to one process at once."""


class SandboxFault(Exception):
    """The sandbox could not run the program; says nothing of the program."""


def each_alone(problem: Problem, code: str, inputs: list[str], pool: JudgePool, *, probes: int = 0) -> Executions:
    """One process an input. Errors: `SandboxFault`."""
    return _executed(_program(problem, code, problem.limits.time_s, probes), inputs, pool)


def all_together(
    problem: Problem, code: str, inputs: list[str], pool: JudgePool, *, spent_s: float, probes: int = 0
) -> Executions | None:
    """All calls in one process, as one run for each; None where that is not to be had, or any call ended badly.

    `spent_s` is the CPU that all of them took alone. Errors: `SandboxFault`.
    """
    if problem.mode is not Mode.FUNCTION or sum(map(len, inputs)) > TOGETHER_BYTES:
        return None
    program = _program(problem, code, problem.limits.time_s + spent_s, probes)
    done = _executed(structs.replace(program, together=True), [f"[{','.join(inputs)}]"], pool)
    if done.runs[0].status != OK:
        return None
    try:
        values = msgspec.json.decode(done.runs[0].output, type=list[msgspec.Raw])
    except (msgspec.DecodeError, RecursionError):  # the program wrote there itself
        return None
    if len(values) != len(inputs):
        return None
    runs = [Execution(status=OK, output=bytes(memoryview(value)).decode()) for value in values]
    return Executions(runs, done.probes, done.isolation)


def _program(problem: Problem, code: str, time_s: float, probes: int) -> Program:
    program = program_of(problem, code)
    limits = Limits(time_s * PROBED_TIME if probes else time_s, problem.limits.memory_mb)
    return structs.replace(program, probes=probes, limits=limits)


def _executed(program: Program, inputs: list[str], pool: JudgePool) -> Executions:
    done = pool.execute(program, inputs)
    if any(run.status == Status.IE for run in done.runs):
        raise SandboxFault(done.runs[-1].message)
    return done
