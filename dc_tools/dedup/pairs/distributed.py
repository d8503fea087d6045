"""The exact join on a Ray cluster: the same functions as on one machine, so the same pairs.

Sets and entries stay on the nodes that made them. Entries are shuffled by key, the meetings of a part by
pair; the candidates come here, and the sets that they need go to where they are verified. What comes here of a text
are a few numbers. A node that is lost takes its pieces with it, and they are made again from the statements.
"""

from collections import defaultdict, deque
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

import numpy as np

from dc_tools.core import cluster
from dc_tools.core.records import Line
from dc_tools.dedup.arrays import Hashes, Ints, chunks
from dc_tools.dedup.clusters import Clusters, Match, Results, find_clusters
from dc_tools.dedup.evidence import Described, results_of
from dc_tools.dedup.intake import Taken
from dc_tools.dedup.pairs.components import Forest, among
from dc_tools.dedup.pairs.families import CutHeads, cut_elements, rounds
from dc_tools.dedup.pairs.finders import merged, of_texts
from dc_tools.dedup.pairs.heads import heads, marked, rule_of, table_bits, table_row
from dc_tools.dedup.pairs.join import Corpus, Flags, Meetings, Pairs, Rule, lower, meetings, upper
from dc_tools.dedup.pairs.order import Order, sampled
from dc_tools.dedup.pairs.verify import picked, verified
from dc_tools.dedup.prepare import Batch, Entries, Prepared, Recipe, make
from dc_tools.dedup.settings import Twins

PIECES_A_CPU = 4
"""Parts of the join, and pieces of the candidates, for each CPU of the cluster."""
MAX_PART_BITS = 8
"""Parts are numbered in a byte."""
FAN_IN = 8
"""Forests that are merged at a time."""
RECORDS_A_PIECE = 256
"""Records whose clusters are found at a time."""
Reference = Any
"""To something on the cluster."""
Known = tuple[Corpus, Rule, Flags, list[int]]
"""What is known of all texts; the rule; which of them are compared; the first of each block."""


@dataclass(frozen=True)
class Block:
    """A batch of texts whose sets and entries are on the cluster."""

    first: int
    """Number of its first text."""
    count: int
    sets: Reference
    """(sizes, hashes)."""
    bands: list[Reference]
    """Entries of its bands of each part, where bands are compared; texts are numbered from 0."""

    def chosen(self, texts: Ints) -> Ints:
        """Those of some ascending texts that are here, numbered from 0."""
        start, stop = np.searchsorted(texts, [self.first, self.first + self.count])
        return texts[start:stop] - self.first


