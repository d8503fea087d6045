"""What each checker takes for the expected output, as tables of verdicts; what it says; what large outputs cost."""

import math
import time
import tracemalloc

import pytest

from dc_tools.core.records import Checker, CheckerType
from dc_tools.sandbox.compare import difference, lcb_difference, lcb_value_difference, value_difference

DEFAULT, FLOAT, YESNO = Checker(), Checker(CheckerType.FLOAT, 1e-6), Checker(CheckerType.YESNO)
WORDS, UNORDERED = Checker(CheckerType.WORDS), Checker(CheckerType.UNORDERED)
CUSTOM = Checker(CheckerType.CUSTOM, code="exit(0)")
CHECKERS = {"d": DEFAULT, "f": FLOAT, "y": YESNO, "w": WORDS, "u": UNORDERED}
"""By the letters of the tables below, in which `l` is LiveCodeBench."""
ALL = "dfywul"


def accepting(expected: str, actual: str) -> str:
    """The letters of those that accept."""
    ours = [letter for letter, checker in CHECKERS.items() if difference(expected, actual, checker) is None]
    return "".join(ours) + "l" * (lcb_difference(expected, actual) is None)


def accepting_values(expected: str, actual: str) -> str:
    ours = [letter for letter, checker in CHECKERS.items() if value_difference(expected, actual, checker) is None]
    return "".join(ours) + "l" * (lcb_value_difference(expected, actual) is None)


# -- tables -----------------------------------------------------------------------------------------------------------

