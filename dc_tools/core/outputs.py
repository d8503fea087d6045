"""Outputs that are whole or absent, and that a killed run can go on with.

Lines gather in a plain `F.partial`; a journal beside it says, after each flush, how many input lines are fully
accounted for and how long each partial file then was. Going on means cutting every partial file back to the last
journal entry and skipping the inputs it covers. A full disk ends the run; what was flushed before stays.
"""

import contextlib
import fcntl
import os
import re
import stat
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson

from dc_tools.core.errors import CannotRun, UsageError
from dc_tools.core.lines import is_plain, write_final
from dc_tools.core.targets import is_stream, resolved

FLUSH_BYTES = 1 << 16
FLUSH_SECONDS = 0.5
SHARD = re.compile(r"part-\d{5,}\.jsonl\.zst(\.partial|\.packing)?")


class PipeClosed(Exception):
    """Whoever read our output has gone."""


class StreamSink:
    """Standard output, a pipe or a device: written straight through, never resumed."""

    resumable = False

    def __init__(self, target: str) -> None:
        self.name = "stdout" if target == "-" else target
        if target == "-" and sys.stdout is None:
            raise CannotRun("stdout is closed: use -o FILE")
        self._fd = os.dup(sys.stdout.fileno()) if target == "-" else _open_fd(target)
        self._buffer = bytearray()

    def write(self, line: bytes) -> None:
        """Add one line."""
        self._buffer += line
        self._buffer += b"\n"

    @property
    def pending(self) -> int:
        """Bytes not yet handed to the system."""
        return len(self._buffer)

    def flush(self) -> list[int]:
        """Hand all lines to the system."""
        view = memoryview(bytes(self._buffer))
        self._buffer.clear()
        try:
            while view:
                view = view[os.write(self._fd, view) :]
        except BrokenPipeError:
            raise PipeClosed from None
        except OSError as error:
            raise CannotRun(f"{self.name}: {error.strerror}") from error
        return []

    def restore(self, state: list[int]) -> None:
        """Nothing can be taken back."""

    def commit(self) -> None:
        """Flush."""
        self.flush()

    def discard(self) -> None:
        """Nothing to remove."""


class FileSink:
    """A file, or a folder of shards of `shard_records` lines each, that appears when it is whole."""

    resumable = True

    def __init__(self, target: Path, shard_records: int | None = None) -> None:
        self.target = target
        self.shard_records = shard_records
        self._shard, self._offset, self._in_shard = 0, 0, 0
        self._buffer = bytearray()
        self._fd: int | None = None

    @property
    def pending(self) -> int:
        """Bytes not yet handed to the system."""
        return len(self._buffer)

    @property
    def path(self) -> Path:
        """The file being filled, under its final name."""
        if self.shard_records is None:
            return self.target
        return self.target / f"part-{self._shard:05d}.jsonl.zst"

    def write(self, line: bytes) -> None:
        """Add one line; a full shard is finished at once."""
        self._buffer += line
        self._buffer += b"\n"
        self._in_shard += 1
        if self.shard_records is not None and self._in_shard >= self.shard_records:
            self.flush()
            self._finish()
            self._shard, self._offset, self._in_shard = self._shard + 1, 0, 0

    def flush(self) -> list[int]:
        """Hand all lines to the system; returns the state that `restore` takes."""
        if self.shard_records is not None and not self._buffer:
            return [self._shard, self._offset, self._in_shard]
        with disk(self.path):
            if self._fd is None:
                self._fd = os.open(_partial(self.path), os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o666)
                _lock(self._fd, self.path)
                os.ftruncate(self._fd, self._offset)
            written = 0  # at its own place, so that a flush cut short by a signal can be done again
            while written < len(self._buffer):
                written += os.pwrite(self._fd, self._buffer[written:], self._offset + written)
        self._offset += len(self._buffer)
        self._buffer.clear()
        return [self._shard, self._offset, self._in_shard]

    def restore(self, state: list[int]) -> None:
        """Go on from a flushed state; later lines and shards are cut off."""
        self._shard, self._offset, self._in_shard = state
        partial = _partial(self.path)
        if self.shard_records is not None and not partial.exists() and self.path.exists():
            _unpack(self.path, partial)
        if self._offset and (not partial.exists() or partial.stat().st_size < self._offset):
            raise CannotRun(f"{partial}: shorter than its journal says; start over with --force")

    def commit(self) -> None:
        """Make the output appear under its own name."""
        if self.shard_records is None or self._in_shard:
            self.flush()
            self._finish()

    def finish_commit(self, state: list[int]) -> None:
        """Complete a commit that was cut short between its renames; `state` is that of the last flush."""
        self._shard, self._offset, self._in_shard = state
        if _partial(self.path).exists():
            self._finish()

    def discard(self) -> None:
        """Remove what an earlier, unfinished run left."""
        if self.shard_records is None:
            sweep(self.target)
        else:
            for part in self.target.iterdir():
                if SHARD.fullmatch(part.name):
                    part.unlink()
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def _finish(self) -> None:
        partial, final = _partial(self.path), self.path
        with disk(final):
            if self._fd is None:
                self._fd = os.open(partial, os.O_RDWR)
            if is_plain(final):
                os.fsync(self._fd)
                partial.replace(final)
            else:
                packed = final.with_name(f"{final.name}.packing")
                with packed.open("wb") as stream:
                    write_final(partial, final, stream)
                    stream.flush()
                    os.fsync(stream.fileno())
                packed.replace(final)
                partial.unlink()
            os.close(self._fd)
            self._fd = None


