"""What is set aside in nameless files of TMPDIR, so that memory holds offsets: lines, shingle sets, join entries."""

import struct
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO

import numpy as np
import numpy.typing as npt

from dc_tools.core.records import Line
from dc_tools.dedup.arrays import Hashes, Ints, chunks
from dc_tools.dedup.shared import Places, Shared, Words, full

BUFFER = 1 << 18
READ_AT_A_TIME = 1 << 20
"""Elements of sets that are read in one piece."""
_HEAD = struct.Struct("<qqi")
"""Before each line: its index, its number and its file."""


class Lines:
    """Input lines by position, written once and read back in any order."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._shared = Shared.of(file)
        self._offsets = array("q", [0])
        self._end = 0
        self._pending: list[bytes] = []
        self._held = 0
        self._names: list[str] = []

    def __len__(self) -> int:
        return len(self._offsets) - 1

    def add(self, line: Line) -> None:
        """Set one line aside as the next position. Errors: `CannotRun`, disk full."""
        if not self._names or line.file != self._names[-1]:
            self._names.append(line.file)
        self._pending += (_HEAD.pack(line.index, line.number, len(self._names) - 1), line.raw)
        size = _HEAD.size + len(line.raw)
        self._end += size
        self._held += size
        self._offsets.append(self._end)
        if self._held > BUFFER:
            self.flush()

    def flush(self) -> None:
        """What was added can be read from now on. Errors: `CannotRun`, disk full."""
        view = memoryview(b"".join(self._pending))
        self._pending.clear()
        self._held = 0
        try:
            while view:
                view = view[self._file.write(view) :]
        except OSError as error:
            raise full(error) from error

    def places(self, positions: Ints) -> Places:
        """Where the raw bytes of some lines are, for other processes; the positions ascend."""
        offsets = np.frombuffer(self._offsets, dtype=np.int64)
        return Places(self._shared, offsets[positions] + _HEAD.size, offsets[positions + 1])

    def pieces(self, positions: Ints, lines: int, size: int = 1 << 24) -> Iterator[Places]:
        """Where they are, for some that stand near each other at a time: at most so many `lines` and `size` bytes, with
        what is between them."""
        ends = np.frombuffer(self._offsets, dtype=np.int64)[positions + 1]
        for start, stop in chunks(np.diff(ends, prepend=ends[:1]), size, lines):
            yield self.places(positions[start:stop])

    def line(self, position: int) -> Line:
        """The line at `position`, as it came."""
        start = self._offsets[position]
        return self._line(self._shared.read(start, self._offsets[position + 1] - start))

    def lines(self, first: int = 0) -> Iterator[Line]:
        """All lines in order from position `first`; many are read at a time."""
        offsets, count = self._offsets, len(self)
        while first < count:
            start = offsets[first]
            last = first + 1
            while last < count and offsets[last + 1] - start <= BUFFER:
                last += 1
            piece = self._shared.read(start, offsets[last] - start)
            for number in range(first, last):
                yield self._line(piece[offsets[number] - start : offsets[number + 1] - start])
            first = last

    def _line(self, stored: bytes) -> Line:
        index, number, name = _HEAD.unpack_from(stored)
        return Line(stored[_HEAD.size :], self._names[name], number, index)


Piece = tuple[Ints, Ints, Hashes]
"""Numbers of texts, their sizes, and the elements of their sets, one after another."""


@dataclass(frozen=True)
class SetPlaces:
    """Where the sets of some texts are."""

    words: Words
    numbers: Ints
    sizes: Ints
    runs: list[tuple[int, int]]
    """First place and number of words of each run of neighbours."""

    def read(self) -> Piece:
        """The sets."""
        none = np.zeros(0, dtype=np.uint64)
        return self.numbers, self.sizes, np.concatenate([none, *(self.words.read(*run) for run in self.runs)])


class Sets:
    """Shingle sets by number."""

    def __init__(self, words: Words) -> None:
        self.words = words
        self._starts: list[Ints] = []
        self._sizes: list[npt.NDArray[np.int32]] = []
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, sizes: Ints, start: int) -> None:
        """The sets of the next texts are one after another from place `start` of the words."""
        self._starts.append(start + np.cumsum(sizes) - sizes)
        self._sizes.append(sizes.astype(np.int32))
        self._count += len(sizes)

    def gather(self, numbers: Ints) -> tuple[Ints, Hashes]:
        """Sizes and elements of the sets `numbers`, which ascend, one after another; neighbours are read together."""
        _, sizes, hashes = self._places(numbers).read()
        return sizes, hashes

    def places(self, numbers: Ints, elements: int) -> Iterator[SetPlaces]:
        """Where the sets `numbers`, which ascend, are: of about so many elements at a time."""
        sizes = self._known()[1][numbers].astype(np.int64)
        for start, stop in chunks(sizes, elements, max(len(sizes), 1)):
            yield self._places(numbers[start:stop])

    def pieces(self, numbers: Ints) -> Iterator[Piece]:
        """The sets `numbers`, which ascend, some at a time."""
        return (places.read() for places in self.places(numbers, READ_AT_A_TIME))

    def elements(self, numbers: Ints) -> int:
        """How many elements the sets `numbers` have in all."""
        return int(self._known()[1][numbers].sum(dtype=np.int64))

    def _places(self, numbers: Ints) -> SetPlaces:
        starts, sizes = self._known()
        begin, length = starts[numbers], sizes[numbers].astype(np.int64)
        breaks = np.flatnonzero(begin[1:] != begin[:-1] + length[:-1]) + 1
        first, last = np.concatenate([[0], breaks]), np.concatenate([breaks, [len(numbers)]]) - 1
        runs = zip(begin[first].tolist(), (begin[last] + length[last] - begin[first]).tolist(), strict=True)
        return SetPlaces(self.words, numbers, length, list(runs))

    def _known(self) -> tuple[Ints, npt.NDArray[np.int32]]:
        if len(self._starts) != 1:
            self._starts = [np.concatenate([np.zeros(0, dtype=np.int64), *self._starts])]
            self._sizes = [np.concatenate([np.zeros(0, dtype=np.int32), *self._sizes])]
        return self._starts[0], self._sizes[0]


class Shuffle:
    """Entries of the join by part, each part read as one array."""

    def __init__(self, words: Words, parts: int) -> None:
        self.words = words
        self.parts = parts
        self.entries = 0
        self._batches: list[tuple[int, Ints]] = []

    def add(self, counts: Ints, start: int, first: int) -> None:
        """The next entries, so many of each part, are from place `start` of the words; they number texts from 0, which
        is `first` of all."""
        self._batches.append((first, start + np.concatenate([[0], np.cumsum(counts)])))
        self.entries += int(counts.sum())

    def part(self, number: int) -> Hashes:
        """All entries of one part, in the order of the batches."""
        pieces = [
            self.words.read(int(bounds[number]), int(bounds[number + 1] - bounds[number])) + np.uint64(first)
            for first, bounds in self._batches
        ]
        return np.concatenate([np.zeros(0, dtype=np.uint64), *pieces])
