"""What the numbers in a problem's inputs have to do with each other: `n` is the length of `nums`, `k` is at most `n`.

Likely invariants, after Ernst et al., "The Daikon system for dynamic detection of likely invariants" (2007), of the
simplest kind: between two quantities an equality up to a constant, or an order. Quantities are the integers at fixed
places, and the lengths, least and greatest items of the lists and strings there.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from typing import Any, NamedTuple

Path = tuple[int, ...]
MOST_QUANTITIES = 24
FIRST_ITEMS = 3
"""Of each list at the top, whose places are looked at, too: a line of stdin may hold `n`, `m` and `k`."""
LARGEST_OFFSET = 1
"""`n` edges and `n + 1` nodes are related; numbers further apart are so by chance."""
ENOUGH = 3
"""Inputs that must have a relation before it is taken for one."""


class Quantity(NamedTuple):
    """A number that an input has: `value`, `length`, `least` or `greatest` of what is at a place."""

    what: str
    path: Path


@dataclass(frozen=True)
class Relation:
    """`left` is `right + offset` or, where `offset` is None, at most `right`; less than it where `strict`."""

    left: Quantity
    right: Quantity
    offset: int | None = None
    strict: bool = False

    def holds(self, numbers: dict[Quantity, float]) -> bool:
        """Whether an input with these quantities has the relation; one that lacks a quantity has."""
        left, right = numbers.get(self.left), numbers.get(self.right)
        if left is None or right is None:
            return True
        if self.offset is not None:
            return left == right + self.offset
        return left < right if self.strict else left <= right


def quantities(value: list[Any]) -> dict[Quantity, float]:
    """The quantities of an input, whose places are those of `value` and the first ones of the lists in it."""
    found: dict[Quantity, float] = {}
    for path, each in _places(value):
        if type(each) is int:
            found[Quantity("value", path)] = each
        elif isinstance(each, str | list):
            found[Quantity("length", path)] = len(each)
            found |= _extremes(path, each)
    return found


def _places(value: list[Any]) -> Iterator[tuple[Path, Any]]:
    """What stands at the top, and the first items of the lists there."""
    for i, each in enumerate(value):
        yield (i,), each
        for j, inner in enumerate(each[:FIRST_ITEMS] if isinstance(each, list) else ()):
            yield (i, j), inner


def _extremes(path: Path, value: str | list[Any]) -> dict[Quantity, float]:
    numbers = list(_numbers(value)) if isinstance(value, list) else []
    if not numbers:
        return {}
    return {Quantity("least", path): min(numbers), Quantity("greatest", path): max(numbers)}


def _numbers(value: list[Any]) -> Iterator[int]:
    for each in value:
        if type(each) is int:
            yield each
        elif isinstance(each, list):
            yield from (inner for inner in each if type(inner) is int)


def relations(values: list[list[Any]]) -> list[Relation]:
    """The relations that all of the inputs have."""
    rows = [quantities(value) for value in values]
    if len(rows) < ENOUGH:
        return []
    common = [name for name in rows[0] if all(name in row for row in rows)]
    common = sorted(common, key=lambda name: len(name.path))[:MOST_QUANTITIES]
    return [found for pair in combinations(common, 2) for found in _between(*pair, rows)]


def _between(left: Quantity, right: Quantity, rows: list[dict[Quantity, float]]) -> Iterator[Relation]:
    gaps = {row[left] - row[right] for row in rows}
    if len(gaps) == 1 and abs(min(gaps)) <= LARGEST_OFFSET:
        if len({row[left] for row in rows}) > 1:  # two numbers that never change are no relation
            yield Relation(left, right, offset=int(min(gaps)))
    elif max(gaps) <= 0:
        yield Relation(left, right, strict=max(gaps) < 0)
    elif min(gaps) >= 0:
        yield Relation(right, left, strict=min(gaps) > 0)
