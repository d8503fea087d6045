"""Pairs of texts by the cosine of vectors: TF-IDF weights of their words, or what a sentence model makes of them."""

from contextlib import ExitStack
from itertools import islice

import numpy as np

from dc_tools.core.parallel import Workers
from dc_tools.dedup.arrays import Ints
from dc_tools.dedup.evidence import Described
from dc_tools.dedup.intake import Taken
from dc_tools.dedup.pairs.cosine import Corpus, Scored, WordBags, find_cosine_pairs
from dc_tools.dedup.pairs.embed import Encoder, find_vector_pairs, open_vectors, raw_body
from dc_tools.dedup.pairs.finders import Files, LocalFinder
from dc_tools.dedup.pairs.join import Flags, Pairs
from dc_tools.dedup.prepare import Prepared, Recipe
from dc_tools.dedup.settings import Settings

ENCODED_AT_ONCE = 1024
"""Texts that the model is given at a time."""


class TfIdfFinder(LocalFinder):
    """Compares bags of words; of texts with one shingle set the first counts, in the document frequencies too."""

    def __init__(self, settings: Settings, recipe: Recipe, workers: Workers, stack: ExitStack) -> None:
        super().__init__(recipe, workers, stack, Files())
        self._threshold = settings.threshold
        self._corpus = Corpus()
        self._seen: set[int] = set()
        self._numbers: list[int] = []

    def add(self, first: int, prepared: Prepared) -> None:
        """Keep the bags of texts not seen before."""
        assert prepared.bags is not None
        is_new = np.zeros(len(prepared.digests), dtype=np.bool_)
        for place, digest in enumerate(prepared.digests.tolist()):
            if digest and digest not in self._seen:
                self._seen.add(digest)
                self._numbers.append(first + place)
                is_new[place] = True
        bags = prepared.bags
        chosen = np.repeat(is_new, bags.sizes)
        self._corpus.add(WordBags(bags.sizes[is_new], bags.hashes[chosen], bags.counts[chosen]))

    def pairs(self, taken: Taken, chosen: Flags) -> Pairs:
        """The pairs at or above the threshold; `chosen` are those kept here."""
        numbers = np.array(self._numbers, dtype=np.int64)
        return _numbered(find_cosine_pairs(self._corpus, self._threshold, taken.corpus.alone[numbers]), numbers)


class EmbedFinder(LocalFinder):
    """Compares what a sentence-transformers model makes of the bodies; reads the texts anew."""

    def __init__(self, settings: Settings, recipe: Recipe, workers: Workers, stack: ExitStack) -> None:
        """Errors: `CannotRun` where the model cannot be loaded."""
        super().__init__(recipe, workers, stack, Files())
        self._threshold = settings.threshold
        self._encoder = Encoder.load(settings.embed_model or "")
        self._vectors = stack.enter_context(open_vectors())

    def add(self, first: int, prepared: Prepared) -> None:
        """Nothing is kept."""

    def pairs(self, taken: Taken, chosen: Flags) -> Pairs:
        """The pairs of chosen texts at or above the threshold."""
        numbers = np.flatnonzero(chosen)
        bodies = (raw_body(taken.lines.line(number).decode(Described).statement) for number in numbers.tolist())
        while batch := list(islice(bodies, ENCODED_AT_ONCE)):
            self._vectors.add(self._encoder.encode(batch))
        found = find_vector_pairs(self._vectors.array(), self._threshold, taken.corpus.alone[numbers])
        return _numbered(found, numbers)


def _numbered(found: Scored, numbers: Ints) -> Pairs:
    """Pairs of rows as pairs of the texts, whose `numbers` ascend."""
    none = np.zeros(0, dtype=np.int64)
    return Pairs(numbers[found.a], numbers[found.b], none, found.candidates, found.score)
