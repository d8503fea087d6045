"""Values as literals: read without running anything, and compared as EvalPlus compares them."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dc_tools.eval.calls import call, digest, in_words
from dc_tools.eval.literals import NoLiteral, agree, equal, read

plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.lists(inner).map(tuple) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@settings(deadline=None)
@given(plain)
def test_a_plain_value_comes_back_as_it_was_with_its_types(value: Any) -> None:
    assert repr(read(repr(value))) == repr(value)


def test_sets_and_numbers_without_a_literal_are_read() -> None:
    assert read("{1, 2}") == {1, 2}
    assert read("set()") == set()
    assert read("[(1-2j), 3j]") == [1 - 2j, 3j]
    assert read("[inf, -inf]") == [math.inf, -math.inf]
    assert math.isnan(read("nan"))


@pytest.mark.parametrize(
    "text",
    [
        "<map object at 0x7f>", "Point(x=1)", "__import__('os').system('true')", "[1", "x",
        "(" * 500, "'" + "\\", "-'a'", "1 + 'a'", "{[]: 1}", "{[]}",
    ],
)
def test_anything_else_is_no_literal(text: str) -> None:
    with pytest.raises(NoLiteral):
        read(text)


@pytest.mark.parametrize(
    ("found", "expected", "atol", "is_equal"),
    [
        (1, 1, 0, True), (1, 1.0, 0, True), (True, 1, 0, True), ((1, 2), [1, 2], 0, False), ([1], [1, 2], 0, False),
        (0.1 + 0.2, 0.3, 0, True), (0.300002, 0.3, 0, False), (1.0000005, 1.0, 0, True), (1000000.05, 1e6, 0, True),
        ([0.1 + 0.2], [0.3], 0, True), ((0.30000001,), [0.3], 0, False), ([1, 0.30000001], [1, 0.3], 0, False),
        ([1, 0.30000001], [1, 0.3], 1e-6, True), (3, 3.00005, 1e-4, False), (3.00005, 3.0, 1e-4, True),
        (math.nan, math.nan, 0, False), (math.inf, math.inf, 0, True), (math.inf, 1.0, 0, False),
        ("a", "b", 1e-6, False), ([[0.3000000001]], [[0.3]], 1e-6, True), (None, None, 0, True), (None, 0.5, 0, False),
        ([10**400], [0.5], 0, False), (10**400, 3, 1e-6, False),
    ],
)
def test_values_are_compared_by_evalplus_rules(found: Any, expected: Any, atol: float, is_equal: bool) -> None:
    assert equal(found, expected, atol) is is_equal


@settings(deadline=None)
@given(st.floats(-1e9, 1e9), st.floats(-1e-5, 1e-5))
def test_nearness_is_numpys(value: float, by: float) -> None:
    assert equal(value + by, value, 0) == (value + by == value or bool(np.allclose(value + by, value, 1e-7, 1e-6)))


@settings(deadline=None)
@given(plain, plain, st.integers(1, 40))
def test_how_values_are_put_into_words_decides_nothing(one: Any, other: Any, long: int) -> None:
    assert agree(in_words(one, 10_000), in_words(one, long), 0)
    assert agree(in_words(one, long), in_words(other, 10_000), 1e-9) == agree(
        in_words(one, 10_000), in_words(other, long), 1e-9
    )
    assert in_words(one, long)[0] == "#" or read(in_words(one, long)[1:]) == one


@pytest.mark.parametrize(
    ("one", "other", "is_equal"),
    [
        ([1, 2.0, True], [1.0, 2, 1], True), ([0, -0.0], [-0.0, 0], True), ([1], (1,), False),
        ({1, 2.0}, {2, 1.0}, True),
        ({"a": 1, "b": 2}, {"b": 2.0, "a": 1}, True), ([2**53], [2**53 + 1], False), (2**60, float(2**60), True),
        ("1", 1, False), ([1, [2]], [1, [2.0]], True), ([], (), False), ([1, 2], [1, 3], False),
        ("\ud800a", "\ud800a", True), ("ab", b"ab", False), ("list(0x1)", [1], False),
    ],
)
def test_a_digest_is_the_same_for_what_is_equal(one: Any, other: Any, is_equal: bool) -> None:
    assert (digest(one) == digest(other)) is is_equal is (one == other)


def test_long_values_are_digests_and_floats_never_are() -> None:
    assert in_words("a" * 98, 100) == "='" + "a" * 98 + "'"
    assert in_words("a" * 99, 100)[0] == in_words("a" * 101, 100)[0] == in_words(b"a" * 101, 100)[0] == "#"
    assert in_words([1] * 101, 100)[0] == in_words(10**5000, 10_000)[0] == "#"
    assert in_words([0.5] * 101, 100)[0] == "="
    assert agree(in_words([0.5] * 101, 100), in_words([0.5000000001] * 101, 100), 0)


def test_a_call_that_fails_is_put_into_words() -> None:
    assert call(lambda: 1 // 0, [], 5.0, 100) == "!ZeroDivisionError: integer division or modulo by zero"


def test_what_is_far_too_long_is_not_read() -> None:
    with pytest.raises(NoLiteral, match="a literal of"):
        read("[" + "1," * (3 << 20) + "]")
    assert not agree("=[" + "1," * 10_000 + "]", "=[1]", 0)
