"""What finds the pairs on one machine: parts from the disk one after another, then the candidates verified."""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from dc_tools.core.errors import UsageError
from dc_tools.core.parallel import Workers
from dc_tools.dedup.arrays import Hashes, Ints, distinct
from dc_tools.dedup.bands import plan
from dc_tools.dedup.intake import Finder, Taken
from dc_tools.dedup.overlap import Ngrams
from dc_tools.dedup.pairs.components import Forest, among
from dc_tools.dedup.pairs.families import CutHeads, cut_elements, rounds
from dc_tools.dedup.pairs.heads import elements_in_heads, heads_of, rule_of
from dc_tools.dedup.pairs.join import Corpus, Flags, Meetings, Met, Pairs, Rule, lower, meetings, upper
from dc_tools.dedup.pairs.verify import AT_ONCE, FEW, verified
from dc_tools.dedup.prepare import Batch, Entries, Prepared, Recipe, make
from dc_tools.dedup.settings import Metric, Settings
from dc_tools.dedup.shared import Words, words_file
from dc_tools.dedup.spool import Lines, Sets, Shuffle
from dc_tools.dedup.text import BATCH_TEXTS

PART_BITS = 4
"""The join is worked at in 16 parts, so that memory holds a sixteenth of its entries."""
_NONE = np.zeros(0, dtype=np.uint64)
_NO_PAIRS = Pairs(*(np.zeros(0, dtype=np.int64),) * 3)
PIECES = 8
"""And the candidates are verified in at least so many pieces, where there are enough."""
LOTS = 16
"""And the meetings of pairs are added up in so many lots."""


def finder_for(settings: Settings, workers: Workers, stack: ExitStack, ngrams: Ngrams | None = None) -> Finder:
    """What finds pairs by the metric of `settings`. Errors: `UsageError`, `CannotRun`."""
    recipe = Recipe(settings.unit, settings.shingle, PART_BITS, ngrams=ngrams, ngram_share=settings.ngram_share)
    if settings.metric is Metric.TFIDF:
        from dc_tools.dedup.pairs.vectors import TfIdfFinder

        return TfIdfFinder(settings, replace(recipe, with_bags=True), workers, stack)
    if settings.metric is Metric.EMBED:
        from dc_tools.dedup.pairs.vectors import EmbedFinder

        return EmbedFinder(settings, recipe, workers, stack)
    recipe = replace(recipe, rule=Rule(settings.metric, settings.threshold, settings.is_approximate))
    if settings.is_approximate:
        try:
            recipe = replace(recipe, bands=plan(settings.threshold, settings.metric), backend=settings.backend)
        except ValueError as error:
            raise UsageError(f"--approx: {error}") from None
    if settings.on_cluster:
        from dc_tools.dedup.pairs.distributed import ClusterFinder

        return ClusterFinder(replace(recipe, keeps_sets=True))
    if settings.is_approximate:
        return BandFinder(recipe, workers, stack)
    return ExactFinder(replace(recipe, keeps_sets=True), workers, stack)


@dataclass(frozen=True)
class Files:
    """Where sets and entries go."""

    sets: Words | None = None
    entries: Words | None = None

    def put(self, prepared: Prepared) -> Prepared:
        """With sets and entries in the files, and their places instead."""
        if self.sets:
            at = self.sets.append(prepared.hashes)
            prepared = replace(prepared, hashes=prepared.hashes[:0], set_at=at)
        if self.entries and prepared.entries:
            at = self.entries.append(prepared.entries.entries)
            prepared = replace(prepared, entries=replace(prepared.entries, entries=_NONE), entries_at=at)
        return replace(prepared, is_put=True)


def _made(batch: Batch, recipe: Recipe, files: Files) -> Prepared:
    """What a worker process does."""
    return files.put(make(batch, recipe))


