"""Lines set aside in a temporary file, so that memory holds offsets and not texts."""

import os
import struct
import tempfile
from array import array
from collections.abc import Iterator
from contextlib import contextmanager

from dc_tools.core.errors import CannotRun
from dc_tools.core.records import Line

BUFFER = 1 << 18
_HEAD = struct.Struct("<qqi")
"""Before each line: its index, its number and its file."""


class Spool:
    """Input lines by position, written once and read back in any order."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._pending = bytearray()
        self._offsets = array("q", [0])
        self._names: list[str] = []

    def __len__(self) -> int:
        return len(self._offsets) - 1

    def add(self, line: Line) -> None:
        """Set one line aside as the next position."""
        if line.file not in self._names[-1:]:
            self._names.append(line.file)
        self._pending += _HEAD.pack(line.index, line.number, len(self._names) - 1)
        self._pending += line.raw
        self._offsets.append(self._offsets[-1] + _HEAD.size + len(line.raw))
        if len(self._pending) > BUFFER:
            self.flush()

    def flush(self) -> None:
        """Hand everything to the system; what was added can be read from now on. Errors: `CannotRun`, disk full."""
        view = memoryview(bytes(self._pending))
        self._pending.clear()
        try:
            while view:
                view = view[os.write(self._fd, view) :]
        except OSError as error:
            place = tempfile.gettempdir()
            raise CannotRun(f"{place}: {error.strerror}: TMPDIR must hold a copy of the input") from error

    def line(self, position: int) -> Line:
        """The line at `position`, as it came."""
        start = self._offsets[position]
        stored = os.pread(self._fd, self._offsets[position + 1] - start, start)
        index, number, name = _HEAD.unpack_from(stored)
        return Line(stored[_HEAD.size :], self._names[name], number, index)

    def lines(self) -> Iterator[Line]:
        """All lines in order."""
        return map(self.line, range(len(self)))


@contextmanager
def open_spool() -> Iterator[Spool]:
    """A spool on a nameless file in TMPDIR, gone when the process ends."""
    with tempfile.TemporaryFile(prefix="dc-dedup-", buffering=0) as file:
        yield Spool(file.fileno())
