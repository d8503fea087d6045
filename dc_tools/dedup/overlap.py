"""Decontamination by n-grams: which records have so much of a reference's wording that they give its problem away.

A record matches a reference when its statement has, anywhere, at least `share` of the n-grams of words of the
reference's body. Any single n-gram, a common rule for web text, means nothing here: statements are full of phrases that
belong to no problem ("you may return the answer in any order") and define the same terms in the same words.

So an n-gram that more than `most` references have does not count; references with equal n-grams are one reference in
this. But where that would leave less than half of a reference, as with one docstring in twenty languages, all of its
n-grams count.

A reference shorter than n words is one n-gram as a whole, and only a record of just these words has it. Translation and
the rewording of one word in n are not seen; twins that differ in a few words, such as `House Robber II`, match.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from dc_tools.dedup.arrays import Hashes, Ints, chunks, found, ranges
from dc_tools.dedup.settings import Unit
from dc_tools.dedup.text import HASH_BITS, body_of, shingle_sets

SHARE = 0.5
"""Share of a reference's n-grams that makes a match. Of 1,570 LeetCode problems in another data set it finds 99.9 %
whatever n; with one word in twenty replaced 85 % for n = 8, 73 % for n = 10 and 53 % for n = 13. What else it flags are
mostly twins."""
MOST_REFERENCES = 10
"""References that may have an n-gram that counts."""
CHUNK = 1 << 22
"""N-grams met at a time; bounds memory, never the answer."""
SPARSITY_BITS = 5
"""The filter has at least 2^5 bits for each n-gram, so that it lets through at most 3 % of what is unknown."""

Flags = npt.NDArray[np.bool_]
Bits = npt.NDArray[np.uint8]

_NONE = np.zeros(0, dtype=np.int64)
_REFERENCE_BITS = 32
_REFERENCE = (1 << _REFERENCE_BITS) - 1


@dataclass(frozen=True)
class Overlaps:
    """Pairs of a record and a reference that match, by record, then reference."""

    records: Ints
    """Places in the list of statements."""
    references: Ints
    """Places among all references."""
    common: Ints
    """Distinct n-grams that count for the reference and that the record has."""
    shares: npt.NDArray[np.float64]
    """`common` / n-grams that count for the reference."""

    @staticmethod
    def joined(parts: "list[tuple[int, Overlaps]]") -> "Overlaps":
        """Those of several lists of statements; each comes with the number of its first statement."""
        if not parts:
            return Overlaps(_NONE, _NONE, _NONE, np.zeros(0))
        names = ("references", "common", "shares")
        others = (np.concatenate([getattr(found, name) for _, found in parts]) for name in names)
        return Overlaps(np.concatenate([found.records + first for first, found in parts]), *others)

    def best(self) -> "Overlaps":
        """Each record's best pair: most n-grams in common, then the larger share, then the first reference."""
        order = np.lexsort((self.references, -self.shares, -self.common, self.records))
        chosen = order[np.diff(self.records[order], prepend=-1) > 0]
        return Overlaps(self.records[chosen], self.references[chosen], self.common[chosen], self.shares[chosen])


