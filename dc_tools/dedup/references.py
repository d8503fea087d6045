"""Evaluation sets that records are compared with: files of records, and indexes made of such files.

An index is a zip file of plain arrays and the records themselves, so that their shingles are made once for many runs.
The same files and flags give the same bytes. It appears when it is whole; of runs that want one index at once, one
makes it and the others wait.
"""

import contextlib
import fcntl
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import IO, Any
from zipfile import BadZipFile, ZipFile, ZipInfo

import msgspec
import numpy as np

from dc_tools.core.errors import BadLine, CannotRun, UsageError
from dc_tools.core.lines import expand_inputs, on_disk, read_lines, sha256_of
from dc_tools.core.records import Line, Struct, encode
from dc_tools.core.targets import resolved
from dc_tools.dedup.evidence import Described
from dc_tools.dedup.overlap import NgramIndex
from dc_tools.dedup.prepare import Batch, Prepared, Recipe, prepare
from dc_tools.dedup.settings import Settings, Unit
from dc_tools.dedup.text import batches, fold

FORMAT = "dc-dedup index 1"
"""Changes whenever texts are folded, cut or hashed in another way."""
MAGIC = b"PK\x03\x04"
"""What an index begins with, also one that was cut; no record does."""
PIECE = 2048
"""Texts that are read from an index at a time."""
_ARRAYS = {"keys": "<u8", "digests": "<u8", "sizes": "<i8", "origins": "<i8"}


Source = dict[str, str]
"""Path and SHA-256 of a file."""


class Named(Struct):
    """What every version of an index says of itself."""

    format: str


class Header(Named):
    """What it was made of, and how."""

    unit: Unit
    shingle: int
    ngram: int | None
    sources: list[Source]


@dataclass(frozen=True)
class References:
    """The records that others are compared with: those of indexes first, then those of files."""

    indexes: "list[Index]"
    files: list[str]

    def facts(self) -> list[dict[str, Any]]:
        """Path and SHA-256 of each source, for the manifest; of an index also of the files that it was made of."""
        indexes = ({**source_of(index.path), "made_of": index.header.sources} for index in self.indexes)
        return [*indexes, *map(source_of, self.files)]

    def suiting(self, recipe: Recipe) -> "list[Index]":
        """The indexes that need no preparing. They come first in the numbering of references."""
        return [index for index in self.indexes if index.suits(recipe)]

    def unprepared(self, recipe: Recipe) -> Iterator[tuple[Line, Described]]:
        """The records of the other indexes and of the files."""
        suiting = self.suiting(recipe)
        for index in self.indexes:
            if index not in suiting:
                yield from _described(index.lines())
        yield from _described(read_lines(self.files))

    def ngrams(self, n: int, recipe: Recipe) -> NgramIndex:
        """Their n-grams: from an index, where it is alone and has them."""
        if len(self.indexes) == 1 and not self.files and self.indexes[0].header.ngram == n:
            return self.indexes[0].ngrams()
        prepared = (found for index in self.suiting(recipe) for found in _described(index.lines()))
        return _ngrams(chain(prepared, self.unprepared(recipe)), n)


def open_references(settings: Settings) -> References:
    """What --against names; with --index that index, made anew where it is missing or not of these files and flags.

    Errors: `UsageError`, `CannotRun`.
    """
    if "-" in settings.against:
        raise UsageError("--against reads files, not stdin")
    names = expand_inputs(list(settings.against)) if settings.against else []
    indexes = [name for name in names if is_index(name)]
    files = [name for name in names if name not in indexes]
    pipes = [name for name in files if not Path(on_disk(name)).is_file()]
    if pipes and (settings.ngram or settings.index is not None):
        raise UsageError(f"--against {pipes[0]}: --ngram and --index read it twice, and it is no regular file")
    if settings.index is None:
        return References([Index(name) for name in indexes], files)
    if indexes:
        raise UsageError(f"--index is made of files of records: {indexes[0]} is an index itself")
    return References([_index_of(files, settings.index, settings) if files else Index(settings.index)], [])


def is_index(name: str) -> bool:
    """Whether a file is an index, or what is left of one."""
    path = Path(on_disk(name))
    with contextlib.suppress(OSError):  # whoever reads it will say so
        if path.is_file():
            with path.open("rb") as stream:
                return stream.read(len(MAGIC)) == MAGIC
    return False


class Index:
    """An index in a file. Errors, at any time: `CannotRun` where it is none or broken."""

    def __init__(self, path: str, lying_at: str | None = None) -> None:
        """`lying_at` is where it still lies, before it appears as `path`."""
        self.path = path
        with _sound(path):
            self._zip = ZipFile(lying_at or path)
            header = self._zip.read("header.json")
            version = msgspec.json.decode(header, type=Named).format
            if version != FORMAT:
                raise CannotRun(f"{path}: the index is of another version of dc-dedup ({version}): make it anew")
            self.header = msgspec.json.decode(header, type=Header)

    def suits(self, recipe: Recipe) -> bool:
        """Whether its shingles are those of the recipe; else the records are prepared anew."""
        made_by = self.header.unit, self.header.shingle
        return made_by == (recipe.unit, recipe.shingle) and not recipe.with_bags

    def lines(self) -> Iterator[Line]:
        """The records, each with the file and line that it came from."""
        origins = self._array("origins").reshape(-1, 2).tolist()
        with _sound(self.path), self._zip.open("records.jsonl") as stream:
            for raw, (source, number) in zip(stream, origins, strict=True):
                yield Line(raw.rstrip(b"\n"), self.header.sources[source]["path"], number)

    def prepared(self) -> Iterator[Prepared]:
        """What was made of the records, some at a time."""
        keys, digests, sizes = self._array("keys"), self._array("digests"), self._array("sizes")
        with _sound(self.path), self._zip.open("hashes") as stream:
            for start in range(0, len(sizes), PIECE):
                some = slice(start, start + PIECE)
                hashes = np.frombuffer(stream.read(8 * int(sizes[some].sum())), dtype="<u8")
                yield Prepared(keys[some], digests[some], sizes[some], hashes)

    def ngrams(self) -> NgramIndex:
        """The n-grams of `header.ngram` words."""
        hashes, owners, sizes = (self._array(f"ngrams.{part}", kind) for part, kind in _NGRAMS)
        return NgramIndex(self.header.ngram or 0, hashes, owners, sizes)

    def _array(self, name: str, kind: str | None = None) -> Any:
        with _sound(self.path):
            return np.frombuffer(self._zip.read(name), dtype=kind or _ARRAYS[name])