LAYOUT = [
    ("the same", "1 2\n", "1 2\n", ALL),
    ("no newline at the end", "1 2\n", "1 2", ALL),
    ("a newline at the end", "1 2", "1 2\n", ALL),
    ("spaces at line ends", "1 2\na\n", "1 2  \na \n", ALL),
    ("CRLF", "a\nb\n", "a\r\nb\r\n", ALL),
    ("CR for a newline", "1\n2", "1\r2", "w"),
    ("blank lines at the end", "1", "1\n\n \n", ALL),
    ("a blank line inside", "1\n2", "1\n\n2", "wu"),
    ("a blank line left out", "1\n\n2", "1\n2", "wu"),
    ("a blank line before", "1\n2", "\n1\n2", "wul"),
    ("a space before", "1", " 1", ALL),
    ("an indented line", "a\nb", "a\n  b", ALL),
    ("double space between words", "a b", "a  b", "dfywu"),
    ("double space between numbers", "1 2", "1  2", ALL),
    ("tab between words", "a b", "a\tb", "dfywu"),
    ("tab between numbers", "1 2", "1\t2", ALL),
    ("form feed between words", "a b", "a\x0cb", "dfywu"),
    ("no-break space between numbers", "1 2", "1\u00a02", "l"),
    ("no-break space at the end", "a", "a\u00a0", "l"),
    ("file separator between numbers", "1 2", "1\x1c2", "l"),
    ("line separator for a newline", "1\n2", "1\u20282", ""),
    ("newline instead of space", "1 2", "1\n2", "w"),
    ("space instead of newline", "1\n2", "1 2", "w"),
    ("no space", "1 2", "12", ""),
    ("space in a number", "1000", "1 000", ""),
    ("swapped words", "a b", "b a", ""),
    ("swapped numbers", "1 2", "2 1", ""),
    ("swapped word lines", "a\nb", "b\na", "u"),
    ("swapped number lines", "1\n2\n", "2\n1\n", "u"),
    ("swapped lines, a blank one between", "1\n\n2", "2\n1\n\n", "u"),
    ("swapped lines, numbers spelled otherwise", "1.0 a\n20", "2e1\n1  a", "u"),
    ("swapped lines, a fraction nearly", "0.5\n1", "1\n0.50000001", ""),
    ("swapped lines, another case", "YES\nNO", "no\nyes", ""),
    ("swapped lines, a number too often", "1\n2", "01\n1.0", ""),
    ("lines as often, other ones", "a\nb\na", "a\nb\nb", ""),
    ("nothing for nothing", "", "\n", ALL),
    ("no output", "1", "", ""),
    ("only white space", "1", " \n\n", ""),
    ("output for nothing", "", "1", ""),
    ("a line more", "1", "1\n2", ""),
    ("a line less", "1\n2", "1", ""),
    ("a word more", "1 2", "1 2 3", ""),
    ("a word less", "1 2 3", "1 2", ""),
    ("a debug line before", "1", "debug\n1", ""),
]
NUMBERS = [
    ("1.0 for 1", "1", "1.0", ALL),
    ("1 for 1.0", "1.0", "1", ALL),
    ("1e3 for 1000", "1000", "1e3", ALL),
    ("1E+3 for 1000", "1000", "1E+3", ALL),
    ("100e-1 for 10", "10", "100e-1", ALL),
    ("007 for 7", "7", "007", ALL),
    ("+5 for 5", "5", "+5", ALL),
    ("-0 for 0", "0", "-0", ALL),
    ("0e9 for 0", "0", "0e9", ALL),
    (".5 for 0.5", "0.5", ".5", ALL),
    ("5. for 5", "5", "5.", ALL),
    ("0.50 for 0.5", "0.5", "0.50", ALL),
    ("several on a line", "1 0.5 x", "1.0 0.50 x", "dfywu"),
    ("-1 for 1", "1", "-1", ""),
    ("0.3333333 for 0.33333333", "0.33333333", "0.3333333", "f"),
    ("a fraction outside the tolerance", "0.333", "0.334", ""),
    ("relative for large numbers", "1000000.0", "1000000.5", "f"),
    ("relative has an end", "1000000.0", "1000002.0", ""),
    ("an exponent makes a fraction", "1e-3", "0.0010000001", "f"),
    ("nearly the integer", "3", "3.0000001", ""),
    ("nearly the whole fraction", "3.0", "3.0000001", "f"),
    ("an integer near the fraction", "1000000.5", "1000000", "f"),
    ("1000000001 for 1000000000", "1000000000", "1000000001", ""),
    ("1000001 for 1000000", "1000000", "1000001", ""),
    ("beyond doubles", "9007199254740993", "9007199254740992", ""),
    ("beyond doubles, a fraction", "9007199254740993.0", "9007199254740992.0", "f"),
    ("nan for nan", "nan", "nan", ALL),
    ("nan for nan beside 1.0 for 1", "nan 1", "nan 1.0", "dfywu"),
    ("NaN for nan", "nan", "NaN", ""),
    ("nan for 1", "1", "nan", ""),
    ("nan for 1.0", "1.0", "nan", ""),
    ("a signalling nan", "1", "sNaN", ""),
    ("inf for 1.0", "1.0", "inf", ""),
    ("inf for a large number", "1e400", "inf", ""),
    ("Infinity for inf", "inf", "Infinity", "l"),
    ("10e399 for 1e400", "1e400", "10e399", ALL),
    ("10e999998 for 1e999999", "1e999999", "10e999998", ALL),
    ("2e400 for 1e400", "1e400", "2e400", ""),
    ("huge exponent", "1", "1e999999999", ""),
    ("exponent of ten digits", "1000", "1e0000000003", "l"),
    ("exponent that nobody reads", "1", "1e99999999999999999999", ""),
    ("full-width digit", "1", "\uff11", "l"),
    ("arabic digit", "1", "\u0661", "l"),
    ("minus sign of typesetters", "-1", "\u22121", ""),
    ("underscores", "1000", "1_000", "l"),
    ("thousands", "1000", "1,000", ""),
    ("hexadecimal", "16", "0x10", ""),
    ("half", "0.5", "1/2", ""),
    ("only a point", "0", ".", ""),
    ("only an exponent", "0", "e5", ""),
]
NAMES = [
    ("yes for YES", "YES", "yes", "y"),
    ("NO for No", "No", "NO", "y"),
    ("Yes in a line", "Case #1: YES 3", "Case #1: Yes 3.0", "y"),
    ("NO for YES", "YES", "NO", ""),
    ("y for YES", "YES", "y", ""),
    ("YES! for YES", "YES", "YES!", ""),
    ("yes! for YES!", "YES!", "yes!", ""),
    ("alice for Alice", "Alice", "alice", ""),
    ("true for True", "True", "true", ""),
    ("other words", "abc def", "xyz qqq", ""),
    ("a comma with a space", "1,2", "1, 2", ""),
    ("brackets", "1 2", "[1 2]", ""),
    ("quotes", "a", "'a'", ""),
    ("a NUL", "a", "a\0", ""),
    ("zero-width space", "1", "1\u200b", ""),
    ("byte order mark", "1", "\ufeff1", ""),
    ("composed and decomposed", "\u00e9", "e\u0301", ""),
    ("a lone surrogate", "\ud800 1", "\ud800 1 ", ALL),
    ("another lone surrogate", "\ud800", "\ud801", ""),
]
ROWS = LAYOUT + NUMBERS + NAMES


