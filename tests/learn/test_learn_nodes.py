"""Runs that lose a node of their cluster, or the sandbox of a judge for a while."""

import contextlib
import os
import resource
import signal
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from processes import descendants, run, started, wait_until
from test_learn_kills import (
    ANEW,
    JUDGE,
    SANDBOX,
    SPLIT,
    TRAINER,
    argv,
    assert_equal,
    calm,
    calm_split,
    lines_of,
    rollouts_of,
    titled,
)
from test_learn_run import metrics_of

__all__ = ["argv", "calm", "calm_split"]
pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
NO_MORE_FILES = 3
"""A process that may have so many descriptors opens no other, and starts no sandbox."""


def raylet_of(node: Any) -> int:
    """The process of a node that all its workers come from."""
    return node.all_processes["raylet"][0].process.pid


@pytest.mark.parametrize(
    ("nodes", "shape", "undisturbed"),
    [(3, ("--samplers", "1"), "calm"), (4, SPLIT, "calm_split")], ids=["one_trainer", "two_trainers"],
)
def test_a_run_that_loses_a_node_goes_on_with_the_others(
    cluster: Any, argv: list[str], request: pytest.FixtureRequest, tmp_path: Path, nodes: int, shape: Sequence[str],
    undisturbed: str,
) -> None:
    expected = request.getfixturevalue(undisturbed)
    while len(cluster.worker_nodes) < nodes:
        cluster.add_node(num_cpus=1, wait=True)
    out, log = tmp_path / "run", tmp_path / "log"
    flags = [*shape, "--judges", "2", "--ray-address", cluster.address, "-o", str(out)]
    with log.open("wb") as stream, started([*argv, *flags], stderr=stream) as process:
        wait_until(lambda: lines_of(out) >= 5 or process.poll() is not None)
        assert process.poll() is None, log.read_text()
        homes = [node for node in cluster.worker_nodes if titled(descendants(raylet_of(node)), TRAINER)]
        os.kill(raylet_of(homes[-1]), signal.SIGKILL)
        code = process.wait(240)
    cluster.remove_node(homes[-1], allow_graceful=False)
    said = log.read_text()
    assert code == 0, said
    assert said.count(ANEW) == 1, said
    assert_equal(out, expected)


def test_a_cluster_outlives_a_driver_that_is_killed_and_the_run_goes_on_there(
    cluster: Any, argv: list[str], calm_split: Path, tmp_path: Path
) -> None:
    while len(cluster.worker_nodes) < 3:
        cluster.add_node(num_cpus=1, wait=True)
    nodes = [raylet_of(node) for node in cluster.worker_nodes]
    out = tmp_path / "run"
    there = [*argv, *SPLIT, "--ray-address", cluster.address, "-o", str(out)]
    with started(there) as process:
        wait_until(lambda: lines_of(out) >= 3 or process.poll() is not None)
        process.kill()
        process.communicate()
        assert lines_of(out) >= 3
    wait_until(lambda: not any(titled(descendants(node), TRAINER) for node in nodes))  # they end with their driver
    done = run([*there, "--resume"])
    assert done.code == 0, done.err
    assert "going on after step" in done.err
    assert_equal(out, calm_split)
    assert all(Path(f"/proc/{node}").exists() for node in nodes)


@contextlib.contextmanager
def without_sandboxes(judges: Sequence[int]) -> Iterator[None]:
    """Judges that lose their sandboxes, and cannot start others while the block lasts."""
    before = {pid: resource.prlimit(pid, resource.RLIMIT_NOFILE) for pid in judges}
    for pid, (_, hard) in before.items():
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (NO_MORE_FILES, hard))
        for sandbox in titled(descendants(pid), SANDBOX):
            os.kill(sandbox, signal.SIGKILL)
    try:
        yield
    finally:
        for pid, limits in before.items():
            with contextlib.suppress(ProcessLookupError):
                resource.prlimit(pid, resource.RLIMIT_NOFILE, limits)


def judges_of(process: "subprocess.Popen[bytes]") -> list[int]:
    """The judges of a run."""
    return titled(descendants(process.pid), JUDGE)


def test_a_judge_without_sandboxes_costs_its_groups_and_gives_no_reward(argv: list[str], tmp_path: Path) -> None:
    out, log = tmp_path / "run", tmp_path / "log"
    flags = ["--set", "sample_batch=1", "--judges", "2", "-o", str(out)]  # each judge has one of the two problems
    with log.open("wb") as stream, started([*argv, *flags], stderr=stream) as process:
        def reached(lines: int) -> bool:
            return lines_of(out) >= lines or process.poll() is not None

        wait_until(lambda: reached(3))
        with without_sandboxes(judges_of(process)[:1]):
            first = lines_of(out) + 1
            wait_until(lambda: reached(first + 2))
        code = process.wait(240)
    said, lines = log.read_text(), metrics_of(out)
    assert code == 0, said
    lost = {line["step"]: line["lost_groups"] for line in lines if line["lost_groups"]}
    assert set(lost.values()) == {1} and first <= min(lost) <= first + 2, lost
    assert lines[-1]["lost_groups"] == 0
    for number, groups in enumerate(rollouts_of(out).values(), 1):
        failed = [group for group in groups if any(r["verdict"]["status"] == "IE" for r in group["rollouts"])]
        assert len(failed) == lost.get(number, 0)
        for rollout in (r for group in failed for r in group["rollouts"] if r["verdict"]["status"] == "IE"):
            assert rollout.get("reward") is None
    assert f"step {min(lost)}: 1 of 2 groups dropped" in said


def test_a_run_whose_judges_all_fail_ends_and_goes_on_later_as_if_nothing_had_been(
    argv: list[str], calm: Path, tmp_path: Path
) -> None:
    out, log = tmp_path / "run", tmp_path / "log"
    with log.open("wb") as stream, started([*argv, "-o", str(out)], stderr=stream) as process:
        wait_until(lambda: lines_of(out) >= 3 or process.poll() is not None)
        with without_sandboxes(judges_of(process)):
            code = process.wait(240)
    said, written = log.read_text(), len(rollouts_of(out))
    assert code == 3, said
    assert f"step {written + 1}: " in said and "the judge failed" in said, said
    done = run([*argv, "--resume", "-o", out])
    assert done.code == 0, done.err
    assert_equal(out, calm)
