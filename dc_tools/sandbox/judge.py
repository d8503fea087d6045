"""The judge: runs programs on tests in jailed workers and compares outside of them.

`JudgePool` is the library face of the room: threads in this process, one worker process each.
"""

import contextlib
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Self

from dc_tools.core.errors import CannotRun
from dc_tools.core.records import Mode, Problem, Status, TestVerdict, Verdict
from dc_tools.sandbox import cgroup
from dc_tools.sandbox.compare import difference, value_difference
from dc_tools.sandbox.execution import OK, Execution, Executions, Program
from dc_tools.sandbox.local import LEVELS, CellLost, LocalWorker, OutOfMemory, Session, WorkerLost

__all__ = ["Execution", "Executions", "JudgePool", "Program", "program_of"]

ATTEMPTS = 2
"""Times a solution is started before a lost worker makes it IE."""
REQUEUES = 2
"""Times a test that was idle on a machine under pressure is run again, alone."""
PRESSURE_PERCENT = 20.0


class JudgePool:
    """Judges programs on `workers` jailed processes; use as a context manager. `levels`: isolation to try, in order;
    `packages`: what programs may import beside the standard library, imported beforehand.

    Errors: `CannotRun` on the first use where the machine offers no isolation. Other failures are IE verdicts.
    """

    def __init__(self, workers: int = 1, levels: Sequence[str] = LEVELS, packages: Sequence[str] = ()) -> None:
        if workers < 1:
            raise CannotRun("a judge needs at least one worker")
        self.workers = workers
        self.levels, self.packages = levels, packages
        self._sites = cgroup.sites()
        cgroup.sweep(self._sites)
        self._threads = ThreadPoolExecutor(workers, thread_name_prefix="judge")
        self._idle: list[LocalWorker] = []
        self._closed = False
        self._all: list[LocalWorker] = []
        self._lock = threading.Lock()
        self._turns = _Turns()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End all workers; what was not begun is cancelled."""
        self._closed = True
        self._threads.shutdown(wait=False, cancel_futures=True)
        with self._lock:
            for worker in self._all:
                worker.kill()
        self._threads.shutdown(wait=True)
        for worker in self._all:
            worker.close()
        self._all = []

    def submit(self, problem: Problem, code: str) -> "Future[Verdict]":
        """Judge `code` on the problem's tests, in order, up to the first that fails."""
        return self._threads.submit(self._judge, problem, code)

    def judge(self, problem: Problem, code: str) -> Verdict:
        """`submit`, and wait."""
        return self.submit(problem, code).result()

    def submit_execute(self, program: Program, inputs: list[str]) -> "Future[Executions]":
        """Run `program` on each input without judging; a CE or a lost worker gives one run and ends it."""
        return self._threads.submit(self._execute, program, inputs)

    def execute(self, program: Program, inputs: list[str]) -> Executions:
        """`submit_execute`, and wait."""
        return self.submit_execute(program, inputs).result()

    def _judge(self, problem: Problem, code: str) -> Verdict:
        total = len(problem.tests)
        if total == 0:
            return Verdict(status=Status.IE, passed=0, total=0, message="the problem has no tests")
        program = program_of(problem, code)
        lost: list[WorkerLost] = []
        while len(lost) < ATTEMPTS:
            try:
                with self._worker() as worker:
                    return _verdict(list(self._tests(worker, problem, program)), total, worker.level)
            except OutOfMemory as error:
                return _verdict([TestVerdict(status=Status.MLE, message=str(error))], total, "")
            except WorkerLost as error:
                lost.append(error)
        if all(isinstance(error, CellLost) for error in lost):  # twice, and nobody else's cell: its own doing
            return _verdict([TestVerdict(status=Status.RE, message="it brought the process around it down")], total, "")
        return Verdict(status=Status.IE, passed=0, total=total, message=f"the worker was lost: {lost[-1]}")

    def _tests(self, worker: LocalWorker, problem: Problem, program: Program) -> Iterator[TestVerdict]:
        compare = value_difference if problem.mode is Mode.FUNCTION else difference
        with worker.session(program) as session:
            if session.refused is not None:
                yield TestVerdict(status=Status.CE, message=session.refused)
                return
            for test in problem.tests:
                run = self._run_fairly(session, test.input)
                status, message = run.status, run.message
                if status == OK:
                    found = compare(test.output, run.output, problem.checker)
                    status, message = (Status.AC, "") if found is None else (Status.WA, found)
                yield TestVerdict(status=Status(status), message=message, time_s=run.time_s, memory_mb=run.memory_mb)
                if status != Status.AC:
                    return

    def _execute(self, program: Program, inputs: list[str]) -> Executions:
        lost = ""
        for _ in range(ATTEMPTS):
            try:
                with self._worker() as worker, worker.session(program) as session:
                    if session.refused is not None:
                        return Executions([Execution(status=Status.CE, message=session.refused)])
                    runs = [self._run_fairly(session, data) for data in inputs]
                    return Executions(runs, session.probes)
            except OutOfMemory as error:
                return Executions([Execution(status=Status.MLE, message=str(error))])
            except WorkerLost as error:
                lost = f"the worker was lost: {error}"
        return Executions([Execution(status=Status.IE, message=lost)])

    def _run_fairly(self, session: Session, data: str) -> Execution:
        """One run; where it was idle while the machine was under pressure, another try with no other test beside it."""
        with self._turns.shared():
            run = session.run(data)
        for _ in range(REQUEUES):
            if not (run.idle and _under_pressure()):
                break
            with self._turns.alone():
                run = session.run(data)
        return run

    @contextlib.contextmanager
    def _worker(self) -> Iterator[LocalWorker]:
        worker = self._take_worker()
        try:
            yield worker
        except BaseException:  # whatever it was, the worker may be in the middle of a program
            worker.close()
            with self._lock:
                self._all.remove(worker)
            raise
        self._idle.append(worker)

    def _take_worker(self) -> LocalWorker:
        with contextlib.suppress(IndexError):
            return self._idle.pop()
        if self._closed:
            raise CancelledError
        worker = LocalWorker(self.levels, self.packages, self._sites)
        with self._lock:
            self._all.append(worker)
        return worker


