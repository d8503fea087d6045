"""Packed payloads: what datasets write is read; what would run, grow or hang is refused with its reason."""

import base64
import io
import os
import pickle
import random
import tracemalloc
import zlib
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from dc_tools.curate.reading.unpack import (
    MOST_UNPACKED,
    DataUnpickler,
    Unreadable,
    inflated,
    read_json,
    unpacked,
    unpickled,
)
from dc_tools.curate.reasons import Reason


def packed(value: Any, protocol: int = pickle.DEFAULT_PROTOCOL) -> str:
    return base64.b64encode(zlib.compress(pickle.dumps(value, protocol))).decode()


def refused(text: str) -> tuple[Reason, str]:
    with pytest.raises(Unreadable) as caught:
        unpacked(text, "tests")
    return caught.value.refusal.reason, caught.value.refusal.detail


def of_pickle(data: bytes) -> tuple[Reason, str]:
    return refused(base64.b64encode(zlib.compress(data)).decode())


class Command:
    """Unpickled by any other unpickler, it runs a command."""

    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (self.command,)


@pytest.mark.parametrize("protocol", [1, 2, 3, 4, 5])
def test_strings_and_dicts_of_strings_are_read_in_all_binary_protocols(protocol: int) -> None:
    for value in ("", "[1]", "é\u2028" * 300, "x" * 100_000, {"input_output": "{}", "b": None}):
        assert unpacked(f" {packed(value, protocol)}\n", "tests") == value


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_pickle_with_a_command_is_refused_and_not_run(protocol: int, tmp_path: Path) -> None:
    trace = tmp_path / "ran"
    for value in (Command(f"touch {trace}"), {"input_output": Command(f"touch {trace}")}):
        reason, detail = refused(packed(value, protocol))
        assert reason is Reason.UNSAFE_PAYLOAD
        assert "a pickle that does more than hold strings: " in detail
    assert not trace.exists()


def test_the_detail_names_what_a_pickle_asks_for() -> None:
    assert of_pickle(b"cos\nsystem\n(S'true'\ntR.")[1].endswith("does more than hold strings: GLOBAL os system")


@pytest.mark.parametrize(
    "data",
    [
        b"]q\x00" + b"(h\x00h\x00h\x00h\x00e]q\x00h\x00a" * 30 + b".",  # lists of lists of lists
        b"X\x01\x00\x00\x00ar\xff\xff\xff\xff.",  # a place in memory with the number 2**32 - 1
        b"\x80\x04" + b"}" * 2000 + b".",
        b"\x8a\xff" + b"\xff" * 255 + b".",
        b"(lp0\nI1\na.",
        b"\x82\x01.",
        b"P0\n.",
    ],
)
def test_pickles_that_would_grow_or_hold_other_things_are_unsafe(data: bytes) -> None:
    assert of_pickle(data)[0] is Reason.UNSAFE_PAYLOAD


@pytest.mark.parametrize(
    "data",
    [
        b"", b"X\xff\xff\xff\x7fabc.", b"\x80\x04\x95\xff\xff\xff\xff\xff\xff\xff\x7f.", b"\x80\x63N.", b"\xff",
        b"\x8d\xff\xff\xff\xff\xff\xff\xff\x7fa.", b"s.", b"}}}s.", b"X\x01\x00\x00\x00\xff.", b"N",
    ],
)  # fmt: skip
def test_a_broken_pickle_is_a_parse_error(data: bytes) -> None:
    assert of_pickle(data)[0] is Reason.PARSE_ERROR


def test_a_gigabyte_in_a_megabyte_is_refused_and_never_in_memory() -> None:
    packer = zlib.compressobj(9)
    mebibyte = packer.compress(bytes(1 << 20)) + packer.flush(zlib.Z_FULL_FLUSH)
    bomb = mebibyte[:2] + mebibyte[2:] * 1024
    assert len(bomb) < 1_200_000
    tracemalloc.start()
    try:
        reason, detail = refused(base64.b64encode(bomb).decode())
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert reason is Reason.UNSAFE_PAYLOAD
    assert detail == f"tests: {len(bomb)} bytes of zlib unpack to more than {MOST_UNPACKED}"
    assert peak < MOST_UNPACKED + (8 << 20)


def test_the_bound_itself_is_allowed() -> None:
    data = bytes(range(256)) * 16384
    assert inflated(zlib.compress(data), "tests", len(data)) == data
    with pytest.raises(Unreadable, match="unpack to more than 4194303"):
        inflated(zlib.compress(data), "tests", len(data) - 1)


def test_every_way_to_cut_a_payload_is_a_parse_error() -> None:
    whole = packed('[{"input": "1", "output": "2"}]')
    for length in range(len(whole)):
        assert refused(whole[:length])[0] is Reason.PARSE_ERROR


def test_damaged_pickles_give_data_or_a_reason_and_nothing_else() -> None:
    rng = random.Random(0)
    whole = pickle.dumps({"input_output": "abc", "x": "y" * 300})
    outcomes: Counter[str] = Counter()
    for _ in range(3000):
        data = bytearray(whole)
        for _ in range(rng.randint(1, 4)):
            data[rng.randrange(len(data))] = rng.randrange(256)
        try:
            value = unpickled(bytes(data), "tests")
            assert value is None or isinstance(value, str | dict)
            outcomes["read"] += 1
        except Unreadable as error:
            outcomes[error.refusal.reason.value] += 1
    assert set(outcomes) == {"read", "parse_error", "unsafe_payload"}


@pytest.mark.parametrize("text", ["", "x", "é", "AAAA", "not base64!", "e" * 4001])
def test_what_is_not_packed_at_all_is_a_parse_error(text: str) -> None:
    assert refused(text)[0] is Reason.PARSE_ERROR


@pytest.mark.parametrize("data", [b"cos\nsystem\n.", b"\x80\x04\x8c\x02os\x8c\x06system\x93.", b"Pouter\n."])
def test_the_unpickler_itself_knows_no_class_either(data: bytes) -> None:
    with pytest.raises(Unreadable, match=r"asks for (os\.system|an outside object)"):
        DataUnpickler(io.BytesIO(data), "tests").load()


@pytest.mark.parametrize("text", ["", "[", "[1]", '["\\ud800"]', "[" * 100_000, '{"a": 1}', "[NaN]"])
def test_json_of_another_type_or_none_is_a_parse_error(text: str) -> None:
    with pytest.raises(Unreadable) as caught:
        read_json(text, list[str], "tests")
    assert caught.value.refusal.reason is Reason.PARSE_ERROR
    assert caught.value.refusal.detail.startswith("tests: ")
