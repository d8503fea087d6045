"""Values that cross a process's border as Python literals, types and all, and EvalPlus's rules for comparing them.

JSON would make lists of tuples and text of numbers used as keys. A literal is read, never run. What is on the other
side of the border is in calls.py.
"""

import ast
import math
from typing import Any

from dc_tools.eval import calls
from dc_tools.eval.calls import DIGEST, VALUE, digest
from dc_tools.eval.inlined import inlined

FLOAT_ATOL, RTOL = 1e-6, 1e-7
"""Where the published tolerance is 0, floats may still be this far apart."""
MOST = 4 << 20
MOST_LONGER = 64
"""A literal so many times longer than the expected one is wrong without being read."""


def glue(name: str, entry: str, limit_s: float, long: int) -> str:
    """What is put behind a program, so that `name`, given lists of arguments, gives the values of `entry` in words."""
    return (
        f"\n\n{inlined('__calls', calls)}\n\ndef {name}(*calls):\n"
        f"    return __calls['call_all'](lambda *given: {entry}(*given), calls, {limit_s}, {long})\n"
    )


class NoLiteral(ValueError):
    """Text that is no literal: an object of a class, an iterator."""


def read(text: str) -> Any:
    """The value of a literal; inf and nan are numbers. Errors: `NoLiteral`, also for more than MOST characters."""
    if len(text) > MOST:
        raise NoLiteral(f"a literal of {len(text)} characters")
    try:
        return _value(ast.parse(text, mode="eval").body)
    except (SyntaxError, RecursionError, MemoryError, ValueError, TypeError, OverflowError) as error:
        raise NoLiteral(f"no plain value: {text[:60]}") from error


def _value(node: ast.expr) -> Any:
    match node:
        case ast.Constant(value=value):
            return value
        case ast.Name(id="inf" | "nan" as name):
            return float(name)
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_value(operand)
        case ast.BinOp(left=left, op=ast.Add() | ast.Sub() as op, right=right):  # complex numbers
            return _value(left) + _value(right) if isinstance(op, ast.Add) else _value(left) - _value(right)
        case ast.List(elts=items):
            return [_value(item) for item in items]
        case ast.Tuple(elts=items):
            return tuple(_value(item) for item in items)
        case ast.Set(elts=items):
            return {_value(item) for item in items}
        case ast.Dict(keys=keys, values=values) if None not in keys:
            return {_value(k): _value(v) for k, v in zip(keys, values, strict=True) if k is not None}
        case ast.Call(func=ast.Name(id="set"), args=[], keywords=[]):
            return set()
    raise ValueError(ast.dump(node)[:60])


def agree(found: str, expected: str, atol: float) -> bool:
    """Whether a value, as it was put into words, is taken for the expected one. Errors: `NoLiteral`."""
    if found == expected:
        return True
    if len(found) > MOST_LONGER * len(expected) and not expected.startswith(DIGEST):
        return False
    if DIGEST in (found[:1], expected[:1]):
        return _digest_of(found) == _digest_of(expected)
    return equal(read(found[1:]), read(expected[1:]), atol)


def _digest_of(words: str) -> str:
    return words[1:] if words.startswith(DIGEST) else digest(read(words.removeprefix(VALUE)))


def equal(found: Any, expected: Any, atol: float) -> bool:
    """Whether EvalPlus takes `found` for `expected`: equal, or floats that are near each other.

    With a tolerance both must be of one type, and numbers of a list are compared one by one.
    """
    if found == expected:
        return True
    if not atol and _is_floats(expected):
        atol = FLOAT_ATOL
    if not atol or type(found) is not type(expected):
        return False
    if isinstance(expected, list | tuple):
        return len(found) == len(expected) and all(_near(a, b, atol) for a, b in zip(found, expected, strict=True))
    return _near(found, expected, atol)


def _is_floats(value: Any) -> bool:
    """A float, or a list or tuple of nothing but floats."""
    if isinstance(value, list | tuple):
        return bool(value) and all(isinstance(each, float) for each in value)
    return isinstance(value, float)


def _near(found: Any, expected: Any, atol: float) -> bool:
    """As numpy.allclose has it: infinities are near themselves alone, nan is near nothing."""
    if isinstance(found, list | tuple) and isinstance(expected, list | tuple):
        return len(found) == len(expected) and all(_near(a, b, atol) for a, b in zip(found, expected, strict=True))
    try:
        if math.isinf(expected) or math.isinf(found):
            return bool(found == expected)
        return bool(abs(found - expected) <= atol + RTOL * abs(expected))
    except (TypeError, OverflowError):
        return False