class ClusterFinder:
    """Finds pairs as `ExactFinder` or `BandFinder` does, on the connected cluster."""

    def __init__(self, recipe: Recipe) -> None:
        wanted = (PIECES_A_CPU * max(1, cluster.cpus()) - 1).bit_length()
        self.recipe = replace(recipe, part_bits=min(max(recipe.part_bits, wanted), MAX_PART_BITS))
        self._blocks: list[Block] = []
        self._made: deque[tuple[Reference, list[Reference]]] = deque()
        self._heads: list[list[Reference]] = []
        self._others: list[list[Reference]] = []

    def prepared(self, batches: Iterator[Batch]) -> Iterator[Prepared]:
        """What is made of each batch, in order; sets and entries stay on the cluster."""
        shared = cluster.share(self.recipe)
        waiting: deque[list[Reference]] = deque()
        results = 2 + (self._parts if self.recipe.bands else 0)
        for batch in batches:
            waiting.append(cluster.start(_make, shared, batch, results=results))
            if len(waiting) >= cluster.ahead():
                yield self._fetched(waiting.popleft())
        while waiting:
            yield self._fetched(waiting.popleft())

    def _fetched(self, references: list[Reference]) -> Prepared:
        self._made.append((references[1], references[2:]))
        found: Prepared = cluster.fetch(references[0])
        return found

    @property
    def _parts(self) -> int:
        return 1 << self.recipe.part_bits

    def add(self, first: int, prepared: Prepared) -> None:
        """Remember where sets and bands of a batch are; what was prepared here goes to the cluster."""
        if prepared.is_put:
            sets, bands = self._made.popleft()
        else:
            sets, *bands = map(cluster.share, _kept(prepared))
        self._blocks.append(Block(first, len(prepared.keys), sets, list(bands)))

    def pairs(self, taken: Taken, chosen: Flags) -> Pairs:
        """All pairs of the chosen texts that match; see `ExactFinder.pairs`."""
        rule, corpus = rule_of(self.recipe), taken.corpus
        known = cluster.share((corpus, rule, chosen, [block.first for block in self._blocks]))
        self._shuffle(taken, rule)
        found, lots = [], []
        for mine, theirs in zip(self._heads, self._others, strict=True):
            met, *by_pair = cluster.start(_meet, known, self._parts, *mine, *theirs, results=1 + self._parts)
            found.append(met)
            lots.append(by_pair)
        leaders = [cluster.fetch(met) for met in found]
        cut = cut_elements((met.cut for met in leaders), len(chosen))
        counts = cluster.share(cut)
        tallied = [cluster.start(_tally, known, counts, *lot)[0] for lot in zip(*lots, strict=True)]
        candidates = np.concatenate([*map(cluster.fetch, tallied), *(met.with_leaders for met in leaders)])
        pairs = self._verified(candidates, corpus, known)
        many = cut >= np.maximum(rule.shared(corpus.sizes.astype(np.int64)), 1)
        if many.any() and not rule.is_approximate:
            pairs = self._across(pairs, many, corpus, rule, known)
        return replace(pairs, cut=np.flatnonzero(cut))

    def _shuffle(self, taken: Taken, rule: Rule) -> None:
        """Of each part have what meets: of each block the bands, or the heads of the texts that stand first, and what
        these meet, where that is not heads."""
        if self._heads:
            return
        if rule.is_approximate:
            self._heads = self._by_part([block.bands for block in self._blocks])
        else:
            texts = np.flatnonzero(taken.firsts())
            shared = cluster.share((self.recipe, self._order(texts, taken.corpus)))
            self._heads = self._by_part([
                cluster.start(_heads, shared, block.chosen(texts), block.sets, results=self._parts)
                for block in self._blocks
            ])
        self._others = self._by_part([]) if rule.heads_meet_heads else self._elements_in_heads()

    def _by_part(self, blocks: list[list[Reference]]) -> list[list[Reference]]:
        return [[parts[part] for parts in blocks] for part in range(self._parts)]

    def _order(self, texts: Ints, corpus: Corpus) -> Order:
        """An order of shingles that is learned from some of the texts, whose sets come here, a block at a time."""
        wanted = texts[sampled(len(texts))]
        chosen = [(block, block.chosen(wanted)) for block in self._blocks]
        tasks = [cluster.start(_pick, 0, block.sets, [places])[0] for block, places in chosen if len(places)]
        elements = int(corpus.sizes[wanted].sum(dtype=np.int64))
        return Order.learn((hashes for _, _, hashes in map(cluster.fetch, tasks)), elements)

    def _elements_in_heads(self) -> list[list[Reference]]:
        """For each part, of each block the entries of elements that may be in some head."""
        heads = self._heads
        entries = sum(cluster.fetch(count) for count in [cluster.start(_count, *part)[0] for part in heads])
        bits, part_bits = table_bits(entries), self.recipe.part_bits
        (table,) = cluster.start(_joined_rows, *(cluster.start(_row, bits, part_bits, *part)[0] for part in heads))
        return self._by_part([
            cluster.start(_mark, table, part_bits, block.sets, results=self._parts) for block in self._blocks
        ])

    def _verified(self, candidates: Hashes, corpus: Corpus, known: Reference) -> Pairs:
        """The candidates that match. Each piece is given the sets of its texts, picked from all blocks."""
        candidates = np.unique(candidates)
        weights = corpus.sizes[lower(candidates)].astype(np.int64) + corpus.sizes[upper(candidates)]
        most = int(weights.sum()) // (PIECES_A_CPU * max(1, cluster.cpus())) + 1
        pieces = [candidates[start:stop] for start, stop in chunks(weights, most, max(len(weights), 1))]
        texts = [np.unique(np.concatenate([lower(piece), upper(piece)])) for piece in pieces]
        picked: list[list[Reference]] = [[] for _ in pieces]
        for block in self._blocks:
            wanted = [block.chosen(each) for each in texts]
            here = [number for number, each in enumerate(wanted) if len(each)]
            if here:
                chosen = [wanted[number] for number in here]
                given = cluster.start(_pick, block.first, block.sets, chosen, results=len(here))
                for number, sets in zip(here, given, strict=True):
                    picked[number].append(sets)
        tasks = [cluster.start(_verify, known, piece, *sets)[0] for piece, sets in zip(pieces, picked, strict=True)]
        none = np.zeros(0, dtype=np.int64)
        found = [Pairs(none, none, none), *map(cluster.fetch, tasks)]
        a, b, common = (np.concatenate([getattr(each, name) for each in found]) for name in ("a", "b", "common"))
        return Pairs(a, b, common, len(candidates))

    def _across(
        self, pairs: Pairs, many: Flags, corpus: Corpus, rule: Rule, known: Reference
    ) -> Pairs:
        """With the pairs that share what very many heads share and are not yet of one group."""
        chosen = cluster.share(many)
        entries = [cluster.start(_of_chosen, known, chosen, *part)[0] for part in self._heads]
        index = CutHeads(lambda part: cluster.fetch(entries[part]), self.recipe.part_bits, many, corpus, rule)
        for start, stop in rounds(len(many)):
            index.group(components_on_cluster(pairs, corpus.joinable))
            shared = cluster.share(index)
            found = [
                cluster.start(_across, known, shared, block.first, start, stop, block.sets)[0]
                for block in self._blocks
                if block.first < stop and block.first + block.count > start
            ]
            candidates = np.concatenate([np.zeros(0, dtype=np.uint64), *map(cluster.fetch, found)])
            pairs = merged(pairs, self._verified(candidates, corpus, known))
        return pairs