@dataclass(frozen=True)
class NgramIndex:
    """The n-grams that count and the references that have them. To save these four fields is to save the index."""

    n: int
    """Words of an n-gram."""
    hashes: Hashes
    """One 52-bit hash for each n-gram of each reference, sorted."""
    owners: npt.NDArray[np.int32]
    """The reference of each; ascending where hashes are equal."""
    sizes: Ints
    """N-grams that count for each reference; 0 only where there is no text."""

    @property
    def index(self) -> "NgramIndex":
        """Itself, as `SavedNgrams` has it."""
        return self

    def save(self, folder: Path) -> "SavedNgrams":
        """Write the fields into a folder, for processes that share it."""
        np.save(folder / "n.npy", np.array(self.n))
        for name in ("hashes", "owners", "sizes"):
            np.save(folder / f"{name}.npy", getattr(self, name))
        return SavedNgrams(str(folder))

    @classmethod
    def build(cls, batches: Iterable[list[str]], n: int, most: int = MOST_REFERENCES) -> "NgramIndex":
        """Index the bodies of folded statements, at most `BATCH_TEXTS` in a batch."""
        sizes, hashes = [np.zeros(0, dtype=np.int64)], [np.zeros(0, dtype=np.uint64)]
        for batch in batches:
            of_batch = shingle_sets([body_of(folded) for folded in batch], Unit.WORD, n)
            sizes.append(of_batch[0])
            hashes.append(of_batch[1])
        return _index(n, np.concatenate(sizes), np.concatenate(hashes), most)

    def matches(self, statements: list[str], share: float = SHARE) -> Overlaps:
        """The references of which each folded statement has `share` or more; with 0, one n-gram is enough.

        `statements` are at most `BATCH_TEXTS`.
        """
        sizes, hashes = shingle_sets(statements, Unit.WORD, self.n)
        maybe = self._maybe_known(hashes)
        records = np.searchsorted(np.cumsum(sizes), maybe, side="right")
        order = np.argsort(hashes[maybe])
        low, times = np.empty_like(maybe), np.empty_like(maybe)
        low[order], times[order] = found(self.hashes, hashes[maybe][order])
        met = np.bincount(records, times, minlength=len(sizes)).astype(np.int64)
        pairs, common = [np.zeros(0, dtype=np.int64)], [np.zeros(0, dtype=np.int64)]
        for first, last in chunks(met, CHUNK, len(sizes)):
            part = slice(*np.searchsorted(records, [first, last]))
            owners = self.owners[ranges(low[part], times[part])]
            pair = (np.repeat(records[part], times[part]) << _REFERENCE_BITS) | owners
            distinct, counts = np.unique(pair, return_counts=True)
            enough = counts / self.sizes[distinct & _REFERENCE] >= share
            pairs.append(distinct[enough])
            common.append(counts[enough])
        both, counted = np.concatenate(pairs), np.concatenate(common)
        references = both & _REFERENCE
        return Overlaps(both >> _REFERENCE_BITS, references, counted, counted / self.sizes[references])

    def _maybe_known(self, hashes: Hashes) -> Ints:
        """Places of all hashes that the index has, and of few others."""
        held, shift = self._filter
        buckets = (hashes >> shift).view(np.int64)
        bits = (held[buckets >> 3] >> (buckets.astype(np.uint8) & 7)) & 1
        return np.flatnonzero(bits.view(np.bool_))

    @cached_property
    def _filter(self) -> tuple[Bits, np.uint64]:
        """One bit for each bucket of a hash's top bits, eight a byte, and the shift that gives the bucket."""
        bits = len(self.hashes).bit_length() + SPARSITY_BITS
        shift = np.uint64(HASH_BITS - bits)
        buckets = (self.hashes >> shift).view(np.int64)
        places = buckets >> 3
        first = np.flatnonzero(np.diff(places, prepend=-1))
        held = np.zeros(1 << (bits - 3), dtype=np.uint8)
        held[places[first]] = np.bitwise_or.reduceat(np.left_shift(1, buckets & 7).astype(np.uint8), first)
        return held, shift


@dataclass(frozen=True)
class SavedNgrams:
    """An index in a folder; each process reads it once."""

    folder: str

    @property
    def index(self) -> NgramIndex:
        """The index."""
        return _loaded(self.folder)


Ngrams = NgramIndex | SavedNgrams


@lru_cache(maxsize=1)
def _loaded(folder: str) -> NgramIndex:
    """Its arrays are mapped, so that processes share them."""
    hashes, owners, sizes = (np.load(f"{folder}/{name}.npy", mmap_mode="r") for name in ("hashes", "owners", "sizes"))
    return NgramIndex(int(np.load(f"{folder}/n.npy")), hashes, owners, sizes)


def _index(n: int, sizes: Ints, hashes: Hashes, most: int) -> NgramIndex:
    """Sort the n-grams of all references by hash and leave out those that do not count."""
    owners = np.repeat(np.arange(len(sizes), dtype=np.int32), sizes)
    order = np.argsort(hashes, kind="stable")
    hashes, owners, is_new = hashes[order], owners[order], _is_new(sizes, hashes)
    is_rare = _times(hashes, is_new[owners]) <= most
    rare = np.bincount(owners[is_rare], minlength=len(sizes))
    is_common = 2 * rare < sizes
    counts = is_rare | is_common[owners]
    return NgramIndex(n, hashes[counts], owners[counts], np.where(is_common, sizes, rare))


def _is_new(sizes: Ints, hashes: Hashes) -> Flags:
    """Whether no earlier reference has the same n-grams, by the sum of their hashes."""
    sums = np.concatenate([np.zeros(1, dtype=np.uint64), np.cumsum(hashes, dtype=np.uint64)])
    ends = np.cumsum(sizes)
    found = np.zeros(len(sizes), dtype=np.bool_)
    found[np.unique(sums[ends] - sums[ends - sizes], return_index=True)[1]] = True
    return found


def _times(hashes: Hashes, is_counted: Flags) -> Ints:
    """For each of the sorted `hashes` how many of its equals are counted."""
    run = np.cumsum(np.diff(hashes, prepend=hashes[:1]) != 0)
    times: Ints = np.bincount(run[is_counted], minlength=len(run))[run]
    return times
