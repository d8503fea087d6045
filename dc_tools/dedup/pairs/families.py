"""Pairs of texts that share what very many heads share, found without making all pairs of them.

Texts that are of one group already, since they match a leader or each other, need no comparing, and are skipped as a
whole; what is left is compared, however much it is, a bounded number of pairs at a time.
"""

from collections.abc import Callable, Iterable, Iterator

import numpy as np

from dc_tools.dedup.arrays import Hashes, Ints, chunks, ranges
from dc_tools.dedup.pairs.join import CHUNK, LOW, WORD, Corpus, Flags, Meetings, Rule, upper
from dc_tools.dedup.pairs.verify import AT_ONCE
from dc_tools.dedup.prepare import element_keys
from dc_tools.dedup.spool import Piece

FIRST_ROUND = 32
"""Texts that are compared with all heads before groups are joined anew; each round takes twice as many."""


def rounds(count: int) -> Iterator[tuple[int, int]]:
    """Ranges of `count` texts, each but the last twice as long as the one before."""
    start, length = 0, FIRST_ROUND
    while start < count:
        yield start, min(start + length, count)
        start, length = start + length, 2 * length


def cut_elements(found: Iterable[Ints], texts: int) -> Ints:
    """For each of `texts` how many elements of its head were cut, from all parts."""
    return np.bincount(np.concatenate([np.zeros(0, dtype=np.int64), *found]), minlength=texts)


class CutHeads:
    """The heads of some texts, by element and group."""

    def __init__(
        self, part: Callable[[int], Hashes], part_bits: int, chosen: Flags, corpus: Corpus, rule: Rule
    ) -> None:
        """`part` gives the entries of all heads of a part; those of the chosen texts are taken, each its own group."""
        self._corpus, self._rule = corpus, rule
        self._part_bits = part_bits
        keys, owners = [], []
        for number in range(1 << part_bits):
            entries = part(number)
            entries = entries[chosen[upper(entries)]]
            keys.append((entries >> WORD) | np.uint64(number << 32))
            owners.append(upper(entries))
        self._keys, place = np.unique(np.concatenate(keys), return_inverse=True)
        self._places, self._owners = place.astype(np.uint64) << WORD, np.concatenate(owners)
        self.group(np.arange(len(chosen)))

    def group(self, groups: Ints) -> None:
        """From now on only pairs of texts of two groups are looked at; `groups` gives that of each text."""
        self._texts = np.argsort(groups, kind="stable")
        ordered = groups[self._texts]
        self._first = np.searchsorted(ordered, groups, side="left").astype(np.uint64)
        self._last = np.searchsorted(ordered, groups, side="right").astype(np.uint64)
        labels = np.empty(len(groups), dtype=np.uint64)
        labels[self._texts] = np.arange(len(groups), dtype=np.uint64)
        self._entries = np.sort(self._places | labels[self._owners])

    def candidates(self, pieces: Iterable[Piece]) -> Iterator[Hashes]:
        """Pairs, across groups, of a text whose head is here and one of the `pieces`, many at a time."""
        held: list[Hashes] = []
        for piece in pieces:
            for found in self._of_piece(*piece):
                held.append(found)
                if sum(map(len, held)) > AT_ONCE:
                    yield np.concatenate(held)
                    held = []
        yield from held

    def _of_piece(self, numbers: Ints, sizes: Ints, hashes: Hashes) -> Iterator[Hashes]:
        keys, owners = element_keys(hashes, self._part_bits), np.repeat(numbers, sizes)
        place = np.minimum(np.searchsorted(self._keys, keys), len(self._keys) - 1)
        known = np.flatnonzero(self._keys[place] == keys)
        owners, key = owners[known], place[known].astype(np.uint64) << WORD
        begin, end = (np.searchsorted(self._entries, bound) for bound in (key, key | LOW))
        inner = np.searchsorted(self._entries, key | self._first[owners])
        outer = np.searchsorted(self._entries, key | self._last[owners])
        starts = np.stack([begin, outer], axis=1).ravel()
        times = np.stack([inner - begin, end - outer], axis=1).ravel()
        owners = np.repeat(owners, 2)
        edges = np.flatnonzero(np.concatenate([[True], owners[1:] != owners[:-1], [True]])) if len(owners) else owners
        totals = np.diff(np.concatenate([[0], np.cumsum(times)])[edges])
        for first, stop in chunks(totals, CHUNK, len(totals)):
            some = slice(int(edges[first]), int(edges[stop]))
            a = self._texts[upper(self._entries[ranges(starts[some], times[some])])]
            b = np.repeat(owners[some], times[some])
            met = Meetings.of(a, b, self._corpus, self._rule, heads_only=False)
            yield met.candidates(self._corpus, self._rule)