class LocalFinder:
    """Prepares batches in processes of this machine."""

    def __init__(self, recipe: Recipe, workers: Workers, stack: ExitStack, files: Files) -> None:
        self.recipe, self._workers, self._stack, self._files = recipe, workers, stack, files

    def prepared(self, batches: Iterator[Batch]) -> Iterator[Prepared]:
        """What is made of each batch, in order; where other processes make it, past the pipes."""
        if not self._workers.are_apart:
            return (make(batch, self.recipe) for batch in batches)
        work = partial(_made, recipe=self.recipe, files=self._files)
        return self._workers.map(work, (batch.apart() for batch in batches))

    def put(self, prepared: Prepared) -> Prepared:
        """What was not yet put into the files is put there."""
        return prepared if prepared.is_put else self._files.put(prepared)


class ExactFinder(LocalFinder):
    """Heads of sets meet each other, or all of the larger sets; the sets are kept, and candidates verified by them."""

    def __init__(self, recipe: Recipe, workers: Workers, stack: ExitStack) -> None:
        words = stack.enter_context(words_file())
        super().__init__(recipe, workers, stack, Files(sets=words))
        self._sets = Sets(words)
        self._heads: Shuffle | None = None
        self._others: Shuffle | None = None

    def add(self, first: int, prepared: Prepared) -> None:
        """Remember where the sets are."""
        prepared = self.put(prepared)
        self._sets.add(prepared.sizes, prepared.set_at)

    def pairs(self, taken: Taken, chosen: Flags) -> Pairs:
        """All pairs of the chosen texts that match.

        Where very many heads share an element, it is left out at first, and the texts that match their leader are of
        its group at once. Then only pairs across groups are looked at, and what matches joins groups: of a million
        texts that are nearly equal each is compared with few, and the pairs found are then enough to connect what
        matches, not all there are. `Pairs.cut` tells of which texts that is so.
        """
        rule, corpus = rule_of(self.recipe), taken.corpus
        join = _Join(*self._shuffled(taken), chosen, corpus, rule, self._sets)
        found = list(self._workers.map(join.met, range(join.all_heads.parts)))
        cut = cut_elements((met.cut for met in found), len(chosen))
        pairs = join.verified(_candidates(found, corpus, rule, cut), self._workers)
        many = cut >= np.maximum(rule.shared(corpus.sizes.astype(np.int64)), 1)
        if many.any():
            index = CutHeads(join.heads, self.recipe.part_bits, many, corpus, rule)
            for start, stop in rounds(len(chosen)):
                index.group(groups_of(pairs, corpus))
                for candidates in index.candidates(self._sets.pieces(start + np.flatnonzero(chosen[start:stop]))):
                    pairs = merged(pairs, join.verified(candidates, self._workers))
        return replace(pairs, cut=np.flatnonzero(cut))

    def _shuffled(self, taken: Taken) -> tuple[Shuffle, Shuffle | None]:
        """The heads of all texts that stand first; what they meet, where that is not heads."""
        texts = np.flatnonzero(taken.firsts())
        if self._heads is None:
            self._heads = heads_of(self._sets, texts, self.recipe, self._workers, self._stack)
            if not rule_of(self.recipe).heads_meet_heads:
                self._others = elements_in_heads(self._sets.pieces(texts), self._heads, self.recipe, self._stack)
        return self._heads, self._others


