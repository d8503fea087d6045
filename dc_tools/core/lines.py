"""Reading and writing JSON lines: plain, .gz, .zst and .parquet files, folders of shards, the hub's, stdin, stdout.

Readers stream and give every line its place. Writers make files that are whole or absent: they fill a plain JSONL
partial file beside the target, which `core/outputs.py` turns into the final one.
"""

import contextlib
import gzip
import hashlib
import io
import sys
import zlib
from collections.abc import Generator, Iterable, Iterator
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO, cast

import orjson

from dc_tools.core.arrays import elements, is_array
from dc_tools.core.errors import CannotRun, missing_extra
from dc_tools.core.records import Line

GZIP_MAGIC, ZSTD_MAGIC, PARQUET_MAGIC = b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"PAR1"
SHARD_NAMES = "part-*"
ON_THE_HUB = "hf://"
UNFINISHED = {".partial", ".packing"}
JSON_COLUMNS = b"dc_json_columns"
"""Parquet metadata: names of the columns that hold JSON text of lists and objects."""
BLOCK = 1 << 20
HASHED_WHOLE = 1 << 30
ZSTD_BLOCK = 1 << 14
"""Packed bytes taken at once: little, since they may unpack to thousands of times as many."""
INT64 = range(-(1 << 63), 1 << 63)


def expand_inputs(files: list[str], quiet: bool = False) -> list[str]:
    """The files to read, in order; a folder stands for its `part-*` shards, an `hf://` name for files of a dataset.

    What is on the hub is downloaded; unless `quiet`, bars show that on a terminal. Errors: `CannotRun` for what is
    missing, `UsageError` for a name on the hub that is not clear.
    """
    found: list[str] = []
    for name in files or ["-"]:
        path = Path(name)
        if name == "-":
            found.append(name)
        elif name.startswith(ON_THE_HUB):
            from dc_tools.core.hub import files_of

            found += files_of(name, quiet)
        elif path.is_dir():
            shards = sorted(str(p) for p in path.glob(SHARD_NAMES) if p.suffix not in UNFINISHED)
            if not shards:
                raise CannotRun(f"{name}: a folder without {SHARD_NAMES} files")
            found += shards
        elif not path.exists():
            raise CannotRun(f"{name}: no such file")
        else:
            found.append(name)
    return found


def on_disk(name: str) -> str:
    """The file that an expanded input is read from: itself, or the downloaded copy of what is on the hub."""
    if not name.startswith(ON_THE_HUB):
        return name
    from dc_tools.core.hub import local_path

    return local_path(name)


def read_lines(files: list[str]) -> Iterator[Line]:
    """All non-blank lines of `files`, numbered per file and indexed over all."""
    index = 0
    for name in files:
        with contextlib.closing(_raw_lines(name)) as raw_lines:
            for number, raw in raw_lines:
                yield Line(raw, name, number, index)
                index += 1


def sha256_of(name: str) -> str:
    """Hex SHA-256 of a file's bytes as they lie on disk."""
    with _opened(name) as stream:
        return hashlib.file_digest(cast("Any", stream), "sha256").hexdigest()


def content_id(path: Path) -> str:
    """What tells one content from another: a file's SHA-256, for a folder that of its files; '' where nothing is.

    In a folder, files over 1 GiB (weights) count by size and time of change.
    """
    if path.is_file():
        return sha256_of(str(path))
    digest = hashlib.sha256()
    for each in sorted(path.rglob("*")) if path.is_dir() else []:
        if each.is_file():
            stat = each.stat()
            of_it = sha256_of(str(each)) if stat.st_size <= HASHED_WHOLE else f"{stat.st_size} {stat.st_mtime_ns}"
            digest.update(f"{each.relative_to(path)}\0{of_it}\0".encode())
    return digest.hexdigest() if path.is_dir() else ""


def _opened(name: str) -> BinaryIO:
    try:
        return sys.stdin.buffer if name == "-" else open(on_disk(name), "rb")
    except OSError as error:
        raise CannotRun(f"{name}: {error.strerror}") from error


def _raw_lines(name: str) -> Generator[tuple[int, bytes], None, None]:
    stream = _opened(name)
    try:
        buffered = stream if isinstance(stream, io.BufferedReader) else io.BufferedReader(cast("Any", stream))
        magic = buffered.peek(4)[:4]
        if magic == PARQUET_MAGIC:
            yield from _parquet_rows(buffered)
            return
        for number, raw in enumerate(_rows(buffered, magic), 1):
            text = raw.strip()
            if number == 1:
                text = text.removeprefix(b"\xef\xbb\xbf")
            if text:
                yield number, text
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise CannotRun(f"{name}: broken gzip data: {error}") from error
    except OSError as error:
        raise CannotRun(f"{name}: {error.strerror or error}") from error
    finally:
        if stream is not sys.stdin.buffer:
            stream.close()


