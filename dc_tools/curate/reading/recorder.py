"""Runs inside the sandbox, never here: plays a row's test code against its reference and writes down each call.

It is shipped as text ahead of a `record_calls` function (recording.py), so it stands alone. Every assert runs; a call
whose arguments or value JSON cannot say is noted with the reason.
"""

import inspect
import json
import math
import traceback
from collections.abc import Callable
from typing import Any

CHECKS_FILE = "<checks>"
MOST_RECORDED = 12 << 20
"""Bytes that all calls together may have as they are written down: the sandbox takes little more."""
SHOWN = 120


class NotJson(Exception):
    """The value has no JSON form."""


def record(program: str, target: str, checks: str, names: list[str]) -> dict[str, Any]:
    """`calls`: [input, output, ""] or ["", "", why not]; `failed`: empty, or what the test code ended with."""
    world: dict[str, Any] = {"__name__": "reference"}
    exec(compile(program, "<reference>", "exec"), world)
    calls: list[list[str]] = []
    recorder = recording(eval(target, world), calls)
    bench = dict(world)
    bench.update(dict.fromkeys(names, recorder))
    try:
        exec(compile(checks, CHECKS_FILE, "exec"), bench)
        if "check" in bench and "check" not in world:
            bench["check"](recorder)
    except Exception as error:
        return {"calls": calls, "failed": explained(error, checks.split("\n"))}
    return {"calls": calls, "failed": ""}


def recording(reference: Callable[..., Any], calls: list[list[str]]) -> Callable[..., Any]:
    """The reference, with each call noted in `calls`."""
    room = MOST_RECORDED

    def recorder(*args: Any, **kwargs: Any) -> Any:
        nonlocal room
        try:
            arguments = positional(reference, args, kwargs)
            before, tuples = to_json(arguments), holds_tuple(arguments)
        except NotJson as error:
            calls.append(["", "", str(error)])
            return reference(*args, **kwargs)
        value = reference(*args, **kwargs)
        try:
            after = to_json(value)
            if tuples and not same_with_lists(reference, before, after):
                raise NotJson("a tuple argument that a list cannot stand for")
            size = len(json.dumps([before, after]))
            if size > room:
                raise NotJson(f"more than {MOST_RECORDED >> 20} MiB of tests")
            room -= size
            calls.append([before, after, ""])
        except NotJson as error:
            calls.append(["", "", str(error)])
        return value

    return recorder


def same_with_lists(reference: Callable[..., Any], before: str, after: str) -> bool:
    """Whether the arguments as JSON says them give the same value."""
    try:
        return to_json(reference(*json.loads(before))) == after
    except Exception:
        return False


def positional(reference: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[Any]:
    """All arguments in order."""
    if not kwargs:
        return list(args)
    bound = inspect.signature(reference).bind(*args, **kwargs)
    bound.apply_defaults()
    if bound.kwargs:
        raise NotJson("a keyword-only argument")
    return list(bound.args)


def to_json(value: Any) -> str:
    """JSON text of `value`, tuples as lists."""
    try:
        return json.dumps(plain(value), ensure_ascii=False)
    except (ValueError, RecursionError) as error:
        raise NotJson(f"a value that cannot be written: {error}") from None


def plain(value: Any) -> Any:
    """`value` in JSON's types."""
    if type(value) is str and not value.isascii():
        return writable(value)
    if value is None or type(value) in (bool, int, str):
        return value
    if type(value) is float and math.isfinite(value):
        return value
    if type(value) in (list, tuple):
        return [plain(each) for each in value]
    if type(value) is dict and all(type(key) is str for key in value):
        return {key: plain(each) for key, each in value.items()}
    if type(value) is float:
        raise NotJson(f"the number {value}")
    if type(value) is dict:
        raise NotJson("a dict whose keys are not all strings")
    raise NotJson(f"a value of type {type(value).__name__}")


def writable(value: str) -> str:
    """`value`, which UTF-8 can say."""
    try:
        value.encode()
    except UnicodeEncodeError:
        raise NotJson("a string with a lone surrogate") from None
    return value


def holds_tuple(value: Any) -> bool:
    """Whether a tuple is anywhere inside."""
    if isinstance(value, tuple):
        return True
    if isinstance(value, dict):
        return any(map(holds_tuple, value.values()))
    return isinstance(value, list) and any(map(holds_tuple, value))


def explained(error: Exception, lines: list[str]) -> str:
    """The exception and the line of the test code that it came from."""
    said = f"{type(error).__name__}: {error}".removesuffix(": ")
    numbers = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == CHECKS_FILE]
    number = numbers[-1] if numbers else None
    return f"{said[:SHOWN]} in line {number}: {lines[number - 1].strip()[:SHOWN]}" if number else said[:SHOWN]
