"""An ordered parallel map over processes: results in input order, at most `ahead` x workers items in flight."""

import ctypes
import os
import signal
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from typing import TypeVar

from dc_tools.core.errors import CannotRun

A = TypeVar("A")
B = TypeVar("B")
PR_SET_PDEATHSIG = 1


def default_workers() -> int:
    """The CPUs this process may use."""
    return len(os.sched_getaffinity(0))


def ordered(futures: Iterable["Future[B]"], in_flight: int) -> Iterator[B]:
    """Results of lazily made `futures` in order, never more than `in_flight` of them unfinished ahead of the reader."""
    waiting: deque[Future[B]] = deque()
    for future in futures:
        waiting.append(future)
        if len(waiting) >= in_flight:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


def ordered_map(
    function: Callable[[A], B], items: Iterable[A], workers: int, *, ahead: int = 4
) -> Iterator[B]:
    """`function` over `items` in `workers` processes; a picklable function, exceptions raised at their item's turn.

    One worker means this process. The processes die with their parent, however it ends.
    """
    if workers <= 1:
        yield from map(function, items)
        return
    pool = ProcessPoolExecutor(workers, mp_context=get_context("forkserver"), initializer=die_with_parent)
    try:
        yield from ordered((pool.submit(function, item) for item in items), workers * ahead)
    except BrokenProcessPool as error:
        raise CannotRun("a worker process died (killed, or out of memory?)") from error
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def die_with_parent() -> None:
    """Ask the kernel to kill this process when its parent ends; leave INT and TERM to the parent."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
