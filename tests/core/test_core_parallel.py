"""The ordered map: order, how far it reads ahead, where errors surface, and what becomes of its processes."""

import os
import signal
import sys
import time
from concurrent.futures import Future
from pathlib import Path

import pytest
from processes import alive, descendants, end, started, wait_until

from dc_tools.core.errors import CannotRun
from dc_tools.core.parallel import Workers, ordered, ordered_map


def slow_square(n: int) -> int:
    """Later items are quicker, so that they overtake."""
    time.sleep(0.02 / (n + 1))
    return n * n


def fail_at_five(n: int) -> int:
    if n == 5:
        raise ValueError("item five")
    return n


def die_at_three(n: int) -> int:
    if n == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return n


@pytest.mark.parametrize("workers", [1, 3])
def test_results_come_in_input_order(workers):
    assert list(ordered_map(slow_square, range(40), workers)) == [n * n for n in range(40)]


@pytest.mark.parametrize("workers", [1, 2])
def test_an_exception_is_raised_at_its_item_and_not_before(workers):
    got = []
    with pytest.raises(ValueError, match="item five"):
        for value in ordered_map(fail_at_five, range(20), workers):
            got.append(value)
    assert got == [0, 1, 2, 3, 4]


def test_a_worker_that_is_killed_ends_the_run_with_a_clear_error():
    with pytest.raises(CannotRun, match="a worker process died"):
        list(ordered_map(die_at_three, range(20), 2))


def die_in_time(item: tuple[int, bytes]) -> int:
    if item[0] == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return item[0]


@pytest.mark.timeout(60)
def test_a_worker_that_is_killed_while_its_pipe_is_full_ends_the_run_as_well():
    more_than_a_pipe_holds = b"x" * 3_000_000
    with pytest.raises(CannotRun, match="a worker process died"):
        list(ordered_map(die_in_time, ((number, more_than_a_pipe_holds) for number in range(40)), 2))


def test_it_reads_no_further_ahead_than_its_bound():
    taken = 0

    def items():
        nonlocal taken
        for n in range(100):
            taken += 1
            yield n

    results = ordered_map(slow_square, items(), 2, ahead=3)
    for done in range(1, 20):
        next(results)
        assert taken <= done + 2 * 3
    results.close()


def test_no_more_futures_than_the_bound_are_unfinished():
    made: list[Future[int]] = []

    def futures():
        for n in range(10):
            made.append(Future())
            if len(made) >= 3:
                made[len(made) - 3].set_result(n)
            yield made[-1]

    results = ordered(futures(), 3)
    next(results)
    assert len(made) == 3
    next(results)
    assert len(made) == 4


def test_leaving_early_ends_the_workers():
    before = descendants(os.getpid())
    results = ordered_map(slow_square, range(1000), 2)
    next(results)
    workers = {pid for pid in descendants(os.getpid()) - before if b"forkserver" in cmdline(pid)}
    assert len(workers) >= 2
    results.close()
    wait_until(lambda: len(alive(workers)) <= 1, 10)  # the fork server itself stays for the next map


def test_the_same_processes_work_at_several_lists():
    with Workers(2) as workers:
        assert list(workers.map(process_of, [0])) == [os.getpid()]
        found = {*workers.map(process_of, range(20)), *workers.map(process_of, range(20))}
    assert os.getpid() not in found
    assert len(found) <= 2


def process_of(_: int) -> int:
    time.sleep(0.005)
    return os.getpid()


def test_workers_do_not_outlive_a_parent_that_is_killed(tmp_path):
    (tmp_path / "in").write_bytes(b'{"value":1}\n' * 5000)
    argv = [sys.executable, Path(__file__).with_name("demo.py"), tmp_path / "in", "--workers", "3", "--delay-ms", "20"]
    with started(argv) as process:
        wait_until(lambda: len(descendants(process.pid)) >= 5)
        children = descendants(process.pid)
        end(process, signal.SIGKILL)
        wait_until(lambda: not alive(children), 5)


def cmdline(pid: int) -> bytes:
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as stream:
            return stream.read()
    except OSError:
        return b""
