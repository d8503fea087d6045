"""Lines set aside in a temporary file, so that memory holds offsets and not texts."""

import os
import struct
import tempfile
from array import array
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

from dc_tools.core.errors import CannotRun
from dc_tools.core.records import Line

_HEAD = struct.Struct("<qqi")
"""Before each line: its index, its number and its file."""


class Spool:
    """Input lines by position, written once and read back in any order."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._offsets = array("q", [0])
        self._names: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._offsets) - 1

    def add(self, line: Line) -> None:
        """Set one line aside as the next position."""
        name = self._names.setdefault(line.file, len(self._names))
        try:
            self._file.write(_HEAD.pack(line.index, line.number, name))
            self._file.write(line.raw)
        except OSError as error:
            raise _no_room(error) from error
        self._offsets.append(self._offsets[-1] + _HEAD.size + len(line.raw))

    def close_writing(self) -> None:
        """Hand everything to the system; lines can be read from now on."""
        try:
            self._file.flush()
        except OSError as error:
            raise _no_room(error) from error

    def line(self, position: int) -> Line:
        """The line at `position`, as it came."""
        start = self._offsets[position]
        stored = os.pread(self._file.fileno(), self._offsets[position + 1] - start, start)
        index, number, name = _HEAD.unpack_from(stored)
        return Line(stored[_HEAD.size :], list(self._names)[name], number, index)

    def lines(self) -> Iterator[Line]:
        """All lines in order."""
        names = list(self._names)
        self._file.seek(0)
        for position in range(len(self)):
            stored = self._file.read(self._offsets[position + 1] - self._offsets[position])
            index, number, name = _HEAD.unpack_from(stored)
            yield Line(stored[_HEAD.size :], names[name], number, index)


@contextmanager
def open_spool() -> Iterator[Spool]:
    """A spool on a nameless file in TMPDIR, gone when the process ends."""
    with tempfile.TemporaryFile(prefix="dc-dedup-") as file:
        yield Spool(file)


def _no_room(error: OSError) -> CannotRun:
    return CannotRun(f"{tempfile.gettempdir()}: {error.strerror}: TMPDIR must hold a copy of the input")