_NGRAMS = (("hashes", "<u8"), ("owners", "<i4"), ("sizes", "<i8"))


@contextlib.contextmanager
def _sound(path: str) -> Iterator[None]:
    """Errors: `CannotRun` for whatever shows that an index is none or broken; each member has a checksum."""
    try:
        yield
    except (OSError, KeyError, ValueError, BadZipFile, msgspec.MsgspecError) as error:
        raise CannotRun(f"{path}: no index of dc-dedup, or a broken one: {error}") from error


def _index_of(files: list[str], path: str, settings: Settings) -> Index:
    """The index in `path`, where it is of these files and flags, else a new one. Errors: `CannotRun`."""
    wanted = Header(FORMAT, settings.unit, settings.shingle, settings.ngram, list(map(source_of, files)))
    target = resolved(path)
    beside = str(target.with_name(f"{target.name}.partial"))
    index = _known(path, wanted)
    if index:
        return index
    try:
        with _alone(beside) as stream:
            index = _known(path, wanted)
            if index is None:
                write_index(stream, files, wanted, settings.batch)
                os.fsync(stream.fileno())
                index = Index(path, beside)
                os.replace(beside, target)
            return index
    except OSError as error:
        raise CannotRun(f"--index {path}: {error.strerror or error}") from error


def _known(path: str, wanted: Header) -> Index | None:
    """The index in `path`, where it is the one that is wanted."""
    if not os.path.exists(path):
        return None
    index = Index(path)
    return index if index.header == wanted else None


@contextlib.contextmanager
def _alone(name: str) -> Iterator[IO[bytes]]:
    """An empty file that no other process has; waits for one that does. It is gone afterwards unless it was renamed."""
    while True:
        with os.fdopen(os.open(name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666), "r+b") as stream:
            fcntl.flock(stream, fcntl.LOCK_EX)
            if not _is_called(stream, name):
                continue
            try:
                stream.truncate()
                yield stream
            finally:
                if _is_called(stream, name):
                    os.unlink(name)
            return


def _is_called(stream: IO[bytes], name: str) -> bool:
    """Whether the open file is still what the name stands for."""
    with contextlib.suppress(FileNotFoundError):
        return os.path.samestat(os.fstat(stream.fileno()), os.stat(name))
    return False


def write_index(stream: IO[bytes], files: list[str], header: Header, batch: int) -> None:
    """Write an index of the records of `files`, shingled `batch` at a time. Errors: `CannotRun`, `OSError`."""
    recipe = Recipe(header.unit, header.shingle, 0)
    numbers = {source["path"]: number for number, source in enumerate(header.sources)}
    origins: list[tuple[int, int]] = []
    made: list[Prepared] = []
    with ZipFile(stream, "w") as archive:
        with archive.open(_member("hashes"), "w", force_zip64=True) as member:
            for statements in batches(_statements(files), batch):
                prepared = prepare(Batch(statements), recipe)
                member.write(prepared.hashes.data)
                made.append(Prepared(prepared.keys, prepared.digests, prepared.sizes, prepared.hashes[:0]))
        with archive.open(_member("records.jsonl"), "w", force_zip64=True) as member:
            for line in read_lines(files):
                member.write(line.raw + b"\n")
                origins.append((numbers[line.file], line.number))
        for name in ("keys", "digests", "sizes"):
            archive.writestr(_member(name), b"".join(getattr(each, name).tobytes() for each in made))
        archive.writestr(_member("origins"), np.array(origins, dtype=np.int64).tobytes())
        if header.ngram:
            ngrams = _ngrams(_described(read_lines(files)), header.ngram)
            for name, kind in _NGRAMS:
                archive.writestr(_member(f"ngrams.{name}"), getattr(ngrams, name).astype(kind).tobytes())
        archive.writestr(_member("header.json"), encode(msgspec.to_builtins(header)))


def source_of(name: str) -> Source:
    """A file's path and SHA-256; '' for what cannot be read again."""
    return {"path": name, "sha256": sha256_of(name) if Path(on_disk(name)).is_file() else ""}


def _described(lines: Iterable[Line]) -> Iterator[tuple[Line, Described]]:
    """Errors: `CannotRun` for a file that cannot be read and a line that is no record."""
    for line in lines:
        try:
            yield line, line.decode(Described)
        except BadLine as error:
            raise CannotRun(f"--against {line.file}:{line.number}: {error.error}") from None


def _statements(files: list[str]) -> Iterator[str]:
    return (described.statement for _, described in _described(read_lines(files)))


def _ngrams(records: Iterable[tuple[Line, Described]], n: int) -> NgramIndex:
    statements = (fold(described.statement) for _, described in records)
    return NgramIndex.build(batches(statements, PIECE), n)


def _member(name: str) -> ZipInfo:
    """A member without the time of day."""
    return ZipInfo(name)