def components_on_cluster(pairs: Pairs, joinable: Flags) -> Ints:
    """The lowest text of each one's component: forests of slices of the pairs are merged until one is left."""
    a, b = among(pairs, joinable)
    step = len(a) // (PIECES_A_CPU * max(1, cluster.cpus())) + 1
    forests = [cluster.start(Forest.of, a[i : i + step], b[i : i + step])[0] for i in range(0, len(a), step)]
    while len(forests) > 1:
        rest = iter(forests)
        forests = []
        while some := list(islice(rest, FAN_IN)):
            forests += cluster.start(Forest.merged, *some)
    found: Forest = cluster.fetch(forests[0]) if forests else Forest.of(a, b)
    return found.labels(len(joinable))


def clusters_on_cluster(
    records_of: dict[int, list[int]], matches: list[Match], taken: Taken, twins: Twins
) -> Clusters:
    """`find_clusters` for some components at a time: what is in one has nothing to do with another."""
    a, b = np.array([(match.a, match.b) for match in matches], dtype=np.int64).reshape(-1, 2).T
    everywhere = np.ones(len(taken.nodes), dtype=np.bool_)
    labels = components_on_cluster(Pairs(a, b, a), everywhere).tolist()
    nodes_of: dict[int, list[int]] = defaultdict(list)
    for node in records_of:
        nodes_of[labels[node]].append(node)
    matches_of: dict[int, list[Match]] = defaultdict(list)
    for match in matches:
        matches_of[labels[match.a]].append(match)

    def pieces() -> Iterator[_Piece]:
        held = _Piece({}, [], {}, {})
        for label, nodes in nodes_of.items():
            held.records_of.update((node, records_of[node]) for node in nodes)
            held.matches.extend(matches_of[label])
            for record in (record for node in nodes for record in records_of[node]):
                held.lines[record] = taken.lines.line(record).raw
                held.merits[record] = taken.merits[record]
            if len(held.lines) >= RECORDS_A_PIECE:
                yield held
                held = _Piece({}, [], {}, {})
        if held.lines:
            yield held

    found = list(cluster.spread(_clusters, twins, pieces()))
    clusters = sorted((each for part in found for each in part.clusters), key=lambda each: each.members)
    numbered = [replace(each, number=number) for number, each in enumerate(clusters)]
    return Clusters(numbered, [pair for part in found for pair in part.vetoed])


@dataclass(frozen=True)
class _Piece:
    """Some components."""

    records_of: dict[int, list[int]]
    matches: list[Match]
    lines: dict[int, bytes]
    """Of each record."""
    merits: dict[int, int]


