"""Reading and writing lines in every format, whole, cut and empty."""

import gzip
import io
import sys
from pathlib import Path

import orjson
import pytest
import zstandard
from processes import run

from dc_tools.core.errors import CannotRun
from dc_tools.core.lines import expand_inputs, read_lines, sha256_of, write_final

DEMO = Path(__file__).with_name("demo.py")
ROWS = [{"id": f"p{i}", "value": i, "tests": [{"input": str(i), "output": ""}]} for i in range(5)]
TEXT = b"".join(orjson.dumps(row) + b"\n" for row in ROWS)


def read(path: Path) -> list[dict]:
    return [orjson.loads(line.raw) for line in read_lines([str(path)])]


def packed(kind: str) -> bytes:
    half = len(TEXT.splitlines(keepends=True)[0])
    if kind == "plain":
        return TEXT
    if kind == "gz":
        return gzip.compress(TEXT)
    if kind == "gz of two members":
        return gzip.compress(TEXT[:half]) + gzip.compress(TEXT[half:])
    if kind == "zst":
        return zstandard.compress(TEXT)
    if kind == "zst of two frames":
        return zstandard.compress(TEXT[: half + 7]) + zstandard.compress(TEXT[half + 7 :])
    stream = io.BytesIO()
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.Table.from_pylist(ROWS), stream)
    return stream.getvalue()


KINDS = ["plain", "gz", "gz of two members", "zst", "zst of two frames", "parquet"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_is_read_by_its_magic_whatever_its_name(kind, tmp_path):
    path = tmp_path / "input.anything"
    path.write_bytes(packed(kind))
    assert read(path) == ROWS


@pytest.mark.parametrize("kind", KINDS)
def test_stdin_is_read_by_its_magic(kind):
    done = run([sys.executable, DEMO, "-q"], packed(kind))
    assert (done.code, done.err) == (0, "")
    assert [orjson.loads(line)["double"] for line in done.lines] == [0, 2, 4, 6, 8]


@pytest.mark.parametrize("kind", ["gz", "zst"])
@pytest.mark.parametrize("kept", [0.5, 0.95])
def test_a_cut_file_cannot_be_run_and_is_named(kind, kept, tmp_path):
    path = tmp_path / "cut"
    data = packed(kind)
    path.write_bytes(data[: int(len(data) * kept)])
    with pytest.raises(CannotRun, match=rf"^{path}: broken {'gzip' if kind == 'gz' else 'zstd'} data"):
        read(path)


def test_a_zstd_file_cut_between_blocks_is_not_taken_for_whole(tmp_path):
    context = zstandard.ZstdCompressor().compressobj()
    begun = context.compress(TEXT) + context.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK)
    path = tmp_path / "cut.zst"
    path.write_bytes(begun)
    with pytest.raises(CannotRun, match="ends in the middle"):
        read(path)


def test_broken_parquet_is_named(tmp_path):
    path = tmp_path / "x.parquet"
    path.write_bytes(packed("parquet")[:-9])
    with pytest.raises(CannotRun, match=rf"^{path}: broken parquet data"):
        read(path)


def test_blank_lines_a_mark_and_a_missing_last_newline_change_only_line_numbers(tmp_path):
    path = tmp_path / "odd.jsonl"
    path.write_bytes(b'\xef\xbb\xbf{"a":1}\r\n\n   \n\t{"a":2}  \n{"a":3}')
    lines = list(read_lines([str(path)]))
    assert [(line.number, line.index, line.raw) for line in lines] == [
        (1, 0, b'{"a":1}'), (4, 1, b'{"a":2}'), (5, 2, b'{"a":3}'),
    ]


@pytest.mark.parametrize("content", [b"", b"\n\n", b"\xef\xbb\xbf", gzip.compress(b""), zstandard.compress(b"")])
def test_files_without_records_have_no_lines(content, tmp_path):
    path = tmp_path / "empty"
    path.write_bytes(content)
    assert read(path) == []


def test_numbers_start_anew_in_each_file_and_indices_do_not(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).write_bytes(b"1\n2\n")
    lines = list(read_lines([str(tmp_path / "a"), str(tmp_path / "b")]))
    assert [(Path(line.file).name, line.number, line.index) for line in lines] == [
        ("a", 1, 0), ("a", 2, 1), ("b", 1, 2), ("b", 2, 3),
    ]


def test_a_folder_stands_for_its_finished_shards_in_order(tmp_path):
    for name in ("part-00001.jsonl", "part-00000.jsonl", "part-00002.jsonl.partial", "manifest.json"):
        (tmp_path / name).write_text("1\n")
    assert [Path(name).name for name in expand_inputs([str(tmp_path)])] == ["part-00000.jsonl", "part-00001.jsonl"]


def test_what_is_missing_is_named(tmp_path):
    with pytest.raises(CannotRun, match="no-such: no such file"):
        expand_inputs([str(tmp_path / "no-such")])
    with pytest.raises(CannotRun, match="a folder without part-"):
        expand_inputs([str(tmp_path)])


def test_a_line_of_ten_megabytes_is_one_line_in_every_format(tmp_path):
    long = b'{"a":"' + b"x" * 10_000_000 + b'"}'
    for name, data in [("plain", long), ("gz", gzip.compress(long, 1)), ("zst", zstandard.compress(long))]:
        (tmp_path / name).write_bytes(data + (b"\n" if name == "plain" else b""))
        assert [line.raw for line in read_lines([str(tmp_path / name)])] == [long]


@pytest.mark.parametrize("suffix", ["", ".gz", ".zst", ".parquet"])
def test_what_is_written_is_read_again_with_every_value(suffix, tmp_path):
    rows = [
        {"id": "a", "n": 1, "f": 1.5, "b": True, "text": "é\n", "list": [1, {"x": None}], "mixed": "1", "none": None},
        {"id": "b", "n": 2, "f": 2.5, "b": False, "text": "", "mixed": 1, "big": 2**80, "none": None},
    ]
    partial, target = tmp_path / "partial", tmp_path / f"out.jsonl{suffix}"
    import json

    partial.write_text("".join(json.dumps(row) + "\n" for row in rows))
    with target.open("wb") as stream:
        write_final(partial, target, stream)
    read_back = [json.loads(line.raw) for line in read_lines([str(target)])]
    assert read_back == rows


def test_packed_files_hold_no_time_so_that_equal_lines_give_equal_bytes(tmp_path):
    partial = tmp_path / "partial"
    partial.write_bytes(TEXT)
    for suffix in ("gz", "zst", "parquet"):
        made = []
        for name in ("a", "b"):
            with (tmp_path / f"{name}.{suffix}").open("wb") as stream:
                write_final(partial, tmp_path / f"{name}.{suffix}", stream)
            made.append(sha256_of(str(tmp_path / f"{name}.{suffix}")))
        assert made[0] == made[1], suffix
