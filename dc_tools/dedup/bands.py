"""Candidates for near-duplicates by MinHash in bands, for corpora whose shingle sets exceed memory.

A set becomes at most 16 keys of 64 bits, and pairs that share a key are candidates: their exact verification is the
caller's, so bands may miss a pair and never invent one. What is promised is the chance of a miss (`plan`), over the
hashes of the shingles, for pairs at or above the threshold; of containment, only for pairs whose sizes are near
enough to each other. Two things lie outside the promise: keys shared by more sets than a cap (`candidates`) and
texts made by someone who knows the hash.

The sketch is one-permutation MinHash (Li, Owen and Zhang 2012): a shingle's hash picks one of b r bins by its size,
and each bin keeps its smallest hash. Bins left empty are filled as in fast similarity sketching (Dahlgaard, Knudsen
and Thorup 2017): every shingle is hashed anew, in rounds of 1, 2, 4, ... fresh hashes, and a bin keeps the smallest
of the first round that reaches it. Two sets agree in a bin exactly if the smallest of their union, in the first round
that reaches the bin, is in both. By symmetry that is any member of the union with equal chance, so a bin agrees with
probability J, their Jaccard similarity, at every size. Bins are not independent, since a shingle that fills one is the
less likely to fill the next: a key of 10 bins is shared by 1 % fewer pairs than J^10, but no key at all by far fewer
than (1 - J^r)^b. Simulated at J = .95 and .8, 8 of the keys that `plan` chooses fail together .1 to .5 times as often
as that for sets of 20 to 380 shingles and .8 to 1 times for 2,000; the ratio falls as keys are added. Copying full
bins into empty ones (Shrivastava 2017) is unbiased too, but shingles in one bin then have one voice: of sets of 3, one
pair in 500 was missed.
"""

from dataclasses import dataclass

import numpy as np
import xxhash

from dc_tools.dedup.arrays import Hashes, Ints, mixed
from dc_tools.dedup.settings import Metric
from dc_tools.dedup.text import HASH_BITS

MISS = 1e-6
"""Greatest chance that a pair at the threshold shares no key."""
MIN_B, MAX_B = 2, 16
"""Fewest and most keys of a set; datasketch wants two."""
MAX_R = 16
"""More bins in a key would hardly lower the number of candidates."""
MIN_RATIO = 0.85
"""Smaller size over larger size down to which `plan` holds its promise for containment."""
NO_KEY = 0
"""The key of an empty set, which is near to nothing."""
NUM_PERM = 256
"""datasketch's permutations: enough for `MAX_B` keys of `MAX_R`."""

_SLICE = 128
"""Sets sketched together: few enough that their bins stay in the cache."""
_ROUNDS = 13
"""Rounds of fresh hashes: a bin that 8,191 hashes of one shingle leave empty (once in e^32) counts as a value."""
_VACANT = np.uint64(1 << HASH_BITS)
_BITS, _REST = np.uint64(HASH_BITS), np.uint64(64 - HASH_BITS)


@dataclass(frozen=True)
class Bands:
    """How a sketch is cut: `b` keys, each made of `r` bins."""

    b: int
    r: int

    @property
    def bins(self) -> int:
        """Bins of a sketch."""
        return self.b * self.r

    def miss(self, similarity: float) -> float:
        """Chance that two sets of this Jaccard similarity share no key, were the bins independent."""
        return float((1 - similarity**self.r) ** self.b)


def plan(threshold: float, metric: Metric, ratio: float = MIN_RATIO) -> Bands:
    """The longest keys, and of these the fewest, that miss a pair at `threshold` with a chance of at most `MISS`.

    Containment says little about Jaccard unless sizes are near: for it and `either` the promise holds for pairs whose
    smaller set has at least `ratio` times the shingles of the larger one; below, `Bands.miss(lowest_jaccard(...))`
    tells the chance. A ValueError where `MAX_B` keys of a single bin do not suffice.
    """
    similarity = threshold if metric is Metric.JACCARD else lowest_jaccard(threshold, ratio)
    for r in range(MAX_R, 0, -1):
        for b in range(MIN_B, MAX_B + 1):
            if Bands(b, r).miss(similarity) <= MISS:
                return Bands(b, r)
    least = 1 - MISS ** (1 / MAX_B)
    raise ValueError(
        f"{MAX_B} bands find pairs from a Jaccard similarity of {least:.3f} on; "
        f"{metric.value} at {threshold:g} allows {similarity:.3f}: raise the threshold or compare exactly"
    )


