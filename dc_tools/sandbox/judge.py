"""The judge: runs programs on tests in jailed workers and compares outside of them.

`JudgePool` is the library face of the room: threads in this process, one worker process each.
"""

import contextlib
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, CancelledError, Future, ThreadPoolExecutor, wait
from pathlib import Path
from types import TracebackType
from typing import ParamSpec, Self, TypeVar

from dc_tools.core.errors import CannotRun
from dc_tools.core.languages import PYTHON, language
from dc_tools.core.records import Problem, Status, Verdict
from dc_tools.sandbox import cgroup
from dc_tools.sandbox.execution import (
    CellLost,
    Execution,
    Executions,
    OutOfMemory,
    Program,
    Session,
    Worker,
    WorkerLost,
)
from dc_tools.sandbox.levels import SAFE
from dc_tools.sandbox.local import LocalWorker
from dc_tools.sandbox.trial import NO_FOLDER, Difference, Rules, Trial, needs_folder, program_of

P = ParamSpec("P")
T = TypeVar("T")
__all__ = ["Execution", "Executions", "JudgePool", "Program", "Rules", "program_of"]

AHEAD = 2
QUEUE = 4096
"""Programs that may be waiting or under way; to submit more waits."""
ATTEMPTS = 2
"""Times a solution is started before a lost worker makes it IE."""
REQUEUES = 2
"""Times a test that was idle on a machine under pressure is run again, alone."""
PRESSURE = "/proc/pressure/cpu"
PRESSURE_PERCENT = 20.0