@pytest.mark.parametrize(("name", "expected", "actual", "accepted"), ROWS, ids=[row[0] for row in ROWS])
def test_stdout_is_accepted_by(name, expected, actual, accepted):
    assert accepting(expected, actual) == accepted


VALUES = [
    ("[1,2]", "[1, 2]", ALL), ("[1,2]", "[2,1]", "u"), ("[1,[2,3]]", "[[2,3],1.0]", "u"), ("[[1,2]]", "[[2,1]]", ""),
    ("[1,1,2]", "[1,2,2]", ""), ("[1,2]", "[1,2,3]", ""), ("[[],{}]", "[{},[]]", "u"),
    ('[{"a":[1]},2]', '[2,{"a":[1]}]', "u"),
    ('{"a":1,"b":2}', '{"b":2,"a":1}', ALL), ('{"a":1}', '{"b":1}', ""), ('{"a":[1,2]}', '{"a":[2,1]}', ""),
    ("1", "1.0", ALL), ("1", "true", ALL), ("[0]", "[false]", ALL), ("0", "null", ""), ("null", "false", ""),
    ("1", '"1"', ""), ("true", "true", ALL), ('""', "[]", ""), ("[]", "{}", ""), ("[1]", "1", ""),
    ("0.5", "0.5000001", "f"), ("[0.5,3]", "[0.5000001,3]", "f"), ("3", "3.0000001", ""), ("3.0", "3.0000001", "f"),
    ("1000000000", "1000000001", ""), ("1.0000001", "true", ""), ("1.0000001", "1", "f"), ("1.5", "1" + "0" * 400, ""),
    ("9007199254740993", "9007199254740992.0", ""), ("NaN", "NaN", "dfywu"), ("[NaN, 1]", "[NaN,1]", "dfywu"),
    ("[NaN,1]", "[1,NaN]", "u"), ("NaN", " NaN", "dfywu"),
    ("[NaN,0.5]", "[NaN,0.5000001]", "f"), ("1", "NaN", ""), ("Infinity", "1e999", ALL), ("1.5", "Infinity", ""),
    ('"YES"', '"yes"', "y"), ('["No",{"a":"yes"}]', '["NO",{"a":"Yes"}]', "y"), ('{"YES":1}', '{"yes":1}', ""),
    ('"YES "', '"yes "', ""), ('"Bob"', '"bob"', ""), ('"a b"', '"a\\n b "', "w"), ('["a 1"]', '["a  1.0"]', "w"),
    ('"a b"', '"b a"', ""), ('"1"', '"1.0"', "w"), ('"1.0"', '"1.0000001"', ""), ('"\\u00e9"', '"\u00e9"', ALL),
    ('"\\ud800"', '"\\ud800 "', "w"), ("1e2", "100", ALL), ("[]", "", ""), ("", "", ""), ("[1]", "[1", ""),
    ("[1", "[1]", ""), ("[1] ", "[1]]", ""), ("-0.0", "0", ALL),
]


@pytest.mark.parametrize(("expected", "actual", "accepted"), VALUES)
def test_a_value_is_accepted_by(expected, actual, accepted):
    assert accepting_values(expected, actual) == accepted


