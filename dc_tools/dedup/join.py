"""All pairs of shingle sets whose Jaccard similarity or containment reaches a threshold: exact, nothing missed.

Filter (AdaptJoin, Wang et al. 2012): put all shingles in one global order, rarest first. If sets x and y have at least
o shingles in common, then the first |x| - o + k of x and the first |y| - o + k of y share at least k; with all of y
indexed, the first |x| - o + k of x suffice. Jaccard >= t gives o >= t |x| and o >= t |y|, so prefixes of both sides
are joined. Containment, |x & y| / min(|x|, |y|) >= t, bounds o by the smaller set only, so the larger one is indexed in
full. Any order is correct; the rarest first is quick. Candidates are verified by counting.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dc_tools.dedup.settings import Metric
from dc_tools.dedup.text import BATCH_TEXTS, HASH_BITS, Hashes, Ints

K_PREFIX = 6
"""Shingles that two prefixes must share: more means longer prefixes and fewer candidates."""
CHUNK = 1 << 20
"""Elements handled at a time where pairs are made and counted; bounds memory, never the answer."""
MAX_BUCKET_BITS = 22
RARITY_BITS = 4
"""Rarity is the rounded-down log2 of how many sets hold a shingle, at most 15; it and a set's number fill 16 bits."""
SLACK = 1e-6
"""Rounding room in the filters; the verification has none."""

Flags = npt.NDArray[np.bool_]


