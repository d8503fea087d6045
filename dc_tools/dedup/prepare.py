"""What is made of a batch of statements, wherever it runs: keys, shingle sets and entries of the join."""

from dataclasses import dataclass

import numpy as np
import xxhash

from dc_tools.dedup.arrays import Hashes, Ints
from dc_tools.dedup.join import WORD, Rule
from dc_tools.dedup.order import Order
from dc_tools.dedup.settings import Unit
from dc_tools.dedup.text import HASH_BITS, body_of, fold, shingle_sets, squeezed


@dataclass(frozen=True)
class Recipe:
    """How statements are prepared."""

    unit: Unit
    shingle: int
    rule: Rule
    part_bits: int
    """The join is worked at in 2 ** part_bits parts."""


@dataclass(frozen=True)
class Prepared:
    """What is made of a batch. A statement without text has key 0, digest 0 and an empty set."""

    keys: Hashes
    """Hash of each whole folded statement, whitespace squeezed."""
    digests: Hashes
    """Hash of each shingle set."""
    sizes: Ints
    """Number of distinct shingles of each body."""
    hashes: Hashes
    """The bodies' shingle sets one after another, each sorted."""


@dataclass(frozen=True)
class Entries:
    """Elements of sets for the join, ordered by part: the element's next 32 bits above the number of its text."""

    entries: Hashes
    counts: Ints
    """Number of entries of each part."""


def prepare(statements: list[str], recipe: Recipe) -> Prepared:
    """Fold, cut and shingle at most `BATCH_TEXTS` statements."""
    folded = [fold(statement) for statement in statements]
    keys = np.array([xxhash.xxh3_64_intdigest(text) or 1 if text else 0 for text in map(squeezed, folded)], np.uint64)
    sizes, hashes = shingle_sets([body_of(text) for text in folded], recipe.unit, recipe.shingle)
    ends = np.cumsum(sizes)
    places = zip((ends - sizes).tolist(), ends.tolist(), strict=True)
    digests = [xxhash.xxh3_64_intdigest(hashes[start:end].data) or 1 if end > start else 0 for start, end in places]
    return Prepared(keys, np.array(digests, np.uint64), sizes, hashes)


def heads(sizes: Ints, hashes: Hashes, order: Order, recipe: Recipe) -> Entries:
    """Entries of the heads of sets, which are numbered from 0."""
    lengths = recipe.rule.head_lengths(sizes)
    owners = np.repeat(np.arange(len(sizes)), lengths)
    return entries(order.heads(sizes, hashes, lengths), owners, recipe.part_bits)


def prepare_both(statements: list[str], recipe: Recipe, order: Order) -> tuple[Prepared, Entries]:
    """What is made of a batch once the order is known."""
    prepared = prepare(statements, recipe)
    return prepared, heads(prepared.sizes, prepared.hashes, order, recipe)


def entries(hashes: Hashes, owners: Ints, part_bits: int) -> Entries:
    """Elements and the texts that hold them, grouped by part."""
    part = (hashes >> np.uint64(HASH_BITS - part_bits)).astype(np.uint8)
    order = np.argsort(part, kind="stable")
    packed = (hashes >> np.uint64(HASH_BITS - part_bits - 32) << WORD) | owners.astype(np.uint64)
    return Entries(packed[order], np.bincount(part, minlength=1 << part_bits))