@dataclass(frozen=True)
class _Join:
    """What the workers need to know of one join."""

    all_heads: Shuffle
    others: Shuffle | None
    chosen: Flags
    corpus: Corpus
    rule: Rule
    sets: Sets

    def heads(self, part: int) -> Hashes:
        """Entries of the heads of the chosen texts."""
        return of_texts(self.all_heads.part(part), self.chosen)

    def met(self, part: int) -> Met:
        """What meets in a part."""
        others = of_texts(self.others.part(part), self.chosen) if self.others else None
        return meetings(self.heads(part), others, self.corpus, self.rule, LOTS)

    def verify(self, candidates: Hashes) -> Pairs:
        """Those of some candidates that match."""
        return verified(candidates, self.corpus, self.rule, self.sets.gather)

    def verified(self, candidates: Hashes, workers: Workers) -> Pairs:
        """Those of all candidates that match."""
        candidates, _ = distinct(candidates)
        size = min(max(len(candidates) // PIECES, FEW), AT_ONCE)
        pieces = [candidates[start : start + size] for start in range(0, len(candidates), size)]
        found = [_NO_PAIRS, *workers.map(self.verify, pieces)]
        a, b, common = (np.concatenate([getattr(each, name) for each in found]) for name in ("a", "b", "common"))
        return Pairs(a, b, common, len(candidates))


class BandFinder(LocalFinder):
    """Keys of bands meet each other; of candidates the sets are made once more from their texts."""

    def __init__(self, recipe: Recipe, workers: Workers, stack: ExitStack) -> None:
        keys = stack.enter_context(words_file())
        super().__init__(recipe, workers, stack, Files(entries=keys))
        self._keys = Shuffle(keys, 1 << recipe.part_bits)

    def add(self, first: int, prepared: Prepared) -> None:
        """Remember where the keys are."""
        prepared = self.put(prepared)
        self._keys.add(_entries(prepared).counts, prepared.entries_at, first)

    def pairs(self, taken: Taken, chosen: Flags) -> Pairs:
        """All pairs of the chosen texts that share a key and match. Where very many share one, each is compared with
        the largest only (`Pairs.cut`)."""
        rule, corpus = rule_of(self.recipe), taken.corpus
        with words_file() as words:
            join = _Join(self._keys, None, chosen, corpus, rule, Sets(words))
            found = list(self._workers.map(join.met, range(self._keys.parts)))
            cut = cut_elements((met.cut for met in found), len(chosen))
            candidates, _ = distinct(_candidates(found, corpus, rule, cut))
            self._add_sets(join.sets, np.unique(np.concatenate([lower(candidates), upper(candidates)])), taken.lines)
            pairs = join.verified(candidates, self._workers)
        return replace(pairs, cut=np.flatnonzero(cut))

    def _add_sets(self, sets: Sets, texts: Ints, lines: Lines) -> None:
        """Add the sets of `texts`, which ascend, and between them empty ones."""
        work = partial(_made, recipe=replace(self.recipe, bands=None, keeps_sets=True), files=Files(sets=sets.words))
        pieces = lines.pieces(texts, BATCH_TEXTS)
        start = 0
        for made in self._workers.map(work, (Batch([], are_records=False, places=places) for places in pieces)):
            some = texts[start : start + len(made.sizes)]
            sizes = np.zeros(some[-1] + 1 - len(sets), dtype=np.int64)
            sizes[some - len(sets)] = made.sizes
            sets.add(sizes, made.set_at)
            start += len(some)


def groups_of(pairs: Pairs, corpus: Corpus) -> Ints:
    """For each text the lowest of those that pairs of records connect it with."""
    return Forest.of(*among(pairs, corpus.joinable)).labels(len(corpus.sizes))


def _entries(prepared: Prepared) -> Entries:
    assert prepared.entries is not None
    return prepared.entries


def of_texts(entries: Hashes, chosen: Flags) -> Hashes:
    """The entries of the chosen texts."""
    found: Hashes = entries[chosen[upper(entries)]]
    return found


def _candidates(found: list[Met], corpus: Corpus, rule: Rule, cut: Ints) -> Hashes:
    """The pairs that met often enough in all parts, and those of the leaders."""
    lots = zip(*(met.meetings for met in found), strict=True)
    tallied = [Meetings.tally(lot).candidates(corpus, rule, cut) for lot in lots]
    return np.concatenate([*tallied, *(met.with_leaders for met in found)])


def merged(first: Pairs, second: Pairs) -> Pairs:
    """Both, each pair once."""
    a, b = np.concatenate([first.a, second.a]), np.concatenate([first.b, second.b])
    common = np.concatenate([first.common, second.common])
    order = np.lexsort((b, a))
    a, b, common = a[order], b[order], common[order]
    is_new = np.concatenate([[True], (a[1:] != a[:-1]) | (b[1:] != b[:-1])])[: len(a)]
    return Pairs(a[is_new], b[is_new], common[is_new], first.candidates + second.candidates, cut=first.cut)
