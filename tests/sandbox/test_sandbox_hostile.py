"""Hostile and honest programs by name, with their verdicts; the workers still judge after, and nothing is left.

All of it at both levels of isolation: namespaces, and seccomp with landlock for machines that refuse user namespaces.
"""

import os
from collections.abc import Iterator
from concurrent.futures import Future, wait
from pathlib import Path

import pytest
from processes import alive, descendants, wait_until
from programs import ESCAPES, EXHAUSTION, HACKS, HONEST, INFRASTRUCTURE, Case, one_look

from dc_tools.core.errors import CannotRun
from dc_tools.core.records import Problem, Test, Verdict, encode
from dc_tools.sandbox import cgroup
from dc_tools.sandbox.judge import JudgePool

CASES = sorted([*ESCAPES, *HACKS, *INFRASTRUCTURE, *HONEST, *EXHAUSTION], key=lambda case: not case.is_idle)
WORKERS = 4
SIMPLE = Problem(id="simple", tests=[Test("", "6")])


class Judged:
    """All programs handed in at once to a pool, and what the machine looked like before."""

    def __init__(self, level: str) -> None:
        self.level = level
        self.around = descendants(os.getpid())
        self.traces = traces()
        self.pool = JudgePool(WORKERS, [level])
        for future in [self.pool.submit(SIMPLE, "print(6)") for _ in range(2 * WORKERS)]:
            future.result()
        self.workers = children(os.getpid()) - self.around
        self.futures: dict[str, Future[Verdict]] = {c.name: self.pool.submit(c.problem, c.code) for c in CASES}
        with one_look():
            wait(self.futures[case.name] for case in CASES if case.is_idle)


@pytest.fixture(scope="module", params=["namespaces", "landlock", "seccomp"])
def judged(request: pytest.FixtureRequest) -> Iterator[Judged]:
    if request.param != "namespaces" and os.getuid() == 0 and not anybody_reads(Path(os.__file__).resolve()):
        pytest.skip("without namespaces root's programs run as nobody, who cannot read the standard library here")
    try:
        made = Judged(request.param)
    except CannotRun as error:
        pytest.skip(f"not on this machine: {error}")
    yield made
    made.pool.close()


def anybody_reads(path: Path) -> bool:
    """Whether every user can read a file, by the modes of it and of the folders above."""
    return bool(path.stat().st_mode & 0o004) and all(above.stat().st_mode & 0o001 for above in path.parents)


def children(pid: int) -> set[int]:
    return {int(c) for t in Path(f"/proc/{pid}/task").glob("*/children") for c in t.read_text().split()}


def traces() -> tuple[list[str], set[str]]:
    """Mounts, and the names in the folders that programs might have reached, control groups among them."""
    places = ("/", "/tmp", "/dev/shm", "/root", os.getcwd(), *(str(site.folder) for site in cgroup.sites()))
    names = {f"{place}/{name}" for place in places if os.access(place, os.R_OK) for name in os.listdir(place)}
    return Path("/proc/self/mountinfo").read_text().splitlines(), names


def check(case: Case, judged: Judged) -> None:
    if case.writes_files and judged.level != "namespaces":
        pytest.skip("without namespaces a program has no folder of its own to write to")
    verdict = judged.futures[case.name].result()
    assert verdict.isolation == judged.level
    assert verdict.status in case.statuses, f"{verdict.status}: {verdict.message}"
    assert case.message in verdict.message
    assert (verdict.total, verdict.passed) == (1, int(verdict.status == "AC"))
    encode(verdict).decode()


@pytest.mark.parametrize("case", ESCAPES, ids=lambda case: case.name)
def test_escape(case, judged):
    check(case, judged)


@pytest.mark.parametrize("case", HACKS, ids=lambda case: case.name)
def test_reward_hack(case, judged):
    check(case, judged)


@pytest.mark.parametrize("case", INFRASTRUCTURE, ids=lambda case: case.name)
def test_trouble_for_the_judge(case, judged):
    check(case, judged)


@pytest.mark.parametrize("case", HONEST, ids=lambda case: case.name)
def test_honest_program(case, judged):
    check(case, judged)


@pytest.mark.parametrize("case", EXHAUSTION, ids=lambda case: case.name)
def test_exhaustion(case, judged):
    check(case, judged)


def test_after_all_of_it_the_same_workers_judge_and_nothing_is_left(judged):
    for future in judged.futures.values():
        future.result()
    assert len(judged.workers) == WORKERS
    assert alive(judged.workers) == judged.workers
    assert judged.pool.judge(SIMPLE, "print(6)").status == "AC"
    wait_until(lambda: all(descendants(worker) == children(worker) for worker in judged.workers), 5)
    assert [len(children(worker)) for worker in judged.workers] == [1] * WORKERS  # where its fast cells come from
    judged.pool.close()
    wait_until(lambda: descendants(os.getpid()) <= judged.around, 5)
    mounts, names = traces()
    assert not [mount for mount in mounts if mount not in judged.traces[0] and "docker" not in mount]
    ours = {"x", "a", "mark", "sda", "0", "1"}
    new = {name.split("/")[-1] for name in names - judged.traces[1]}
    assert not {name for name in new if name in ours or name.startswith(cgroup.PREFIX)}
