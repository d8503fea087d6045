"""Text that should hold data is read without running it, whatever it holds; sizes and depths are bounded."""

import json
import math
import time
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dc_tools.curate.reading import literals
from dc_tools.curate.reading.literals import read_data, read_strings
from dc_tools.curate.reading.unpack import Unreadable
from dc_tools.curate.reasons import Reason

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner) | st.tuples(inner, inner),
    max_leaves=20,
)


def refusal_of(text: str) -> tuple[Reason, str]:
    with pytest.raises(Unreadable) as caught:
        read_data(text, "input_output")
    assert caught.value.refusal.detail.startswith("input_output: ")
    return caught.value.refusal.reason, caught.value.refusal.detail


@given(VALUES)
def test_what_repr_writes_is_read_back(value: Any) -> None:
    assert read_data(repr(value), "x") == value


@given(VALUES)
def test_what_json_writes_is_read_back(value: Any) -> None:
    assert read_data(json.dumps(value), "x") == json.loads(json.dumps(value))


def test_json_is_tried_before_python() -> None:
    assert read_data('{"a": [true, null, 1e3, "\\u00e9"]}', "x") == {"a": [True, None, 1000.0, "é"]}
    assert math.isnan(read_data('{"a": NaN}', "x")["a"])


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("{'a': 'it\\'s', \"b\": \"x'y\"}", {"a": "it's", "b": "x'y"}),
        ("['1\\n2', 'a\\\\b', '\\x41', 'True']", ["1\n2", "a\\b", "A", "True"]),
        ("{1: (2,), 'k': {3}}", {1: (2,), "k": {3}}),
        ("['a' 'b', '''c\nd''', b'e', r'\\d', 0x10, 1_000, .5, +1, -2, 1+2j]",
         ["ab", "c\nd", b"e", "\\d", 16, 1000, 0.5, 1, -2, 1 + 2j]),
        ("  {'a': 1} # note", {"a": 1}),
        ("{'a': [1,], }", {"a": [1]}),
        ("'\\ud800'", "\ud800"),
    ],
)  # fmt: skip
def test_every_python_literal_has_pythons_value(text: str, value: Any) -> None:
    assert read_data(text, "x") == value


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("__import__('os').system('touch /tmp/owned')", "__import__('os').system('touch /tmp/owned')"),
        ("{'inputs': [__import__('os').system('id')]}", "__import__('os').system('id')"),
        ("[0]*10**9", "[0] * 10 ** 9"),
        ("'a' * 10**9", "'a' * 10 ** 9"),
        ("9**9**9", "9 ** 9 ** 9"),
        ("[x for x in range(10**9)]", "[x for x in range(10 ** 9)]"),
        ("{'a': f'{open(1).read()}'}", "f'{open(1).read()}'"),
        ("().__class__.__base__", "().__class__.__base__"),
        ("(lambda: 0)()", "(lambda: 0)()"),
        ("[a := 1]", "(a := 1)"),
    ],
)
def test_code_is_unsafe_and_quoted(text: str, shown: str) -> None:
    reason, detail = refusal_of(text)
    assert (reason, shown in detail) == (Reason.UNSAFE_PAYLOAD, True), detail


@pytest.mark.parametrize(
    "make",
    [
        lambda: "[" * 10**7,
        lambda: "[" * 10**5 + "]" * 10**5,
        lambda: '{"a":' * 10**6,
        lambda: "('a'," * 10**6,
        lambda: "(" * 10**6,
        lambda: "-" * 10**7 + "1",
        lambda: "1+" * 10**5 + "1",
        lambda: "a" + ".b" * 10**5,
        lambda: "'" * 10**7,
        lambda: "[" + "(0), " * 10**6 + "]",
        lambda: "not " * 10**5 + "True",
    ],
)
def test_monstrous_texts_are_unsafe_and_soon_refused(make: Callable[[], str]) -> None:
    text = make()
    start = time.process_time()
    reason, _ = refusal_of(text)
    assert reason is Reason.UNSAFE_PAYLOAD
    assert time.process_time() - start < 5


def test_a_text_above_the_bound_is_not_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(literals, "MOST_CHARACTERS", 10)
    assert refusal_of("[" + " " * 10 + "]") == (
        Reason.UNSAFE_PAYLOAD, "input_output: 12 characters, more than 10"
    )  # fmt: skip


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "neither JSON"),
        ("{'inputs': ['1 2", "unterminated string"),
        ('{"inputs": ["1 2"', "nor a Python literal"),
        ("[nan, 1.0]", "the name nan in a literal"),
        ("[1 2]", "nor a Python literal"),
        ("[" + "9" * 10**5 + "]", "4300 digits"),
        ("{[]: 1}", "unhashable"),
        ("\x00", "neither JSON"),
        ("x = 1", "nor a Python literal"),
    ],
)
def test_broken_texts_are_parse_errors(text: str, said: str) -> None:
    reason, detail = refusal_of(text)
    assert (reason, said in detail) == (Reason.PARSE_ERROR, True), detail


def test_a_million_numbers_of_a_python_literal_need_no_tree() -> None:
    start = time.process_time()
    assert read_data("{'a': [" + "1, " * 10**6 + "1]}", "x") == {"a": [1] * (10**6 + 1)}
    assert time.process_time() - start < 3


def test_lists_of_strings_come_as_such_or_as_text() -> None:
    assert read_strings(["a"], "tags") == ["a"]
    assert read_strings("['a', 'b']", "tags") == ["a", "b"]
    assert [read_strings(each, "tags") for each in (None, "", " ", "[]", "None")] == [[]] * 5


@pytest.mark.parametrize("value", ["{'a': 1}", "[1]", "'a'", [1], 3, {"a": "b"}, [["a"]]])
def test_what_is_no_list_of_strings_is_a_parse_error(value: Any) -> None:
    with pytest.raises(Unreadable) as caught:
        read_strings(value, "tags")
    assert caught.value.refusal.detail == "tags: no list of strings"
    assert caught.value.refusal.reason is Reason.PARSE_ERROR
