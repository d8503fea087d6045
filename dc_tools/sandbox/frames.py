"""How grader and worker speak: frames on a stream, one byte of kind, four of length, the payload.

Standard library only.

grader -> worker: F job, I job (one solution: fast, or isolated), W files for the next test, T input, E end.
worker -> grader: Y ready, N reason; for each solution R, C message or G; for each test r result or g; at the end e.
"""

import mmap
import os
import struct
from collections.abc import Sequence

HEADER = struct.Struct("<BI")
RESULT = struct.Struct("<iB3d5I")
"""Exit code, who ended it (`ENDED_BY`), CPU s, wall s, resident MiB, sizes of stdout, stderr, value, probes, files."""
USAGE = struct.Struct("<d")
"""The end of a fast solution: the largest resident size of its process, MiB."""
ENDED_BY = ("", "cpu", "wall")
_BLOCK = 1 << 20
_WIPEONFORK = 18
"""MADV_WIPEONFORK: a child finds zeros."""


class Channel:
    """The worker's end; the process ends when the other side has gone."""

    def __init__(self, reading: int, writing: int) -> None:
        self.reading, self.writing = reading, writing
        self._buffer = mmap.mmap(-1, _BLOCK, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        self._buffer.madvise(_WIPEONFORK)

    def header(self) -> tuple[str, int]:
        """Kind and length of the next frame; its payload is still to be read."""
        kind, size = HEADER.unpack(self.payload(HEADER.size))
        return chr(kind), size

    def payload(self, size: int) -> bytes:
        """Exactly `size` bytes."""
        data = os.read(self.reading, size)
        if len(data) == size:
            return data
        parts = bytearray(data)
        while len(parts) < size:
            parts += self._some(size - len(parts))
        return bytes(parts)

    def pour(self, size: int, target: int, at: int = 0) -> None:
        """Move `size` bytes to place `at` of a file; nothing of them is in the memory that later children inherit.

        The file's own offset is neither used nor moved: a program may share it.
        """
        with memoryview(self._buffer) as buffer:
            while size:
                read = os.readv(self.reading, [buffer[: min(size, _BLOCK)]])
                if not read:
                    os._exit(0)
                size -= read
                end = at + read
                while at < end:
                    at += os.pwrite(target, buffer[read - (end - at) : read], at)

    def send(self, kind: str, *parts: bytes) -> None:
        """Send one frame."""
        payload = b"".join(parts)
        write_all(self.writing, HEADER.pack(ord(kind), len(payload)) + payload)

    def send_files(self, kind: str, head: bytes, files: Sequence[tuple[int, int]], tail: bytes = b"") -> None:
        """Send one frame of `head`, the contents of files, given as descriptor and size, and `tail`."""
        size = len(head) + sum(length for _, length in files) + len(tail)
        write_all(self.writing, HEADER.pack(ord(kind), size) + head)
        for handle, length in files:
            at = 0
            while at < length:
                sent = os.sendfile(self.writing, handle, at, length - at)
                if not sent:  # it was cut short meanwhile; what was announced must come
                    write_all(self.writing, bytes(length - at))
                    break
                at += sent
        if tail:
            write_all(self.writing, tail)

    def _some(self, size: int) -> bytes:
        block = os.read(self.reading, min(size, _BLOCK))
        if not block:
            os._exit(0)
        return block


def write_all(handle: int, data: bytes) -> None:
    """Write everything."""
    written = os.write(handle, data)
    view = memoryview(data)[written:]
    while view:
        view = view[os.write(handle, view) :]
