"""What holds of comparisons on random texts and values, beside plain readings of the rules."""

import json
from collections import Counter
from decimal import Decimal
from fractions import Fraction
from itertools import chain

from hypothesis import example, given
from hypothesis import strategies as st

from dc_tools.core.records import Checker, CheckerType
from dc_tools.sandbox.compare import difference, lcb_difference, lcb_value_difference, value_difference

DEFAULT, FLOAT, YESNO = Checker(), Checker(CheckerType.FLOAT, 1e-6), Checker(CheckerType.YESNO)
WORDS, UNORDERED = Checker(CheckerType.WORDS), Checker(CheckerType.UNORDERED)
CHECKERS = [DEFAULT, FLOAT, YESNO, WORDS, UNORDERED]

WORD_LIST = [
    ("1", "1.0", "01", "1e0", "10e-1", "+1"), ("0", "-0", "0e7"), (".5", "0.50", "5e-1"), ("1000", "1e3"),
    ("yes", "YES"), ("no", "No"), ("a",), ("A",), ("nan",), ("sNaN",), ("inf",), ("1_0",), ("10",), ("\uff11",),
    ("-1",), ("0.5000001",), ("\ud800",), ("\0",), ("e",), (".",),
]
"""Words, each with its other spellings."""
GAPS = [" ", " ", "\n", "\n", "\n\n", "\r\n", "\t", "  ", "", "\u00a0", "\x1c", "\x85"]
spellings = st.sampled_from(sorted(chain(*WORD_LIST)))
texts = st.lists(spellings | st.sampled_from(GAPS), max_size=12).map("".join) | st.text(st.characters(), max_size=12)
lines = st.lists(st.lists(st.sampled_from(WORD_LIST), max_size=3), max_size=4)
numbers = st.from_regex(r"\A[+-]?([0-9]{1,4}(\.[0-9]{0,4})?|\.[0-9]{1,4})([eE][+-]?[0-9]{1,2})?\Z")
leaves = st.none() | st.booleans() | st.integers(-2, 2) | st.integers() | st.floats() | spellings
values = st.recursive(
    leaves | st.text(st.characters(), max_size=3),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=8,
)
checkers = st.sampled_from(CHECKERS)


@st.composite
def alike(draw: st.DrawFn) -> tuple[str, str]:
    """Two texts that often are the same to some checker: spelled, spaced, ordered or broken into lines otherwise."""
    def written(lines: list[list[tuple[str, ...]]], newline: str = "\n") -> str:
        gap = draw(st.sampled_from([" ", "  ", "\t"]))
        return newline.join(gap.join(draw(st.sampled_from(word)) for word in line) for line in lines)

    first = draw(lines)
    second = draw(st.just(first) | st.permutations(first) | lines)
    third = written(second, draw(st.sampled_from(["\n", "\r\n", "\n\n", " "])))
    return written(first), draw(st.just(third) | texts)


def agree(expected: str, actual: str, checker: Checker) -> bool:
    return difference(expected, actual, checker) is None


@given(texts, checkers)
def test_every_text_is_its_own_expectation(text, checker):
    assert agree(text, text, checker)
    assert agree(text, text + "\n", checker)
    assert lcb_difference(text, text) is None


@given(alike())
def test_what_default_accepts_every_other_checker_accepts(pair):
    if agree(*pair, DEFAULT):
        assert [agree(*pair, checker) for checker in CHECKERS] == [True] * 5


@given(alike(), st.sampled_from([DEFAULT, YESNO, WORDS, UNORDERED]))
def test_only_a_tolerance_minds_which_of_the_two_is_expected(pair, checker):
    assert agree(*pair, checker) == agree(*reversed(pair), checker)
    assert (lcb_difference(*pair) is None) == (lcb_difference(*reversed(pair)) is None)


def plain_words(text: str) -> list[list[object]]:
    """Per line up to the last that is not blank the words, numbers as fractions."""
    def word(token: bytes) -> object:
        try:
            number = Decimal(token.decode("ascii"))
        except (ArithmeticError, UnicodeDecodeError):
            return token
        return Fraction(number) if number.is_finite() and b"_" not in token else token

    lines = [[word(token) for token in line.split()] for line in text.encode("utf-8", "surrogatepass").split(b"\n")]
    while lines and not lines[-1]:
        lines.pop()
    return lines


