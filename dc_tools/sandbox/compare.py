"""Whether an output is the expected one. Pure; one rule per checker, no guessing and no cascade; raises for no text.

Stdout, where white space is ASCII's and ends of lines, blank lines at the end and CR mean nothing:

default: line by line the same words; two words are the same where they are equal, or both finite numbers in ASCII
digits (an exponent has at most nine) with equal exact values: 1, 1.0, 001 and 10e-1.
float: as default, but where a number is expected with a point or an exponent, a number within the tolerance (relative
or absolute, as doubles) will do. Expected integers stay exact.
yesno: as default, but where `yes` or `no` is expected, in whatever case, the case does not matter.
words: as default, but the ends of lines are white space like any other.
unordered: as default, but the lines may be in any order, and since a blank line could then stand at the end, all blank
lines are ignored. Holds some six times the expected output in memory, where the others hold it twice.

Values, as JSON texts: equal as Python's `==` has it at every depth (1 is 1.0 and true, "1" is not 1), NaN is NaN.
float: where a number is expected with a point or an exponent. yesno, words: strings that are `yes` or `no`, and strings
by their words. unordered: the items of the outermost list, by default's rule; what is no list is compared as default.

Only float has a tolerance: that other checkers ignore it is what makes an unordered comparison exact. `custom` is a
program, which the judge runs. The lcb functions give LiveCodeBench's verdicts instead, whatever the problem's checker.
"""

import io
import itertools
import json
import math
import operator
import re
from collections import Counter
from collections.abc import Callable, Hashable, Iterator
from decimal import Decimal, InvalidOperation
from functools import partial
from typing import Any, TypeAlias, cast

from dc_tools.core.records import Checker, CheckerType

DEFAULT_TOLERANCE = 1e-6
MOST_LONGER = 16
"""A JSON text longer than this many times the expected one is wrong without being read."""
_NUMBER = re.compile(rb"([+-]?)(?=\.?[0-9])([0-9]*+)(?:(\.)([0-9]*+))?(?:[eE]([+-]?[0-9]{1,9}))?")
_BLOCK = re.compile(rb"(?s:.{1,65536}+)\S*+")
_BLANK = re.compile(rb"\n\s+")
_RESPELLED = re.compile(rb"[+.eE]|\b0|0\b")
"""Where a line has no such place, its numbers are spelled as `_exact` spells them."""
_TEXT_WORD = re.compile(r"\S+")
_YES_NO = frozenset({b"yes", b"no"})
_SHORT = 1 << 16
_SHOWN = 60

_Same: TypeAlias = Callable[[bytes, bytes], bool]
"""Whether two words that are not equal are still the same."""
_SameValue: TypeAlias = Callable[[Any, Any], bool]


def difference(expected: str, actual: str, checker: Checker) -> str | None:
    """In words, the first place where stdout `actual` is not `expected`; None where it is accepted.

    Reads on until the first difference only, so that a flood of output costs little more than its encoding. Errors:
    `ValueError` for a `custom` checker.
    """
    _refuse_program(checker)
    if expected == actual:
        return None
    wanted, given = _bytes(expected), _bytes(actual)
    if wanted == given:
        return None
    if checker.type is CheckerType.UNORDERED:
        return _unordered_difference(_BLANK.sub(b"\n", wanted.lstrip()), _BLANK.sub(b"\n", given.lstrip()))
    if checker.type is CheckerType.WORDS:
        found = _words_difference(wanted, given, _same_number, "the end of the output")
        return found and f"word {found[0]}: {found[1]}"
    return _lines_difference(wanted, given, _word_rule(checker))


def value_difference(expected: str, actual: str, checker: Checker) -> str | None:
    """The same for JSON texts of a value. Nesting that Python's `json` does not read is a difference."""
    _refuse_program(checker)
    if expected == actual and actual:
        return None
    pair = _parsed(expected, actual)
    if isinstance(pair, str):
        return pair
    wanted, given = pair
    try:
        if wanted == given:
            return None
        if checker.type is CheckerType.UNORDERED and isinstance(wanted, list) and isinstance(given, list):
            return _unordered_items_difference(wanted, given)
        return _value_difference(wanted, given, _value_rule(checker))
    except RecursionError:
        return "the value is nested too deeply to be compared"


