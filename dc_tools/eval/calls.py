"""What runs beside a candidate's function, in its process and in a namespace of its own: calls it, and puts what it
gives into words. Only the standard library; its text is sent.

A value is "=" and a literal, or, where that is long, "#" and a digest; "!" and what was raised; "?" where the call, or
one before it, took too long.
"""

import signal
from collections.abc import Callable, Iterable, Sequence
from typing import Any

VALUE, DIGEST, RAISED, LATE = "=", "#", "!", "?"
KINDS: dict[type[Any], None] = dict.fromkeys((bool, int, float, str, bytes, complex))
NUMBERS = {bool, int, float}
EXACT = 1 << 53
"""Up to here a float is one integer."""
_late: list[bool] = []


class Late(BaseException):
    """The call has had its time."""


def call_all(function: Callable[..., Any], calls: Iterable[Sequence[Any]], limit_s: float, long: int) -> list[str]:
    """What `call` gives for each of the arguments, one after the other."""
    signal.signal(signal.SIGPROF, _end)
    return [call(function, arguments, limit_s, long) for arguments in calls]


def call(function: Callable[..., Any], arguments: Sequence[Any], limit_s: float, long: int) -> str:
    """What `function` gives within `limit_s` seconds of CPU time; literals have `long` characters at most, but for
    floats, which may be compared with a tolerance."""
    if _late:
        return LATE
    signal.setitimer(signal.ITIMER_PROF, limit_s)
    try:
        return in_words(function(*arguments), long)
    except Late:
        return LATE
    except BaseException as error:  # a candidate may raise anything, and exit
        return f"{RAISED}{type(error).__name__}: {str(error)[:200]}"
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)


def in_words(value: Any, long: int) -> str:
    """A value as a literal or a digest."""
    value = plain(value)
    is_list, is_floats = isinstance(value, list | tuple), False
    if is_list and value and type(value[0]) is float:
        is_floats = set(map(type, value)) == {float}
    if (is_list or isinstance(value, str | bytes)) and len(value) > long and not is_floats:
        return DIGEST + digest(value)
    try:
        text = repr(value)
    except ValueError:  # an integer of more digits than Python writes
        return DIGEST + digest(value)
    return VALUE + text if len(text) <= long or is_floats else DIGEST + digest(value)


def plain(value: Any) -> Any:
    """The value with built-in types in place of classes that are made from them."""
    kind = type(value)
    if value is None or kind in KINDS or (kind in (list, tuple) and set(map(type, value)) <= KINDS.keys()):
        return value
    if isinstance(value, dict):
        return {plain(key): plain(each) for key, each in value.items()}
    if isinstance(value, list):
        return [plain(each) for each in value]
    if isinstance(value, tuple):
        return tuple(plain(each) for each in value)
    if isinstance(value, set | frozenset):
        return {plain(each) for each in value}
    return next((base(value) for base in KINDS if isinstance(value, base)), value)


def digest(value: Any) -> str:
    """The same for values that are equal, whatever the types of their numbers and the order of sets and dicts."""
    import hashlib  # rarely needed, and slow to import

    numbers = _packed(value)
    if numbers or isinstance(value, str):
        found, body = hashlib.sha256(type(value).__name__.encode()), numbers or _encoded(value)
    else:
        found, body = hashlib.sha256(), _encoded(_same(value))
    found.update(body)
    return found.hexdigest()


def _packed(value: Any) -> bytes:
    """A flat list or tuple of numbers that floats hold exactly, as floats; nothing for any other value."""
    from array import array

    is_flat = isinstance(value, list | tuple) and value and set(map(type, value)) <= NUMBERS
    if not is_flat or not -EXACT < min(value) <= max(value) < EXACT:
        return b""
    found = array("d", value).tobytes()
    has_negative_zero = array("d", [-0.0]).tobytes() in found  # which is equal to 0
    return array("d", [each or 0 for each in value]).tobytes() if has_negative_zero else found


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _same(value: Any) -> str:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, int):
        return hex(value)
    if isinstance(value, list | tuple):
        return f"{type(value).__name__}({','.join(map(_same, value))})"
    if isinstance(value, set):
        return f"set({','.join(sorted(map(_same, value)))})"
    if isinstance(value, dict):
        return f"dict({','.join(sorted(f'{_same(k)}:{_same(v)}' for k, v in value.items()))})"
    return repr(value)


def _end(*_: object) -> None:
    _late.append(True)
    raise Late
