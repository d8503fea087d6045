"""All pairs of texts whose TF-IDF vectors reach a cosine: exact, nothing missed.

The weight of a word in a text is tf * idf: tf is how often it occurs there and idf = ln((1 + n) / (1 + df)) + 1, where
df of all n texts hold it (the smooth idf of scikit-learn). The score of two texts is the cosine of their weights. A
text without words counts in n and is in no pair.

Filter (prefixes bounded by the norm of the rest: Bayardo et al. 2007; L2AP, Anastasiu and Karypis 2014): put all words
in one order, rarest first, and cut each unit vector into a head and a tail no longer than r < t. Let the head of x end
no later than that of y, and h be the product of the heads, which is all that x and y share so far. Then the part of y
so far is at least h long, the rest of it at most sqrt(1 - h^2), and cosine <= h + r sqrt(1 - h^2). A pair that reaches
t thus has an h of at least the smaller root of h + r sqrt(1 - h^2) = t. Heads are few and rare words; what passes is
verified in full.
"""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from scipy import sparse

from dc_tools.dedup.arrays import Hashes, Ints
from dc_tools.dedup.text import HASH_BITS, tokenize

Flags: TypeAlias = npt.NDArray[np.bool_]
Floats: TypeAlias = npt.NDArray[np.float64]
Counts: TypeAlias = npt.NDArray[np.unsignedinteger]

TOLERANCE = 1e-9
"""A score this little below the threshold reaches it: far more than rounding, far less than a difference of texts."""
TAIL = 0.9
"""The longest tail in parts of the threshold: shorter ones make longer heads and fewer candidates."""
CHUNK = 1 << 22
"""Entries or products handled at a time; bounds memory, never the answer. No more, or the sums of `_heads` overflow."""
_FIXED = 1 << 40
"""What a squared norm of one is as a whole number."""


@dataclass(frozen=True)
class Scored:
    """Pairs a < b with their cosine, sorted by (a, b)."""

    a: Ints
    b: Ints
    score: Floats
    candidates: int = 0
    """How many pairs had to be verified."""


@dataclass(frozen=True)
class WordBags:
    """The words of a batch of texts with their counts."""

    sizes: Ints
    """Number of distinct words of each text."""
    hashes: Hashes
    """The distinct words, text after text."""
    counts: Counts
    """How often each occurs in its text."""


def word_bags(texts: list[str]) -> WordBags:
    """The bags of at most `BATCH_TEXTS` folded texts; words are 52-bit hashes, as shingles are."""
    words, bits = tokenize(texts), np.uint64(HASH_BITS)
    text_of = np.repeat(np.arange(len(texts), dtype=np.uint64), words.counts)
    keys, counts = np.unique((text_of << bits) | (words.hashes() >> np.uint64(64 - HASH_BITS)), return_counts=True)
    sizes = np.bincount((keys >> bits).astype(np.int64), minlength=len(texts))
    narrow = np.min_scalar_type(counts.max(initial=0))
    return WordBags(sizes, keys & np.uint64((1 << HASH_BITS) - 1), counts.astype(narrow))


class Corpus:
    """The bags of many texts: 5 bytes for a distinct word of a text (6 where some word occurs > 255 times in a text).

    The vocabulary takes 20 bytes a word besides.
    """

    def __init__(self) -> None:
        self._words: Hashes = np.zeros(0, dtype=np.uint64)
        self._numbers: npt.NDArray[np.int32] = np.zeros(0, dtype=np.int32)
        self._df: Ints = np.zeros(0, dtype=np.int64)
        self._sizes: list[Ints] = []
        self._columns: list[npt.NDArray[np.int32]] = []
        self._counts: list[Counts] = []

    def add(self, bags: WordBags) -> None:
        """Append texts."""
        words, columns, df = np.unique(bags.hashes, return_inverse=True, return_counts=True)
        numbers = self._numbers_of(words)
        self._df[numbers] += df
        self._sizes.append(bags.sizes)
        self._columns.append(numbers[columns])
        self._counts.append(bags.counts)

    def matrix(self) -> tuple[sparse.csr_array, Floats]:
        """Counts (texts, words) as CSR and idf (words,): the rarest words first, those of equal df by their hash."""
        counts = np.concatenate([np.zeros(0, dtype=np.uint8), *self._counts])
        ends = np.cumsum(np.concatenate([np.zeros(1, dtype=np.int64), *self._sizes]))
        order = self._numbers[np.argsort(self._df[self._numbers], kind="stable")]
        rank = np.empty_like(order)
        rank[order] = np.arange(len(order))
        columns = rank[np.concatenate([np.zeros(0, dtype=np.int32), *self._columns])]
        ends = ends.astype(sparse.get_index_dtype(maxval=len(columns)))
        matrix = sparse.csr_array((counts, columns, ends), shape=(len(ends) - 1, len(order)))
        matrix.sort_indices()
        return matrix, np.log(len(ends) / (1 + self._df[order])) + 1

    def _numbers_of(self, words: Hashes) -> npt.NDArray[np.int32]:
        """The column numbers of distinct sorted words; one not seen before gets the next."""
        place = np.searchsorted(self._words, words)
        is_new = np.append(self._words, np.uint64(0))[place] != words
        is_new |= place == len(self._words)
        fresh = np.arange(np.count_nonzero(is_new), dtype=np.int32) + np.int32(len(self._df))
        self._words = np.insert(self._words, place[is_new], words[is_new])
        self._numbers = np.insert(self._numbers, place[is_new], fresh)
        self._df = np.append(self._df, np.zeros_like(fresh, dtype=np.int64))
        return self._numbers[np.searchsorted(self._words, words)]


