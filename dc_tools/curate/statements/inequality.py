"""Inequalities as statements write them: `1 <= n, m < 2 * 10^5`, in ASCII, Unicode or LaTeX.

Datasets lose superscripts (10^4 reads 104, 2^31 reads 231): a number stands for every value that it may have had.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property, reduce
from typing import TypeAlias

Number: TypeAlias = int | float
Extent: TypeAlias = tuple[Number, Number]
"""The least and the greatest that a term may be."""

_Chain: TypeAlias = "tuple[list[list[Term]], list[str]]"
_Product: TypeAlias = "tuple[Extent, tuple[Reference, ...]]"

LARGEST = 10**30
"""Of a statement's numbers and of values; beyond it nothing is said, and products of the others are still doubles."""
MOST_DIGITS, MOST_TERMS = 30, 12
_SPELLINGS = [
    (re.compile(r"\\l(?:eqslant|eq|e)(?![a-z])|≤|⩽|&le;|&lt;="), "<="),
    (re.compile(r"\\g(?:eqslant|eq|e)(?![a-z])|≥|⩾|&ge;|&gt;="), ">="),
    (re.compile(r"\\lt(?![a-z])|&lt;"), "<"),
    (re.compile(r"\\gt(?![a-z])|&gt;"), ">"),
    (re.compile(r"\\(?:cdot|times)(?![a-z])|[\u22c5\u00b7\u00d7]"), "*"),
    (re.compile(r"\\[,;! ]|\{,\}|[$`]"), ""),
    (re.compile(r"[\u2212\u2013]"), "-"),
    (re.compile(r"<sup>(\d+)</sup>|\^\{(\d+)\}"), r"^\1\2"),
    (re.compile(r"_\{(\w+)\}"), r"_\1"),
    (re.compile(r"(?<=\d) (?=\d\d\d(?!\d))"), ""),
]
_SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹", "0123456789")
_RAISED = re.compile(r"[⁰¹²³⁴⁵⁶⁷⁸⁹]+")
_RELATION = re.compile(r"(<=|>=|==|<|>|=)")
_TOKEN = re.compile(
    r"\s*(?:(?P<number>\d+(?:\.\d+)?)|\|(?P<size>\w+)\||(?P<name>[A-Za-z]\w*)(?P<steps>(?:\[\w+\])*)(?P<length>\.length)?"
    r"|(?P<sign>[-+*^]))"
)
_LOST_POWER = re.compile(r"(10|2)([1-9]\d?)")
_TURNED = {">=": "<=", ">": "<"}


@dataclass(frozen=True)
class Reference:
    """A part of the input: a value, its items at any or at one place, or a length."""

    name: str
    steps: tuple[str, ...] = ()
    length: bool = False

    @cached_property
    def is_diagonal(self) -> bool:
        """Whether it speaks of some items of the lists only, as `graph[i][i]`."""
        places = [step for step in self.steps if not step.isdecimal()]
        return len(set(places)) < len(places)


@dataclass(frozen=True)
class Term:
    """A sum of products; each product is its numbers' extent and its references."""

    products: "tuple[_Product, ...]"
    text: str

    @cached_property
    def alone(self) -> Reference | None:
        """The reference that the term is, if it is nothing else."""
        match self.products:
            case (((1, 1), (Reference() as reference,)),):
                return reference
        return None

    @cached_property
    def is_number(self) -> bool:
        """Whether nothing of the input is in it."""
        return all(not references for _, references in self.products)

    @property
    def names(self) -> set[str]:
        """The names of all that it refers to."""
        return {reference.name for _, references in self.products for reference in references}

    def extent(self, look_up: Callable[[Reference], Extent | None]) -> Extent | None:
        """What it may be, given what the references may be; None where one of them is not known."""
        total: Extent = (0, 0)
        for product, references in self.products:
            for reference in references:
                known = look_up(reference)
                if known is None:
                    return None
                product = _times(product, known)
            total = (total[0] + product[0], total[1] + product[1])
        return total


@dataclass(frozen=True)
class Comparison:
    """`left relation right`, the relation being `<`, `<=` or `==`."""

    left: Term
    relation: str
    right: Term
    text: str
    """The whole inequality as the statement has it."""

    def fails(self, left: Extent, right: Extent) -> bool:
        """Whether no reading makes it true."""
        if self.relation == "==":
            return left[0] > right[1] or right[0] > left[1]
        return left[0] >= right[1] if self.relation == "<" else left[0] > right[1]


def plain(text: str) -> str:
    """The text with ASCII's signs of comparison and arithmetic."""
    text = _RAISED.sub(lambda found: "^" + found[0].translate(_SUPERSCRIPTS), text)
    return reduce(lambda text, spelling: spelling[0].sub(spelling[1], text), _SPELLINGS, text)


