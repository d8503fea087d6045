"""Files that are one JSON array: elements as they are written, whatever the blocks, and what is broken."""

import gzip
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dc_tools.core.arrays import elements, is_array
from dc_tools.core.lines import read_lines

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3), max_leaves=12,
)


def cut(data: bytes, size: int) -> list[bytes]:
    return [data[i : i + size] for i in range(0, len(data), size)]


@given(st.lists(values, max_size=6), st.integers(1, 40), st.sampled_from([None, 1, "\t"]), st.booleans())
def test_elements_are_those_of_the_array_however_it_is_cut_and_written(rows, size, indent, is_ascii):
    rows = [row for row in rows if not isinstance(row, list)]
    data = json.dumps(rows, indent=indent, ensure_ascii=is_ascii).encode("utf-8", "surrogatepass")
    found = list(elements(cut(data, size)))
    assert [json.loads(each.decode("utf-8", "surrogatepass")) for each in found] == rows
    assert not [each for each in found if b"\n" in each]


@pytest.mark.parametrize(("head", "expected"), [
    (b"[{", True), (b" [\n  {", True), (b"[]", True), (b"\xef\xbb\xbf[{", True), (b"[1, 2]", False), (b"{}", False),
    (b'["a"]', False), (b"", False), (b"[[", False),
])
def test_an_array_of_objects_is_told_from_a_line_that_is_a_list(head, expected):
    assert is_array(head) is expected


def test_an_array_that_breaks_off_gives_what_is_left_as_the_last_element():
    assert list(elements([b'[{"a":1}, {"b":', b' [1, 2'])) == [b'{"a":1}', b'{"b": [1, 2']
    assert list(elements([b'[{"a":1}, oops, {"b":2}]'])) == [b'{"a":1}', b'oops, {"b":2}]']
    assert list(elements([b"[]\n"])) == []


@pytest.mark.parametrize("suffix", ["", ".gz", ".zst"])
def test_an_array_is_read_as_rows_packed_or_not(suffix, tmp_path: Path):
    zstandard = pytest.importorskip("zstandard")
    data = json.dumps([{"id": "\u00e9", "n": i, "pad": "x" * 5000} for i in range(500)], indent=2).encode()
    packed = {"": data, ".gz": gzip.compress(data), ".zst": zstandard.compress(data)}[suffix]
    path = tmp_path / f"rows.json{suffix}"
    path.write_bytes(packed)
    lines = list(read_lines([str(path)]))
    assert [(line.number, json.loads(line.raw)["n"]) for line in lines] == [(i + 1, i) for i in range(500)]


def test_a_file_whose_first_line_is_some_list_is_read_line_by_line(tmp_path: Path):
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b'[1, 2]\n{"id": 1}\n')
    assert [line.raw for line in read_lines([str(path)])] == [b"[1, 2]", b'{"id": 1}']