def lcb_difference(expected: str, actual: str) -> str | None:
    """`difference` as LiveCodeBench's `testing_util.py` judges stdout.

    Lines of the stripped text are equal when stripped, or else the words of both are equal as Python's `Decimal`. White
    space and digits are Unicode's, NaN differs from itself.
    """
    wanted, given = expected.strip(), actual.strip()
    if wanted == given:
        return None
    lines = wanted.count("\n") + 1, given.count("\n") + 1
    if lines[0] != lines[1]:
        return f"expected {_count(lines[0], 'line')}, got {lines[1]}"
    for number, (want, have) in enumerate(zip(_stripped_lines(wanted), _stripped_lines(given), strict=True), 1):
        if want != have and not _same_decimals(want, have):
            shown = [_shown(_bytes(line[: _SHOWN + 1])) for line in (want, have)]
            return f"line {number}: expected {shown[0]}, got {shown[1]}"
    return None


def lcb_value_difference(expected: str, actual: str) -> str | None:
    """`value_difference` as LiveCodeBench judges values: Python's `==`, in which NaN differs from itself.

    Tuples are lists here at every depth, as JSON has it; LiveCodeBench takes only the outermost for one.
    """
    pair = _parsed(expected, actual)
    return pair if isinstance(pair, str) else _value_difference(*pair, operator.eq)


def _refuse_program(checker: Checker) -> None:
    if checker.type is CheckerType.CUSTOM:
        raise ValueError("a custom checker is a program: run it")


def _word_rule(checker: Checker) -> _Same:
    if checker.type is CheckerType.FLOAT:
        return partial(_near, _tolerance(checker))
    return _same_yes_no if checker.type is CheckerType.YESNO else _same_number


def _tolerance(checker: Checker) -> float:
    return DEFAULT_TOLERANCE if checker.tolerance is None else checker.tolerance


def _same_number(wanted: bytes, given: bytes) -> bool:
    first, second = _NUMBER.fullmatch(wanted), _NUMBER.fullmatch(given)
    return first is not None and second is not None and _exact(first) == _exact(second)


def _near(tolerance: float, wanted: bytes, given: bytes) -> bool:
    first, second = _NUMBER.fullmatch(wanted), _NUMBER.fullmatch(given)
    if first is None or second is None:
        return False
    has_fraction = first[3] is not None or first[5] is not None
    return (has_fraction and _close(float(wanted), float(given), tolerance)) or _exact(first) == _exact(second)


def _close(wanted: float, given: float, tolerance: float) -> bool:
    """Within the relative or the absolute tolerance; what is beyond doubles is near nothing."""
    finite = math.isfinite(wanted) and math.isfinite(given)
    return finite and abs(wanted - given) <= tolerance * max(1.0, abs(wanted))


def _same_yes_no(wanted: bytes, given: bytes) -> bool:
    return _spells_alike(wanted, given) or _same_number(wanted, given)


def _spells_alike(wanted: bytes, given: bytes) -> bool:
    """Whether both are `yes`, or both `no`, in any case."""
    return len(wanted) == len(given) and wanted.lower() in _YES_NO and wanted.lower() == given.lower()


def _exact(number: re.Match[bytes]) -> bytes:
    """The one spelling of a number's value: digits that neither begin nor end with a zero, and a power of ten.

    Linear in the length, and no conversion: 1e999999999 is as cheap as 1.
    """
    sign, whole, _, fraction, exponent = number.groups(b"")
    digits = (whole + fraction).lstrip(b"0")
    core = digits.rstrip(b"0")
    if not core:
        return b"0"
    power = int(exponent or b"0") - len(fraction) + len(digits) - len(core)
    head = b"-" + core if sign == b"-" else core
    return b"%se%d" % (head, power) if power else head


