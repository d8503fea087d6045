"""Whether an output is the expected one. Pure; no guessing and no cascade: one rule per checker.

default: per line, ASCII-whitespace tokens equal, or equal as exact decimal numbers; blank lines at the end are ignored.
float: the same, but tokens expected with a point or an exponent may differ by the tolerance.
"""

import io
import json
import math
import re
from decimal import Decimal
from typing import Any

from dc_tools.core.records import Checker, CheckerType

DEFAULT_TOLERANCE = 1e-6
_NUMBER = re.compile(rb"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,4})?")
MOST_PADDING = 16
"""A line longer than this many times the expected one is wrong without a closer look."""
_SHOWN = 60


def difference(expected: str, actual: str, checker: Checker) -> str | None:
    """In words, the first place where stdout `actual` is not `expected`; None where it is accepted.

    Reads line by line and stops at the first difference, so that a flood of output costs nothing.
    """
    tolerance = tolerance_of(checker)
    wanted, given = _bytes(expected), _bytes(actual)
    if wanted == given:
        return None
    lines = (wanted.count(b"\n") + bool(wanted), given.count(b"\n") + bool(given))
    for number, (want, have) in enumerate(zip(io.BytesIO(wanted), io.BytesIO(given), strict=False), 1):
        found = None if want == have else _line_difference(want, have, tolerance)
        if found is not None:
            return f"line {number}: {found}"
    return None if lines[0] == lines[1] else f"expected {_count(lines[0], 'line')}, got {lines[1]}"


def value_difference(expected: str, actual: str, checker: Checker) -> str | None:
    """The same for JSON texts of a value: equal as Python's `==` has it, floats within a `float` tolerance."""
    if not actual:
        return "no value was returned"
    try:
        wanted = json.loads(expected)
    except (ValueError, RecursionError):
        return "the expected value is not JSON"
    try:
        return _value_difference(wanted, json.loads(actual), tolerance_of(checker), "value")
    except (ValueError, OverflowError, RecursionError) as error:
        return f"the value cannot be compared: {type(error).__name__}"


def tolerance_of(checker: Checker) -> float | None:
    """The tolerance of a `float` checker, None for exact comparison."""
    if checker.type is not CheckerType.FLOAT:
        return None
    return DEFAULT_TOLERANCE if checker.tolerance is None else checker.tolerance


def _bytes(text: str) -> bytes:
    """Without the white space at its end, blank lines included."""
    return text.encode("utf-8", "surrogatepass").rstrip()


def _line_difference(want: bytes, have: bytes, tolerance: float | None) -> str | None:
    if len(have) > MOST_PADDING * (len(want) + 64):
        return f"expected {len(want)} bytes, got {len(have)}"
    wanted, given = want.split(), have.split()
    if len(wanted) != len(given):
        return f"expected {_count(len(wanted), 'word')}, got {len(given)}"
    for w, h in zip(wanted, given, strict=True):
        if w != h and not _same_number(w, h, tolerance):
            return f"expected {_shown(w)}, got {_shown(h)}"
    return None


def _same_number(wanted: bytes, given: bytes, tolerance: float | None) -> bool:
    if not (_NUMBER.fullmatch(wanted) and _NUMBER.fullmatch(given)):
        return False
    if tolerance is not None and re.search(rb"[.eE]", wanted):
        return _close(float(wanted), float(given), tolerance)
    return Decimal(wanted.decode()) == Decimal(given.decode())


def _close(wanted: float, given: float, tolerance: float) -> bool:
    return math.isfinite(wanted) and abs(wanted - given) <= tolerance * max(1.0, abs(wanted))


def _value_difference(wanted: Any, given: Any, tolerance: float | None, where: str) -> str | None:
    if isinstance(wanted, list) and isinstance(given, list):
        if len(wanted) != len(given):
            return f"{where}: expected {_count(len(wanted), 'item')}, got {len(given)}"
        pairs = [(w, g, f"{where}[{i}]") for i, (w, g) in enumerate(zip(wanted, given, strict=True))]
    elif isinstance(wanted, dict) and isinstance(given, dict):
        if wanted.keys() != given.keys():
            return f"{where}: expected keys {_shown(sorted(wanted))}, got {_shown(sorted(given))}"
        pairs = [(wanted[k], given[k], f"{where}[{_shown(k)}]") for k in wanted]
    else:
        close = tolerance is not None and isinstance(wanted, float) and isinstance(given, int | float)
        if wanted == given or (close and _close(wanted, given, tolerance or 0.0)):
            return None
        return f"{where}: expected {_shown(wanted)}, got {_shown(given)}"
    return next(filter(None, (_value_difference(w, g, tolerance, at) for w, g, at in pairs)), None)


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _shown(value: object) -> str:
    text = value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else json.dumps(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
