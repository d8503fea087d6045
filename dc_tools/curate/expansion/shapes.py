"""What the inputs of a problem look like: the types, bounds and habits that all of those seen share.

A value is JSON's, or the lines of a stdin input as lists of words. A shape claims nothing of values that were not
seen: it is how far a new input may go without leaving what the tests' author has used.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

FIXED = 12
"""A list that always has the same length, of at most so many items, has a shape for each place."""
ENOUGH = 3
"""Lists of two or more items that must have a habit before it is taken for one, unless the statement speaks of it."""
_ORDERED = re.compile(r"sorted|ascending|descending|(?:in|de)creasing|monotonic", re.IGNORECASE)
_DISTINCT = re.compile(r"distinct|unique|different|permutation|no duplicate|not contain duplicate", re.IGNORECASE)
_DIGITS = re.compile(r"[0-9]+")
_ZERO = re.compile(r"(?<![0-9])0[0-9]")
_BRACKETS = {")": "(", "]": "[", "}": "{"}


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
    """Of the items of all lists, where their lengths differ."""
    places: "list[Shape] | None" = None
    """One for each place, where all lists have the same length; then `item` is None."""
    keys: "dict[str, Shape]" = field(default_factory=dict)
    is_rising: bool = False
    is_falling: bool = False
    is_distinct: bool = False
    is_level: bool = False
    """The lists in a list are all of one length."""
    habits: "list[Habit]" = field(default_factory=list)
    """Of strings."""
    skeleton: str | None = None
    """What strings with numbers in them all are but for the numbers: `2024-01-31` is `0-0-0`."""


@dataclass(frozen=True)
class Enough:
    """Lists that must have a habit before it is taken for one."""

    ordered: int = ENOUGH
    distinct: int = ENOUGH


USUAL = Enough()


def enough_for(statement: str) -> Enough:
    """One list is enough for what the statement speaks of."""
    return Enough(1 if _ORDERED.search(statement) else ENOUGH, 1 if _DISTINCT.search(statement) else ENOUGH)


@dataclass(frozen=True)
class Habit:
    """Something that strings may have in common."""

    is_told_by: Callable[[str], bool]
    """Whether a string can show it."""
    has: Callable[[str], bool]
    enough: int
    """Strings that must show it before it is taken for one."""


def kind_of(value: Any) -> str:
    """The name of a value's type."""
    return "null" if value is None else type(value).__name__


def shape_of(values: Iterable[Any], enough: Enough = USUAL) -> Shape:
    """The shape of the values seen at one place."""
    seen = list(values)
    shape = Shape({kind_of(value) for value in seen})
    numbers = [value for value in seen if kind_of(value) in ("int", "float")]
    shape.low, shape.high = (min(numbers), max(numbers)) if numbers else (0, 0)
    sized = [len(value) for value in seen if isinstance(value, str | list)]
    shape.least, shape.most = (min(sized), max(sized)) if sized else (0, 0)
    _describe_texts(shape, [value for value in seen if isinstance(value, str)])
    lists = [value for value in seen if isinstance(value, list)]
    if lists:
        _describe_lists(shape, lists, enough)
    by_key: dict[str, list[Any]] = {}
    for value in seen:
        for key, inner in value.items() if isinstance(value, dict) else ():
            by_key.setdefault(key, []).append(inner)
    shape.keys = {key: shape_of(inner, enough) for key, inner in by_key.items()}
    return shape


def _describe_texts(shape: Shape, texts: list[str]) -> None:
    shape.alphabet = "".join(sorted(set().union(*texts)))
    for habit in HABITS:
        telling = [text for text in texts if habit.is_told_by(text)]
        if len(telling) >= habit.enough and all(map(habit.has, telling)):
            shape.habits.append(habit)
    skeletons = [_DIGITS.sub("0", text) for text in texts]
    if len(skeletons) >= ENOUGH and len(set(skeletons)) == 1 and "0" in skeletons[0]:
        shape.skeleton = skeletons[0]


def _is_balanced(text: str) -> bool:
    """Whether each bracket that is opened is closed."""
    opened: list[str] = []
    for char in text:
        if char in _BRACKETS.values():
            opened.append(char)
        elif char in _BRACKETS and (not opened or opened.pop() != _BRACKETS[char]):
            return False
    return not opened


def _is_spaced(text: str) -> bool:
    return text == text.strip(" ") and "  " not in text


def _is_without_zeros(text: str) -> bool:
    return _ZERO.search(text) is None


HABITS = [
    Habit(lambda text: " " in text, _is_spaced, enough=2),
    Habit(lambda text: _DIGITS.search(text) is not None, _is_without_zeros, enough=2),
    Habit(lambda text: not set("()[]{}").isdisjoint(text), _is_balanced, enough=3),
]
"""Words with one space between, numbers without zeros in front, brackets that are closed."""


def _describe_lists(shape: Shape, lists: list[list[Any]], enough: Enough) -> None:
    if shape.least == shape.most <= FIXED:
        shape.places = [shape_of(column, enough) for column in zip(*lists, strict=True)]
    else:
        shape.item = shape_of((item for each in lists for item in each), enough)
    telling = [each for each in lists if len(each) > 1 and _are_alike(each)]
    if len(telling) >= enough.ordered:
        shape.is_rising, shape.is_falling = all(map(_rises, telling)), all(map(_falls, telling))
    if len(telling) >= enough.distinct:
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
            return shape.least <= len(value) <= shape.most and _is_usual(value, shape)
        case list():
            return shape.least <= len(value) <= shape.most and _has_habits(value, shape) and _items_fit(value, shape)
        case dict():
            return value.keys() <= shape.keys.keys() and all(fits(v, shape.keys[k]) for k, v in value.items())
    return False


def _is_usual(text: str, shape: Shape) -> bool:
    if not set(text) <= set(shape.alphabet):
        return False
    if shape.skeleton is not None and _DIGITS.sub("0", text) != shape.skeleton:
        return False
    return all(habit.has(text) or not habit.is_told_by(text) for habit in shape.habits)


def _items_fit(value: list[Any], shape: Shape) -> bool:
    if shape.places is not None:
        return all(map(fits, value, shape.places))
    item = shape.item
    return item is not None and all(fits(each, item) for each in value)


def _has_habits(value: list[Any], shape: Shape) -> bool:
    if shape.is_level and len({len(item) for item in value if isinstance(item, list)}) > 1:
        return False
    if len(value) < 2 or not _are_alike(value):
        return True
    return (
        (_rises(value) or not shape.is_rising) and (_falls(value) or not shape.is_falling)
        and (_differ(value) or not shape.is_distinct)
    )


def put_in_order(items: list[Any], shape: Shape) -> list[Any]:
    """The items in the order that all lists seen have, if they have one."""
    ordered = (shape.is_rising or shape.is_falling) and _are_alike(items)
    return sorted(items, reverse=not shape.is_rising) if ordered else items


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
