"""Small tools for numpy arrays of many ranges."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Hashes = npt.NDArray[np.uint64]
ODD_1, ODD_2 = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xD6E8FEB86659FD93)
"""Odd numbers to multiply hashes by."""


def distinct(words: Hashes) -> tuple[Hashes, Ints]:
    """The distinct words in order and how often each occurs; a sort, which is quicker than numpy's `unique`."""
    words = np.sort(words)
    edges = np.flatnonzero(np.concatenate([[True], words[1:] != words[:-1], [True]])) if len(words) else _NO_EDGES
    return words[edges[:-1]], np.diff(edges)


def sort_slices(words: Hashes, lengths: Ints) -> None:
    """Sort each of the slices of `lengths` by itself, in place: in the cache, several times quicker than as a whole."""
    ends = np.cumsum(lengths)
    for start, end in zip((ends - lengths).tolist(), ends.tolist(), strict=True):
        words[start:end].sort()


_NO_EDGES = np.zeros(1, dtype=np.int64)


def ranges(starts: Ints, lengths: Ints) -> Ints:
    """The integers starts[i] ... starts[i] + lengths[i] - 1 of every i, one after another."""
    ends = np.cumsum(lengths)
    total = int(ends[-1]) if len(ends) else 0
    return np.repeat(starts - (ends - lengths), lengths) + np.arange(total)


def chunks(weights: Ints, weight: int, most: int) -> Iterator[tuple[int, int]]:
    """Ranges of at most `most` items and, but for one heavy item, of `weight` in all."""
    ends = np.cumsum(weights)
    start, done = 0, 0
    while start < len(weights):
        stop = min(max(int(np.searchsorted(ends, done + weight, side="right")), start + 1), start + most, len(weights))
        yield start, stop
        start, done = stop, int(ends[stop - 1])


def mixed(x: Hashes) -> Hashes:
    """Spread every bit over all 64: two rounds of xor-shift and odd multiply, a bijection."""
    x = (x ^ (x >> np.uint64(32))) * ODD_2
    x = (x ^ (x >> np.uint64(29))) * ODD_1
    return x ^ (x >> np.uint64(32))


def found(keys: Hashes, wanted: Hashes) -> tuple[Ints, Ints]:
    """Where in the sorted `keys` the run of each of the `wanted`, best sorted, begins, and its length."""
    start = np.searchsorted(keys, wanted, side="left")
    return start, np.searchsorted(keys, wanted, side="right") - start