def _clusters(twins: Twins, piece: _Piece) -> Clusters:
    def results(record: int) -> Results:
        return results_of(Line(piece.lines[record]).decode(Described)) if twins is Twins.KEEP else {}

    return find_clusters(piece.records_of, piece.matches, results, piece.merits.__getitem__)


def _make(recipe: Recipe, batch: Batch) -> list[Any]:
    prepared = make(batch, recipe)
    return [replace(prepared, hashes=prepared.hashes[:0], entries=None, is_put=True), *_kept(prepared)]


def _kept(prepared: Prepared) -> list[Any]:
    """What stays on the cluster: the sets, then the entries of each part, where there are some."""
    parts = _split(prepared.entries) if prepared.entries else []
    return [(prepared.sizes, prepared.hashes), *parts]


def _split(entries: Entries) -> list[Hashes]:
    """The entries of each part."""
    return np.split(entries.entries, np.cumsum(entries.counts)[:-1])


def _heads(shared: tuple[Recipe, Order], chosen: Ints, sets: tuple[Ints, Hashes]) -> list[Hashes]:
    """Of each part the entries of the heads of the chosen sets of a block."""
    recipe, order = shared
    return _split(heads(chosen, *picked(*sets, chosen), recipe, order))


def _meet(known: Known, parts: int, *entries: Hashes) -> list[Any]:
    """What meets in one part, without the meetings; then these, by pair. First the heads of all blocks."""
    corpus, rule, is_first, firsts = known
    heads = _joined(entries[: len(firsts)], firsts, is_first)
    others = _joined(entries[len(firsts) :], firsts, is_first) if len(entries) > len(firsts) else None
    met = meetings(heads, others, corpus, rule, parts)
    return [replace(met, meetings=[]), *met.meetings]


def _joined(entries: tuple[Hashes, ...], firsts: list[int], chosen: Flags) -> Hashes:
    """The entries of all blocks, of the chosen texts."""
    numbered = [each + np.uint64(first) for each, first in zip(entries, firsts, strict=True)]
    return of_texts(np.concatenate([np.zeros(0, dtype=np.uint64), *numbered]), chosen)


def _tally(known: Known, cut: Ints, *found: Meetings) -> Hashes:
    """Candidates of the pairs whose meetings in all parts are given."""
    corpus, rule, _, _ = known
    return Meetings.tally(found).candidates(corpus, rule, cut)


def _count(*entries: Hashes) -> int:
    return sum(map(len, entries))


def _row(bits: int, part_bits: int, *entries: Hashes) -> Flags:
    return table_row(np.concatenate([np.zeros(0, dtype=np.uint64), *entries]), bits, part_bits)


def _joined_rows(*rows: Flags) -> Flags:
    return np.concatenate(rows)


def _mark(table: Flags, part_bits: int, sets: tuple[Ints, Hashes]) -> list[Hashes]:
    sizes, hashes = sets
    return _split(marked(table, np.arange(len(sizes)), sizes, hashes, part_bits))


def _pick(first: int, sets: tuple[Ints, Hashes], wanted: list[Ints]) -> Any:
    """Numbers, sizes and elements of the sets that each piece of candidates wants of a block."""
    found = [(first + places, *picked(*sets, places)) for places in wanted]
    return found if len(found) > 1 else found[0]


def _verify(known: Known, candidates: Hashes, *sets: tuple[Ints, Ints, Hashes]) -> Pairs:
    """One piece of the candidates; the sets come from the blocks in order."""
    corpus, rule, _, _ = known
    numbers, sizes, hashes = (np.concatenate(each) for each in zip(*sets, strict=True))
    return verified(candidates, corpus, rule, lambda texts: picked(sizes, hashes, np.searchsorted(numbers, texts)))


def _of_chosen(known: Known, chosen: Flags, *entries: Hashes) -> Hashes:
    _, _, among_all, firsts = known
    return _joined(entries, firsts, among_all & chosen)


def _across(known: Known, index: CutHeads, first: int, start: int, stop: int, sets: tuple[Ints, Hashes]) -> Hashes:
    """Candidates of a block, of its texts between two numbers, with the heads of the index."""
    chosen = known[2]
    numbers = np.arange(max(first, start), min(first + len(sets[0]), stop))
    numbers = numbers[chosen[numbers]]
    found = index.candidates([(numbers, *picked(*sets, numbers - first))])
    return np.concatenate([np.zeros(0, dtype=np.uint64), *found])
