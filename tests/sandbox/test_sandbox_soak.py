"""Many programs of all kinds, one after the other and at once: nothing lost, nothing doubled, nothing left, no drift.

    DC_SOAK_TESTS=20000 tests/run.sh tests/sandbox/test_sandbox_soak.py

runs the full length; the suite runs a short one.
"""

import os
import random
import resource
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path

import pytest
from processes import descendants, wait_until

from dc_tools.core.records import Limits, Problem, Test, Verdict
from dc_tools.sandbox.judge import JudgePool

TESTS = int(os.environ.get("DC_SOAK_TESTS", "1500"))
A_SOLUTION = 5
LIMITS = Limits(time_s=0.25, memory_mb=128)
KINDS = {
    "good": ("a, b = map(int, input().split())\nprint(a * b)", "AC", 60),
    "wrong": ("a, b = map(int, input().split())\nprint(a + b)", "WA", 14),
    "crashing": ("1 / 0", "RE", 8), "killed": ("import os\nos.kill(os.getpid(), 11)", "RE", 4),
    "threads": ("import threading\nt = threading.Thread(target=lambda: print(eval(input().replace(' ', '*'))))\n"
                "t.start()\nt.join()", "AC", 4),
    "broken": ("def f(:", "CE", 4), "looping": ("while True: pass", "TLE", 2),
    "flooding": ("while True: print('x' * 65536)", "OLE", 2), "greedy": ("a = bytearray(1 << 30)", "MLE", 2),
}
"""Program, verdict, weight."""


def drawn(count: int, seed: int) -> list[str]:
    names = list(KINDS)
    return random.Random(seed).choices(names, [KINDS[name][2] for name in names], k=count)


def problem(index: int) -> Problem:
    """One whose answers no other has, so that a verdict cannot be somebody else's."""
    pairs = [(index + 2, 1000 + i) for i in range(A_SOLUTION)]
    return Problem(id=str(index), tests=[Test(f"{a} {b}\n", str(a * b)) for a, b in pairs], limits=LIMITS)


def judged(pool: JudgePool, kinds: list[str], first: int = 0) -> list[Verdict]:
    futures = [pool.submit(problem(first + i), KINDS[kind][0]) for i, kind in enumerate(kinds)]
    return [future.result() for future in futures]


def steady(verdict: Verdict) -> tuple[object, ...]:
    """What does not depend on time."""
    tests = [(test.status, test.message if test.status != "TLE" else "") for test in verdict.tests]
    return verdict.status, verdict.passed, verdict.total, tests


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


def resident_mb() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / (1 << 20)


@contextmanager
def busy_machine() -> Iterator[None]:
    """As many processes as there are cores, twice over, that do nothing but count."""
    loops = [
        subprocess.Popen([sys.executable, "-S", "-c", "while True: pass"]) for _ in range(2 * (os.cpu_count() or 1))
    ]
    try:
        yield
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()


@pytest.mark.slow
def test_thousands_of_programs_leave_nothing_and_each_gets_its_own_verdict():
    """In a process of its own, whose memory no other test has grown."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as alone:
        marks = alone.submit(soak).result()
    assert marks[-1] - marks[0] < 8, f"MiB of the grader after each fifth: {marks}"


def soak() -> list[float]:
    """Judge `TESTS` tests in five rounds; resident MiB after each."""
    around = descendants(os.getpid())
    rounds, piece = 5, max(1, TESTS // A_SOLUTION // 5)
    with JudgePool(2) as pool:
        judged(pool, list(KINDS))
        files, marks = open_files(), []
        for number in range(rounds):
            kinds = drawn(piece, number)
            verdicts = judged(pool, kinds, first=number * piece)
            wrong = [(k, v.status, v.message) for k, v in zip(kinds, verdicts, strict=True) if v.status != KINDS[k][1]]
            assert not wrong, wrong
            assert all(v.passed == A_SOLUTION for k, v in zip(kinds, verdicts, strict=True) if KINDS[k][1] == "AC")
            marks.append(resident_mb())
            assert open_files() == files, (open_files(), files)
    wait_until(lambda: descendants(os.getpid()) <= around, 5)
    return marks


@pytest.mark.slow
def test_a_machine_with_all_cores_busy_changes_no_verdict_and_two_runs_say_the_same():
    kinds = drawn(max(40, TESTS // A_SOLUTION // 5), 77)
    with JudgePool(2) as pool:
        quiet = [steady(verdict) for verdict in judged(pool, kinds)]
        with busy_machine():
            loaded = [steady(verdict) for verdict in judged(pool, kinds)]
    assert quiet == loaded
    assert [status for status, *_ in quiet] == [KINDS[kind][1] for kind in kinds]