def comparisons(text: str) -> list[Comparison]:
    """What a text that is an inequality and nothing else says; empty for any other, and where it is not clear.

    `text` comes from `plain`.
    """
    parts = _RELATION.split(text)
    if len(parts) < 3 or len(parts) > 2 * MOST_TERMS:
        return []
    sides = [[_term(each) for each in side.split(",")] for side in parts[::2]]
    known = [[term for term in side if term is not None] for side in sides]
    if known != sides:
        return []
    shown = " ".join(text.split())
    return [each for chain in _chains(known, parts[1::2]) for each in _pairs(*chain, shown)]


def _chains(sides: list[list[Term]], relations: list[str]) -> Iterator[_Chain]:
    """`1 <= n <= 9, 1 <= k` is two: a number after a comma begins another."""
    chain: list[list[Term]] = [sides[0]]
    signs: list[str] = []
    for relation, side in zip(relations, sides[1:], strict=True):
        signs.append(relation)
        if len(side) == 2 and side[1].is_number and relation is not relations[-1]:
            yield [*chain, side[:1]], signs
            chain, signs = [side[1:]], []
        else:
            chain.append(side)
    yield chain, signs


def _pairs(sides: list[list[Term]], relations: list[str], text: str) -> Iterator[Comparison]:
    lists = [place for place, side in enumerate(sides) if len(side) > 1]
    if any(place > 1 and place < len(sides) - 1 for place in lists):
        return  # `1 <= a <= b, c <= 9`: is c at most 9, or a at most c?
    for left_side, relation, right_side in zip(sides, relations, sides[1:], strict=False):
        for left in left_side:
            for right in right_side:
                if relation in _TURNED:
                    yield Comparison(right, _TURNED[relation], left, text)
                else:
                    yield Comparison(left, "==" if relation == "=" else relation, right, text)


def _term(text: str) -> Term | None:
    """The term, or None for what is none."""
    text = text.strip()
    tokens: list[re.Match[str]] = []
    place = 0
    while place < len(text):
        found = _TOKEN.match(text, place)
        if not found or len(tokens) > MOST_TERMS:
            return None
        tokens.append(found)
        place = found.end()
    products: list[_Product] = []
    rest = tokens
    while rest:
        parsed = _product(rest, first=not products)
        if parsed is None:
            return None
        product, rest = parsed
        products.append(product)
    return Term(tuple(products), text) if products else None


def _product(tokens: list[re.Match[str]], *, first: bool) -> tuple[_Product, list[re.Match[str]]] | None:
    """`- 2 * 10^5`, and the tokens after it; only the first product may lack a sign."""
    extent: Extent = (1, 1)
    references: list[Reference] = []
    sign = tokens[0]["sign"]
    if sign in ("-", "+"):
        extent = (-1, -1) if sign == "-" else extent
        tokens = tokens[1:]
    elif not first:
        return None
    while True:
        factor = _factor(tokens)
        if factor is None:
            return None
        value, tokens = factor
        if isinstance(value, Reference):
            references.append(value)
        else:
            extent = _times(extent, value)
        if not tokens or tokens[0]["sign"] != "*":
            return (extent, tuple(references)), tokens
        tokens = tokens[1:]


def _factor(tokens: list[re.Match[str]]) -> tuple[Extent | Reference, list[re.Match[str]]] | None:
    match tokens:
        case [base, sign, power, *rest] if base["number"] and sign["sign"] == "^" and power["number"]:
            if len(base["number"]) > 2 or len(power["number"]) > 2 or "." in base["number"] + power["number"]:
                return None
            value = int(base["number"]) ** int(power["number"])
            return None if value > LARGEST else ((value, value), rest)
        case [found, *rest] if found["number"]:
            readings = _readings(found["number"])
            return readings and (readings, rest)
        case [found, *rest] if found["size"]:
            return Reference(found["size"], length=True), rest
        case [found, *rest] if found["name"]:
            steps = tuple(found["steps"][1:-1].split("][")) if found["steps"] else ()
            return Reference(found["name"], steps, found["length"] is not None), rest
    return None


def _readings(digits: str) -> Extent | None:
    """From the least to the greatest that a number may have been before superscripts were lost."""
    if len(digits) > MOST_DIGITS:
        return None
    value: Number = float(digits) if "." in digits else int(digits)
    lost = _LOST_POWER.fullmatch(digits)
    power = int(lost[1]) ** int(lost[2]) if lost else value
    return (min(value, power), max(value, power)) if power <= LARGEST else (value, value)


def _times(first: Extent, second: Extent) -> Extent:
    corners = [one * other for one in first for other in second]
    return min(corners), max(corners)
