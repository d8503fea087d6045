"""One program before the judge: which tests, which path, and what each comes to.

Accepted on the fast path is accepted, since no process ever holds an expected output. Everything else is run again in
a process of its own, and what that one does is the verdict.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

import msgspec

from dc_tools.core.errors import UsageError
from dc_tools.core.languages import PYTHON, language
from dc_tools.core.records import CheckerType, Limits, Mode, Problem, Status, Test, TestVerdict, Verdict
from dc_tools.sandbox.compare import difference, lcb_difference, lcb_value_difference, value_difference
from dc_tools.sandbox.execution import OK, Execution, Program, Session, Worker, WorkerLost

UNLIKELY_FAST = re.compile(
    rb"\b(?:threading|multiprocessing|subprocess|concurrent|asyncio|signal|resource|ctypes|tempfile|socket|_exit)\b"
)
"""Names of what the fast path does not allow: a program that has one would only be run twice."""
CONFIRMATIONS = 3
"""Further runs that must agree, where a test was accepted after another output on the fast path."""
CHECKER_LIMITS = Limits(time_s=10.0, memory_mb=1024)
NO_FOLDER = "files, custom checkers and compilers need a folder, which this backend or level lacks"
_NO_CALL = "a function test calls Python, not "
Run = Callable[[Session, str], Execution | None]
"""How a session is asked for a run; the pool waits for its turn there."""
Difference = Callable[[str, str], str | None]
"""Of the expected output and the one that came: in words, why that is not right; None where it is."""


class Select(StrEnum):
    """Which tests are run when there are more than --max-tests."""

    LONGEST = "longest"
    FIRST = "first"
    ALL = "all"


class Compare(StrEnum):
    """Whose rules of comparison: ours, or those of published LiveCodeBench verdicts."""

    DC = "dc"
    LCB = "lcb"


@dataclass(frozen=True)
class Rules:
    """What the user asks of the judging; None leaves it to the problem."""

    isolate: bool = False
    """One process for each test, always."""
    all_tests: bool = False
    """Go on after the first test that fails."""
    max_tests: int | None = None
    select: Select = Select.LONGEST
    time_s: float | None = None
    memory_mb: int | None = None
    compare: Compare = Compare.DC

    def limits(self, given: Limits) -> Limits:
        """The limits that hold for a problem's `given` ones."""
        return Limits(
            time_s=given.time_s if self.time_s is None else self.time_s,
            memory_mb=given.memory_mb if self.memory_mb is None else self.memory_mb,
        )

    def chosen(self, tests: Sequence[Test]) -> list[Test]:
        """The tests to run, in the problem's order. `longest` means by input, as DeepCoder's 15 were chosen."""
        most = self.max_tests
        if most is None or self.select is Select.ALL or len(tests) <= most:
            return list(tests)
        if self.select is Select.FIRST:
            return list(tests[:most])
        by_length = sorted(range(len(tests)), key=lambda i: (-len(tests[i].input), i))
        return [tests[i] for i in sorted(by_length[:most])]


def rules_of(
    isolate: bool, all_tests: bool, max_tests: int | None, select: str, time_s: float | None, memory_mb: int | None,
    compare: str,
) -> Rules:
    """Rules from what the flags say. Errors: `UsageError`."""
    for flag, value, known in (("--select", select, Select), ("--compare", compare, Compare)):
        if value not in list(known):
            raise UsageError(f"{flag} {value}: {', '.join(known)}")
    return Rules(isolate, all_tests, max_tests, Select(select), time_s, memory_mb, Compare(compare))