def find_cosine_pairs(corpus: Corpus, threshold: float, references: Flags | None = None) -> Scored:
    """All pairs of texts at or above `threshold` (in (0, 1]); pairs of two `references` are left out.

    A score is the same to the last bit whatever the order of the texts and the batches they came in.
    """
    counts, idf = corpus.matrix()
    squares, sizes = idf**2, np.diff(counts.indptr)
    norms = np.concatenate([_products(counts[i:j], counts[i:j], squares) for i, j in _blocks(sizes)])
    is_reference = np.zeros(len(sizes), dtype=np.bool_) if references is None else references
    order = np.argsort(~is_reference, kind="stable")
    tail = TAIL * threshold
    heads = _heads(counts, squares, norms, tail)[order]
    least = least_head_product(threshold - 2 * TOLERANCE, tail)

    def verified() -> Iterator[tuple[Ints, Ints, Floats]]:
        for one, other in _candidates(heads, int(is_reference.sum()), least):
            for i, j in _blocks(sizes[order[one]] + sizes[order[other]]):
                a, b = order[one[i:j]], order[other[i:j]]
                yield a, b, _products(counts[a], counts[b], squares) / np.sqrt(norms[a] * norms[b])

    return reaching(threshold, verified())


def reaching(threshold: float, pairs: Iterable[tuple[Ints, Ints, Floats]]) -> Scored:
    """Those of the candidates (one, other, score), each pair given once, that reach the threshold."""
    none = np.zeros(0, dtype=np.int64)
    kept, candidates = [(none, none, np.zeros(0))], 0
    for one, other, score in pairs:
        candidates += len(score)
        true = score >= threshold - TOLERANCE
        one, other = one[true], other[true]
        kept.append((np.minimum(one, other), np.maximum(one, other), np.minimum(score[true], 1.0)))
    a, b, scores = (np.concatenate(part) for part in zip(*kept, strict=True))
    rank = np.lexsort((b, a))
    return Scored(a[rank], b[rank], scores[rank], candidates)


def least_head_product(threshold: float, tail: float) -> float:
    """The smaller root h of h + tail sqrt(1 - h^2) = threshold: no pair at the threshold has a lesser one."""
    return (threshold - tail * math.sqrt(1 + tail**2 - threshold**2)) / (1 + tail**2)


def _products(left: sparse.csr_array, right: sparse.csr_array, squares: Floats) -> Floats:
    """The sum of tf * tf * idf^2 of each row of `left` with its row of `right`, in the order of the columns."""
    products: Floats = left.astype(np.float64).multiply(right.astype(np.float64)).tocsr() @ squares
    return products


def _heads(counts: sparse.csr_array, squares: Floats, norms: Floats, tail: float) -> sparse.csr_array:
    """The unit vectors without their longest ends of norm <= `tail`.

    Norms are summed as whole numbers, each square rounded up, so that no tail is longer than it seems.
    """
    sizes = np.diff(counts.indptr)
    weights, columns, lengths = [], [], []
    for i, j in _blocks(sizes):
        rows = counts[i:j]
        weight = rows.data.astype(np.float64) ** 2 * squares[rows.indices] / np.repeat(norms[i:j], sizes[i:j])
        done = np.concatenate([[0], np.cumsum(np.ceil(weight * _FIXED).astype(np.int64))])
        in_head = np.repeat(done[rows.indptr[1:]], sizes[i:j]) - done[:-1] > int(tail**2 * _FIXED)
        weights.append(np.sqrt(weight[in_head]))
        columns.append(rows.indices[in_head])
        lengths.append(np.diff(np.concatenate([[0], np.cumsum(in_head)])[rows.indptr]))
    ends = np.cumsum(np.concatenate([[0], *lengths])).astype(counts.indptr.dtype)
    return sparse.csr_array((np.concatenate(weights), np.concatenate(columns), ends), shape=counts.shape)


def _candidates(heads: sparse.csr_array, references: int, least: float) -> Iterator[tuple[Ints, Ints]]:
    """Pairs of rows, earlier and later, whose heads' product is `least` or more; both in the first `references`: none.

    Rows are taken in blocks against all rows before their end, by as many products as `CHUNK` allows.
    """
    df = np.bincount(heads.indices, minlength=heads.shape[1])
    work = np.diff(np.concatenate([[0], np.cumsum(df[heads.indices])])[heads.indptr])
    for start, stop in _blocks(work[references:]):
        block = heads[references + start : references + stop]
        end = heads.indptr[references + stop]
        before = sparse.csr_array(
            (heads.data[:end], heads.indices[:end], heads.indptr[: references + stop + 1]),
            shape=(references + stop, heads.shape[1]),
        )
        product = (before @ block.T.tocsr()).tocoo()
        earlier, later = product.row, product.col + (references + start)
        likely = (product.data >= least) & (earlier < later)
        yield earlier[likely].astype(np.int64), later[likely].astype(np.int64)


def _blocks(weights: Ints) -> Iterable[tuple[int, int]]:
    """Ranges that cover all of `weights`, at least one, each of at most `CHUNK` weight besides its first item."""
    block = np.cumsum(weights) // CHUNK
    return pairwise([0, *(np.flatnonzero(np.diff(block)) + 1).tolist(), len(weights)])
