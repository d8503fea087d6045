"""Measures one command as a whole process: run as `python -S dedup_measure.py COMMAND...`, it prints a line of JSON.

`cpu_s` is of all processes below, ended or orphaned; `wall_s` until the command itself ends; `largest_mb` the greatest
resident size of any one process, by the system's account; `peak_mb` that of all together where there are several, of
samples of their proportional sizes. This process stays small, as a child inherits its parent's peak.
"""

import contextlib
import ctypes
import json
import os
import resource
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))
from processes import descendants

PR_SET_CHILD_SUBREAPER = 36
SAMPLE_S = 0.2
KB = 1024


def measured(command: list[str]) -> dict[str, Any]:
    """Run `command` to its end, its output thrown away; what it cost, and its exit code."""
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    ended, sampled = threading.Event(), [0.0]

    def sample() -> None:
        while not ended.wait(SAMPLE_S):
            below = descendants(os.getpid())
            if len(below) > 1:
                sampled.append(sum(map(_proportional_mb, below)))

    sampler = threading.Thread(target=sample)
    started = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    sampler.start()
    code = process.wait()
    wall_s = time.perf_counter() - started
    ended.set()
    sampler.join()
    with contextlib.suppress(ChildProcessError):
        while True:
            os.wait()
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    largest_mb = used.ru_maxrss / KB
    return {
        "code": code, "wall_s": wall_s, "cpu_s": used.ru_utime + used.ru_stime, "largest_mb": largest_mb,
        "peak_mb": max(largest_mb, *sampled),
    }


def _proportional_mb(pid: int) -> float:
    """Resident size of a process, each page divided by the number of processes that share it; 0 where it is gone."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) / KB
    return 0.0


if __name__ == "__main__":
    print(json.dumps(measured(sys.argv[1:])))