# -- messages ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("checker", "expected", "actual", "said"),
    [
        (DEFAULT, "1 2\n3 4\n", "1 2\n3 5\n", "line 2: expected 4, got 5"),
        (DEFAULT, "1 2\n3 4\n", "1 2\n3\n", "line 2: expected 4, got the end of the line"),
        (DEFAULT, "1 2\n", "1 2 3\n", "line 1: expected the end of the line, got 3"),
        (DEFAULT, "1\n2\n", "1\n", "expected 2 lines, got 1"),
        (DEFAULT, "1\n", "1\n2\n", "expected 1 line, got 2"),
        (DEFAULT, "a", "\ud800\xff", "line 1: expected a, got \\xed\\xa0\\x80\xff"),
        (DEFAULT, "a", "b" * 61, f"line 1: expected a, got {'b' * 60}..."),
        (WORDS, "1 2\n3 4\n", "1 2 3 5", "word 4: expected 4, got 5"),
        (WORDS, "1 2", "1", "word 2: expected 2, got the end of the output"),
        (UNORDERED, "a\nb\nc", "c\na\na", "line 3, blank ones not counted: a is not expected, or not so often"),
        (UNORDERED, "a\nb", "a\n\nb\nc\n", "expected 2 lines, got 3"),
    ],
)
def test_a_difference_says_where(checker, expected, actual, said):
    assert difference(expected, actual, checker) == said


@pytest.mark.parametrize(
    ("checker", "expected", "actual", "said"),
    [
        (DEFAULT, '{"a":[1,2]}', '{"a":[1,3]}', 'value["a"][1]: expected 2, got 3'),
        (DEFAULT, "[[1,2],[3]]", "[[1,2],[]]", "value[1]: expected 1 item, got 0"),
        (DEFAULT, '{"a":{"b":1}}', '{"a":{"c":1}}', 'value["a"]["b"] is missing'),
        (DEFAULT, '{"a":{}}', '{"a":{"c":1}}', 'value["a"]["c"] is not expected'),
        (DEFAULT, "1", "", "no value was returned"),
        (DEFAULT, "1", "[1", "the value is not JSON"),
        (DEFAULT, "[1", "1", "the expected value is not JSON"),
        (DEFAULT, "1", f'"{"x" * 2000}"', "expected a value of 1 characters, got 2002"),
        (DEFAULT, "1", f"[{'2,' * 60}2]", f"value: expected 1, got [{'2, ' * 19}2,..."),
        (UNORDERED, "[1,2,3]", "[3,1,1]", "value[2]: 1 is not expected, or not so often"),
        (UNORDERED, "[1,2]", "[1]", "value: expected 2 items, got 1"),
    ],
)
def test_a_difference_of_values_says_where(checker, expected, actual, said):
    assert value_difference(expected, actual, checker) == said


def test_a_difference_for_livecodebench_says_where():
    assert lcb_difference("1 2\nb\n", "1 2\nc\n") == "line 2: expected b, got c"
    assert lcb_difference("1\n2", "1") == "expected 2 lines, got 1"
    assert lcb_value_difference("[1,[2]]", "[1,[3]]") == "value[1][0]: expected 2, got 3"


@pytest.mark.parametrize("compare", [difference, value_difference])
def test_a_custom_checker_is_no_rule_of_this_file(compare):
    with pytest.raises(ValueError, match="is a program"):
        compare("1", "1", CUSTOM)


def test_only_float_has_a_tolerance_and_its_default_is_a_millionth():
    assert difference("0.5", "0.6", Checker(CheckerType.FLOAT, 0.1)) is None
    assert difference("0.5", "0.6", Checker(CheckerType.FLOAT, 0.01)) is not None
    assert difference("0.5", "0.5000009", Checker(CheckerType.FLOAT)) is None
    assert difference("0.5", "0.5000011", Checker(CheckerType.FLOAT)) is not None
    for type_ in (CheckerType.DEFAULT, CheckerType.YESNO, CheckerType.WORDS, CheckerType.UNORDERED):
        assert difference("0.5", "0.6", Checker(type_, 0.1)) is not None
        assert value_difference("0.5", "0.6", Checker(type_, 0.1)) is not None


@pytest.mark.parametrize("tolerance", [0.0, -1.0, math.nan, math.inf, 1e308])
def test_no_tolerance_makes_infinity_near(tolerance):
    checker = Checker(CheckerType.FLOAT, tolerance)
    assert difference("1e999", "10e998", checker) is None
    assert difference("1e999", "2e999", checker) is not None
    assert difference("1.5", "1e999", checker) is not None
    assert value_difference("1.5", "1e999", checker) is not None


