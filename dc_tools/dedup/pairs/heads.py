"""The heads of sets, and what of the sets some head may hold: the entries that meet in the exact join."""

from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial

import numpy as np

from dc_tools.core.parallel import Workers
from dc_tools.dedup.arrays import Hashes, Ints
from dc_tools.dedup.pairs.join import Flags, Rule
from dc_tools.dedup.pairs.order import Order, sampled
from dc_tools.dedup.prepare import Entries, Recipe, element_keys, entries
from dc_tools.dedup.shared import SharedOrder, Words, words_file
from dc_tools.dedup.spool import Piece, SetPlaces, Sets, Shuffle

AT_A_TIME = 1 << 17
"""Elements of the sets whose heads are taken together: what fits a cache."""
BITS_A_HEAD = 3
"""Log2 of the buckets for each entry of a head, in the table of what some head holds."""
MAX_TABLE_BITS = 27


def heads(numbers: Ints, sizes: Ints, hashes: Hashes, recipe: Recipe, order: Order) -> Entries:
    """Entries of the heads of the sets of some texts."""
    lengths = rule_of(recipe).head_lengths(sizes)
    return entries(order.heads(sizes, hashes, lengths), np.repeat(numbers, lengths), recipe.part_bits)


def rule_of(recipe: Recipe) -> Rule:
    """The rule of a recipe that compares sets."""
    assert recipe.rule is not None
    return recipe.rule


def heads_of(sets: Sets, texts: Ints, recipe: Recipe, workers: Workers, stack: ExitStack) -> Shuffle:
    """The heads of the sets of `texts`, in an order that is learned from some of them."""
    some = texts[sampled(len(texts))]
    order = Order.learn((hashes for _, _, hashes in sets.pieces(some)), sets.elements(some))
    words = stack.enter_context(words_file())
    found = Shuffle(words, 1 << recipe.part_bits)
    work = partial(_put, words=words, recipe=recipe, order=SharedOrder.of(order, stack))
    for counts, start in workers.map(work, sets.places(texts, AT_A_TIME)):
        found.add(counts, start, 0)
    return found


def _put(places: SetPlaces, words: Words, recipe: Recipe, order: SharedOrder) -> tuple[Ints, int]:
    """Put the heads of some sets into a file: how many entries of each part, and the place of the first."""
    made = heads(*places.read(), recipe, order.order())
    return made.counts, words.append(made.entries)


def elements_in_heads(sets: Iterator[Piece], heads: Shuffle, recipe: Recipe, stack: ExitStack) -> Shuffle:
    """Entries of all elements of the sets that may be in some head; a table leaves out most of the others."""
    bits = table_bits(heads.entries)
    table = np.concatenate([table_row(heads.part(part), bits, recipe.part_bits) for part in range(heads.parts)])
    words = stack.enter_context(words_file())
    found = Shuffle(words, heads.parts)
    for numbers, sizes, hashes in sets:
        made = marked(table, numbers, sizes, hashes, recipe.part_bits)
        found.add(made.counts, words.append(made.entries), 0)
    return found


def table_bits(entries: int) -> int:
    """Log2 of the buckets of a table of what so many entries of heads hold."""
    return min(max(entries.bit_length() + BITS_A_HEAD, 10), MAX_TABLE_BITS)


def table_row(heads: Hashes, bits: int, part_bits: int) -> Flags:
    """The buckets of one part, by the bits of its elements: whether some head holds one of the bucket."""
    row = np.zeros(1 << (bits - part_bits), dtype=np.bool_)
    row[(heads >> np.uint64(64 - (bits - part_bits))).view(np.int64)] = True
    return row


def marked(table: Flags, numbers: Ints, sizes: Ints, hashes: Hashes, part_bits: int) -> Entries:
    """Entries of the elements of the sets of some texts that the table has, with a few false ones."""
    bits = len(table).bit_length() - 1
    chosen = np.flatnonzero(table[element_keys(hashes, part_bits) >> np.uint64(32 + part_bits - bits)])
    owners = numbers[np.searchsorted(np.cumsum(sizes), chosen, side="right")]
    return entries(hashes[chosen], owners, part_bits)
