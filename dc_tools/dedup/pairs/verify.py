"""Candidates verified by counting what two sets have in common: by sorting, or by matrices where all meet all."""

from collections.abc import Callable

import numpy as np

from dc_tools.dedup.arrays import Hashes, Ints, chunks, distinct, ranges, sort_slices
from dc_tools.dedup.pairs.join import CHUNK, Corpus, Pairs, Rule, lower, upper

AT_ONCE = 1 << 20
"""Candidates among which it is seen whether matrices pay."""
FULL = 1 / 8
"""Share of all pairs of their texts that are candidates at which they do."""
FEW = 1 << 13
"""Candidates below which they never do."""
CELLS = 1 << 24
"""Numbers in a matrix."""

Gather = Callable[[Ints], tuple[Ints, Hashes]]
"""Ascending numbers of texts -> sizes and elements of their sets, one after another."""


def verified(candidates: Hashes, corpus: Corpus, rule: Rule, gather: Gather) -> Pairs:
    """The candidates at or above the threshold, sorted."""
    candidates, _ = distinct(candidates)
    a, b = lower(candidates), upper(candidates)
    size_a, size_b = corpus.sizes[a].astype(np.int64), corpus.sizes[b].astype(np.int64)
    common = np.zeros(len(a), dtype=np.int64)
    for start in range(0, len(a), AT_ONCE):
        chosen = slice(start, start + AT_ONCE)
        common[chosen] = _counted(a[chosen], b[chosen], size_a[chosen] + size_b[chosen], gather)
    true = rule.similarity(common, size_a, size_b) >= rule.threshold
    return Pairs(a[true], b[true], common[true], len(a))


def _counted(a: Ints, b: Ints, weights: Ints, gather: Gather) -> Ints:
    """|A & B| of each pair."""
    if len(a) >= FEW and len(a) >= FULL * len(np.unique(a)) * len(np.unique(b)):
        members, place_a, place_b = _placed(a, b)
        return count_by_matrices(*gather(members), place_a, place_b)
    common = np.zeros(len(a), dtype=np.int64)
    for start, stop in chunks(weights, CHUNK, len(a)):
        members, place_a, place_b = _placed(a[start:stop], b[start:stop])
        common[start:stop] = count_common(*gather(members), place_a, place_b)
    return common


def picked(sizes: Ints, hashes: Hashes, places: Ints) -> tuple[Ints, Hashes]:
    """Sizes and elements of the sets at `places`, from all sets one after another."""
    return sizes[places], hashes[ranges((np.cumsum(sizes) - sizes)[places], sizes[places])]


def _placed(a: Ints, b: Ints) -> tuple[Ints, Ints, Ints]:
    """The texts that occur, and where each is among them."""
    members, places = np.unique(np.concatenate([a, b]), return_inverse=True)
    return members, places[: len(a)], places[len(a) :]


def count_common(sizes: Ints, hashes: Hashes, a: Ints, b: Ints) -> Ints:
    """|A & B| of each pair, by sorting the members of both together."""
    both = np.stack([a, b], axis=1).ravel()
    members = hashes[ranges((np.cumsum(sizes) - sizes)[both], sizes[both])]
    lengths = sizes[a] + sizes[b]
    sort_slices(members, lengths)
    pair = np.repeat(np.arange(len(a)), lengths)
    return np.bincount(pair[1:][(members[1:] == members[:-1]) & (pair[1:] == pair[:-1])], minlength=len(a))


def count_by_matrices(sizes: Ints, hashes: Hashes, a: Ints, b: Ints) -> Ints:
    """|A & B| of each pair, by products of 0/1 matrices of sets and elements; float32 counts exactly up to 2 ** 24."""
    elements, column, holders = np.unique(hashes, return_inverse=True, return_counts=True)
    owner = np.repeat(np.arange(len(sizes)), sizes)
    shared = np.flatnonzero(holders > 1)
    number = np.full(len(elements), -1)
    number[shared] = np.arange(len(shared))
    column = number[column]
    owner, column = owner[column >= 0], column[column >= 0]
    order = np.argsort(column, kind="stable")
    owner, column = owner[order], column[order]
    rows, row = np.unique(a, return_inverse=True)
    height = max(64, CELLS // len(sizes))
    width = min(height, max(len(shared), 1))
    common = np.zeros(len(a), dtype=np.int64)
    for top in range(0, len(rows), height):
        mine = rows[top : top + height]
        counts = np.zeros((len(mine), len(sizes)), dtype=np.float32)
        for left in range(0, len(shared), width):
            start, stop = np.searchsorted(column, [left, left + width])
            holds = np.zeros((len(sizes), width), dtype=np.float32)
            holds[owner[start:stop], column[start:stop] - left] = 1
            counts += holds[mine] @ holds.T
        chosen = slice(None) if len(mine) == len(rows) else (row >= top) & (row < top + height)
        common[chosen] = counts[row[chosen] - top, b[chosen]]
    return common
