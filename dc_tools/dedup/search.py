"""What finds the pairs on one machine: parts from the disk one after another, then the candidates verified."""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import numpy as np

from dc_tools.core.errors import UsageError
from dc_tools.dedup.arrays import Hashes, Ints
from dc_tools.dedup.bands import plan
from dc_tools.dedup.evidence import Described
from dc_tools.dedup.families import CutHeads, Piece, components
from dc_tools.dedup.intake import Finder, Taken
from dc_tools.dedup.join import Corpus, Flags, Meetings, Met, Pairs, Rule, meetings, upper
from dc_tools.dedup.overlap import Ngrams
from dc_tools.dedup.prepare import Entries, Prepared, Recipe, entries, prepare
from dc_tools.dedup.settings import Metric, Settings
from dc_tools.dedup.spool import Sets, Shuffle, scratch
from dc_tools.dedup.text import BATCH_TEXTS, HASH_BITS, batches
from dc_tools.dedup.verify import verified

PART_BITS = 4
"""The join is worked at in 16 parts, so that memory holds a sixteenth of its entries."""
BITS_A_HEAD = 3
"""Log2 of the buckets for each entry of a head, in the table of what some head holds."""
MAX_TABLE_BITS = 27


def finder_for(settings: Settings, stack: ExitStack, ngrams: Ngrams | None) -> Finder:
    """What finds pairs by the metric of `settings`. Errors: `UsageError`, `CannotRun`."""
    recipe = Recipe(settings.unit, settings.shingle, PART_BITS, ngrams=ngrams, ngram_share=settings.ngram_share)
    if settings.metric is Metric.TFIDF:
        from dc_tools.dedup.vectors import TfIdfFinder

        return TfIdfFinder(settings, replace(recipe, with_bags=True))
    if settings.metric is Metric.EMBED:
        from dc_tools.dedup.vectors import EmbedFinder

        return EmbedFinder(settings, recipe, stack)
    rule = Rule(settings.metric, settings.threshold, settings.is_approximate)
    if not settings.is_approximate:
        return ExactFinder(replace(recipe, rule=rule), stack)
    try:
        bands = plan(settings.threshold, settings.metric)
    except ValueError as error:
        raise UsageError(f"--approx: {error}") from None
    return BandFinder(replace(recipe, rule=rule, bands=bands, backend=settings.backend), stack)


class ExactFinder:
    """Heads of sets meet each other, or all of the larger sets; the sets are kept, and candidates verified by them."""

    def __init__(self, recipe: Recipe, stack: ExitStack) -> None:
        self.recipe = recipe
        self._stack = stack
        self._sets = Sets(stack.enter_context(scratch()))
        self._heads = Shuffle(stack.enter_context(scratch()), 1 << recipe.part_bits)

    def add(self, first: int, prepared: Prepared) -> None:
        """Set sets and heads aside."""
        self._sets.add(prepared.sizes, prepared.hashes)
        self._heads.add(prepared, first)

    def pairs(self, taken: Taken) -> Pairs:
        """All pairs that match.

        Where very many heads share an element, the texts that match their leader are of its group at once, and only
        pairs across groups are looked at: of a million texts that are nearly equal each is compared with one, and the
        pairs found are then enough to connect what matches, not all there are.
        """
        self._sets.flush()
        self._heads.flush()
        rule, corpus = _rule(self.recipe), taken.corpus
        is_first = taken.nodes == np.arange(len(taken.nodes))

        def heads(part: int) -> Hashes:
            return _of(self._heads.part(part), is_first)

        others = None
        if not rule.heads_meet_heads:
            others = elements_in_heads(self._sets, self._heads, self.recipe, self._stack)
        found = [
            meetings(heads(part), _of(others.part(part), is_first) if others else None, corpus, rule)
            for part in range(self._heads.parts)
        ]
        pairs = verified(_candidates(found, corpus, rule), corpus, rule, self._sets.gather)
        cut = np.unique(np.concatenate([met.cut for met in found]))
        if not len(cut):
            return pairs
        groups = components(pairs, corpus.joinable)
        index = CutHeads(heads, self.recipe.part_bits, cut, groups, corpus, rule)
        for candidates in index.candidates(_pieces(self._sets, is_first)):
            pairs = merged(pairs, verified(candidates, corpus, rule, self._sets.gather))
        return pairs


class BandFinder:
    """Keys of bands meet each other; candidates are verified by sets made anew from their texts."""

    def __init__(self, recipe: Recipe, stack: ExitStack) -> None:
        self.recipe = recipe
        self._keys = Shuffle(stack.enter_context(scratch()), 1 << recipe.part_bits)

    def add(self, first: int, prepared: Prepared) -> None:
        """Set the keys aside."""
        self._keys.add(prepared, first)

    def pairs(self, taken: Taken) -> Pairs:
        """All pairs that share a key and match. Where very many texts share one, each is compared with the largest."""
        self._keys.flush()
        rule, corpus, recipe = _rule(self.recipe), taken.corpus, self.recipe
        is_first = taken.nodes == np.arange(len(taken.nodes))
        found = [
            meetings(_of(self._keys.part(part), is_first), None, corpus, rule) for part in range(self._keys.parts)
        ]

        def gather(numbers: Ints) -> tuple[Ints, Hashes]:
            statements = (taken.lines.line(number).decode(Described).statement for number in numbers.tolist())
            made = [prepare(batch, replace(recipe, ngrams=None)) for batch in batches(statements, BATCH_TEXTS)]
            return np.concatenate([each.sizes for each in made]), np.concatenate([each.hashes for each in made])

        return verified(_candidates(found, corpus, rule), corpus, rule, gather)


def _rule(recipe: Recipe) -> Rule:
    assert recipe.rule is not None
    return recipe.rule


def _of(entries: Hashes, chosen: Flags) -> Hashes:
    """The entries of the chosen texts."""
    found: Hashes = entries[chosen[upper(entries)]]
    return found


def _candidates(found: list[Met], corpus: Corpus, rule: Rule) -> Hashes:
    """The pairs that met often enough in all parts, and those of the leaders."""
    tallied = Meetings.tally(met.meetings for met in found)
    return np.concatenate([tallied.candidates(corpus, rule), *(met.with_leaders for met in found)])


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
        found.append(made)
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
