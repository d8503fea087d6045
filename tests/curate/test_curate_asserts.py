"""What asserts say: shapes that become tests, shapes that must be run, shapes that need a checker."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dc_tools.core.records import Entry
from dc_tools.curate.reading.asserts import Checks, read_checks
from dc_tools.curate.reasons import Reason, Refusal


def read(code: str, entry: Entry | None = None, parameters: tuple[str, ...] = ("a", "b")) -> Checks | Refusal:
    return read_checks(code, frozenset({"f"}), entry or Entry("f"), list(parameters))


def found_in(code: str, entry: Entry | None = None) -> list[tuple[object, object]]:
    checks = read(code, entry)
    assert isinstance(checks, Checks)
    assert checks.must_run == ""
    return [(json.loads(test.input), json.loads(test.output)) for test in checks.tests]


@pytest.mark.parametrize(
    ("code", "arguments", "value"),
    [
        ("assert f(1, 2) == 3", [1, 2], 3),
        ("assert 3 == f(1, 2)", [1, 2], 3),
        ("assert f(1, b=[2]) == 'x'", [1, [2]], "x"),
        ("assert f(b=2, a=1) == 3", [1, 2], 3),
        ("assert f(1) is True", [1], True),
        ("assert f(1) is None", [1], None),
        ("assert f(-1.5) == {'k': [1]}", [-1.5], {"k": [1]}),
        ("assert f(1) == (1, (2, 3))", [1], [1, [2, 3]]),
        ("assert f('é\\u2028') == 1, f'message {f(2)}'", ["é\u2028"], 1),
        ("def check(candidate):\n    'doc'\n    import math\n    assert f(1) == 2\n", [1], 2),
        ("def check(candidate):\n    assert True\n    assert f(1) == 2\ncheck(f)", [1], 2),
    ],
)
def test_an_equality_of_literals_is_a_test(code: str, arguments: object, value: object) -> None:
    assert found_in(code) == [(arguments, value)]


def test_an_assert_about_something_else_says_nothing() -> None:
    assert found_in("assert 1 == 1\nassert 'x' in 'xy'\nassert f(1) == 2") == [([1], 2)]


def test_a_conjunction_is_two_tests() -> None:
    assert found_in("assert f(1) == 2 and f(2) == 3") == [([1], 2), ([2], 3)]


def test_asserts_keep_the_order_of_the_text() -> None:
    code = "\n".join(f"assert f({i}) == {i}" for i in range(20))
    assert found_in(code) == [([i], i) for i in range(20)]


@pytest.mark.parametrize(
    ("code", "tolerance"),
    [
        ("assert abs(f(1) - 2) < 1e-3", 1e-3),
        ("assert abs(2 - f(1)) <= 0.5", 0.5),
        ("assert math.fabs(f(1) - 2) < 1e-6", 1e-6),
        ("assert math.isclose(f(1), 2, abs_tol=0.25)", 0.25),
        ("assert math.isclose(f(1), 2)", 1e-6),
        ("assert round(f(1), 2) == 2", 0.005),
    ],
)
def test_a_tolerance_is_kept_and_makes_the_value_a_float(code: str, tolerance: float) -> None:
    checks = read(code)
    assert isinstance(checks, Checks)
    assert checks.tolerance == pytest.approx(tolerance)
    assert [test.output for test in checks.tests] == ["2.0"]


@pytest.mark.parametrize(
    ("code", "why"),
    [
        ("assert f([0] * 3) == 1", "[0] * 3"),
        ("assert f(1) == 2 ** 70", "2 ** 70"),
        ("assert f((1, 2)) == 1", "a tuple argument"),
        ("assert f(1)", "an assert of truth alone"),
        ("assert not f(1)", "an assert of truth alone"),
        ("assert list(f(1)) == [1]", "a value that the text does not give"),
        ("assert f(*[1, 2]) == 3", "an unpacked argument"),
        ("assert f(1, c=3) == 3", "keyword arguments that skip a parameter"),
        ("x = 1\nassert f(x) == 2", "set-up code"),
        ("def check(f):\n    for x in [1, 2]:\n        assert f(x) == x\n", "a statement that is not an assert"),
        ("def check(candidate):\n    y = f(1)\n    assert y == 1\n", "a statement that is not an assert"),
    ],
)
def test_what_the_text_does_not_say_must_be_run(code: str, why: str) -> None:
    checks = read(code, parameters=("a", "b", "c"))
    assert isinstance(checks, Checks)
    assert (checks.must_run, checks.tests) == (why, [])


@pytest.mark.parametrize(
    "code",
    [
        "assert f(1) > 0",
        "assert f(1) != 2",
        "assert sorted(f(1)) == [1]",
        "assert set(f(1)) == {1}",
        "assert isinstance(f(1), int)",
        "assert f(1) in (1, 2)",
        "assert f(1) == f(2)",
        "assert len(f(1)) == 2",
        "def check(candidate):\n    y = f(1)\n    assert y * y < 2\n",
        "def check(candidate):\n    y = f(1)\n    z = sorted(y)\n    assert z == [1]\n",
        "def check(candidate):\n    assert list(map(f, [1])) == [1]\n",
    ],
)
def test_an_assert_that_many_values_satisfy_needs_a_checker(code: str) -> None:
    refusal = read(code)
    assert isinstance(refusal, Refusal)
    assert refusal.reason is Reason.NEEDS_CHECKER


@pytest.mark.parametrize("code", ["assert f(", "x = 1", "", "assert f('\0')", "(" * 5000])
def test_test_code_without_a_readable_assert_is_a_parse_error(code: str) -> None:
    refusal = read(code)
    assert isinstance(refusal, Refusal)
    assert refusal.reason is Reason.PARSE_ERROR


def test_a_test_that_json_cannot_say_is_left_out_and_counted() -> None:
    code = "assert f(1) == 1\nassert f({1}) == 2\nassert f(1e999) == 3\nassert f({1: 2}) == 4\nassert f(b'x') == 5"
    checks = read(code)
    assert isinstance(checks, Checks)
    assert [test.input for test in checks.tests] == ["[1]"]
    assert checks.left_out == {
        "a value of type set": 1, "the number inf": 1, "a dict whose keys are not all strings": 1,
        "a value of type bytes": 1,
    }


def test_linked_lists_and_trees_are_lists_of_values() -> None:
    entry = Entry("f", "Solution", arg_types=["ListNode", "TreeNode"], return_type="TreeNode")
    code = (
        "assert is_same_tree(f(list_node([1, 2]), tree_node([3, None, 4])), tree_node([5, None, 6, None, None]))\n"
        "assert is_same_tree(f(None, tree_node([])), None)"
    )
    found = found_in(code, entry=entry)
    assert found == [([[1, 2], [3, None, 4]], [5, None, 6]), ([[], []], [])]


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@given(st.lists(VALUES, max_size=3), VALUES)
def test_any_json_arguments_and_value_survive_the_text(arguments: list[object], value: object) -> None:
    code = f"assert f({', '.join(map(repr, arguments))}) == {value!r}"
    assert found_in(code) == [(arguments, value)]
