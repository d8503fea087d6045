"""The global order of shingles, rarest first, learned from a sample; and the head of each set in it.

Any order gives the right answer; the rarer the shingles at the head, the fewer pairs meet there.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dc_tools.dedup.arrays import Hashes, Ints, distinct, ranges
from dc_tools.dedup.text import HASH_BITS

SAMPLE = 1 << 14
"""Sets from which the order is learned, at least, where there are so many."""
SHARE = 16
"""And at least one of so many: what fewer hold mostly counts as rare, and all that hold it meet each other."""
SEED = 1
ENOUGH_BITS, MAX_BITS = 22, 30
"""Of the table of counts: beyond the first it holds two elements a bucket, never more than the second."""
MOST = 1 << 15
"""Sets that hold a shingle beyond which it is among the most frequent."""
_CLASSES = np.array([max(n.bit_length() - 1, 0) for n in range(MOST + 1)], dtype=np.uint8)


def sampled(count: int) -> Ints:
    """`SAMPLE` or more numbers below `count`, ascending: one at random from each of equally long ranges."""
    edges = np.linspace(0, count, min(count, max(SAMPLE, count // SHARE)) + 1).astype(np.int64)
    return np.random.default_rng(SEED).integers(edges[:-1], edges[1:])


@dataclass(frozen=True)
class Order:
    """Shingles by class, the rounded-down log2 of how many sampled sets hold one; within a class by hash."""

    classes: npt.NDArray[np.uint8]
    """Class by the top bits of a hash: shingles that share a bucket share its count."""

    @staticmethod
    def learn(batches: Iterable[Hashes], elements: int) -> "Order":
        """From the elements of sampled sets, in batches; about how many they are makes the table's size."""
        most = min(max((elements // 2).bit_length(), ENOUGH_BITS), MAX_BITS)
        bits = min(max((4 * elements).bit_length(), 10), most)
        counts = np.zeros(1 << bits, dtype=np.uint16)
        for hashes in batches:
            buckets, times = distinct(hashes >> np.uint64(HASH_BITS - bits))
            counts[buckets] = np.minimum(counts[buckets] + times, MOST)
        return Order(_CLASSES[counts])

    def heads(self, sizes: Ints, hashes: Hashes, lengths: Ints) -> Hashes:
        """The first `lengths[i]` elements, in this order, of each of the concatenated sorted sets, in any order."""
        shift = np.uint64(HASH_BITS - (len(self.classes).bit_length() - 1))
        ends = np.cumsum(sizes)
        rare = np.flatnonzero(self.classes[hashes >> shift] == 0)
        rare_ends = np.searchsorted(rare, ends)
        rare_counts = np.diff(rare_ends, prepend=0)
        suffice = rare_counts >= lengths
        quick = rare[ranges((rare_ends - rare_counts)[suffice], lengths[suffice])]
        rest = np.flatnonzero(~suffice)
        places = ranges((ends - sizes)[rest], sizes[rest])
        owner = np.repeat(np.arange(len(rest), dtype=np.uint64), sizes[rest])
        by_class = np.argsort((owner << np.uint64(8)) | self.classes[hashes[places] >> shift], kind="stable")
        slow = places[by_class[ranges(np.cumsum(sizes[rest]) - sizes[rest], lengths[rest])]]
        found: Hashes = hashes[np.sort(np.concatenate([quick, slow]))]
        return found
