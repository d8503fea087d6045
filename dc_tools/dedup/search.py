"""The join on one machine: parts from the disk one after another, then the candidates verified."""

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import numpy as np

from dc_tools.dedup.arrays import Hashes, Ints
from dc_tools.dedup.families import CutHeads, Piece, components
from dc_tools.dedup.intake import Taken
from dc_tools.dedup.join import Flags, Meetings, Pairs, meetings, upper
from dc_tools.dedup.prepare import Entries, Recipe, entries
from dc_tools.dedup.spool import Sets, Shuffle, scratch
from dc_tools.dedup.text import HASH_BITS
from dc_tools.dedup.verify import verified

BITS_A_HEAD = 3
"""Log2 of the buckets for each entry of a head, in the table of what some head holds."""
MAX_TABLE_BITS = 27


def find_pairs(taken: Taken, stack: ExitStack) -> Pairs:
    """All pairs of distinct texts that match by the recipe's rule.

    Where very many heads share an element, the texts that match their leader are of its group at once, and only pairs
    across groups are looked at: of a million texts that are nearly equal each is compared with one, and the pairs
    found are then enough to connect what matches, not all there are.
    """
    recipe, corpus, gather = taken.recipe, taken.corpus, taken.sets.gather
    is_first = taken.nodes == np.arange(len(taken.nodes))

    def of_firsts(entries: Hashes) -> Hashes:
        found: Hashes = entries[is_first[upper(entries)]]
        return found

    def heads(part: int) -> Hashes:
        return of_firsts(taken.heads.part(part))

    others = None if recipe.rule.heads_meet_heads else elements_in_heads(taken.sets, taken.heads, recipe, stack)
    found = [
        meetings(heads(part), of_firsts(others.part(part)) if others else None, corpus, recipe.rule)
        for part in range(taken.heads.parts)
    ]
    tallied = Meetings.tally(met.meetings for met in found)
    candidates = np.concatenate([tallied.candidates(corpus, recipe.rule), *(met.with_leaders for met in found)])
    pairs = verified(candidates, corpus, recipe.rule, gather)
    cut = np.unique(np.concatenate([met.cut for met in found]))
    if not len(cut) or recipe.rule.is_approximate:
        return pairs
    groups = components(pairs, corpus.joinable)
    index = CutHeads(heads, recipe.part_bits, cut, groups, corpus, recipe.rule)
    for candidates in index.candidates(_pieces(taken.sets, is_first)):
        pairs = merged(pairs, verified(candidates, corpus, recipe.rule, gather))
    return pairs


def _pieces(sets: Sets, chosen: Flags) -> Iterator[Piece]:
    """The chosen sets in order, some at a time."""
    for first, sizes, hashes in sets.pieces():
        numbers = np.arange(first, first + len(sizes))
        mine = chosen[numbers]
        yield numbers[mine], sizes[mine], hashes[np.repeat(mine, sizes)]


def merged(first: Pairs, second: Pairs) -> Pairs:
    """Both, each pair once."""
    a, b = np.concatenate([first.a, second.a]), np.concatenate([first.b, second.b])
    common = np.concatenate([first.common, second.common])
    order = np.lexsort((b, a))
    a, b, common = a[order], b[order], common[order]
    is_new = np.concatenate([[True], (a[1:] != a[:-1]) | (b[1:] != b[:-1])])[: len(a)]
    return Pairs(a[is_new], b[is_new], common[is_new], first.candidates + second.candidates)


def elements_in_heads(sets: Sets, heads: Shuffle, recipe: Recipe, stack: ExitStack) -> Shuffle:
    """Entries of all elements of all sets that may be in some head; a table leaves out most of the others."""
    table = Table(heads.entries, recipe.part_bits)
    for number in range(heads.parts):
        table.add(number, heads.part(number))
    found = Shuffle(stack.enter_context(scratch()), heads.parts)
    for first, sizes, hashes in sets.pieces():
        made = table.choose(first, sizes, hashes)
        found.add(made.entries, made.counts)
    found.flush()
    return found


class Table:
    """Which elements some head holds, with a few false ones: a bit for each bucket of hashes, a byte in memory."""

    def __init__(self, entries: int, part_bits: int) -> None:
        self._part_bits = part_bits
        self._bits = min(max(entries.bit_length() + BITS_A_HEAD, 10), MAX_TABLE_BITS)
        self.held: Any = np.zeros(1 << self._bits, dtype=np.bool_)

    def add(self, part: int, heads: Hashes) -> None:
        """Mark the elements of a part's entries."""
        bits = self._bits - self._part_bits
        self.held[(part << bits) + (heads >> np.uint64(64 - bits)).view(np.int64)] = True

    def choose(self, first: int, sizes: Ints, hashes: Hashes) -> Entries:
        """Entries of the elements of sets that are marked."""
        chosen = np.flatnonzero(self.held[hashes >> np.uint64(HASH_BITS - self._bits)])
        owners = np.searchsorted(np.cumsum(sizes), chosen, side="right")
        return entries(hashes[chosen], owners + first, self._part_bits)
