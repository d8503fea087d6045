"""Tests whose inputs are out of the bounds that the statement sets. Where that is not sure, nothing is said.

Looked at are the lines under `Constraints` for the arguments of functions, and for stdin what a statement says of the
numbers on the first line in the sentence that names them. Bounds on sums, on what is inside of linked lists and trees,
and on further lines are not.
"""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import chain, takewhile
from typing import Any, TypeAlias

from dc_tools.core.records import Mode, Problem
from dc_tools.curate.reading.syntax import NotPython, function_named, parse, signature_of
from dc_tools.curate.statements.inequality import LARGEST, Comparison, Extent, Reference, Term, comparisons, plain

LONGEST_INPUT = 1 << 18
"""Longer inputs are not looked at."""
LONGEST_LINE, MOST_LINES, LONGEST_SENTENCE = 200, 60, 800
HEADING = re.compile(r"^[^\w\n]{0,12}constraints?[^\w\n]{0,12}$", re.IGNORECASE | re.MULTILINE)
BULLET = re.compile(r"^\s*(?:[*•]|[-\u2013] )\s*|\s*[.;]?\s*$")
INPUT = re.compile(r"^[^\w\n]{0,12}(?:input(?: format)?|the input)[^\w\n]{0,12}$", re.IGNORECASE | re.MULTILINE)
_NAME = r"(?!and\b|of\b|the\b)[A-Za-z]\w{0,3}\b"
_NAMED = rf"{_NAME}(?: \([^()]{{1,200}}\))?"
FIRST_LINE = re.compile(
    r"\s*(?:the )?(?:first|only|single) (?:and only )?line (?:of (?:the )?input )?(?:contains?|consists of) "
    r"(?:(?:a|an|the|one|two|three|four|single|exactly|only|positive|natural|space-separated|separated) )*"
    rf"(?:integers?(?: numbers?)?|numbers?)[,:]? (?P<named>{_NAMED}(?:(?:,|,? and) {_NAMED})*)",
    re.IGNORECASE,
)
"""The sentence with which the description of the input begins, if it names the numbers of the first line."""
PARENTHESIS = re.compile(r" \(([^()]*)\)")
SEPARATOR = re.compile(r",? and |, ")
CONDITION = re.compile(r"^\W*if\b", re.IGNORECASE | re.MULTILINE)
ANY_PLACE = frozenset("ijklrcxy")
"""Letters for a place in a list, where no argument has that name."""
WHOLE = re.compile(r"[+-]?[0-9]{1,30}")
NUMBERS = frozenset({int, float})


@dataclass(frozen=True)
class Excess:
    """One test that is out of bounds."""

    test: int
    """Its place among the problem's tests, from 0."""
    what: str
    """The first bound that it breaks: `n = 0, but 1 <= n <= 10^5`."""


def out_of_bounds(problem: Problem) -> list[Excess]:
    """The tests that break a bound of the statement."""
    breach = breach_of(problem)
    found = ((place, breach(test.input)) for place, test in enumerate(problem.tests))
    return [Excess(place, what) for place, what in found if what is not None]


def breach_of(problem: Problem) -> Callable[[str], str | None]:
    """What says of an input of the problem, in words, the first bound of the statement that it breaks."""
    bounds, read = _of_numbers(problem) if problem.mode is Mode.STDIN else _of_arguments(problem)
    return lambda text: _broken(bounds, read(text)) if bounds and len(text) <= LONGEST_INPUT else None


_Known: TypeAlias = dict[str, Any]
"""What is known of one input, by name."""
_Reading: TypeAlias = tuple[list[Comparison], Callable[[str], _Known]]
"""The bounds, and how the input's text becomes what they speak of."""


def _nothing(_text: str) -> _Known:
    return {}


def _of_numbers(problem: Problem) -> _Reading:
    heading = INPUT.search(problem.statement)
    start = heading.end() if heading else len(problem.statement)
    found = FIRST_LINE.match(plain(problem.statement[start : start + LONGEST_SENTENCE]))
    if not found:
        return [], _nothing
    parts = ";".join(PARENTHESIS.findall(found["named"])).split(";")
    names = SEPARATOR.split(PARENTHESIS.sub("", found["named"]))
    return [each for part in parts for each in comparisons(part)], partial(_numbers, names)


def _numbers(names: list[str], text: str) -> _Known:
    """The numbers on the first line, where it has as many as there are names."""
    words = text[:LONGEST_LINE].lstrip().partition("\n")[0].split(None, len(names))
    if len(words) != len(names) or not all(map(WHOLE.fullmatch, words)):
        return {}
    return dict(zip(names, map(int, words), strict=True))


