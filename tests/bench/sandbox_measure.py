"""Measuring one way on one workload, in a process of its own: wall and CPU seconds, and the verdicts."""

import contextlib
import ctypes
import json
import os
import resource
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))
from processes import descendants
from sandbox_ways import WORKERS, NotOffered, Way
from sandbox_workloads import Task, Workload

PR_SET_CHILD_SUBREAPER = 36
SHOWN = 200
TICK_S = 1 / os.sysconf("SC_CLK_TCK")
PROGRAM = "print(sum(map(int, input().split())))"
LINE = {"id": "p", "tests": [{"input": "1 2\n", "output": "3\n"}], "solutions": [{"code": PROGRAM}]}


def measured(way: Way, workload: Workload) -> dict[str, Any]:
    """`wall_s`, `cpu_s` and `differs`, verdicts that are not as they should be; or `not_offered`, the reason."""
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)  # what loses its parent still counts
    try:
        with way.make(workload) as judge:
            differs = differences(way, workload.warm_up, judge(workload.warm_up))
            cpu, wall = cpu_s(way.daemons), time.perf_counter()
            found = judge(workload.tasks)
            spent = {"wall_s": time.perf_counter() - wall, "cpu_s": cpu_s(way.daemons) - cpu}
    except NotOffered as reason:
        return {"not_offered": " ".join(str(reason).split())[:SHOWN]}
    return {**spent, "differs": differs + differences(way, workload.tasks, found)}


def differences(way: Way, tasks: list[Task], found: list[str]) -> Counter[str]:
    """Verdicts that are not the task's, as `RE for AC`."""
    pairs = [(task.status, status) for task, status in zip(tasks, found, strict=True)]
    if way.coarse:
        pairs = [("AC" if wanted == "AC" else "WA", status) for wanted, status in pairs]
    return Counter(f"{status} for {wanted}" for wanted, status in pairs if wanted != status)


def cpu_s(daemons: tuple[str, ...] = ()) -> float:
    """CPU seconds so far of this process, of all below it, ended or not, and of the daemons and all below them.

    Call it when nothing is being judged: it also waits for children that nobody else waits for.
    """
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    others = descendants(os.getpid())
    for comm in Path("/proc").glob("[0-9]*/comm") if daemons else ():
        with contextlib.suppress(OSError):
            if comm.read_text().strip() in daemons:
                others |= {int(comm.parent.name)} | descendants(int(comm.parent.name))
    return sum(usage.ru_utime + usage.ru_stime for usage in used) + sum(map(_process_cpu_s, others))


def _process_cpu_s(pid: int) -> float:
    """Of a process by its own clock, and of its reaped children, which the kernel gives in ticks only."""
    try:
        reaped = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[13:15]
        return time.clock_gettime((~pid << 3) | 2) + TICK_S * sum(map(int, reaped))
    except OSError:
        return 0.0


def first_verdicts(times: int) -> dict[str, list[float]]:
    """Milliseconds to the first verdict of a fresh `JudgePool`, and of the command from its start to the first byte."""
    from dc_tools.core.records import Problem, Test
    from dc_tools.sandbox.judge import JudgePool

    problem = Problem("p", [Test(input="1 2\n", output="3\n")])
    found: dict[str, list[float]] = {"pool": [], "command": []}
    for _ in range(times):
        began = time.perf_counter()
        with JudgePool(WORKERS) as pool:
            verdict = pool.judge(problem, PROGRAM)
            found["pool"].append(1000 * (time.perf_counter() - began))
        assert verdict.status == "AC", verdict
        found["command"].append(1000 * _command_s())
    return found


def _command_s() -> float:
    began = time.perf_counter()
    argv = [str(Path(sys.executable).parent / "dc-sandbox"), "-q"]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None and process.stdout is not None
        process.stdin.write(json.dumps(LINE).encode() + b"\n")
        process.stdin.close()
        line = process.stdout.readline()
        elapsed = time.perf_counter() - began
        assert b'"AC"' in line, line
    return elapsed
