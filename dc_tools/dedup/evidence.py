"""Why a record was removed: the record it matched, metric and score, shared tests, and the longest common text."""

import re
from collections import defaultdict
from collections.abc import Iterator
from itertools import count, islice
from typing import Any

import msgspec
import orjson
import xxhash

from dc_tools.core.records import Checker, CheckerType, Mode, Struct, Test
from dc_tools.dedup.clusters import Results
from dc_tools.dedup.programs import fingerprints
from dc_tools.dedup.text import fold, words_of

SHARED_TESTS = 3
"""Tests with equal input and output that count as evidence."""
SPAN_WORDS = 5000
"""Words at the head of each statement in which the common text is sought."""
_PIECE = re.compile(r"\S+")
_ASCII_WORD = re.compile(r"\w+", re.ASCII)


class Described(Struct):
    """The part of a record that is compared; of a reference only `id` is required."""

    id: str
    statement: str = ""
    tests: list[Test] = msgspec.field(default_factory=list)
    mode: Mode = Mode.STDIN
    checker: Checker = msgspec.field(default_factory=Checker)
    solutions: Any = None
    """Ours, or whatever a reference calls so."""


class Span(Struct):
    """The longest text of the removed record's statement, `statement[start:end]`, that the other one has as well."""

    start: int
    end: int
    words: int
    text: str


class Evidence(Struct):
    """The field `dedup` of a removed record. `kept_id` is the cluster's kept record, or the one in `against`."""

    reason: str
    """`duplicate` or `contaminated`."""
    kept_id: str
    metric: str
    """`exact` where the whole statements are equal, else `jaccard` or `containment`."""
    score: float
    evidence: dict[str, Any]
    span: Span | None
    cluster: int | None = None
    through: str | None = None
    """The removed record that this one matched instead: metric, score and span speak of that pair."""
    against: str | None = None


def explain(
    reason: str, removed: Described, matched: Described, metric: str, score: float, measures: dict[str, Any]
) -> Evidence:
    """The evidence for one pair, from both records' texts and tests."""
    evidence = dict(measures)
    agreeing = shared_tests(removed, matched)
    if agreeing >= SHARED_TESTS:
        evidence["shared_tests"] = agreeing
    programs = shared_programs(removed, matched)
    if programs:
        evidence["shared_solutions"] = programs
    span = common_span(removed.statement, matched.statement)
    return Evidence(reason, matched.id, metric, score, evidence, span)


def results_of(record: Described) -> Results:
    """Hash of each test input -> hash of its output; only where one output alone is right.

    Inputs of stdin and function tests never meet. A record that contradicts itself loses that input.
    """
    if record.checker.type is not CheckerType.DEFAULT:
        return {}
    is_json = record.mode is Mode.FUNCTION
    results: Results = {}
    torn = set()
    for test in record.tests:
        key = xxhash.xxh3_64_intdigest(_input_form(test.input, is_json), seed=int(is_json))
        value = xxhash.xxh3_64_intdigest(_output_form(test.output, is_json))
        if results.setdefault(key, value) != value:
            torn.add(key)
    return {key: value for key, value in results.items() if key not in torn}


def shared_tests(a: Described, b: Described) -> int:
    """Number of test inputs that both have with equal outputs."""
    return len(results_of(a).items() & results_of(b).items())


def shared_programs(a: Described, b: Described) -> int:
    """Number of programs, whatever their names, that solve both."""
    return len(fingerprints(_codes(a)) & fingerprints(_codes(b)))


def _codes(record: Described) -> Iterator[str]:
    for solution in record.solutions if isinstance(record.solutions, list) else []:
        code = solution.get("code") if isinstance(solution, dict) else solution
        if isinstance(code, str):
            yield code


def common_span(statement: str, other: str) -> Span | None:
    """The longest run of words of `statement` that occurs in `other`, with its place in `statement`."""
    letter_of: defaultdict[str, str] = defaultdict(map(chr, count(1)).__next__)
    theirs = "".join(letter_of[word] for word in words_of(fold(other))[:SPAN_WORDS])
    placed = _placed_words(statement)
    first, length = _longest_common("".join(letter_of[word] for word, _, _ in placed), theirs)
    if not length:
        return None
    start, end = placed[first][1], placed[first + length - 1][2]
    return Span(start, end, length, statement[start:end])


def _placed_words(statement: str) -> list[tuple[str, int, int]]:
    """The words at the statement's head, each with its start and end there.

    Where folding moves characters, the place is that of the whitespace-separated piece that holds the word.
    """
    folded = fold(statement)
    if folded.isascii() and len(folded) == len(statement):
        return [(found[0], *found.span()) for found in islice(_ASCII_WORD.finditer(folded), SPAN_WORDS)]
    words = (
        (word, piece.start(), piece.end()) for piece in _PIECE.finditer(statement) for word in words_of(fold(piece[0]))
    )
    return list(islice(words, SPAN_WORDS))


def _longest_common(a: str, b: str) -> tuple[int, int]:
    """Start in `a` and length of the longest substring that `b` has too; the first of equals."""
    best, length = 0, 0
    for start in range(len(a)):
        if start + length >= len(a):
            break
        while start + length < len(a) and a[start : start + length + 1] in b:
            best, length = start, length + 1
    return best, length


def _input_form(text: str, is_json: bool) -> bytes:
    """Bytes equal for inputs that a program cannot tell apart: JSON without its spacing, lines without their ends."""
    if is_json:
        return _json_form(text)
    return _encoded("\n".join(line.rstrip() for line in text.rstrip().splitlines()))


def _output_form(text: str, is_json: bool) -> bytes:
    """Bytes equal for outputs that the default comparison takes as equal tokens."""
    return _json_form(text) if is_json else _encoded(" ".join(text.split()))


def _json_form(text: str) -> bytes:
    try:
        return orjson.dumps(orjson.loads(text))
    except (orjson.JSONDecodeError, orjson.JSONEncodeError):
        return _encoded(text.strip())


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