def _exact_line(words: list[bytes]) -> bytes:
    line = b" ".join(words)
    if len(line) < _SHORT and _RESPELLED.search(line) is None:
        return line
    numbers = map(_NUMBER.fullmatch, words)
    return b" ".join(word if number is None else _exact(number) for word, number in zip(words, numbers, strict=True))


def _bytes(text: str) -> bytes:
    """Without the white space at its end, blank lines included."""
    return text.encode("utf-8", "surrogatepass").rstrip()


def _lines_difference(wanted: bytes, given: bytes, same: _Same) -> str | None:
    for number, (want, have) in enumerate(zip(io.BytesIO(wanted), io.BytesIO(given), strict=False), 1):
        if want == have or (len(want) + len(have) < _SHORT and want.split() == have.split()):
            continue
        found = _words_difference(want, have, same, "the end of the line")
        if found:
            return f"line {number}: {found[1]}"
    return _count_difference(wanted, given)


def _count_difference(wanted: bytes, given: bytes) -> str | None:
    lines = wanted.count(b"\n") + bool(wanted), given.count(b"\n") + bool(given)
    return None if lines[0] == lines[1] else f"expected {_count(lines[0], 'line')}, got {lines[1]}"


def _words_difference(wanted: bytes, given: bytes, same: _Same, end: str) -> tuple[int, str] | None:
    """The number of the first word that differs, and how."""
    for number, (want, have) in enumerate(itertools.zip_longest(_words(wanted), _words(given)), 1):
        if want is None or have is None:
            return number, f"expected {_shown(want) if want else end}, got {_shown(have) if have else end}"
        if want != have and not same(want, have):
            return number, f"expected {_shown(want)}, got {_shown(have)}"
    return None


def _words(text: bytes) -> Iterator[bytes]:
    """Block by block, so that the words of a large text are never all in memory."""
    for block in _BLOCK.finditer(text):
        yield from block[0].split()


def _unordered_difference(wanted: bytes, given: bytes) -> str | None:
    """The texts have no blank lines. Only lines that are not found byte by byte are read as words."""
    found = _count_difference(wanted, given)
    if found:
        return found
    left, others = Counter(io.BytesIO(wanted)), []
    for number, line in enumerate(io.BytesIO(given), 1):
        if left[line]:
            left[line] -= 1
        else:
            others.append((number, line))
    missing: Counter[bytes] = Counter()
    most = 0
    for line in left.elements():
        words = line.split()
        most = max(most, len(words))
        missing[_exact_line(words)] += 1
    for number, line in others:
        key = _exact_line(line.split(None, most))  # more words than `most` make a key that is missed
        if not missing[key]:
            return f"line {number}, blank ones not counted: {_shown(line.strip())} is not expected, or not so often"
        missing[key] -= 1
    return None


def _value_rule(checker: Checker) -> _SameValue:
    if checker.type is CheckerType.FLOAT:
        return partial(_near_value, _tolerance(checker))
    if checker.type is CheckerType.YESNO:
        return partial(_same_string, _spells_alike)
    if checker.type is CheckerType.WORDS:
        return partial(_same_string, _same_words)
    return _same_value


def _same_value(wanted: Any, given: Any) -> bool:
    return bool(wanted == given) or (_is_nan(wanted) and _is_nan(given))


def _is_nan(value: Any) -> bool:
    return isinstance(value, float) and math.isnan(value)


def _near_value(tolerance: float, wanted: Any, given: Any) -> bool:
    if _same_value(wanted, given):
        return True
    if not isinstance(wanted, float) or isinstance(given, bool) or not isinstance(given, int | float | Decimal):
        return False
    try:
        return _close(wanted, float(given), tolerance)
    except OverflowError:
        return False


def _same_string(same: _Same, wanted: Any, given: Any) -> bool:
    if isinstance(wanted, str) and isinstance(given, str):
        return wanted == given or same(wanted.encode("utf-8", "surrogatepass"), given.encode("utf-8", "surrogatepass"))
    return _same_value(wanted, given)


