"""A value in a few characters, for people; runs beside a candidate, in its process. Only the standard library; its
text is sent.

No code of the candidate's runs for it: built-in types are written as Python writes them, and as far as there is room;
any other object is `<Name>`, with its attributes where it has a plain `__dict__`.
"""

import types
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable, Iterable
from typing import Any

ROOM = 80
LEVELS = 4
MORE = 16
"""Room kept for the number of items that are left out."""
LEAST = 8
"""Room that a part has in any case."""
MOST_BITS = 2000
"""An integer beyond is not written: that takes the square of its length."""
MOST_DIGITS = 40
LONGEST_NAME = 40
_name_of = type.__dict__["__name__"].__get__
_bases_of = type.__dict__["__mro__"].__get__
_names_of = type.__dict__["__dict__"].__get__
"""What a metaclass may not answer for."""


def shown(value: Any, room: int = ROOM) -> str:
    """At most `room` characters that say what a value is."""
    return _text(value, room, LEVELS)


def type_name(kind: type) -> str:
    """The name of a class, cut."""
    return str(_name_of(kind))[:LONGEST_NAME]


def attributes(value: Any) -> dict[Any, Any]:
    """The plain `__dict__` of an object; empty where it has none."""
    for base in _bases_of(type(value)):
        found = _names_of(base).get("__dict__")
        if found is not None:
            names = found.__get__(value) if type(found) is types.GetSetDescriptorType else None
            return names if type(names) is dict else {}
    return {}


def _text(value: Any, room: int, levels: int) -> str:
    room = max(room, LEAST)
    write = _WRITERS.get(id(type(value)), _object)  # by id: a metaclass may say how its classes are hashed
    text = write(value, room, levels)
    return text if len(text) <= room else text[: room - 1] + "…"


def _plain(value: Any, room: int, levels: int) -> str:
    return repr(value)


def _integer(value: int, room: int, levels: int) -> str:
    if value.bit_length() > MOST_BITS:
        return f"<int of {value.bit_length()} bits>"
    text = str(value)
    return text if len(text) <= MOST_DIGITS else f"{text[: MOST_DIGITS // 2]}… ({len(text)} digits)"


def _string(value: Any, room: int, levels: int) -> str:
    return repr(value) if len(value) <= room else repr(value[:room])[: room - 1] + "…"


def _range(value: range, room: int, levels: int) -> str:
    return _items("range(", ")", (value.start, value.stop, value.step), 3, room, levels)


def _sequence(start: str, end: str) -> Callable[[Any, int, int], str]:
    return lambda value, room, levels: _items(start, end, value, len(value), room, levels)


def _mapping(start: str, end: str) -> Callable[[Any, int, int], str]:
    def write(value: Any, room: int, levels: int) -> str:
        return _items(start, end, dict.items(value), dict.__len__(value), room, levels, _pair)

    return write


def _pair(pair: tuple[Any, Any], room: int, levels: int) -> str:
    key = _text(pair[0], room, levels)
    return f"{key}: {_text(pair[1], room - len(key) - 2, levels)}"


def _attribute(pair: tuple[Any, Any], room: int, levels: int) -> str:
    name = pair[0][:LONGEST_NAME] if type(pair[0]) is str else "?"
    return f"{name}={_text(pair[1], room - len(name) - 1, levels)}"


def _object(value: Any, room: int, levels: int) -> str:
    name, found = type_name(type(value)), attributes(value)
    if not found or levels < 1:
        return f"<{name}>"
    return _items(f"<{name} ", ">", found.items(), len(found), room, levels, _attribute, " ")


def _items(
    start: str, end: str, values: Iterable[Any], size: int, room: int, levels: int,
    write: Callable[[Any, int, int], str] = _text, comma: str = ", ",
) -> str:
    """As many as there is room for, and how many more there are."""
    if size and levels < 1:
        return f"{start}…{end}"
    parts: list[str] = []
    room -= len(start) + len(end)
    for i, value in enumerate(values):
        if parts and room < MORE + LEAST:
            parts.append(f"… {size - i} more")
            break
        parts.append(write(value, room if i == size - 1 else room - MORE, levels - 1))
        room -= len(parts[-1]) + len(comma)
    return f"{start}{comma.join(parts)}{end}"


def _tuple(value: tuple[Any, ...], room: int, levels: int) -> str:
    return _items("(", ",)" if len(value) == 1 else ")", value, len(value), room, levels)


def _set(value: set[Any], room: int, levels: int) -> str:
    return _items("{", "}", value, len(value), room, levels) if value else "set()"


_WRITERS: dict[int, Callable[[Any, int, int], str]] = {
    id(kind): write
    for write, kinds in {
        _plain: (type(None), bool, float, complex), _integer: (int,), _string: (str, bytes, bytearray),
        _range: (range,), _tuple: (tuple,), _set: (set,), _sequence("[", "]"): (list,),
        _sequence("frozenset({", "})"): (frozenset,), _sequence("deque([", "])"): (deque,),
        _mapping("{", "}"): (dict, OrderedDict, defaultdict), _mapping("Counter({", "})"): (Counter,),
    }.items()
    for kind in kinds
}