@given(alike())
@example(("1\n2", "\n1\n2"))
def test_default_words_and_unordered_are_what_a_plain_reading_says(pair):
    wanted, given_ = map(plain_words, pair)
    assert agree(*pair, DEFAULT) == (wanted == given_)
    assert agree(*pair, WORDS) == (list(chain(*wanted)) == list(chain(*given_)))
    bags = [Counter(tuple(line) for line in lines if line) for lines in (wanted, given_)]
    assert agree(*pair, UNORDERED) == (bags[0] == bags[1])


@given(numbers, numbers | st.just("1"))
@example("1e1", "10")
def test_numbers_are_compared_exactly(first, second):
    same = Fraction(Decimal(first)) == Fraction(Decimal(second))
    assert agree(first, second, DEFAULT) is same
    assert agree(f"a\n{first}", f"{second}\na", UNORDERED) is same


@given(numbers)
def test_one_number_spelled_in_two_ways_is_one_number(number):
    fraction = Decimal(number)
    for spelling in (f"{fraction:f}", f"{fraction:.30e}", f"00{abs(fraction):f}"):
        assert agree(number, spelling, DEFAULT) is (Decimal(spelling) == fraction)


@given(texts, st.randoms(use_true_random=False))
def test_lines_in_any_order_are_accepted_where_order_does_not_count(text, rng):
    shuffled = text.split("\n")
    rng.shuffle(shuffled)
    assert agree(text, "\n".join(shuffled), UNORDERED)


def plain_lcb(expected: str, actual: str) -> bool:
    """LiveCodeBench's rule for stdout, read off its description: a list of decimals may fail to exist or to compare."""
    lines = [[line.strip() for line in text.strip().split("\n")] for text in (expected, actual)]
    if len(lines[0]) != len(lines[1]):
        return False
    for want, have in zip(*lines, strict=True):
        try:
            if want != have and [Decimal(w) for w in want.split()] != [Decimal(h) for h in have.split()]:
                return False
        except ArithmeticError:
            return False
    return True


@given(alike())
@example(("1 a", "1 a b"))
@example(("sNaN", "sNaN 1"))
def test_livecodebenchs_verdict_is_what_a_plain_reading_says(pair):
    assert (lcb_difference(*pair) is None) == plain_lcb(*pair)


@given(texts, texts, checkers)
def test_no_text_makes_a_comparison_raise_and_every_message_can_be_written(expected, actual, checker):
    for found in (
        difference(expected, actual, checker), lcb_difference(expected, actual),
        value_difference(expected, actual, checker), lcb_value_difference(expected, actual),
    ):
        assert found is None or 0 < len(found.encode()) < 1000


@given(values, values, checkers)
def test_no_value_makes_a_comparison_raise_and_every_message_can_be_written(expected, actual, checker):
    pair = json.dumps(expected), json.dumps(actual)
    for found in (value_difference(*pair, checker), lcb_value_difference(*pair)):
        assert found is None or 0 < len(found.encode()) < 1000


@given(values, checkers)
def test_a_value_is_itself_however_its_json_is_spaced(value, checker):
    assert value_difference(json.dumps(value), json.dumps(value, indent=1, ensure_ascii=False), checker) is None


@given(values, values)
def test_what_default_accepts_every_other_checker_accepts_of_values(expected, actual):
    pair = json.dumps(expected), json.dumps(actual)
    accepted = value_difference(*pair, DEFAULT) is None
    assert accepted is (value_difference(*reversed(pair), DEFAULT) is None)
    if accepted:
        assert [value_difference(*pair, checker) for checker in CHECKERS] == [None] * 5
    if "NaN" not in pair[0]:
        assert accepted is (lcb_value_difference(*pair) is None) is (expected == actual)


@given(st.lists(values, max_size=6).flatmap(lambda items: st.tuples(st.just(items), st.permutations(items))))
def test_items_in_any_order_are_accepted_where_order_does_not_count(orders):
    assert value_difference(*map(json.dumps, orders), UNORDERED) is None
