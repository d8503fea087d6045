"""Hostile and honest programs by name, judged in containers of a real engine; and what a lost container means."""

import contextlib
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import Future

import pytest
from processes import started, wait_until
from programs import ESCAPES, EXHAUSTION, HACKS, HONEST, INFRASTRUCTURE, Case

from dc_tools.core.errors import CannotRun
from dc_tools.core.records import Limits, Problem, Test, Verdict
from dc_tools.sandbox import docker
from dc_tools.sandbox.docker import DockerOptions, DockerWorker, docker_workers
from dc_tools.sandbox.execution import Program
from dc_tools.sandbox.judge import JudgePool

pytest_plugins = "docker_engine"

CASES = [*ESCAPES, *HACKS, *INFRASTRUCTURE, *HONEST, *EXHAUSTION]
SIMPLE = Problem(id="simple", tests=[Test("", "6")])

GRADER = """
import sys, time
from dc_tools.core.records import Problem, Test
from dc_tools.sandbox.docker import DockerOptions, docker_workers
from dc_tools.sandbox.judge import JudgePool
pool = JudgePool(1, connect=docker_workers(DockerOptions(sys.argv[1], 256, sys.argv[2] or None)))
print(pool.judge(Problem(id="p", tests=[Test("", "6")]), "print(6)").status, flush=True)
time.sleep(600)
"""


@pytest.fixture(scope="module")
def options(docker_host: str | None, docker_image: str) -> DockerOptions:
    return DockerOptions(docker_image, 512, docker_host)


@pytest.fixture(scope="module")
def futures(options: DockerOptions) -> Iterator[dict[str, "Future[Verdict]"]]:
    """All programs handed in at once to a pool of two containers, which leaves none."""
    before = containers(options)
    with JudgePool(2, connect=docker_workers(options)) as pool:
        yield {case.name: pool.submit(case.problem, case.code) for case in CASES}
        assert pool.judge(SIMPLE, "print(6)").status == "AC"
    assert containers(options) == before


def containers(options: DockerOptions) -> set[str]:
    with contextlib.closing(docker.connect(options.host)) as api:
        return {found["Id"] for found in api.containers(all=True, filters={"label": docker.LABEL})}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_program_gets_its_verdict_in_a_container_too(case: Case, futures):
    verdict = futures[case.name].result()
    assert verdict.status in case.statuses
    assert case.message in verdict.message
    assert (verdict.backend, verdict.isolation) in {("docker", "container"), ("docker", "")}


def test_a_container_killed_under_a_program_costs_another_try_and_no_verdict(options):
    made: list[DockerWorker] = []

    def connect() -> DockerWorker:
        made.append(DockerWorker(options))
        return made[-1]

    with JudgePool(1, connect=connect) as pool:
        assert pool.judge(SIMPLE, "print(6)").status == "AC"
        made[0].kill()
        verdict = pool.judge(SIMPLE, "print(6)")
    assert (verdict.status, verdict.passed, len(made)) == ("AC", 1, 2)


def test_the_container_of_a_killed_grader_ends_by_itself(options):
    before = containers(options)
    argv = [sys.executable, "-c", GRADER, options.image, options.host or ""]
    with started(argv, stdout=subprocess.PIPE) as grader:
        assert grader.stdout.readline() == b"AC\n"
        assert len(containers(options) - before) == 1
        grader.send_signal(signal.SIGKILL)
        grader.wait()
        wait_until(lambda: containers(options) == before, 20)


def test_memory_grows_with_what_the_problem_grants(options):
    code = "a = bytearray(300 << 20)\nprint(6)"
    small = DockerOptions(options.image, 64, options.host)
    with contextlib.closing(DockerWorker(small)) as worker:
        for granted, status in ((400, "OK"), (200, "MLE")):
            with worker.session(Program(code, limits=Limits(memory_mb=granted))) as session:
                assert session.run("").status == status


@pytest.mark.skipif(not shutil.which("g++"), reason="no g++ here to put into an image")
def test_a_cpp_program_is_compiled_and_run_in_a_container(options):
    problem = Problem(id="square", tests=[Test("12", "144"), Test("3", "9")])
    code = "#include <bits/stdc++.h>\nint main() { long long x; std::cin >> x; std::cout << x * x; }"
    with JudgePool(1, connect=docker_workers(options)) as pool:
        good, refused = pool.judge(problem, code, "cpp"), pool.judge(problem, "int main() { return }", "cpp")
    assert (good.status, good.passed, refused.status) == ("AC", 2, "CE")


def test_a_container_in_which_no_worker_can_start_says_why_and_is_removed(options):
    before = containers(options)
    with pytest.raises(CannotRun, match=r"no worker starts in a container of '.*': .*KeyError: 'none such'"):
        BrokenWorker(options)
    assert containers(options) == before


def test_a_container_whose_worker_cannot_be_sent_is_removed(options, monkeypatch):
    before = containers(options)
    monkeypatch.setattr(docker.boot, "packed", lambda module: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        DockerWorker(options)
    assert containers(options) == before


class BrokenWorker(DockerWorker):
    """Asks for a level that there is not."""

    level = "none such"
