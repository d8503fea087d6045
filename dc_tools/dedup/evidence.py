"""Why a record was removed: the record it matched, metric and score, shared tests, and the longest common text."""

import re
from collections.abc import Iterator
from itertools import islice
from typing import Any

import msgspec
import numpy as np
import orjson
import xxhash

from dc_tools.core.records import Checker, CheckerType, Mode, Struct, Test
from dc_tools.dedup.arrays import Hashes, Ints
from dc_tools.dedup.clusters import Results
from dc_tools.dedup.programs import fingerprints
from dc_tools.dedup.text import UNSPACED, fold, tokenize

SHARED_TESTS = 3
"""Tests with equal input and output that count as evidence."""
SPAN_WORDS = 5000
"""Words at the head of each statement in which the common text is sought."""
SPAN_CHARACTERS = 1 << 17
"""Characters at the head of each statement in which the common text is sought."""
_PIECE = re.compile(rf"[{UNSPACED}]|[^\s{UNSPACED}]+")
_BASE = 0x9E3779B97F4A7C15
_ZERO = np.zeros(1, dtype=np.uint64)
_POWERS = np.cumprod(np.full(SPAN_WORDS, _BASE, dtype=np.uint64)) * np.uint64(pow(_BASE, -1, 1 << 64))
_INVERSES = np.cumprod(np.full(SPAN_WORDS, pow(_BASE, -1, 1 << 64), dtype=np.uint64)) * np.uint64(_BASE)


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
    """`exact` where the whole statements are equal, else what the score is: `jaccard`, `ngram`, ..."""
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
    mine, theirs = _Words(statement), _Words(other)
    first, length = longest_common(mine.hashes, theirs.hashes)
    if not length:
        return None
    start, end = mine.start(first), mine.end(first + length - 1)
    return Span(start, end, length, statement[start:end])


class _Words:
    """The words at a statement's head and their places in it.

    Where folding moves characters, the place is that of the piece, mostly what stands between blanks, with the word.
    """

    def __init__(self, statement: str) -> None:
        folded = fold(statement[:SPAN_CHARACTERS])
        self._pieces: list[re.Match[str]] = []
        if folded.isascii() and len(folded) == len(statement[:SPAN_CHARACTERS]):
            self._tokens = tokenize([folded], operators=False)
        else:
            pieces = list(islice(_PIECE.finditer(statement), SPAN_WORDS))
            self._tokens = tokenize([fold(piece[0]) for piece in pieces], operators=False)
            self._pieces = [pieces[i] for i in np.repeat(np.arange(len(pieces)), self._tokens.counts).tolist()]
        self.hashes = self._tokens.hashes()[:SPAN_WORDS]

    def start(self, word: int) -> int:
        """Where the word begins."""
        return self._pieces[word].start() if self._pieces else int(self._tokens.first[word])

    def end(self, word: int) -> int:
        """Where the word ends."""
        tokens = self._tokens
        return self._pieces[word].end() if self._pieces else int(tokens.first[word] + tokens.lengths[word])


def longest_common(a: Hashes, b: Hashes) -> tuple[int, int]:
    """Start in `a` and length of the longest run of words that `b` has too, the first of equals: by halving, since
    with a run all shorter ones are common."""
    found, length, beyond = 0, 0, min(len(a), len(b)) + 1
    while beyond - length > 1:
        middle = (length + beyond) // 2
        common = _common(_windows(a, middle), _windows(b, middle))
        if len(common):
            found, length = int(common[0]), middle
        else:
            beyond = middle
    return found, length


def _common(a: Hashes, b: Hashes) -> Ints:
    """The places in `a` of what `b`, which is not empty, has too."""
    b = np.sort(b)
    return np.flatnonzero(b[np.minimum(np.searchsorted(b, a), len(b) - 1)] == a)


def _windows(words: Hashes, length: int) -> Hashes:
    """A hash of each run of `length` words: of polynomials, and their differences divided by the place's power."""
    sums = np.concatenate([_ZERO, np.cumsum(words * _POWERS[: len(words)])])
    found: Hashes = (sums[length:] - sums[:-length]) * _INVERSES[: len(words) - length + 1]
    return found


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
