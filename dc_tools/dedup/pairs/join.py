"""All pairs of shingle sets whose Jaccard similarity or containment reaches a threshold: exact, nothing missed.

Filter (AdaptJoin, Wang et al. 2012): put all shingles in one global order, rarest first. If sets x and y have at least
o shingles in common, then the first |x| - o + k of x and the first |y| - o + k of y share at least k; with all of y at
hand, the first |x| - o + k of x suffice. Jaccard >= t gives o >= t |x| and o >= t |y|, so heads meet heads.
Containment, |x & y| / min(|x|, |y|) >= t, bounds o by the smaller set only, so its head meets all of the larger one.
Any order is correct; the rarest first is quick.

Elements are split into parts by bits of their hashes. Each part counts its meetings alone, so that parts may be
worked at one after another from a disk, or at once on many machines; the counts of a pair are added up.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from dc_tools.dedup.arrays import Hashes, Ints, chunks, distinct, found, ranges
from dc_tools.dedup.settings import Metric

CHUNK = 1 << 20
"""Meetings, or elements verified, that are handled at a time; bounds memory, never the answer."""
LONG_RUN = 256
"""Heads that may share a shingle before they are first compared with one leader instead of each with each."""
SLACK = 1e-6
"""Rounding room in the filters; the verification has none."""
LOW = np.uint64(0xFFFFFFFF)
WORD = np.uint64(32)

Flags = npt.NDArray[np.bool_]


def jaccard(common: Ints, size_a: Ints, size_b: Ints) -> npt.NDArray[np.float64]:
    """|A & B| / |A | B|."""
    ratio: npt.NDArray[np.float64] = common / np.maximum(size_a + size_b - common, 1)
    return ratio


def containment(common: Ints, size_a: Ints, size_b: Ints) -> npt.NDArray[np.float64]:
    """|A & B| / min(|A|, |B|)."""
    ratio: npt.NDArray[np.float64] = common / np.maximum(np.minimum(size_a, size_b), 1)
    return ratio


@dataclass(frozen=True)
class Rule:
    """When two sets match, and what their heads must share before they are compared."""

    metric: Metric
    threshold: float
    """In (0, 1]."""
    is_approximate: bool = False
    """One meeting suffices: the elements are keys of bands instead of shingles."""

    @property
    def heads_meet_heads(self) -> bool:
        """Whether both sides of a meeting are heads."""
        return self.metric is Metric.JACCARD or self.is_approximate

    def needed(self, sizes: Ints) -> Ints:
        """The fewest elements that a set of each size has in common with any match that is no smaller."""
        needed: Ints = np.ceil(self.threshold * sizes - SLACK).astype(np.int64)
        return np.minimum(np.maximum(needed, 1), sizes)

    def shared(self, sizes: Ints) -> Ints:
        """Elements that two heads must share, by the one's size: more means longer heads and fewer candidates."""
        most = round(6 + 66 * (0.95 - self.threshold))
        return np.minimum(min(max(most, 2), 16), self.needed(sizes))

    def head_lengths(self, sizes: Ints) -> Ints:
        """Length of each set's head."""
        return sizes - self.needed(sizes) + self.shared(sizes)

    def wanted(self, size_a: Ints, size_b: Ints) -> Ints:
        """Meetings of a pair that make it a candidate."""
        if self.is_approximate:
            return np.ones_like(size_a)
        return self.shared(np.minimum(size_a, size_b))

    def similarity(self, common: Ints, size_a: Ints, size_b: Ints) -> npt.NDArray[np.float64]:
        """What is compared with the threshold."""
        return (jaccard if self.metric is Metric.JACCARD else containment)(common, size_a, size_b)


@dataclass(frozen=True)
class Corpus:
    """What is known of all texts by number, beside their sets."""

    sizes: npt.NDArray[np.int32]
    """Elements of each set."""
    ranks: npt.NDArray[np.uint32]
    """Place of each set by size, then by content: of a pair the lower one is the smaller."""
    alone: Flags
    """Those that occur among the references only; no two of them are a pair."""
    joinable: Flags
    """Those that occur among the records only; the others are never left to a leader."""


@dataclass(frozen=True)
class Pairs:
    """Verified pairs a < b of texts, sorted by (a, b)."""

    a: Ints
    b: Ints
    common: Ints
    """Elements that both sets have; where no sets are compared, none are given."""
    candidates: int = 0
    """How many pairs had to be verified."""
    cosines: npt.NDArray[np.float64] | None = None
    """The score of each, where vectors are compared."""
    cut: Ints = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    """Texts that were not compared with all they match, but with enough to be connected with them."""