class _Turns:
    """Tests run side by side, unless one asks to run alone."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._running, self._waiting = 0, 0

    @contextlib.contextmanager
    def shared(self) -> Iterator[None]:
        """Run beside others; waits while somebody is alone or waits to be."""
        with self._changed:
            self._changed.wait_for(lambda: not self._waiting)
            self._running += 1
        try:
            yield
        finally:
            with self._changed:
                self._running -= 1
                self._changed.notify_all()

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Run with nobody beside."""
        with self._changed:
            self._waiting += 1
            self._changed.wait_for(lambda: self._running == 0)
            self._running = 1
        try:
            yield
        finally:
            with self._changed:
                self._running = 0
                self._waiting -= 1
                self._changed.notify_all()


def program_of(problem: Problem, code: str) -> Program:
    """The program that a solution of `problem` is."""
    return Program(code=code, mode=problem.mode, entry=problem.entry, limits=problem.limits)


def _verdict(tests: list[TestVerdict], total: int, level: str) -> Verdict:
    passed = sum(test.status is Status.AC for test in tests)
    last = tests[-1]
    return Verdict(
        status=Status.AC if passed == total else last.status, passed=passed, total=total, tests=tests,
        time_s=round(sum(test.time_s for test in tests), 4), memory_mb=max(test.memory_mb for test in tests),
        isolation=level, message=last.message,
    )


def _under_pressure() -> bool:
    """Whether processes of this machine have lately been waiting for a CPU, by the kernel's own account."""
    try:
        first = Path("/proc/pressure/cpu").read_text().split("\n")[0]
    except OSError:
        return True
    return float(first.split("avg10=")[1].split()[0]) > PRESSURE_PERCENT
