"""Evaluation sets that records are compared with: files of records, and indexes made of such files.

An index is a zip file of plain arrays and the records themselves, so that their shingles are made once for many runs.
The same files and flags give the same bytes.
"""

import os
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any
from zipfile import BadZipFile, ZipFile, ZipInfo

import msgspec
import numpy as np

from dc_tools.core.errors import BadLine, CannotRun, UsageError
from dc_tools.core.lines import expand_inputs, read_lines, sha256_of
from dc_tools.core.records import Line, Struct, encode
from dc_tools.dedup.evidence import Described
from dc_tools.dedup.overlap import NgramIndex
from dc_tools.dedup.prepare import Prepared, Recipe, prepare
from dc_tools.dedup.settings import Settings, Unit
from dc_tools.dedup.text import batches, fold

FORMAT = "dc-dedup index 1"
"""Changes whenever texts are folded, cut or hashed in another way."""
PIECE = 2048
"""Texts that are read from an index at a time."""
_ARRAYS = {"keys": "<u8", "digests": "<u8", "sizes": "<i8", "origins": "<i8"}


class Header(Struct):
    """What an index says of itself."""

    format: str
    unit: Unit
    shingle: int
    ngram: int | None
    count: int
    sources: list[dict[str, str]]
    """Path and SHA-256 of each file that it was made of."""


@dataclass(frozen=True)
class References:
    """The records that others are compared with: those of indexes first, then those of files."""

    indexes: "list[Index]"
    files: list[str]

    def facts(self) -> list[dict[str, str]]:
        """Path and SHA-256 of each source, for the manifest."""
        return _sources([*(index.path for index in self.indexes), *self.files])

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
    indexes = [name for name in names if zipfile.is_zipfile(name)]
    files = [name for name in names if name not in indexes]
    if settings.index is None:
        return References([Index(name) for name in indexes], files)
    if indexes:
        raise UsageError(f"--index is made of files of records: {indexes[0]} is an index itself")
    if files and not _is_of(settings, files):
        write_index(settings.index, files, settings)
    return References([Index(settings.index)], [])


class Index:
    """An index in a file. Errors: `CannotRun` where it is none."""

    def __init__(self, path: str) -> None:
        self.path = path
        try:
            self._zip = ZipFile(path)
            self.header = msgspec.json.decode(self._zip.read("header.json"), type=Header)
        except (OSError, KeyError, BadZipFile, msgspec.MsgspecError) as error:
            raise CannotRun(f"{path}: no index of dc-dedup: {error}") from error
        if self.header.format != FORMAT:
            raise CannotRun(f"{path}: the index is of another version of dc-dedup ({self.header.format}): remove it")
        if any(name not in self._zip.namelist() for name in (*_ARRAYS, "hashes", "records.jsonl")):
            raise CannotRun(f"{path}: the index is not whole: remove it")

    def suits(self, recipe: Recipe) -> bool:
        """Whether its shingles are those of the recipe; else the records are prepared anew."""
        made_by = self.header.unit, self.header.shingle
        return made_by == (recipe.unit, recipe.shingle) and not recipe.with_bags

    def lines(self) -> Iterator[Line]:
        """The records, each with the file and line that it came from."""
        origins = self._array("origins").reshape(-1, 2).tolist()
        with self._zip.open("records.jsonl") as stream:
            for raw, (source, number) in zip(stream, origins, strict=True):
                yield Line(raw.rstrip(b"\n"), self.header.sources[source]["path"], number)

    def prepared(self) -> Iterator[Prepared]:
        """What was made of the records, some at a time."""
        keys, digests, sizes = self._array("keys"), self._array("digests"), self._array("sizes")
        with self._zip.open("hashes") as stream:
            for start in range(0, len(sizes), PIECE):
                some = slice(start, start + PIECE)
                hashes = np.frombuffer(stream.read(8 * int(sizes[some].sum())), dtype="<u8")
                yield Prepared(keys[some], digests[some], sizes[some], hashes)

    def ngrams(self) -> NgramIndex:
        """The n-grams of `header.ngram` words."""
        hashes, owners, sizes = (np.frombuffer(self._zip.read(f"ngrams.{part}"), kind) for part, kind in _NGRAMS)
        return NgramIndex(self.header.ngram or 0, hashes, owners, sizes)

    def _array(self, name: str) -> Any:
        return np.frombuffer(self._zip.read(name), dtype=_ARRAYS[name])


_NGRAMS = (("hashes", "<u8"), ("owners", "<i4"), ("sizes", "<i8"))


def write_index(path: str, files: list[str], settings: Settings) -> None:
    """Make an index of the records of `files`; whole or not at all. Errors: `CannotRun`."""
    recipe = Recipe(settings.unit, settings.shingle, 0)
    sources = _sources(files)
    numbers = {source["path"]: number for number, source in enumerate(sources)}
    origins: list[tuple[int, int]] = []
    made: list[Prepared] = []
    beside = f"{path}.{os.getpid()}.tmp"
    try:
        with ZipFile(beside, "w") as archive:
            with archive.open(_member("hashes"), "w", force_zip64=True) as stream:
                for batch in batches(_statements(files), settings.batch):
                    prepared = prepare(batch, recipe)
                    stream.write(prepared.hashes.data)
                    made.append(Prepared(prepared.keys, prepared.digests, prepared.sizes, prepared.hashes[:0]))
            with archive.open(_member("records.jsonl"), "w", force_zip64=True) as stream:
                for line in read_lines(files):
                    stream.write(line.raw + b"\n")
                    origins.append((numbers[line.file], line.number))
            for name in ("keys", "digests", "sizes"):
                archive.writestr(_member(name), b"".join(getattr(each, name).tobytes() for each in made))
            archive.writestr(_member("origins"), np.array(origins, dtype=np.int64).tobytes())
            if settings.ngram:
                ngrams = _ngrams(_described(read_lines(files)), settings.ngram)
                for name, kind in _NGRAMS:
                    archive.writestr(_member(f"ngrams.{name}"), getattr(ngrams, name).astype(kind).tobytes())
            header = Header(FORMAT, settings.unit, settings.shingle, settings.ngram, len(origins), sources)
            archive.writestr(_member("header.json"), encode(msgspec.to_builtins(header)))
        os.replace(beside, path)
    except OSError as error:
        raise CannotRun(f"--index {path}: {error.strerror or error}") from error
    finally:
        Path(beside).unlink(missing_ok=True)


def _is_of(settings: Settings, files: list[str]) -> bool:
    """Whether the index that --index names was made of `files` with the same flags."""
    if settings.index is None or not Path(settings.index).exists():
        return False
    header = Index(settings.index).header
    flags = header.unit, header.shingle, header.ngram
    return flags == (settings.unit, settings.shingle, settings.ngram) and header.sources == _sources(files)


def _sources(files: list[str]) -> list[dict[str, str]]:
    return [{"path": name, "sha256": sha256_of(name)} for name in files]


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