@dataclass(frozen=True)
class Meetings:
    """Distinct pairs, the lower number in the upper half of a word, and how many elements met."""

    pairs: Hashes
    times: Ints

    @staticmethod
    def of(a: Ints, b: Ints, corpus: Corpus, rule: Rule, heads_only: bool) -> "Meetings":
        """Those of heads of `a` with elements of `b` that may be pairs; where the latter are not all heads, only those
        in which `a` is the smaller."""
        fit = _fitting(a, b, corpus, rule, heads_only)
        return Meetings(*distinct(packed(a[fit], b[fit])))

    @staticmethod
    def tally(parts: Iterable["Meetings"]) -> "Meetings":
        """The sum of several counts."""
        found = list(parts)
        if len(found) == 1:
            return found[0]
        pairs = np.concatenate([_NO_HASHES, *(p.pairs for p in found)])
        order = np.argsort(pairs, kind="stable")
        sums = np.cumsum(np.concatenate([_NO_INTS, *(p.times for p in found)])[order])
        pairs, times = distinct(pairs)
        return Meetings(pairs, np.diff(sums[np.cumsum(times) - 1], prepend=0))

    def slices(self, count: int) -> "list[Meetings]":
        """Their pairs in `count` lots, the same pair always in the same one."""
        lot = self.pairs % np.uint64(count)
        order = np.argsort(lot, kind="stable")
        ends = np.searchsorted(lot[order], np.arange(1, count + 1, dtype=np.uint64))
        pairs, times = np.split(self.pairs[order], ends[:-1]), np.split(self.times[order], ends[:-1])
        return [Meetings(*each) for each in zip(pairs, times, strict=True)]

    def candidates(self, corpus: Corpus, rule: Rule, cut: Ints | None = None) -> Hashes:
        """The pairs that met often enough; of the smaller text's head so many elements, its `cut`, could not meet."""
        a, b = lower(self.pairs), upper(self.pairs)
        wanted = rule.wanted(corpus.sizes[a].astype(np.int64), corpus.sizes[b].astype(np.int64))
        if cut is not None:
            wanted = np.maximum(wanted - cut[np.where(corpus.ranks[a] < corpus.ranks[b], a, b)], 1)
        return self.pairs[self.times >= wanted]


_NO_HASHES, _NO_INTS = np.zeros(0, dtype=np.uint64), np.zeros(0, dtype=np.int64)


def lower(pairs: Hashes) -> Ints:
    """The first of each pair."""
    return (pairs >> WORD).view(np.int64)


def upper(pairs: Hashes) -> Ints:
    """The second of each pair."""
    return (pairs & LOW).view(np.int64)


def packed(a: Ints, b: Ints) -> Hashes:
    """Pairs as words, the lower number first."""
    return (np.minimum(a, b).astype(np.uint64) << WORD) | np.maximum(a, b).astype(np.uint64)


@dataclass(frozen=True)
class Met:
    """What is found in one part at first."""

    meetings: list[Meetings]
    """By pair."""
    with_leaders: Hashes
    """Pairs of a leader and another head with which it shares an element that more than `LONG_RUN` heads have."""
    cut: Ints
    """The text of each head's every such element: no meetings are made of it."""


def meetings(heads: Hashes, others: Hashes | None, corpus: Corpus, rule: Rule, lots: int) -> Met:
    """Pairs that meet in one part, in `lots`.

    `heads` and `others` are entries (an element's hash above a text's number); None: heads meet heads. What many
    heads share counts for nobody here, but each of them makes a pair with the largest of about its size.
    """
    heads = np.sort(heads)
    low, high = _runs(heads >> WORD)
    is_long = high - low > LONG_RUN
    short = ~is_long
    if others is None:
        index = heads
        start = np.arange(len(heads))[short] + 1
        times = high[short] - start
    else:
        index = np.sort(others)
        keys = index >> WORD
        start, times = found(keys, heads[short] >> WORD)
    met = _tallied(heads[short], index, start, times, corpus, rule, others is None)
    return Met(met.slices(lots), _stars(heads[is_long], corpus), upper(heads[is_long]))


def _runs(keys: Hashes) -> tuple[Ints, Ints]:
    """For each of the sorted `keys` where its run begins and ends."""
    edges = np.flatnonzero(np.concatenate([[True], keys[1:] != keys[:-1], [True]])) if len(keys) else _NO_INTS
    lengths = np.diff(edges)
    return np.repeat(edges[:-1], lengths), np.repeat(edges[1:], lengths)


def _stars(heads: Hashes, corpus: Corpus) -> Hashes:
    """Pairs of the highest-ranked text of each element and size (within a factor of two) and each of the others."""
    text = upper(heads)
    heads, text = heads[corpus.joinable[text]], text[corpus.joinable[text]]
    scale = np.log2(np.maximum(corpus.sizes[text], 1)).astype(np.uint64)
    group = ((heads >> WORD) << np.uint64(8)) | scale
    order = np.lexsort((corpus.ranks[text], group))
    _, end = _runs(group[order])
    leader = text[order][end - 1]
    others = leader != text[order]
    return np.unique(packed(leader[others], text[order][others]))


def _tallied(
    heads: Hashes, index: Hashes, start: Ints, times: Ints, corpus: Corpus, rule: Rule, heads_only: bool
) -> Meetings:
    """Count the pairs of each head with the `times` entries of `index` from `start`."""
    found = []
    met = np.flatnonzero(times > 0)
    for begin, end in chunks(times[met], CHUNK, len(met)):
        chosen = met[begin:end]
        a = np.repeat(upper(heads[chosen]), times[chosen])
        b = upper(index[ranges(start[chosen], times[chosen])])
        found.append(Meetings.of(a, b, corpus, rule, heads_only))
    return Meetings.tally(found)


def _fitting(a: Ints, b: Ints, corpus: Corpus, rule: Rule, heads_only: bool) -> Flags:
    """Which meetings may be pairs: not of two references, by size, and each from one side."""
    fit: Flags = ~(corpus.alone[a] & corpus.alone[b]) & (a != b)
    if not heads_only:
        fit &= corpus.ranks[a] < corpus.ranks[b]
    if rule.metric is Metric.JACCARD:
        size_a, size_b = corpus.sizes[a].astype(np.int64), corpus.sizes[b].astype(np.int64)
        fit &= np.minimum(size_a, size_b) >= rule.threshold * np.maximum(size_a, size_b) - SLACK
    return fit