Sink = StreamSink | FileSink


class Journal:
    """The account of a run in progress, locked so that two runs cannot fill one output."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with disk(path):
            self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        _lock(self._fd, path)

    def read(self) -> tuple[dict[str, Any] | None, dict[str, Any] | None]:
        """The earlier run's fingerprint and its last whole entry, where there are any."""
        whole = os.pread(self._fd, os.fstat(self._fd).st_size, 0).split(b"\n")[:-1]
        if not whole:
            return None, None
        os.lseek(self._fd, sum(len(line) + 1 for line in whole), os.SEEK_SET)
        os.ftruncate(self._fd, os.lseek(self._fd, 0, os.SEEK_CUR))
        try:
            return orjson.loads(whole[0]), orjson.loads(whole[-1]) if len(whole) > 1 else None
        except ValueError:
            raise CannotRun(f"{self.path}: not a journal of ours; --force starts over") from None

    def start(self, fingerprint: dict[str, Any]) -> None:
        """Begin a new account."""
        os.ftruncate(self._fd, 0)
        os.lseek(self._fd, 0, os.SEEK_SET)
        self.add(fingerprint)

    def add(self, entry: dict[str, Any]) -> None:
        """Append one entry."""
        with disk(self.path):
            os.write(self._fd, orjson.dumps(entry, default=str) + b"\n")

    def remove(self) -> None:
        """The output is whole: the account is closed."""
        self.path.unlink(missing_ok=True)
        os.close(self._fd)


class Outputs:
    """The named outputs of one run, flushed, journalled and committed together."""

    def __init__(self, sinks: dict[str, Sink], journal: Journal | None) -> None:
        self.sinks = sinks
        self.journal = journal
        self._flushed_at = time.monotonic()
        self._gathered = 0

    def write(self, name: str, line: bytes) -> None:
        """Add one line to the output called `name`, where the run has it."""
        if name in self.sinks:
            self.sinks[name].write(line)
            self._gathered += len(line)

    def due(self) -> bool:
        """Whether enough has gathered, or long enough ago, to flush."""
        return self._gathered > FLUSH_BYTES or time.monotonic() - self._flushed_at > FLUSH_SECONDS

    def flush(self, account: dict[str, Any]) -> None:
        """Flush all, then journal `account` together with the states of the sinks."""
        states = {name: sink.flush() for name, sink in self.sinks.items()}
        if self.journal:
            self.journal.add({**account, "sinks": states})
        self._flushed_at = time.monotonic()
        self._gathered = 0

    def restore(self, entry: dict[str, Any]) -> None:
        """Cut every output back to a journal entry."""
        for name, sink in self.sinks.items():
            state = entry["sinks"].get(name)
            if state:
                sink.restore(state)

    def discard(self) -> None:
        """Remove what an earlier, unfinished run left."""
        for sink in self.sinks.values():
            sink.discard()

    def finish_commit(self, entry: dict[str, Any]) -> None:
        """Complete the commit that `entry` began."""
        for name, state in entry["sinks"].items():
            sink = self.sinks[name]
            if isinstance(sink, FileSink):
                sink.finish_commit(state)

    def commit(self, account: dict[str, Any]) -> None:
        """Make every output whole, the main one last."""
        self.flush({**account, "done": True})
        for name in sorted(self.sinks, key=lambda name: name == "output"):
            self.sinks[name].commit()


def sink_for(target: str, shard_records: int | None = None) -> Sink:
    """The sink for a `-o` style target. Errors: `UsageError`, `CannotRun`."""
    if target == "":
        raise UsageError("an output's name is empty")
    if is_stream(target):
        return StreamSink(target)
    path = resolved(target)
    if target.endswith("/") or path.is_dir():
        if shard_records is None:
            raise UsageError(f"{target}: a folder needs --shard-records N")
        with disk(path):
            path.mkdir(parents=True, exist_ok=True)
        return FileSink(path, shard_records)
    if shard_records is not None:
        raise UsageError("--shard-records needs -o FOLDER/")
    if not path.parent.is_dir():
        raise CannotRun(f"{target}: the folder {Path(target).parent} does not exist")
    return FileSink(path)


def sweep(target: Path) -> None:
    """Remove the temporary files of a killed write of `target`."""
    for suffix in (".partial", ".packing"):
        target.with_name(target.name + suffix).unlink(missing_ok=True)


def _lock(fd: int, path: Path) -> None:
    """Hold a file for this process alone. Errors: `CannotRun`."""
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        raise CannotRun(f"{path}: another run is writing this output") from None


def _partial(path: Path) -> Path:
    return path.with_name(f"{path.name}.partial")


def _unpack(packed: Path, partial: Path) -> None:
    from dc_tools.core.lines import read_lines

    unpacking = packed.with_name(f"{packed.name}.packing")
    with unpacking.open("wb") as stream:
        for line in read_lines([str(packed)]):
            stream.write(line.raw + b"\n")
    unpacking.replace(partial)
    packed.unlink()


def _open_fd(target: str) -> int:
    try:
        mode = os.stat(target).st_mode
        flags = os.O_WRONLY | (0 if stat.S_ISFIFO(mode) or stat.S_ISCHR(mode) else os.O_CREAT)
        return os.open(target, flags)
    except OSError as error:
        raise CannotRun(f"{target}: {error.strerror}") from error


@contextlib.contextmanager
def disk(path: Path) -> Iterator[None]:
    """What the disk refuses of `path` is a `CannotRun`."""
    try:
        yield
    except OSError as error:
        raise CannotRun(f"{path}: {error.strerror or error}") from error
