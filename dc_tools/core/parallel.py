"""An ordered parallel map over processes: results in input order, at most `ahead` x workers items in flight."""

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from itertools import chain, islice
from multiprocessing import get_context
from typing import Generic, TypeVar

from dc_tools.core.errors import CannotRun, DcError

STUCK_S = 1.0
"""A pool that lost a worker and has not ended within this time is stuck."""
A = TypeVar("A")
B = TypeVar("B")


def default_workers() -> int:
    """The CPUs this process may use."""
    return len(os.sched_getaffinity(0))


@dataclass(frozen=True)
class Piece(Generic[B]):
    """Work under way, and the memory that it holds until its result is taken, bytes."""

    future: "Future[B]"
    size: int


def ordered(futures: Iterable["Future[B]"], in_flight: int) -> Iterator[B]:
    """Results of lazily made `futures` in order, never more than `in_flight` of them ahead of the reader."""
    return ordered_within((Piece(future, 0) for future in futures), in_flight, 0)


def ordered_within(pieces: Iterable[Piece[B]], in_flight: int, most: int) -> Iterator[B]:
    """Results of lazily made `pieces` in order, never more than `in_flight`, or than `most` bytes and one more, ahead
    of the reader. Where making them fails by an error of ours, the results of those made come first."""
    waiting: deque[Piece[B]] = deque()
    held = 0
    failure = None
    incoming = iter(pieces)
    while True:
        try:
            piece = next(incoming)
        except StopIteration:
            break
        except DcError as error:
            failure = error
            break
        waiting.append(piece)
        held += piece.size
        while waiting and (len(waiting) >= in_flight or held > most):
            first = waiting.popleft()
            held -= first.size
            yield first.future.result()
    while waiting:
        yield waiting.popleft().future.result()
    if failure:
        raise failure


class Workers:
    """Processes that work at one list of items after another. They start with the first list of two items.

    One worker means this process. The processes die with their parent, however it ends.
    """

    def __init__(self, count: int, *, ahead: int = 4) -> None:
        self._count, self._ahead = count, ahead
        self._pool: ProcessPoolExecutor | None = None

    @property
    def are_apart(self) -> bool:
        """Whether work is done in other processes."""
        return self._count > 1

    def __enter__(self) -> "Workers":
        return self

    def __exit__(self, *_: object) -> None:
        if self._pool:
            _end(self._pool)

    def map(self, function: Callable[[A], B], items: Iterable[A]) -> Iterator[B]:
        """`function` over `items` in order; a picklable function, exceptions raised at their item's turn."""
        rest = iter(items)
        head = list(islice(rest, 2 if self._count > 1 else 0))
        if len(head) < 2:
            yield from map(function, chain(head, rest))
            return
        context = get_context("forkserver")
        pool = self._pool = self._pool or ProcessPoolExecutor(self._count, context, die_with_parent)
        try:
            pieces = (_submit(pool, function, item) for item in chain(head, rest))
            yield from ordered(pieces, self._count * self._ahead)
        except BrokenProcessPool as error:
            raise CannotRun("a worker process died (killed, or out of memory?)") from error


def ordered_map(
    function: Callable[[A], B], items: Iterable[A], workers: int, *, ahead: int = 4
) -> Iterator[B]:
    """`Workers.map` for one list of items."""
    with Workers(workers, ahead=ahead) as started:
        yield from started.map(function, items)


def _end(pool: ProcessPoolExecutor) -> None:
    """`pool.shutdown`, which before Python 3.11.5 waits for ever where a worker was lost while the pool was writing to
    the full pipe that now nobody reads (gh-94777). Without a reader, writing fails."""
    manager, queue = getattr(pool, "_executor_manager_thread", None), getattr(pool, "_call_queue", None)
    pool.shutdown(wait=False, cancel_futures=True)
    while manager is not None and manager.is_alive():
        manager.join(STUCK_S)
        if pool._broken and manager.is_alive() and queue is not None and not queue._reader.closed:
            queue._reader.close()


def _submit(pool: ProcessPoolExecutor, function: Callable[[A], B], item: A) -> "Future[B]":
    """`pool.submit` that INT and TERM cannot cut: a pool left with a half-started worker would never shut down."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    try:
        return pool.submit(function, item)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def die_with_parent() -> None:
    """End this worker when the process that asked for it ends; leave INT and TERM to that one.

    The kernel's death signal would watch the fork server, which lives on while a worker does: the pipe is watched.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, set())
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent:
        parent.join()
        os.kill(os.getpid(), signal.SIGKILL)