class ShingleSets:
    """Many sets of 52-bit hashes in one growing array; set i is `hashes[offsets[i]:offsets[i + 1]]`, sorted."""

    def __init__(self) -> None:
        self._hashes: Hashes = np.empty(1 << 16, dtype=np.uint64)
        self._sizes: list[Ints] = []
        self._used = 0

    def add(self, sizes: Ints, hashes: Hashes) -> None:
        """Append sets."""
        needed = self._used + len(hashes)
        if needed > len(self._hashes):
            self._hashes.resize(needed + needed // 8, refcheck=False)
        self._hashes[self._used : needed] = hashes
        self._used = needed
        self._sizes.append(sizes)

    @property
    def hashes(self) -> Hashes:
        """All sets one after another."""
        return self._hashes[: self._used]

    @property
    def sizes(self) -> Ints:
        """Elements of each set."""
        if len(self._sizes) != 1:
            self._sizes = [np.concatenate(self._sizes) if self._sizes else np.zeros(0, dtype=np.int64)]
        return self._sizes[0]

    @property
    def offsets(self) -> Ints:
        """Where each set begins, and the end."""
        return np.concatenate([[0], np.cumsum(self.sizes)])


@dataclass(frozen=True)
class Pairs:
    """Verified pairs a < b of sets with their number of common elements, sorted by (a, b)."""

    a: Ints
    b: Ints
    common: Ints
    candidates: int = 0
    """How many pairs had to be verified."""


@dataclass(frozen=True)
class _Entries:
    """Elements (hash, set) of prefixes or of whole sets."""

    hashes: Hashes
    sets: Ints


def jaccard(common: Ints, size_a: Ints, size_b: Ints) -> npt.NDArray[np.float64]:
    """|A & B| / |A | B|."""
    ratio: npt.NDArray[np.float64] = common / np.maximum(size_a + size_b - common, 1)
    return ratio


def containment(common: Ints, size_a: Ints, size_b: Ints) -> npt.NDArray[np.float64]:
    """|A & B| / min(|A|, |B|)."""
    ratio: npt.NDArray[np.float64] = common / np.maximum(np.minimum(size_a, size_b), 1)
    return ratio


def find_pairs(sets: ShingleSets, metric: Metric, threshold: float, references: Flags | None = None) -> Pairs:
    """All pairs of non-empty sets at or above `threshold` (in (0, 1]); pairs of two `references` are left out."""
    sizes, offsets = sets.sizes, sets.offsets
    if references is None:
        references = np.zeros(len(sizes), dtype=np.bool_)
    need = np.ceil(threshold * sizes - SLACK).astype(np.int64)
    need = np.minimum(np.maximum(need, 1), sizes)
    shared = np.minimum(K_PREFIX, need)
    prefix = _prefixes(sets, sizes - need + shared)
    index = prefix if metric is Metric.JACCARD else _entries_among(sets, prefix)
    found = []
    for a, b, times in _meetings(prefix, index, sizes, threshold if metric is Metric.JACCARD else 0.0, references):
        wanted = np.minimum(shared[a], shared[b]) if metric is Metric.JACCARD else shared[a]
        likely = times >= wanted
        found.append((np.minimum(a, b)[likely], np.maximum(a, b)[likely]))
    a = np.concatenate([np.zeros(0, dtype=np.int64), *(each[0] for each in found)])
    b = np.concatenate([np.zeros(0, dtype=np.int64), *(each[1] for each in found)])
    order = np.lexsort((b, a))
    a, b = a[order], b[order]
    common = count_common(sets.hashes, sizes, offsets, a, b)
    similarity = jaccard if metric is Metric.JACCARD else containment
    true = similarity(common, sizes[a], sizes[b]) >= threshold
    return Pairs(a[true], b[true], common[true], candidates=len(a))


def count_common(hashes: Hashes, sizes: Ints, offsets: Ints, a: Ints, b: Ints) -> Ints:
    """|A & B| of each pair, by one sort of the members of many pairs at a time."""
    common = np.zeros(len(a), dtype=np.int64)
    bits = np.uint64(HASH_BITS)
    for start, stop in _chunks(sizes[a] + sizes[b], BATCH_TEXTS):
        both = np.concatenate([a[start:stop], b[start:stop]])
        pair = np.tile(np.arange(stop - start, dtype=np.uint64), 2)
        members = hashes[_ranges(offsets[both], sizes[both])]
        keys = (np.repeat(pair, sizes[both]) << bits) | members
        keys.sort()
        twice = keys[1:][keys[1:] == keys[:-1]]
        common[start:stop] = np.bincount((twice >> bits).astype(np.int64), minlength=stop - start)
    return common


def _rarity(hashes: Hashes) -> tuple[npt.NDArray[np.uint8], np.uint64]:
    """Rarity class by bucket of a hash's top bits, and the shift that gives the bucket."""
    bits = min(max(len(hashes).bit_length(), 10), MAX_BUCKET_BITS)
    shift = np.uint64(HASH_BITS - bits)
    counts = np.zeros(1 << bits, dtype=np.int64)
    for start in range(0, len(hashes), CHUNK):
        counts += np.bincount((hashes[start : start + CHUNK] >> shift).view(np.int64), minlength=1 << bits)
    most = 1 << ((1 << RARITY_BITS) - 1)
    classes = np.array([max(n.bit_length() - 1, 0) for n in range(most + 1)], dtype=np.uint8)
    return classes[np.minimum(counts, most)], shift


def _prefixes(sets: ShingleSets, lengths: Ints) -> _Entries:
    """The `lengths[i]` rarest elements of each set i. Sets are sorted by hash, so a stable sort by rarity suffices."""
    hashes, sizes, offsets = sets.hashes, sets.sizes, sets.offsets
    rarity, shift = _rarity(hashes)
    parts = [np.zeros(0, dtype=np.uint64)]
    for start, stop in _chunks(sizes, 1 << (16 - RARITY_BITS)):
        members = hashes[offsets[start] : offsets[stop]]
        keys = np.repeat(np.arange(stop - start, dtype=np.uint16) << np.uint16(RARITY_BITS), sizes[start:stop])
        keys |= rarity[members >> shift]
        order = np.argsort(keys, kind="stable")
        parts.append(members[order[_ranges(offsets[start:stop] - offsets[start], lengths[start:stop])]])
    return _Entries(np.concatenate(parts), np.repeat(np.arange(len(sizes)), lengths))


def _entries_among(sets: ShingleSets, prefix: _Entries) -> _Entries:
    """All elements of all sets that may be in some prefix; a bucket table leaves out most of the others."""
    hashes, sizes, offsets = sets.hashes, sets.sizes, sets.offsets
    bits = min(max(len(prefix.hashes).bit_length() + 3, 10), MAX_BUCKET_BITS + 2)
    shift = np.uint64(HASH_BITS - bits)
    wanted = np.zeros(1 << bits, dtype=np.bool_)
    wanted[prefix.hashes >> shift] = True
    kept, owners = [np.zeros(0, dtype=np.uint64)], [np.zeros(0, dtype=np.int64)]
    for start, stop in _chunks(sizes, len(sizes)):
        members = hashes[offsets[start] : offsets[stop]]
        chosen = wanted[members >> shift]
        kept.append(members[chosen])
        owners.append(np.repeat(np.arange(start, stop), sizes[start:stop])[chosen])
    return _Entries(np.concatenate(kept), np.concatenate(owners))


def _meetings(
    prefix: _Entries, index: _Entries, sizes: Ints, ratio: float, references: Flags
) -> Iterator[tuple[Ints, Ints, Ints]]:
    """Pairs (smaller set, larger set, elements met in both), each pair once.

    Sets of one size are ordered by number. With `ratio`, only pairs whose sizes differ by no more than it are made.
    """
    order = np.argsort(index.hashes)
    keys, owners = index.hashes[order], index.sets[order]
    low, times = _runs(keys, prefix.hashes)
    shared = times > 1
    low, times, probes = low[shared], times[shared], prefix.sets[shared]
    rank = np.empty(len(sizes), dtype=np.int64)
    rank[np.argsort(sizes, kind="stable")] = np.arange(len(sizes))
    for start, stop in _chunks(times, len(times), probes):
        a = np.repeat(probes[start:stop], times[start:stop])
        b = owners[_ranges(low[start:stop], times[start:stop])]
        fit = (rank[b] > rank[a]) & (sizes[a] >= ratio * sizes[b] - SLACK) & ~(references[a] & references[b])
        pairs = (a[fit].astype(np.uint64) << np.uint64(32)) | b[fit].astype(np.uint64)
        distinct, met = np.unique(pairs, return_counts=True)
        yield (distinct >> np.uint64(32)).astype(np.int64), (distinct & np.uint64(0xFFFFFFFF)).astype(np.int64), met


def _runs(keys: Hashes, wanted: Hashes) -> tuple[Ints, Ints]:
    """Where in the sorted `keys` the run of each wanted key begins, and its length; sorted needles suit the cache."""
    order = np.argsort(wanted)
    needles = wanted[order]
    first = np.searchsorted(keys, needles, side="left")
    low, times = np.empty_like(first), np.empty_like(first)
    low[order], times[order] = first, np.searchsorted(keys, needles, side="right") - first
    return low, times


def _chunks(weights: Ints, most: int, groups: Ints | None = None) -> Iterator[tuple[int, int]]:
    """Ranges of at most `most` items and, but for one heavy item, `CHUNK` weight; equal `groups` stay together."""
    ends = np.cumsum(weights)
    start, done = 0, 0
    while start < len(weights):
        stop = min(max(int(np.searchsorted(ends, done + CHUNK, side="right")), start + 1), start + most)
        stop = min(stop, len(weights))
        if groups is not None and stop < len(weights):
            first = int(np.searchsorted(groups, groups[stop - 1], side="left"))
            last = int(np.searchsorted(groups, groups[stop - 1], side="right"))
            stop = stop if last == stop else (first if first > start else last)
        yield start, stop
        start, done = stop, int(ends[stop - 1])


def _ranges(starts: Ints, lengths: Ints) -> Ints:
    """The integers starts[i] ... starts[i] + lengths[i] - 1 of every i, one after another."""
    ends = np.cumsum(lengths)
    total = int(ends[-1]) if len(ends) else 0
    return np.repeat(starts - (ends - lengths), lengths) + np.arange(total)
