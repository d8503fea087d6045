"""What becomes of the records: contamination first, then clusters; and what the leader of a large family left open."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

import numpy as np

from dc_tools.dedup.clusters import Cluster, Clusters, Results, find_clusters
from dc_tools.dedup.intake import Finder, Taken
from dc_tools.dedup.matches import Matches, Residents, contaminated_records, overlapping_records
from dc_tools.dedup.pairs.components import Forest, among
from dc_tools.dedup.pairs.finders import merged
from dc_tools.dedup.pairs.join import Pairs
from dc_tools.dedup.settings import Settings

MOST_ROUNDS = 64
"""Leaders that one family may have in turn; what contradicts them all stays by itself."""


@dataclass(frozen=True)
class Decisions:
    """What becomes of the records, by number."""

    contaminated: dict[int, int]
    """Record -> the reference whose text it matches."""
    overlapping: dict[int, tuple[int, int, float]]
    """Record -> the reference whose n-grams it has, how many, and their share."""
    clusters: list[Cluster]
    vetoed: list[tuple[int, int]]
    """Records that match and are no duplicates, as their tests contradict each other."""

    @property
    def leaving(self) -> set[int]:
        """The contaminated records."""
        return {*self.contaminated, *self.overlapping}


def decide(
    finder: Finder, taken: Taken, settings: Settings, results: Callable[[int], Results]
) -> tuple[Matches, Decisions, int]:
    """The matches, the decisions, and how many pairs had to be verified.

    Of a large family all are compared with a leader. What that does not settle, since the leader is contaminated or
    contradicts them, is compared among itself, and so on.
    """
    pairs = finder.pairs(taken, taken.firsts())
    for _ in range(MOST_ROUNDS):
        matches = Matches(pairs, taken.corpus.sizes, settings)
        decisions = _decided(matches, taken, settings, results)
        left = undecided(pairs, taken, decisions)
        if len(left) < 2:
            break
        more = finder.pairs(taken, np.isin(np.arange(len(taken.nodes)), left))
        found = merged(pairs, more)
        is_new = len(found.a) > len(pairs.a)
        pairs = replace(found, cut=more.cut)
        if not is_new:
            break
    return matches, decisions, pairs.candidates


def undecided(pairs: Pairs, taken: Taken, decisions: Decisions) -> list[int]:
    """Texts of families that have a record outside their family's largest cluster, for whatever reason."""
    if not len(pairs.cut):
        return []
    is_cut = np.zeros(len(taken.nodes), dtype=np.bool_)
    is_cut[pairs.cut] = True
    forest = Forest.of(*among(pairs, is_cut))
    residents, leaving = Residents(taken.nodes, taken.references), decisions.leaving
    families: dict[int, dict[int, list[int]]] = defaultdict(dict)
    for node, root in zip(forest.texts.tolist(), forest.roots.tolist(), strict=True):
        records = [record for record in residents.of(node) if record not in leaving]
        if records:
            families[root][node] = records
    cluster_of = {record: each.number for each in decisions.clusters for record in each.members} if families else {}
    left = []
    for family in families.values():
        sizes = Counter(_known(cluster_of.get(record) for records in family.values() for record in records))
        largest = max(sizes, key=lambda number: (sizes[number], -number)) if sizes else None
        open_nodes = [
            node for node, records in family.items()
            if largest is None or any(cluster_of.get(record) != largest for record in records)
        ]
        if largest is None:
            open_nodes.remove(max(open_nodes, key=lambda node: int(taken.corpus.ranks[node])))
        left += open_nodes
    return left


def _known(numbers: Iterable[int | None]) -> Iterable[int]:
    return (number for number in numbers if number is not None)


def _decided(matches: Matches, taken: Taken, settings: Settings, results: Callable[[int], Results]) -> Decisions:
    by_text = contaminated_records(matches, taken, results)
    by_ngrams = {r: found for r, found in overlapping_records(taken, results).items() if r not in by_text}
    found = _clusters(matches, taken, {*by_text, *by_ngrams}, results, settings)
    return Decisions(by_text, by_ngrams, found.clusters, found.vetoed)


def _clusters(
    matches: Matches, taken: Taken, leave_out: set[int], results: Callable[[int], Results], settings: Settings
) -> Clusters:
    """Clusters of the records that are not contaminated."""
    residents = Residents(taken.nodes, taken.references)
    near = {*residents.nodes(at_least=2), *matches.nodes()}
    left = {node: [r for r in residents.of(node) if r not in leave_out] for node in near}
    edges = matches.among(left.get)
    matched = {node for edge in edges for node in (edge.a, edge.b)}
    concerned = {node: records for node, records in left.items() if len(records) > 1 or node in matched}
    if settings.on_cluster:
        from dc_tools.dedup.pairs.distributed import clusters_on_cluster

        return clusters_on_cluster(concerned, edges, taken, settings.twins)
    return find_clusters(concerned, edges, results, taken.merits.__getitem__)