def _same_words(wanted: bytes, given: bytes) -> bool:
    return _words_difference(wanted, given, _same_number, "") is None


def _parsed(expected: str, actual: str) -> tuple[Any, Any] | str:
    """Both values, or why there are none to compare."""
    if not actual:
        return "no value was returned"
    if len(actual) > MOST_LONGER * (len(expected) + 64):
        return f"expected a value of {len(expected)} characters, got {len(actual)}"
    values = []
    for what, text in (("expected value", expected), ("value", actual)):
        try:
            values.append(_decoded(text))
        except ValueError:
            return f"the {what} is not JSON"
        except RecursionError:
            return f"the {what} is nested too deeply to be read"
    return values[0], values[1]


def _decoded(text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        raise
    except ValueError:  # an integer longer than Python converts; a Decimal holds it, and equals integers
        return json.loads(text, parse_int=Decimal)


def _value_difference(wanted: Any, given: Any, same: _SameValue) -> str | None:
    """The first leaf that differs. No recursion: a value is compared as deep as it could be read."""
    stack: list[tuple[Any, Any, Any]] = [((), wanted, given)]
    while stack:
        where, want, have = stack.pop()
        if isinstance(want, list) and isinstance(have, list):
            if len(want) != len(have):
                return f"{_place(where)}: expected {_count(len(want), 'item')}, got {len(have)}"
            stack.extend(((where, i), want[i], have[i]) for i in reversed(range(len(want))))
        elif isinstance(want, dict) and isinstance(have, dict):
            odd = next((key for key in [*want, *have] if (key in want) is not (key in have)), None)
            if odd is not None:
                return f"{_place((where, odd))} is {'missing' if odd in want else 'not expected'}"
            stack.extend(((where, key), want[key], have[key]) for key in reversed(want))
        elif not same(want, have):
            return f"{_place(where)}: expected {_shown_value(want)}, got {_shown_value(have)}"
    return None


def _place(where: Any) -> str:
    """`value[0]["a"]` for the path (((), 0), "a")."""
    keys = []
    while where:
        where, key = where
        keys.append(f"[{_shown_value(key)}]")
    return f"value{''.join(reversed(keys))}"


def _unordered_items_difference(wanted: list[Any], given: list[Any]) -> str | None:
    if len(wanted) != len(given):
        return f"value: expected {_count(len(wanted), 'item')}, got {len(given)}"
    left = Counter(map(_hashable, wanted))
    for place, item in enumerate(given):
        key = _hashable(item)
        if not left[key]:
            return f"value[{place}]: {_shown_value(item)} is not expected, or not so often"
        left[key] -= 1
    return None


def _hashable(value: Any) -> Hashable:
    """What is equal, and hashes alike, for equal values; `json` makes but one NaN, which is found by identity."""
    if isinstance(value, list):
        return tuple(map(_hashable, value))
    if isinstance(value, dict):
        return frozenset((key, _hashable(item)) for key, item in value.items())
    return cast("Hashable", value)


def _stripped_lines(text: str) -> Iterator[str]:
    start = 0
    while (end := text.find("\n", start)) >= 0:
        yield text[start:end].strip()
        start = end + 1
    yield text[start:].strip()


def _same_decimals(wanted: str, given: str) -> bool:
    pairs = itertools.zip_longest(_TEXT_WORD.finditer(wanted), _TEXT_WORD.finditer(given))
    try:
        return all(w is not None and g is not None and Decimal(w[0]) == Decimal(g[0]) for w, g in pairs)
    except InvalidOperation:  # no number, or a signalling NaN
        return False


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _shown(text: bytes) -> str:
    return _cut(text[: 4 * (_SHOWN + 1)].decode("utf-8", "backslashreplace"))


def _shown_value(value: Any) -> str:
    """As much of the JSON text as is shown; the rest is not made."""
    said = ""
    for piece in json.JSONEncoder(default=str).iterencode(value):
        said += piece
        if len(said) > _SHOWN:
            break
    return _cut(said)


def _cut(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
