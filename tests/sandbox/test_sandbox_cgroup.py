"""Control groups: real ones where this machine lets us make them, a drawn tree of files for version 2's places."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from processes import started, wait_until

from dc_tools.core.records import Limits, Problem, Test
from dc_tools.sandbox import cgroup
from dc_tools.sandbox.judge import JudgePool, Program
from dc_tools.sandbox.local import LocalWorker

SITES = cgroup.sites()
BOUNDED = frozenset(name for site in SITES for name in site.controllers)
needs_memory = pytest.mark.skipif("memory" not in BOUNDED, reason="no control group here can bound memory")
needs_pids = pytest.mark.skipif("pids" not in BOUNDED, reason="no control group here can bound processes")

AFTER_A_LINE = "import sys, threading, time\nsys.stdin.readline()\n"
THREADS = """
made = 0
try:
    for made in range(300):
        threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
except RuntimeError:
    pass
print(made, flush=True)
import os
os._exit(0)
"""
GRADER = """
import sys, time
from dc_tools.core.records import Problem, Test
from dc_tools.sandbox.judge import JudgePool
pool = JudgePool(1)
print(pool.judge(Problem(id="p", tests=[Test("", "6")]), "print(6)").status, flush=True)
time.sleep(60)
"""


def left() -> set[str]:
    """The groups of graders that are there now."""
    return {str(folder) for site in SITES for folder in site.folder.glob(f"{cgroup.PREFIX}*")}


def run_in(group: cgroup.Group, code: str) -> "subprocess.CompletedProcess[str]":
    argv = [sys.executable, "-c", AFTER_A_LINE + code]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        group.add(process.pid)
        out, _ = process.communicate("\n", timeout=60)
    return subprocess.CompletedProcess(argv, process.returncode, out)


@needs_memory
def test_the_memory_of_all_processes_together_is_bounded_and_kills_are_counted():
    group = cgroup.Group(SITES)
    try:
        group.limit(64 << 20)
        assert (group.memory, run_in(group, "a = bytearray(30 << 20)").returncode, group.kills()) == (True, 0, 0)
        assert (run_in(group, "a = bytearray(200 << 20)").returncode, group.kills()) == (-signal.SIGKILL, 1)
    finally:
        group.close()


@needs_pids
def test_processes_and_threads_together_are_bounded():
    group = cgroup.Group(SITES)
    try:
        assert 1 < int(run_in(group, THREADS).stdout) < cgroup.PROCESSES
    finally:
        group.close()


@needs_memory
def test_a_program_that_the_kernel_ends_for_its_memory_is_mle_and_the_worker_goes_on():
    worker = LocalWorker(sites=SITES)
    try:
        with worker.session(Program("a = bytearray(200 << 20)\nprint(6)", limits=Limits(memory_mb=512))) as session:
            worker.group.limit(64 << 20)
            run = session.run("")
        assert (run.status, run.message) == ("MLE", "over 512 MiB")
        with worker.session(Program("a = bytearray(200 << 20)\nprint(6)", limits=Limits(memory_mb=512))) as session:
            assert session.run("").output == "6\n"
    finally:
        worker.close()


@needs_memory
def test_what_kills_itself_near_no_limit_is_not_mle():
    with JudgePool(1) as pool:
        verdict = pool.judge(Problem(id="p", tests=[Test("", "6")]), "import os, signal\nos.kill(os.getpid(), 9)")
    assert verdict.status == "RE"


@pytest.mark.skipif(not SITES, reason="no control group can be made here")
def test_a_group_lives_as_long_as_its_pool():
    before = left()
    with JudgePool(2) as pool:
        for future in [pool.submit(Problem(id="p", tests=[Test("", "6")]), "print(6)") for _ in range(8)]:
            assert future.result().status == "AC"
        assert len(left() - before) >= len(SITES)
    assert left() <= before


@pytest.mark.skipif(not SITES, reason="no control group can be made here")
def test_the_groups_of_a_killed_grader_are_swept_by_the_next_one_and_those_of_a_living_one_are_not():
    before = left()
    argv = [sys.executable, "-c", GRADER]
    with started(argv, stdout=subprocess.PIPE) as killed, \
            started(argv, stdout=subprocess.PIPE) as living:
        for process in (killed, living):
            assert process.stdout.readline() == b"AC\n"
        made = left() - before
        assert len(made) == 2 * len(SITES)
        killed.send_signal(signal.SIGKILL)
        killed.wait()

        def swept() -> bool:
            cgroup.sweep(SITES)
            return len(left() - before) == len(SITES)

        wait_until(swept, 10)
        theirs = left() - before
        JudgePool(1).close()
        assert left() - before == theirs
        living.send_signal(signal.SIGKILL)
        living.wait()
        wait_until(lambda: cgroup.sweep(SITES) is None and left() <= before, 10)


def drawn(root: Path, own: str, mounts: str, files: dict[str, str]) -> list[tuple[str, int, list[str]]]:
    """What `sites` finds in a tree of files drawn as the kernel would."""
    for name, text in {"proc/self/cgroup": own, "proc/self/mountinfo": mounts, **files}.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return [(str(s.folder.relative_to(root)), s.version, sorted(s.controllers)) for s in cgroup.sites(root)]


V2 = "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n"
SLICE = "sys/fs/cgroup/user.slice/app.slice"


def test_version_2_groups_are_made_beside_the_own_one_where_controllers_are_handed_down(tmp_path):
    files = {
        f"{SLICE}/cgroup.procs": "", f"{SLICE}/cgroup.subtree_control": "cpu memory pids\n",
        f"{SLICE}/run.scope/cgroup.procs": "", f"{SLICE}/run.scope/cgroup.subtree_control": "\n",
    }
    assert drawn(tmp_path, "0::/user.slice/app.slice/run.scope\n", V2, files) == [(SLICE, 2, ["memory", "pids"])]


def test_version_2_without_controllers_handed_down_gives_none(tmp_path):
    files = {f"{SLICE}/cgroup.procs": "", f"{SLICE}/cgroup.subtree_control": "\n"}
    assert drawn(tmp_path, "0::/user.slice/app.slice\n", V2, files) == []


def test_a_mount_that_shows_a_part_of_the_tree_is_followed(tmp_path):
    mounts = "31 23 0:27 /docker/abc /sys/fs/cgroup/memory ro,nosuid - cgroup cgroup rw,memory\n"
    files = {"sys/fs/cgroup/memory/job/cgroup.procs": ""}
    assert drawn(tmp_path, "5:memory:/docker/abc/job\n", mounts, files) == [
        ("sys/fs/cgroup/memory/job", 1, ["memory"])
    ]


@pytest.mark.skipif(os.getuid() == 0, reason="root may write everywhere")
def test_a_folder_that_is_not_ours_gives_none(tmp_path):
    files = {f"{SLICE}/cgroup.procs": "", f"{SLICE}/cgroup.subtree_control": "memory\n"}
    drawn(tmp_path, "0::/user.slice/app.slice\n", V2, files)
    (tmp_path / SLICE).chmod(0o555)
    assert cgroup.sites(tmp_path) == []


def test_a_machine_without_control_groups_gives_none(tmp_path):
    assert cgroup.sites(tmp_path) == []
