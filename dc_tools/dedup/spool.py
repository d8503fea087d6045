"""What is set aside in nameless files of TMPDIR, so that memory holds offsets: lines, shingle sets, join entries."""

import os
import struct
import tempfile
from array import array
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import numpy as np

from dc_tools.core.errors import CannotRun
from dc_tools.core.records import Line
from dc_tools.dedup.arrays import Hashes, Ints, chunks
from dc_tools.dedup.prepare import Entries

BUFFER = 1 << 18
LINES_AT_ONCE = 64
"""Twice the lines that are joined before they are handed on."""
READ_AT_A_TIME = 1 << 20
"""Elements of sets that are read in one piece."""
_HEAD = struct.Struct("<qqi")
"""Before each line: its index, its number and its file."""
_WORD = 8


class Scratch:
    """A file that grows at its end and is read anywhere."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._pending = bytearray()
        self._flushed = 0

    @property
    def size(self) -> int:
        """Bytes so far."""
        return self._flushed + len(self._pending)

    def append(self, piece: bytes | memoryview) -> None:
        """Add bytes. Errors: `CannotRun`, disk full."""
        self._pending += piece
        if len(self._pending) > BUFFER:
            self.flush()

    def flush(self) -> None:
        """Hand everything to the system; what was added can be read from now on. Errors: `CannotRun`, disk full."""
        pending, self._pending = self._pending, bytearray()
        self._flushed += len(pending)
        view = memoryview(pending)
        try:
            while view:
                view = view[os.write(self._fd, view) :]
        except OSError as error:
            place = tempfile.gettempdir()
            raise CannotRun(f"{place}: {error.strerror}: TMPDIR must hold a copy of the input") from error

    def read(self, start: int, size: int) -> bytes:
        """`size` bytes from `start`."""
        return os.pread(self._fd, size, start)

    def words(self, start: int, count: int) -> Hashes:
        """`count` 64-bit words from word `start`."""
        found: Hashes = np.empty(count, dtype=np.uint64)
        view, at = found.data.cast("B"), start * _WORD
        while view:
            got = os.preadv(self._fd, [view], at)
            view, at = view[got:], at + got
        return found


@contextmanager
def scratch() -> Iterator[Scratch]:
    """One in TMPDIR. Errors: `CannotRun` where that is no folder to write to."""
    place = os.environ.get("TMPDIR") or tempfile.gettempdir()
    with ExitStack() as stack:
        try:
            file = stack.enter_context(tempfile.TemporaryFile(prefix="dc-dedup-", buffering=0, dir=place))
        except OSError as error:
            raise CannotRun(f"{place}: {error.strerror}: TMPDIR must hold a copy of the input") from error
        yield Scratch(file.fileno())


class Lines:
    """Input lines by position, written once and read back in any order."""

    def __init__(self, scratch: Scratch) -> None:
        self._scratch = scratch
        self._offsets = array("q", [0])
        self._end = 0
        self._pending: list[bytes] = []
        self._names: list[str] = []

    def __len__(self) -> int:
        return len(self._offsets) - 1

    def add(self, line: Line) -> None:
        """Set one line aside as the next position."""
        if not self._names or line.file != self._names[-1]:
            self._names.append(line.file)
        self._pending += (_HEAD.pack(line.index, line.number, len(self._names) - 1), line.raw)
        self._end += _HEAD.size + len(line.raw)
        self._offsets.append(self._end)
        if len(self._pending) >= LINES_AT_ONCE or len(line.raw) > BUFFER:
            self._write()

    def flush(self) -> None:
        """What was added can be read from now on."""
        self._write()
        self._scratch.flush()

    def line(self, position: int) -> Line:
        """The line at `position`, as it came."""
        start = self._offsets[position]
        return self._line(self._scratch.read(start, self._offsets[position + 1] - start))

    def lines(self, first: int = 0) -> Iterator[Line]:
        """All lines in order from position `first`; many are read at a time."""
        offsets, count = self._offsets, len(self)
        while first < count:
            start = offsets[first]
            last = first + 1
            while last < count and offsets[last + 1] - start <= BUFFER:
                last += 1
            piece = self._scratch.read(start, offsets[last] - start)
            for number in range(first, last):
                yield self._line(piece[offsets[number] - start : offsets[number + 1] - start])
            first = last

    def _write(self) -> None:
        self._scratch.append(b"".join(self._pending))
        self._pending.clear()

    def _line(self, stored: bytes) -> Line:
        index, number, name = _HEAD.unpack_from(stored)
        return Line(stored[_HEAD.size :], self._names[name], number, index)


class Sets:
    """Shingle sets by number."""

    def __init__(self, scratch: Scratch) -> None:
        self._scratch = scratch
        self._sizes: list[Ints] = []
        self._starts: Ints | None = None

    def add(self, sizes: Ints, hashes: Hashes) -> None:
        """Append the sets of a batch, one after another."""
        self._scratch.append(hashes.data)
        self._sizes.append(sizes)

    def flush(self) -> None:
        """What was added can be read from now on."""
        self._scratch.flush()

    def gather(self, numbers: Ints) -> tuple[Ints, Hashes]:
        """Sizes and elements of the sets `numbers`, which ascend, one after another; neighbours are read together."""
        starts = self._ends()
        sizes = starts[numbers + 1] - starts[numbers]
        breaks = np.flatnonzero(np.diff(numbers) != 1) + 1
        first, last = np.concatenate([[0], breaks]), np.concatenate([breaks, [len(numbers)]]) - 1
        places = zip(starts[numbers[first]].tolist(), starts[numbers[last] + 1].tolist(), strict=True)
        return sizes, np.concatenate([self._scratch.words(start, stop - start) for start, stop in places])

    def pieces(self, first: int = 0, last: int | None = None) -> Iterator[tuple[int, Ints, Hashes]]:
        """The sets of a range in order, some at a time: the number of the first, their sizes and elements."""
        ends = self._ends()[first : None if last is None else last + 1]
        sizes = np.diff(ends)
        for start, stop in chunks(sizes, READ_AT_A_TIME, max(len(sizes), 1)):
            words = self._scratch.words(int(ends[start]), int(ends[stop] - ends[start]))
            yield first + start, sizes[start:stop], words

    def _ends(self) -> Ints:
        if self._starts is None or len(self._sizes) > 1:
            self._sizes = [np.concatenate([np.zeros(0, dtype=np.int64), *self._sizes])]
            self._starts = np.concatenate([[0], np.cumsum(self._sizes[0])])
        return self._starts


class Shuffle:
    """Entries of the join by part, each part read as one array."""

    def __init__(self, scratch: Scratch, parts: int) -> None:
        self.parts = parts
        self._scratch = scratch
        self._bounds: list[Ints] = []

    def append(self, made: Entries, first: int) -> None:
        """Append the entries of a batch whose first text has this number."""
        self._bounds.append(self._scratch.size // _WORD + np.concatenate([[0], np.cumsum(made.counts)]))
        self._scratch.append((made.entries + np.uint64(first)).data)

    def flush(self) -> None:
        """What was added can be read from now on."""
        self._scratch.flush()

    @property
    def entries(self) -> int:
        """How many there are."""
        return self._scratch.size // _WORD

    def part(self, number: int) -> Hashes:
        """All entries of one part, in the order of the batches."""
        pieces = [self._scratch.words(int(b[number]), int(b[number + 1] - b[number])) for b in self._bounds]
        return np.concatenate([np.zeros(0, dtype=np.uint64), *pieces])