def lowest_jaccard(threshold: float, ratio: float) -> float:
    """Least Jaccard similarity of two sets with containment >= `threshold` whose sizes differ by `ratio` (<= 1)."""
    return threshold * ratio / (1 + ratio - threshold * ratio)


def band_keys(sizes: Ints, hashes: Hashes, bands: Bands) -> Hashes:
    """Keys [n, b] of n sets given as in `text.shingle_sets`; those of an empty set are `NO_KEY`, no others are.

    A set's keys depend on its hashes and `bands` alone.
    """
    keys = np.empty((len(sizes), bands.b), dtype=np.uint64)
    ends = np.concatenate([[0], np.cumsum(sizes)])
    for start in range(0, len(sizes), _SLICE):
        stop = min(start + _SLICE, len(sizes))
        values = sketches(sizes[start:stop], hashes[ends[start] : ends[stop]], bands.bins)
        keys[start:stop] = _keys_of(values, bands)
    keys[sizes == 0] = NO_KEY
    return keys


def datasketch_keys(sizes: Ints, hashes: Hashes, bands: Bands, num_perm: int = NUM_PERM, seed: int = 1) -> Hashes:
    """As `band_keys`, by datasketch: `MinHash` of the upper 32 bits of the hashes, cut by `MinHashLSH(params=(b, r))`.

    Two sets share a key exactly if `MinHashLSH.query` finds one by the other. A ValueError where b r > `num_perm`.
    """
    from datasketch import MinHash, MinHashLSH

    index = MinHashLSH(num_perm=num_perm, params=(bands.b, bands.r), hashfunc=xxhash.xxh3_64_digest)
    sets = np.split(hashes >> np.uint64(HASH_BITS - 32), np.cumsum(sizes)[:-1])
    lists = (each.tolist() for each in sets if len(each))
    found = []
    for i, sketch in enumerate(MinHash.generator(lists, num_perm=num_perm, seed=seed, hashfunc=int)):
        index.insert(i, sketch, check_duplication=False)
        found.extend(index.keys.get(i))
    keys = np.full((len(sizes), bands.b), NO_KEY, dtype=np.uint64)
    keys[sizes > 0] = _numbered(np.frombuffer(b"".join(found), dtype="<u8").reshape(-1, bands.b))
    return keys


def sketches(sizes: Ints, hashes: Hashes, bins: int) -> Hashes:
    """Values [n, bins] of n sets; two sets agree in a bin with probability J. `bins` is at most 2^12."""
    values = np.full(len(sizes) * bins, _VACANT)
    owners = np.repeat(np.arange(len(sizes), dtype=np.uint64) * np.uint64(bins), sizes)
    _settle(values, owners, hashes, bins)
    for number in range(_ROUNDS):
        vacant = (values == _VACANT).reshape(-1, bins).any(axis=1) & (sizes > 0)
        if not vacant.any():
            break
        members = np.repeat(vacant, sizes)
        owners, hashes, sizes = owners[members], hashes[members], np.where(vacant, sizes, 0)
        fresh = _rehashed(hashes, 1 << number)
        _settle(values, np.repeat(owners, 1 << number), fresh.ravel(), bins)
    return values.reshape(-1, bins)


def _settle(values: Hashes, owners: Hashes, hashes: Hashes, bins: int) -> None:
    """Lower the bins that are vacant to the smallest hash that falls into them; an owner is its first bin."""
    slots = (owners + ((hashes * np.uint64(bins)) >> _BITS)).view(np.int64)
    free = values[slots] == _VACANT
    np.minimum.at(values, slots[free], hashes[free])


def _rehashed(hashes: Hashes, copies: int) -> Hashes:
    """Fresh 52-bit hashes [members, copies], by multiply-shift; other numbers of copies give other hashes."""
    numbers = np.arange(copies, 2 * copies, dtype=np.uint64)
    factors, terms = mixed(2 * numbers) | np.uint64(1), mixed(2 * numbers + np.uint64(1))
    return (hashes[:, None] * factors + terms) >> _REST


def _keys_of(values: Hashes, bands: Bands) -> Hashes:
    """A 64-bit hash of each band's values and number."""
    factors = mixed(np.arange(1, bands.bins + 1, dtype=np.uint64)) | np.uint64(1)
    sums = (values * factors).reshape(-1, bands.b, bands.r).sum(axis=2, dtype=np.uint64)
    return _numbered(sums)


def _numbered(bands: Hashes) -> Hashes:
    """Keys of the hashes [n, b] of bands, so that those of different bands differ; never `NO_KEY`."""
    numbers = np.arange(bands.shape[1], dtype=np.uint64)
    return np.maximum(mixed(np.add(bands, numbers, dtype=np.uint64)), np.uint64(1))