def _of_arguments(problem: Problem) -> _Reading:
    heading = HEADING.search(problem.statement)
    start = heading.end() if heading else len(problem.statement)
    lines = problem.statement[start : start + LONGEST_LINE * MOST_LINES].strip().split("\n")
    bounds = [each for line in takewhile(_holds_always, lines) for each in comparisons(BULLET.sub("", plain(line)))]
    bounds = _without_exceptions(bounds)
    names = _arguments(problem) if bounds else []
    known = {*names, *(name.name for bound in bounds for name, _ in _lengths(bound))}
    bounds = [bound for bound in bounds if names and bound.left.names | bound.right.names <= known]
    return bounds, partial(_values, bounds, names)


def _holds_always(line: str) -> bool:
    """Whether it is no condition for the lines that follow, as `If s is an email:`."""
    return not CONDITION.match(line)


def _without_exceptions(bounds: list[Comparison]) -> list[Comparison]:
    """Where the statement gives one item's value, as `parent[0] == -1`, the others' bounds need not hold for it."""
    terms = [term.alone for bound in bounds if bound.relation == "==" for term in (bound.left, bound.right)]
    special = {each.name for each in terms if each and not each.length and not ANY_PLACE.issuperset(each.steps)}
    return [
        bound
        for bound in bounds
        if not any(term.alone and term.alone.steps and term.alone.name in special for term in (bound.left, bound.right))
    ]


def _arguments(problem: Problem) -> list[str]:
    """The names of the function's arguments, empty for linked lists and trees; none where they are not known."""
    entry = problem.entry
    assert entry is not None
    starter = entry.starter_code.rstrip()
    codes = [f"{starter} pass" if starter.endswith(":") else starter, *(each.code for each in problem.solutions[:1])]
    for code in codes:
        try:
            function = function_named(parse(code), entry.fn_name, entry.class_name)
        except NotPython:
            continue
        if function:
            names = signature_of(function, method=entry.class_name is not None).names
            types = entry.arg_types or ["json"] * len(names)
            return [name if type_ == "json" else "" for name, type_ in zip(names, types, strict=False)]
    return []


def _values(bounds: list[Comparison], arguments: list[str], text: str) -> _Known:
    """The arguments, and what the statement calls their lengths: `n == nums.length`."""
    try:
        values = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    if not isinstance(values, list) or len(values) != len(arguments):
        return {}
    known = {name: value for name, value in zip(arguments, values, strict=True) if name}
    for bound in bounds:
        for name, length in _lengths(bound):
            extent = _one(_extent(known, length))
            if extent and name.name not in known:
                known[name.name] = extent[0]
    return known


def _lengths(bound: Comparison) -> Iterator[tuple[Reference, Reference]]:
    """The name and the length of `n == nums.length`."""
    if bound.relation == "==":
        for name, length in ((bound.left.alone, bound.right.alone), (bound.right.alone, bound.left.alone)):
            if name and length and length.length and not name.length and not name.steps:
                yield name, length


def _broken(bounds: list[Comparison], known: _Known) -> str | None:
    """In words, the first bound that does not hold."""
    for bound in bounds:
        left, right = _extremes(known, bound.left), _extremes(known, bound.right)
        if len(left) > 1 and len(right) > 1:
            continue  # `start[i] < end[i]` speaks of pairs
        for one in left:
            for other in right:
                if bound.fails(one, other):
                    shown = [
                        f"{term.text} = {extent[0]}"
                        for term, extent in ((bound.left, one), (bound.right, other))
                        if not term.is_number
                    ]
                    return f"{' and '.join(shown)}, but {bound.text}"
    return None


def _extremes(known: _Known, term: Term) -> list[Extent]:
    """What a term is: one extent, or for the items of a list those of the least and of the greatest."""
    if term.alone:
        extent = _extent(known, term.alone)
        return [(each, each) for each in sorted(set(extent or ()))]
    found = term.extent(lambda reference: _one(_extent(known, reference)))
    return [found] if found else []


def _one(extent: Extent | None) -> Extent | None:
    return extent if extent and extent[0] == extent[1] else None


def _extent(known: _Known, reference: Reference) -> Extent | None:
    """The least and the greatest value of what is referred to; None where that is nothing, or no numbers."""
    if reference.name not in known or reference.is_diagonal:
        return None
    values = [known[reference.name]]
    for step in reference.steps:
        if set(map(type, values)) != {list}:
            return None
        if step.isdecimal():
            if any(len(value) <= int(step) for value in values):
                return None
            values = [value[int(step)] for value in values]
        elif step in ANY_PLACE and step not in known:
            values = list(chain.from_iterable(values))
        else:
            return None
    if reference.length:
        if not set(map(type, values)) <= {list, str}:
            return None
        values = list(map(len, values))
    if not values or not set(map(type, values)) <= NUMBERS:
        return None
    least, greatest = min(values), max(values)
    return (least, greatest) if -LARGEST <= least <= greatest <= LARGEST else None