def _rows(stream: io.BufferedReader, magic: bytes) -> Iterable[bytes]:
    """The lines of a file that may be packed; the elements where it is a JSON array."""
    if magic == ZSTD_MAGIC:
        blocks = _zstd_blocks(stream)
        first = next(blocks, b"")
        whole = chain([first], blocks)
        return elements(whole) if is_array(first) else _zstd_lines(whole)
    if magic.startswith(GZIP_MAGIC):
        stream = cast("Any", gzip.GzipFile(fileobj=stream))  # no buffer around it, which a cut file would take along
    return elements(iter(partial(stream.read1, BLOCK), b"")) if is_array(stream.peek(BLOCK)) else stream


def _zstd_lines(blocks: Iterable[bytes]) -> Iterator[bytes]:
    begun: list[bytes] = []
    for block in blocks:
        *whole, rest = block.split(b"\n")
        if whole:
            yield b"".join([*begun, whole[0]])
            yield from whole[1:]
            begun = []
        begun.append(rest)
    yield b"".join(begun)


def _zstd_blocks(stream: BinaryIO) -> Iterator[bytes]:
    """Decompressed blocks of one or more frames; the stream reader of the package takes a cut file for a whole one."""
    import zstandard

    frame: Any = None
    try:
        while packed := stream.read(ZSTD_BLOCK):
            while packed:
                frame = frame or zstandard.ZstdDecompressor().decompressobj()
                yield frame.decompress(packed)
                packed, frame = (frame.unused_data, None) if frame.eof else (b"", frame)
    except zstandard.ZstdError as error:
        raise OSError(f"broken zstd data: {error}") from error
    if frame:
        raise OSError("broken zstd data: it ends in the middle of a frame")


def _parquet_rows(stream: BinaryIO) -> Iterator[tuple[int, bytes]]:
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        raise missing_extra("pyarrow", "hf") from None
    source = stream if stream.seekable() else io.BytesIO(stream.read())
    try:
        table = pq.ParquetFile(source)
    except pa.ArrowException as error:
        raise OSError(f"broken parquet data: {error}") from error
    as_json = set(orjson.loads((table.schema_arrow.metadata or {}).get(JSON_COLUMNS, b"[]")))
    number = 0
    for batch in table.iter_batches(batch_size=256):
        for row in batch.to_pylist():
            number += 1
            values = {k: orjson.Fragment(v) if k in as_json else v for k, v in row.items() if v is not None}
            yield number, orjson.dumps(values, default=str)


def write_final(partial: Path, target: Path, stream: BinaryIO) -> None:
    """Write the JSON lines of `partial` to `stream` in the format of `target`'s suffix."""
    with partial.open("rb") as lines:
        if target.suffix == ".parquet":
            _write_parquet(lines, stream)
        elif target.suffix == ".gz":
            with gzip.GzipFile(filename="", fileobj=stream, mode="wb", mtime=0) as packed:
                _copy(lines, packed)
        elif target.suffix == ".zst":
            import zstandard

            with zstandard.ZstdCompressor(level=3).stream_writer(stream, closefd=False) as packed:
                _copy(lines, packed)
        else:
            _copy(lines, stream)


def is_plain(target: Path) -> bool:
    """Whether `target` is written as plain lines, so that its partial file can simply be renamed."""
    return target.suffix not in {".parquet", ".gz", ".zst"}


def _copy(source: BinaryIO, sink: Any) -> None:
    while block := source.read(1 << 20):
        sink.write(block)


def _write_parquet(lines: BinaryIO, stream: BinaryIO) -> None:
    """Scalars become columns of their own type where a column has one type; all else is JSON text."""
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        raise missing_extra("pyarrow", "hf") from None
    kinds: dict[str, set[type]] = {}
    for raw in lines:
        for key, value in orjson.loads(raw).items():
            fits = type(value) is not int or value in INT64
            kinds.setdefault(key, set()).add(type(value) if fits else object)
    native = {str: pa.string(), bool: pa.bool_(), int: pa.int64(), float: pa.float64()}
    types = {k: native.get(next(iter(t))) if len(t) == 1 else None for k, t in kinds.items()}
    as_json = [k for k, t in types.items() if t is None]
    schema = pa.schema(
        [pa.field(k, t if t is not None else pa.string()) for k, t in types.items()],
        metadata={JSON_COLUMNS: orjson.dumps(as_json)},
    )
    lines.seek(0)
    with pq.ParquetWriter(stream, schema, compression="zstd") as writer:
        batch: list[dict[str, Any]] = []
        for raw in lines:
            row = orjson.loads(raw)
            batch.append({k: orjson.dumps(v).decode() if types[k] is None else v for k, v in row.items()})
            if len(batch) == 1000:
                writer.write_table(pa.Table.from_pylist(batch, schema=schema))
                batch = []
        if batch:
            writer.write_table(pa.Table.from_pylist(batch, schema=schema))