class JudgePool:
    """Judges programs on `workers` workers; use as a context manager. `connect` makes a worker; without it they are
    processes on this machine, with `levels` of isolation to try, in order, and `packages` that programs may import.
    `queue` bounds what may be waiting or under way.

    Errors: `CannotRun` on the first use where the machine offers no isolation. Other failures are IE verdicts.
    """

    def __init__(
        self, workers: int = 1, levels: Sequence[str] = SAFE, packages: Sequence[str] = (), *,
        rules: Rules | None = None, connect: Callable[[], Worker] | None = None, queue: int = QUEUE,
    ) -> None:
        if workers < 1:
            raise CannotRun("a judge needs at least one worker")
        self.workers = workers
        self.rules = rules or Rules()
        self._connect = connect or local_workers(levels, packages)
        self._room = threading.Semaphore(queue)
        self._threads = ThreadPoolExecutor(workers, thread_name_prefix="judge")
        self._idle: list[Worker] = []
        self._closed = False
        self._all: list[Worker] = []
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

    def submit(
        self, problem: Problem, code: str, lang: str = PYTHON, difference: Difference | None = None
    ) -> "Future[Verdict]":
        """Judge `code` on the problem's tests, in order, up to the first that fails. Waits while the queue is full.

        With a `difference` outputs are compared by it, and not by the problem's checker.
        """
        return self._submit(self._judge, problem, code, lang, difference)

    def judge(self, problem: Problem, code: str, lang: str = PYTHON) -> Verdict:
        """`submit`, and wait."""
        return self.submit(problem, code, lang).result()

    def verdicts(self, asked: Iterable[tuple[Problem, str]]) -> Iterator[tuple[int, Verdict]]:
        """Judge problems with programs; yields place and verdict in order of completion.

        Takes from `asked` only as far as workers need: at most two for each are under way.
        """
        places: dict[Future[Verdict], int] = {}
        for place, (problem, code) in enumerate(asked):
            places[self.submit(problem, code)] = place
            if len(places) >= AHEAD * self.workers:
                yield from _completed(places)
        while places:
            yield from _completed(places)

    def submit_execute(
        self, program: Program, inputs: list[str], is_enough: Callable[[Execution], bool] = lambda run: False
    ) -> "Future[Executions]":
        """Run `program` on each input, up to one whose run `is_enough`, without judging.

        A CE or a lost worker gives one run and ends it.
        """
        return self._submit(self._execute, program, inputs, is_enough)

    def execute(self, program: Program, inputs: list[str]) -> Executions:
        """`submit_execute`, and wait."""
        return self.submit_execute(program, inputs).result()

    def _submit(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> "Future[T]":
        self._room.acquire()
        try:
            future = self._threads.submit(work, *args, **kwargs)
        except RuntimeError:  # the pool is closed
            self._room.release()
            raise CancelledError from None
        future.add_done_callback(lambda _: self._room.release())
        return future

    def _judge(self, problem: Problem, code: str, lang: str, difference: Difference | None) -> Verdict:
        if language(lang) is None:
            return _internal(f"programs in '{lang}' cannot be run here; python and cpp can", len(problem.tests))
        trial = Trial(problem, code, lang, self.rules, difference)
        if not trial.tests:
            return _internal("the problem has no tests", 0)
        lost: list[WorkerLost] = []
        while len(lost) < ATTEMPTS:
            worker = None
            try:
                with self._worker() as worker:
                    trial.run(worker, self._run_fairly)
                    return trial.verdict(worker)
            except OutOfMemory as error:
                trial.refuse(Status.MLE, str(error))
                return trial.verdict(worker)
            except WorkerLost as error:
                lost.append(error)
        if all(isinstance(error, CellLost) for error in lost):  # twice, and nobody else's cell: its own doing
            trial.refuse(Status.RE, "it brought the process around it down")
        else:
            trial.refuse(Status.IE, f"the worker was lost: {lost[-1]}")
        return trial.verdict(worker)

    def _execute(
        self, program: Program, inputs: list[str], is_enough: Callable[[Execution], bool]
    ) -> Executions:
        lost = ""
        for _ in range(ATTEMPTS):
            try:
                with self._worker() as worker, contextlib.ExitStack() as stack:
                    if needs_folder(program) and not worker.offers_files:
                        return Executions([Execution(status=Status.IE, message=NO_FOLDER)], b"", worker.level)
                    session = stack.enter_context(worker.session(program))
                    if session.refused is not None:
                        return Executions([Execution(status=Status.CE, message=session.refused)], b"", worker.level)
                    runs: list[Execution] = []
                    for data in inputs:
                        run = self._run_fairly(session, data)
                        runs += [run] if run else []
                        if run and is_enough(run):
                            break
                    return Executions(runs, session.probes, worker.level)
            except OutOfMemory as error:
                return Executions([Execution(status=Status.MLE, message=str(error))])
            except WorkerLost as error:
                lost = f"the worker was lost: {error}"
        return Executions([Execution(status=Status.IE, message=lost)])

    def _run_fairly(self, session: Session, data: str) -> Execution | None:
        """One run; where it was idle while the machine was under pressure, another try with no other test beside it."""
        with self._turns.shared():
            run = session.run(data)
        for _ in range(REQUEUES):
            if run is None or not (run.idle and _under_pressure()):
                break
            with self._turns.alone():
                run = session.run(data)
        return run

    @contextlib.contextmanager
    def _worker(self) -> Iterator[Worker]:
        worker = self._take_worker()
        try:
            yield worker
        except BaseException:  # whatever it was, the worker may be in the middle of a program
            worker.close()
            with self._lock:
                self._all.remove(worker)
            raise
        self._idle.append(worker)

    def _take_worker(self) -> Worker:
        with contextlib.suppress(IndexError):
            return self._idle.pop()
        if self._closed:
            raise CancelledError
        worker = self._connect()
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


def local_workers(levels: Sequence[str] = SAFE, packages: Sequence[str] = ()) -> Callable[[], Worker]:
    """Makes workers on this machine; what killed runs left of control groups is swept first."""
    sites = cgroup.sites()
    cgroup.sweep(sites)
    return lambda: LocalWorker(levels, packages, sites)


def _completed(places: "dict[Future[Verdict], int]") -> Iterator[tuple[int, Verdict]]:
    """Those of `places` that are done, once one is; they leave it."""
    for future in wait(places, return_when=FIRST_COMPLETED).done:
        yield places.pop(future), future.result()


def _internal(message: str, total: int) -> Verdict:
    return Verdict(status=Status.IE, passed=0, total=total, message=message)


def _under_pressure() -> bool:
    """Whether processes of this machine have lately been waiting for a CPU, by the kernel's own account."""
    try:
        first = Path(PRESSURE).read_text().split("\n")[0]
    except OSError:
        return True
    return float(first.split("avg10=")[1].split()[0]) > PRESSURE_PERCENT
