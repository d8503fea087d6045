"""What running the reference solution shows: that it solves its tests, twice alike, and which branches they take."""

from dataclasses import dataclass
from typing import Any

from dc_tools.core.records import Checker, CheckerType, Mode, Problem, Status, Verdict
from dc_tools.curate.coverage import Coverage, NotCovered, probed
from dc_tools.curate.reasons import Reason, Refusal
from dc_tools.curate.runs import SandboxFault, all_together, each_alone
from dc_tools.sandbox.compare import difference, value_difference
from dc_tools.sandbox.execution import OK
from dc_tools.sandbox.judge import Executions, JudgePool

SHOWN = 60

def verified(problem: Problem, code: str, pool: JudgePool) -> tuple[Verdict, Coverage | Refusal]:
    """The verdict on a reference, and its branch coverage where it passes all tests in two runs; else why not.

    Errors: `SandboxFault`.
    """
    first = judged(problem, code, pool)
    if first.status is not Status.AC:
        return first, _failed(problem, first, judged(problem, code, pool))
    return first, covered(problem, code, pool, spent_s=first.time_s)


def covered(problem: Problem, code: str, pool: JudgePool, *, spent_s: float) -> Coverage | Refusal:
    """The coverage of an accepted reference, by a second run; a refusal where that one says something else.

    `spent_s` is the CPU that the first run took.
    """
    try:
        program = probed(code)
    except NotCovered as error:
        return Refusal(Reason.COVERAGE_LOW, f"cannot be measured: {error}")
    runs = _Again(problem, pool, spent_s)
    probes = max(1, len(program.is_branch))
    second = runs.agreed(program.code, [test.output for test in problem.tests], problem.checker, probes)
    if isinstance(second, Executions) and problem.checker.type is not CheckerType.DEFAULT:
        third = runs.agreed(code, [run.output for run in second.runs], Checker())
        return third if isinstance(third, Refusal) else program.coverage(second.probes)
    return second if isinstance(second, Refusal) else program.coverage(second.probes)


@dataclass(frozen=True)
class _Again:
    """Further runs of an accepted reference, which took `spent_s` of CPU."""

    problem: Problem
    pool: JudgePool
    spent_s: float

    def agreed(self, code: str, wanted: list[str], checker: Checker, probes: int = 0) -> Executions | Refusal:
        """Runs that give what is wanted: in one process where that will do, else in a process a test."""
        inputs = [test.input for test in self.problem.tests]
        at_once = all_together(self.problem, code, inputs, self.pool, spent_s=self.spent_s, probes=probes)
        if at_once and not _disagreement(self.problem, wanted, at_once, checker):
            return at_once
        alone = each_alone(self.problem, code, inputs, self.pool, probes=probes)
        return _disagreement(self.problem, wanted, alone, checker) or alone


def facts_of(place: int, verdict: Verdict) -> dict[str, Any]:
    """The record's account of a solution that was tried; no times, so that the same input gives the same bytes."""
    return {"solution": place, "status": verdict.status.value, "passed": verdict.passed, "total": verdict.total}


def judged(problem: Problem, code: str, pool: JudgePool) -> Verdict:
    """The verdict on a solution. Errors: `SandboxFault`."""
    verdict = pool.judge(problem, code)
    if verdict.status is Status.IE:
        raise SandboxFault(verdict.message)
    return verdict


def _failed(problem: Problem, first: Verdict, second: Verdict) -> Refusal:
    said = _said(problem, first)
    if (first.status, first.passed) != (second.status, second.passed):
        return Refusal(Reason.NONDETERMINISTIC, f"first run: {said}; second run: {_said(problem, second)}")
    return Refusal(Reason.TIMEOUT if first.status is Status.TLE else Reason.SOLUTION_FAILS, said)


def _said(problem: Problem, verdict: Verdict) -> str:
    if verdict.status is Status.AC:
        return "AC"
    if verdict.status is Status.CE:
        return f"CE: {verdict.message}"
    message = f": {_timeless(verdict.status, verdict.message)}" if verdict.message else ""
    given = _shown(problem.tests[verdict.passed].input)
    return f"{verdict.status} on test {verdict.passed + 1} of {verdict.total} (input {given}){message}"


def _timeless(status: str, message: str) -> str:
    """The message without the seconds measured, which differ from run to run."""
    return message.partition(":")[0] if status == Status.TLE else message


def _disagreement(problem: Problem, wanted: list[str], given: Executions, checker: Checker) -> Refusal | None:
    """A refusal where a second run of an accepted reference answers otherwise. A custom checker had its say before."""
    compare = value_difference if problem.mode is Mode.FUNCTION else difference
    if checker.type is CheckerType.CUSTOM:
        wanted, checker = [run.output for run in given.runs], Checker()
    if len(given.runs) != len(wanted):
        return Refusal(Reason.NONDETERMINISTIC, f"second run: {given.runs[-1].status}: {given.runs[-1].message}")
    for number, (want, run) in enumerate(zip(wanted, given.runs, strict=True), 1):
        fault = _timeless(run.status, run.message) or run.status
        found = fault if run.status != OK else compare(want, run.output, checker)
        if found is not None:
            return Refusal(Reason.NONDETERMINISTIC, f"second run, test {number} of {len(wanted)}: {found}")
    return None


def _shown(text: str) -> str:
    return text.strip() if len(text) <= SHOWN else f"{text[:SHOWN]}..."