# -- size -------------------------------------------------------------------------------------------------------------

SIZE = 16 << 20
FLOODS = {
    "blank lines": "\n" * SIZE + "x", "spaces": "7" + " " * SIZE + "x", "lines": "a\n" * (SIZE // 2),
    "words": "1 " * (SIZE // 2), "digits": "7" * SIZE, "one word": "x" * SIZE, "not ASCII": "\u00e9" * (SIZE // 2),
}


def cpu_s(expected: str, actual: str, accepted: str) -> float:
    began = time.process_time()
    assert accepting(expected, actual) == accepted
    return time.process_time() - began


@pytest.mark.parametrize("name", FLOODS)
def test_a_flood_costs_next_to_nothing(name):
    assert cpu_s("7\n", FLOODS[name], "") < 10.0  # six comparisons; 0.1 to 0.4 s here


def test_a_flood_of_words_is_not_held_in_memory():
    tracemalloc.start()
    try:
        assert accepting("7\n", FLOODS["words"]) == ""
        assert tracemalloc.get_traced_memory()[1] < 5 * SIZE
    finally:
        tracemalloc.stop()


def test_a_long_line_is_compared_without_holding_its_words():
    line = "12345 " * 100_000
    tracemalloc.start()
    try:
        for checker in (DEFAULT, FLOAT, YESNO, WORDS):
            assert difference(line, f" {line}", checker) is None
            assert difference(line, f" {line}1", checker) is not None
        assert tracemalloc.get_traced_memory()[1] < 8 * len(line)  # twice as much for the words of one
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("name", "expected", "actual", "accepted"),
    [
        ("zeros", "7", f"7.{'0' * 2_000_000}", ALL),
        ("digits", "7" * 2_000_000, f"{'7' * 2_000_000}.0", ALL),
        ("other digits", "7" * 2_000_000, f"{'7' * 1_999_999}8", ""),
        ("exponents", "1e999999999", "0.1e999999999", ""),
        ("a fraction", f"0.{'3' * 2_000_000}", f"0.{'3' * 1_999_999}4", "f"),
        ("nearly a number", f"{'7' * 2_000_000}x", f"{'7' * 2_000_000}y", ""),
    ],
)
def test_numbers_of_any_length_take_linear_time(name, expected, actual, accepted):
    assert cpu_s(expected, actual, accepted) < 10.0


def test_many_lines_in_any_order_take_linear_time():
    lines = [str(n) for n in range(200_000)]
    began = time.process_time()
    assert difference("\n".join(lines), "\n".join(f"{line}.0" for line in reversed(lines)), UNORDERED) is None
    assert difference("1\n" * len(lines), "1.0\n" * len(lines), UNORDERED) is None
    assert time.process_time() - began < 10.0  # 0.6 s here


def test_integers_longer_than_python_converts_stay_exact_in_values():
    digits = "7" * 100_000
    assert accepting_values(f"[{digits}]", f"[{digits} ]") == ALL
    assert accepting_values(f"[{digits}]", f"[{digits[1:]}8]") == ""
    assert accepting_values(f"[{digits},1,true]", f"[{digits}, 1.0, 1]") == ALL
    assert accepting_values(f"[{digits},0.5]", f"[{digits},0.5000001]") == "f"
    assert "expected" in (value_difference("[1.5]", f"[{'7' * 900}]", FLOAT) or "")


@pytest.mark.parametrize("checker", CHECKERS.values(), ids=CHECKERS)
def test_deep_nesting_is_compared_or_refused_but_never_raises(checker):
    deep, deeper = "[" * 300 + "%s" + "]" * 300, "[" * 100_000 + "]" * 100_000
    assert value_difference(deep % 1, deep % " 1.0", checker) is None
    assert "expected" in (value_difference(deep % 1, deep % 2, checker) or "")
    assert value_difference(deeper, f" {deeper}", checker) == "the expected value is nested too deeply to be read"
    assert value_difference("[" * 9000, deeper, checker) is not None
    assert lcb_value_difference(deeper, deeper) == "the expected value is nested too deeply to be read"
