"""Whether an output is the expected one. Pure; no guessing and no cascade: one rule per checker.

default: per line, ASCII-whitespace tokens equal, or equal as exact decimal numbers; blank lines at the end are ignored.
float: the same, but tokens expected with a point or an exponent may differ by the tolerance.
"""

import json
import re
from decimal import Decimal
from typing import Any

from dc_tools.core.records import Checker, CheckerType

DEFAULT_TOLERANCE = 1e-6
_NUMBER = re.compile(rb"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,4})?")
_SHOWN = 60


def difference(expected: str, actual: str, checker: Checker) -> str | None:
    """In words, the first place where stdout `actual` is not `expected`; None where it is accepted."""
    tolerance = tolerance_of(checker)
    wanted, given = _lines(expected), _lines(actual)
    for number, (want, have) in enumerate(zip(wanted, given, strict=False), 1):
        if want == have:
            continue
        if len(want) != len(have):
            return f"line {number}: expected {_count(len(want), 'word')}, got {len(have)}"
        for w, h in zip(want, have, strict=True):
            if w != h and not _same_number(w, h, tolerance):
                return f"line {number}: expected {_shown(w)}, got {_shown(h)}"
    if len(wanted) != len(given):
        return f"expected {_count(len(wanted), 'line')}, got {len(given)}"
    return None


def value_difference(expected: str, actual: str, checker: Checker) -> str | None:
    """The same for JSON texts of a value: equal as Python's `==` has it, floats within a `float` tolerance."""
    if not actual:
        return "no value was returned"
    try:
        wanted, given = json.loads(expected), json.loads(actual)
    except (ValueError, RecursionError):
        return "the value is not JSON" if _is_json(expected) else "the expected value is not JSON"
    return _value_difference(wanted, given, tolerance_of(checker), "value")


def tolerance_of(checker: Checker) -> float | None:
    """The tolerance of a `float` checker, None for exact comparison."""
    if checker.type is not CheckerType.FLOAT:
        return None
    return DEFAULT_TOLERANCE if checker.tolerance is None else checker.tolerance


def _lines(text: str) -> list[list[bytes]]:
    lines = [line.split() for line in text.encode("utf-8", "surrogatepass").split(b"\n")]
    while lines and not lines[-1]:
        lines.pop()
    return lines


def _same_number(wanted: bytes, given: bytes, tolerance: float | None) -> bool:
    if not (_NUMBER.fullmatch(wanted) and _NUMBER.fullmatch(given)):
        return False
    if tolerance is not None and re.search(rb"[.eE]", wanted):
        return _close(float(wanted), float(given), tolerance)
    return Decimal(wanted.decode()) == Decimal(given.decode())


def _close(wanted: float, given: float, tolerance: float) -> bool:
    return abs(wanted - given) <= tolerance * max(1.0, abs(wanted))


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


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _shown(value: object) -> str:
    text = value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else json.dumps(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
