"""The longest text that two statements have in common, for many pairs at a time."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

import numpy as np

from dc_tools.core.records import Struct
from dc_tools.dedup.arrays import Hashes, Ints
from dc_tools.dedup.text import UNSPACED, Tokens, fold, tokenize

SPAN_WORDS = 5000
"""Words at the head of each statement in which the common text is sought."""
SPAN_CHARACTERS = 1 << 17
"""Characters at the head of each statement in which the common text is sought."""
_PIECE = re.compile(rf"[{UNSPACED}]|[^\s{UNSPACED}]+")
_BASE = 0x9E3779B97F4A7C15
_ZERO = np.zeros(1, dtype=np.uint64)
_POWERS = np.cumprod(np.full(SPAN_WORDS, _BASE, dtype=np.uint64)) * np.uint64(pow(_BASE, -1, 1 << 64))
_INVERSES = np.cumprod(np.full(SPAN_WORDS, pow(_BASE, -1, 1 << 64), dtype=np.uint64)) * np.uint64(_BASE)


class Span(Struct):
    """The longest text of the removed record's statement, `statement[start:end]`, that the other one has as well."""

    start: int
    end: int
    words: int
    text: str


@dataclass(frozen=True)
class Words:
    """The words at a statement's head, and where each begins and ends there.

    Where folding moves characters, the place is that of the piece, mostly what stands between blanks, with the word.
    """

    hashes: Hashes
    starts: Ints
    ends: Ints


def common_spans(pairs: list[tuple[str, str]]) -> list[Span | None]:
    """For each pair the longest run of words of the first statement that occurs in the second."""
    statements = list(dict.fromkeys(statement for pair in pairs for statement in pair))
    words = dict(zip(statements, words_of_statements(statements), strict=True))
    return [_span(mine, words[mine], words[theirs]) for mine, theirs in pairs]


def _span(statement: str, mine: Words, theirs: Words) -> Span | None:
    first, length = longest_common(mine.hashes, theirs.hashes)
    if not length:
        return None
    start, end = int(mine.starts[first]), int(mine.ends[first + length - 1])
    return Span(start, end, length, statement[start:end])


def words_of_statements(statements: list[str]) -> list[Words]:
    """The words of each."""
    texts: list[str] = []
    places: list[list[re.Match[str]] | None] = []
    for statement in statements:
        head = statement[:SPAN_CHARACTERS]
        folded = fold(head)
        if folded.isascii() and len(folded) == len(head):
            places.append(None)
            texts.append(folded)
        else:
            pieces = list(islice(_PIECE.finditer(head), SPAN_WORDS))
            places.append(pieces)
            texts += [fold(piece[0]) for piece in pieces]
    tokens = tokenize(texts, operators=False) if texts else None
    return [] if tokens is None else list(_placed(places, tokens))


def _placed(places: list[list[re.Match[str]] | None], tokens: Tokens) -> Iterator[Words]:
    hashes, ends = tokens.hashes(), np.concatenate([[0], np.cumsum(tokens.counts)])
    text = 0
    for pieces in places:
        count = 1 if pieces is None else len(pieces)
        first, last = int(ends[text]), int(ends[text + count])
        last = min(last, first + SPAN_WORDS)
        if pieces is None:
            starts = tokens.first[first:last] - tokens.starts[text]
            yield Words(hashes[first:last], starts, starts + tokens.lengths[first:last])
        else:
            holder = np.repeat(np.arange(count), tokens.counts[text : text + count])[: last - first]
            bounds = np.array([piece.span() for piece in pieces], dtype=np.int64).reshape(-1, 2)
            yield Words(hashes[first:last], bounds[holder, 0], bounds[holder, 1])
        text += count


def longest_common(a: Hashes, b: Hashes) -> tuple[int, int]:
    """Start in `a` and length of the longest run of words that `b` has too, the first of equals.

    With a run all shorter ones are common. So from a run that is easily found (copies mostly differ in a few words, and
    agree word by word from their heads or their ends) ever longer ones are tried; then the length lies in between.
    """
    most = min(len(a), len(b))
    if np.array_equal(a, b):
        return 0, most
    length = max(_aligned(a[:most], b[:most]), _aligned(a[len(a) - most :], b[len(b) - most :]))
    step = 1
    beyond = most + 1
    while beyond - length > 1:
        middle = length + min(step, max((beyond - length) // 2, 1))
        if len(_common(a, b, middle)):
            length, step = middle, 2 * step
        else:
            beyond = middle
    return (int(_common(a, b, length)[0]), length) if length else (0, 0)


def _aligned(a: Hashes, b: Hashes) -> int:
    """Length of the longest run of places at which both are equal."""
    differ = np.flatnonzero(a != b)
    return int(np.diff(np.concatenate([[-1], differ, [len(a)]])).max()) - 1


def _common(a: Hashes, b: Hashes, length: int) -> Ints:
    """The starts in `a` of runs of `length` words, at most as long as `b`, that `b` has too."""
    mine, theirs = _windows(a, length), np.sort(_windows(b, length))
    return np.flatnonzero(theirs[np.minimum(np.searchsorted(theirs, mine), len(theirs) - 1)] == mine)


def _windows(words: Hashes, length: int) -> Hashes:
    """A hash of each run of `length` words: of polynomials, and their differences divided by the place's power."""
    sums = np.concatenate([_ZERO, np.cumsum(words * _POWERS[: len(words)])])
    found: Hashes = (sums[length:] - sums[:-length]) * _INVERSES[: len(words) - length + 1]
    return found
