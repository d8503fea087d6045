"""What is made of a batch of statements, wherever it runs: keys, shingle sets, entries of the join, n-grams met."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import xxhash

from dc_tools.core.records import Struct
from dc_tools.dedup.arrays import Hashes, Ints
from dc_tools.dedup.bands import NO_KEY, Bands, band_keys, datasketch_keys
from dc_tools.dedup.overlap import Ngrams, Overlaps
from dc_tools.dedup.pairs.join import LOW, WORD, Rule
from dc_tools.dedup.settings import Backend, Unit
from dc_tools.dedup.shared import Places
from dc_tools.dedup.text import HASH_BITS, body_of, fold, shingle_sets, squeezed

if TYPE_CHECKING:
    from dc_tools.dedup.pairs.cosine import WordBags

_NONE = np.zeros(0, dtype=np.uint64)


class _Statement(Struct):
    statement: str = ""


_STATEMENT = msgspec.json.Decoder(_Statement)


@dataclass(frozen=True)
class Recipe:
    """How statements are prepared."""

    unit: Unit
    shingle: int
    part_bits: int
    """The join is worked at in 2 ** part_bits parts."""
    rule: Rule | None = None
    """None where something else than sets is compared."""
    bands: Bands | None = None
    """None where the join is exact."""
    backend: Backend = Backend.NATIVE
    keeps_sets: bool = False
    """Whether candidates are verified by the sets made here, or by such made anew."""
    with_bags: bool = False
    ngrams: Ngrams | None = None
    ngram_share: float = 0.5


@dataclass(frozen=True)
class Entries:
    """Elements of sets for the join, ordered by part, which is an element's lowest bits; its next 32 bits stand above
    the number of its text. (Heads begin with the lowest hashes: their highest bits tell little.)"""

    entries: Hashes
    counts: Ints
    """Number of entries of each part."""


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
    """The bodies' shingle sets one after another, each sorted; none once they are of no more use."""
    entries: Entries | None = None
    """Of the bands; texts are numbered from 0."""
    bags: "WordBags | None" = None
    overlaps: Overlaps | None = None
    """References whose n-grams the statements have."""
    is_put: bool = False
    """Whether sets and entries were put somewhere, and are no longer here."""
    set_at: int = 0
    """The place in a file."""
    entries_at: int = 0


@dataclass(frozen=True)
class Batch:
    """At most `BATCH_TEXTS` statements."""

    statements: list[str]
    are_records: bool = True
    """Whether they are compared with the n-grams of references."""
    places: Places | None = None
    """Where their lines are."""

    def apart(self) -> "Batch":
        """The same for another process, which reads the lines itself."""
        return self if self.places is None else replace(self, statements=[])

    def texts(self) -> list[str]:
        """The statements."""
        if self.statements or self.places is None:
            return self.statements
        return [_STATEMENT.decode(raw).statement for raw in self.places.read()]


def make(batch: Batch, recipe: Recipe) -> Prepared:
    """All that is made of a batch."""
    return finish(prepare(batch, recipe), recipe)


def prepare(batch: Batch, recipe: Recipe) -> Prepared:
    """Fold, cut and shingle."""
    folded = [fold(statement) for statement in batch.texts()]
    bodies = [body_of(text) for text in folded]
    keys = [xxhash.xxh3_64_intdigest(text) or 1 if text else 0 for text in map(squeezed, folded)]
    sizes, hashes = shingle_sets(bodies, recipe.unit, recipe.shingle)
    ends = np.cumsum(sizes)
    places = zip((ends - sizes).tolist(), ends.tolist(), strict=True)
    digests = [xxhash.xxh3_64_intdigest(hashes[start:end].data) or 1 if end > start else 0 for start, end in places]
    bags = None
    if recipe.with_bags:
        from dc_tools.dedup.pairs.cosine import word_bags

        bags = word_bags(bodies)
    overlaps = None
    if recipe.ngrams and batch.are_records:
        overlaps = recipe.ngrams.index.matches(folded, recipe.ngram_share)
    return Prepared(np.array(keys, np.uint64), np.array(digests, np.uint64), sizes, hashes, None, bags, overlaps)


def finish(prepared: Prepared, recipe: Recipe) -> Prepared:
    """With the keys of bands as entries, where these are compared, and without the sets where they are not kept."""
    sizes, hashes = prepared.sizes, prepared.hashes
    made = None
    if recipe.bands:
        if recipe.backend is Backend.DATASKETCH:
            keys = datasketch_keys(sizes, hashes, recipe.bands)
        else:
            keys = band_keys(sizes, hashes, recipe.bands)
        owners, band = np.nonzero(keys != NO_KEY)
        elements = keys[owners, band] >> np.uint64(64 - HASH_BITS)
        made = entries(elements, owners, recipe.part_bits)
    return replace(prepared, hashes=hashes if recipe.keeps_sets else _NONE, entries=made)


def entries(hashes: Hashes, owners: Ints, part_bits: int) -> Entries:
    """Elements and the texts that hold them, grouped by part."""
    part = (hashes & np.uint64((1 << part_bits) - 1)).astype(np.uint8)
    order = np.argsort(part, kind="stable")
    packed = (hashes >> np.uint64(part_bits) << WORD) | owners.astype(np.uint64)
    return Entries(packed[order], np.bincount(part, minlength=1 << part_bits))


def element_keys(hashes: Hashes, part_bits: int) -> Hashes:
    """Part and bits of elements, as their entries have them, in one word."""
    part = hashes & np.uint64((1 << part_bits) - 1)
    return (part << WORD) | ((hashes >> np.uint64(part_bits)) & LOW)