class Trial:
    """The judging of one program; what is known of it survives the loss of a worker."""

    def __init__(
        self, problem: Problem, code: str, lang: str, rules: Rules, difference: Difference | None = None
    ) -> None:
        """With a `difference`, that decides, on processes of their own."""
        self.rules, self.problem, self.difference = rules, problem, difference
        self.tests = rules.chosen(problem.tests)
        self.program = program_of(problem, code, lang, rules)
        self.found: list[TestVerdict] = []
        self._outputs: list[str] = []
        self._is_refused = False
        self._unconfirmed: list[int] = []
        self._may_be_fast = (
            not rules.isolate and not difference and language(lang) == PYTHON
            and problem.checker.type is not CheckerType.CUSTOM
            and not UNLIKELY_FAST.search(self.program.code.encode("utf-8", "surrogatepass"))
        )

    @property
    def is_over(self) -> bool:
        """Whether the verdict stands."""
        failed = bool(self.found) and self.found[-1].status is not Status.AC
        complete = len(self.found) >= len(self.tests) and not self._unconfirmed
        return complete or (failed and not self.rules.all_tests) or self._is_refused

    def run(self, worker: Worker, run_fairly: Run) -> None:
        """Go on with the tests. Errors: `WorkerLost`."""
        custom = self.problem.checker.type is CheckerType.CUSTOM
        is_python = language(self.program.lang) == PYTHON
        if (custom or needs_folder(self.program)) and not worker.offers_files:
            self.refuse(Status.IE, NO_FOLDER)
            return
        if self.problem.mode is Mode.FUNCTION and not is_python:
            self.refuse(Status.IE, _NO_CALL + self.program.lang)
            return
        if self._may_be_fast and worker.offers_fast:
            self._may_be_fast = False
            self._run_fast(worker)
        if not self.is_over:
            self._run_isolated(worker, run_fairly)
        if custom and self._outputs:
            self._check(worker)

    def refuse(self, status: Status, message: str) -> None:
        """End with one verdict for all tests that are left."""
        self.found.append(TestVerdict(status=status, message=message))
        self._is_refused = True

    def verdict(self, worker: Worker | None) -> Verdict:
        """What it comes to."""
        failed = next((test for test in self.found if test.status is not Status.AC), None)
        return Verdict(
            status=Status.AC if failed is None else failed.status,
            passed=sum(test.status is Status.AC for test in self.found), total=len(self.tests), tests=self.found,
            time_s=round(sum(test.time_s for test in self.found), 4),
            memory_mb=max((test.memory_mb for test in self.found), default=0.0),
            backend=worker.backend if worker else "", isolation=worker.level if worker else "",
            message=failed.message if failed else "",
        )

    def _run_fast(self, worker: Worker) -> None:
        accepted: list[float] = []
        doubted: list[int] = []
        with worker.session(self.program, fast=True) as session:
            for i, test in enumerate(self.tests):
                run = session.run(test.input)
                if run is None or run.status != OK:
                    break
                if self._difference(test, run.output) is not None:
                    doubted = [i] * CONFIRMATIONS
                    break
                accepted.append(run.time_s)
        if len(accepted) < len(self.tests):
            self._unconfirmed = [*range(len(accepted)), *doubted]
        memory_mb = session.memory_mb
        self.found += [TestVerdict(Status.AC, time_s=time_s, memory_mb=memory_mb) for time_s in accepted]

    def _run_isolated(self, worker: Worker, run_fairly: Run) -> None:
        with worker.session(self.program) as session:
            if session.refused is not None:
                self.refuse(Status.CE, session.refused)
                return
            for test in self.tests[len(self.found):]:
                run = run_fairly(session, test.input)
                self.found.append(self._judged(test, run))
                if self.is_over:
                    return
            if all(test.status is Status.AC for test in self.found):
                self._confirm(session, run_fairly)
        self._unconfirmed = []

    def _confirm(self, session: Session, run_fairly: Run) -> None:
        """Accept only what one path accepts alone: a program may behave otherwise, or guess again, on the other."""
        while self._unconfirmed:
            i = self._unconfirmed[0]
            self.found[i] = self._judged(self.tests[i], run_fairly(session, self.tests[i].input))
            del self._unconfirmed[0]
            if self.found[i].status is not Status.AC and not self.rules.all_tests:
                del self.found[i + 1 :]
                return

    def _judged(self, test: Test, run: Execution | None) -> TestVerdict:
        if run is None:
            return TestVerdict(status=Status.IE, message="the backend gave no answer")
        status, message = run.status, run.message
        if status == OK and self.problem.checker.type is CheckerType.CUSTOM:
            self._outputs += [""] * (len(self.found) - len(self._outputs)) + [run.output]
            status = Status.AC
        elif status == OK:
            found = self._difference(test, run.output)
            status, message = (Status.AC, "") if found is None else (Status.WA, found)
        return TestVerdict(status=Status(status), message=message, time_s=run.time_s, memory_mb=run.memory_mb)

    def _difference(self, test: Test, output: str) -> str | None:
        if self.difference:
            return self.difference(test.output, output)
        is_value = self.problem.mode is Mode.FUNCTION
        if self.rules.compare is Compare.LCB:
            return (lcb_value_difference if is_value else lcb_difference)(test.output, output)
        return (value_difference if is_value else difference)(test.output, output, self.problem.checker)

    def _check(self, worker: Worker) -> None:
        """Put a custom checker's word in place of the acceptance of each output."""
        checker = self.problem.checker
        program = Program(
            code=checker.code, lang=checker.lang, limits=CHECKER_LIMITS,
            argv=["input.txt", "output.txt", "answer.txt"],
        )
        try:
            with worker.session(program) as session:
                self._check_outputs(session)
        except WorkerLost as error:  # whatever the loss is called, the program that is judged is not to blame
            raise WorkerLost(f"the checker: {error}") from error

    def _check_outputs(self, session: Session) -> None:
        for i, output in enumerate(self._outputs):
            if self.found[i].status is Status.AC:
                self.found[i] = self._checked(session, i, output)
                if self.found[i].status is not Status.AC and not self.rules.all_tests:
                    del self.found[i + 1 :]
                    return

    def _checked(self, session: Session, i: int, output: str) -> TestVerdict:
        if session.refused is not None:
            return msgspec.structs.replace(
                self.found[i], status=Status.IE, message=f"the checker does not compile: {session.refused}"
            )
        test = self.tests[i]
        texts = {"input.txt": test.input, "output.txt": output, "answer.txt": test.output}
        files = {name: text.encode("utf-8", "surrogatepass") for name, text in texts.items()}
        run = session.run("", files)
        if run is not None and run.status in (OK, Status.RE) and run.exit_code in (0, 1, 2):
            said = (run.stderr or run.output).strip().split("\n")[-1][:200]
            refusal = f"checker: {said}" if said else "the checker does not accept it"
            verdict = (Status.AC, "") if run.exit_code == 0 else (Status.WA, refusal)
        else:
            verdict = (Status.IE, f"the checker failed: {run.message if run else 'no answer'}")
        return msgspec.structs.replace(self.found[i], status=verdict[0], message=verdict[1])


def needs_folder(program: Program) -> bool:
    """Whether a program can be run only where it has a folder of its own."""
    return bool(program.files or program.fetch) or language(program.lang) != PYTHON


def program_of(problem: Problem, code: str, lang: str = PYTHON, rules: Rules | None = None) -> Program:
    """The program that a solution of `problem` is."""
    limits = problem.limits if rules is None else rules.limits(problem.limits)
    return Program(code=code, mode=problem.mode, entry=problem.entry, limits=limits, lang=lang)
