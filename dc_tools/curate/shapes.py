"""What the inputs of a problem look like: the types, bounds and habits that all of those seen share.

A value is JSON's, or the lines of a stdin input as lists of words. A shape claims nothing of values that were not
seen: it is how far a new input may go without leaving what the tests' author has used.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

FIXED = 12
"""A list that always has the same length, of at most so many items, has a shape for each place."""
ENOUGH = 3
"""Lists of two or more items that must have a habit before it is taken for one."""


@dataclass
class Shape:
    """What is common to the values at one place of the inputs."""

    kinds: set[str] = field(default_factory=set)
    """Of `int`, `float`, `str`, `bool`, `null`, `list`, `dict`."""
    low: float = 0
    high: float = 0
    """Of numbers."""
    least: int = 0
    most: int = 0
    """Lengths, of strings and lists."""
    alphabet: str = ""
    item: "Shape | None" = None
    """Of the items of all lists."""
    places: "list[Shape] | None" = None
    """One for each place, where all lists have the same length."""
    keys: "dict[str, Shape]" = field(default_factory=dict)
    is_rising: bool = False
    is_falling: bool = False
    is_distinct: bool = False
    is_level: bool = False
    """The lists in a list are all of one length."""


def kind_of(value: Any) -> str:
    """The name of a value's type."""
    return "null" if value is None else type(value).__name__


def shape_of(values: Iterable[Any]) -> Shape:
    """The shape of the values seen at one place."""
    seen = list(values)
    shape = Shape({kind_of(value) for value in seen})
    numbers = [value for value in seen if kind_of(value) in ("int", "float")]
    shape.low, shape.high = (min(numbers), max(numbers)) if numbers else (0, 0)
    sized = [len(value) for value in seen if isinstance(value, str | list)]
    shape.least, shape.most = (min(sized), max(sized)) if sized else (0, 0)
    shape.alphabet = "".join(sorted({char for value in seen if isinstance(value, str) for char in value}))
    lists = [value for value in seen if isinstance(value, list)]
    if lists:
        _describe_lists(shape, lists)
    for key in {key for value in seen if isinstance(value, dict) for key in value}:
        shape.keys[key] = shape_of(value[key] for value in seen if isinstance(value, dict) and key in value)
    return shape


def _describe_lists(shape: Shape, lists: list[list[Any]]) -> None:
    if shape.least == shape.most <= FIXED:
        shape.places = [shape_of(column) for column in zip(*lists, strict=True)]
    shape.item = shape_of(item for each in lists for item in each)
    telling = [each for each in lists if len(each) > 1 and _are_alike(each)]
    if len(telling) >= ENOUGH:
        shape.is_rising, shape.is_falling = all(map(_rises, telling)), all(map(_falls, telling))
        shape.is_distinct = all(map(_differ, telling))
    nested = [each for each in lists if len(each) > 1 and all(isinstance(item, list) for item in each)]
    shape.is_level = bool(nested) and all(len({len(item) for item in each}) == 1 for each in nested)


def fits(value: Any, shape: Shape) -> bool:
    """Whether a value is one that could be among those seen."""
    if kind_of(value) not in shape.kinds:
        return False
    match value:
        case bool() | None:
            return True
        case int() | float():
            return shape.low <= value <= shape.high
        case str():
            return shape.least <= len(value) <= shape.most and set(value) <= set(shape.alphabet)
        case list():
            return shape.least <= len(value) <= shape.most and _has_habits(value, shape) and _items_fit(value, shape)
        case dict():
            return value.keys() <= shape.keys.keys() and all(fits(v, shape.keys[k]) for k, v in value.items())
    return False


def _items_fit(value: list[Any], shape: Shape) -> bool:
    assert shape.item is not None
    if shape.places is not None:
        return all(map(fits, value, shape.places))
    item = shape.item
    return all(fits(each, item) for each in value)


def _has_habits(value: list[Any], shape: Shape) -> bool:
    if shape.is_level and len({len(item) for item in value if isinstance(item, list)}) > 1:
        return False
    if len(value) < 2 or not _are_alike(value):
        return True
    return (
        (_rises(value) or not shape.is_rising) and (_falls(value) or not shape.is_falling)
        and (_differ(value) or not shape.is_distinct)
    )


def _are_alike(items: list[Any]) -> bool:
    """Whether the items can be put in order."""
    kinds = {kind_of(item) for item in items}
    return kinds <= {"int", "float"} or kinds == {"str"}


def _rises(items: list[Any]) -> bool:
    return all(a <= b for a, b in pairwise(items))


def _falls(items: list[Any]) -> bool:
    return all(a >= b for a, b in pairwise(items))


def _differ(items: list[Any]) -> bool:
    return len(set(items)) == len(items)
