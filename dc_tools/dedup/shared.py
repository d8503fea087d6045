"""Files of TMPDIR without a name that worker processes read and write too: what is large goes past the pipes.

A pipe hands on 64 kB at a time, and the reader has to get hold of its interpreter for each.
"""

import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import IO

import numpy as np

from dc_tools.core.errors import CannotRun
from dc_tools.dedup.arrays import Hashes, Ints
from dc_tools.dedup.pairs.order import Order

_WORD = 8


@contextmanager
def nameless_file() -> Iterator[IO[bytes]]:
    """One in TMPDIR, gone when this process ends. Errors: `CannotRun` where that is no folder to write to."""
    place = os.environ.get("TMPDIR") or tempfile.gettempdir()
    with ExitStack() as stack:
        try:
            file = stack.enter_context(tempfile.TemporaryFile(prefix="dc-dedup-", buffering=0, dir=place))
        except OSError as error:
            raise full(error) from error
        yield file


def full(error: OSError) -> CannotRun:
    """What is said of a disk that cannot take more."""
    place = os.environ.get("TMPDIR") or tempfile.gettempdir()
    return CannotRun(f"{place}: {error.strerror}: TMPDIR must hold a copy of the input")


@dataclass(frozen=True)
class Shared:
    """A file that is open in one process, and that others of the same user may open."""

    pid: int
    fd: int

    @staticmethod
    def of(file: IO[bytes]) -> "Shared":
        """A file of this process."""
        return Shared(os.getpid(), file.fileno())

    @property
    def path(self) -> str:
        """Where others find it."""
        return f"/proc/{self.pid}/fd/{self.fd}"

    @property
    def descriptor(self) -> int:
        """To read by, in this process."""
        return self.fd if os.getpid() == self.pid else _opened(self.path)

    def read(self, start: int, size: int) -> bytes:
        """`size` bytes from `start`."""
        return os.pread(self.descriptor, size, start)


@dataclass(frozen=True)
class Words:
    """A file of 64-bit words."""

    file: Shared

    def append(self, words: Hashes) -> int:
        """Add words, whoever else does; returns the place of the first. Errors: `CannotRun`, disk full."""
        view = words.data.cast("B") if len(words) else memoryview(b"")
        try:
            with open(self.file.path, "ab", buffering=0) as file:
                fcntl.flock(file, fcntl.LOCK_EX)
                start = file.seek(0, os.SEEK_END)
                while view:
                    view = view[file.write(view) :]
        except OSError as error:
            raise full(error) from error
        return start // _WORD

    def read(self, start: int, count: int) -> Hashes:
        """`count` words from place `start`."""
        found: Hashes = np.empty(count, dtype=np.uint64)
        view, at = found.data.cast("B") if count else memoryview(b""), start * _WORD
        descriptor = self.file.descriptor
        while view:
            got = os.preadv(descriptor, [view], at)
            view, at = view[got:], at + got
        return found


@contextmanager
def words_file() -> Iterator[Words]:
    """An empty one."""
    with nameless_file() as file:
        yield Words(Shared.of(file))


@dataclass(frozen=True)
class Places:
    """Where lines are in a file."""

    file: Shared
    starts: Ints
    stops: Ints

    def read(self) -> list[bytes]:
        """The lines."""
        if not len(self.starts):
            return []
        first = int(self.starts[0])
        piece = self.file.read(first, int(self.stops[-1]) - first)
        places = zip((self.starts - first).tolist(), (self.stops - first).tolist(), strict=True)
        return [piece[start:stop] for start, stop in places]


@dataclass(frozen=True)
class SharedOrder:
    """An order of shingles in a file; each process reads it once."""

    file: Shared
    size: int

    @staticmethod
    def of(order: Order, stack: ExitStack) -> "SharedOrder":
        """Write it to a file."""
        file = stack.enter_context(nameless_file())
        try:
            file.write(order.classes.tobytes())
        except OSError as error:
            raise full(error) from error
        return SharedOrder(Shared.of(file), len(order.classes))

    def order(self) -> Order:
        """As it was learned."""
        return _loaded(self.file.path, self.size)


@cache
def _opened(path: str) -> int:
    """A descriptor in a worker process, whose files are those of one run."""
    return os.open(path, os.O_RDONLY)


@lru_cache(maxsize=1)
def _loaded(path: str, size: int) -> Order:
    return Order(np.fromfile(path, dtype=np.uint8, count=size))
