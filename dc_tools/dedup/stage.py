"""The stage: all records in, then contamination and clusters found, then each line's outcome in input order."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from functools import lru_cache
from typing import Any

import numpy as np

from dc_tools.core.lines import sha256_of
from dc_tools.core.records import Line, Problem
from dc_tools.core.run import Dropped, Kept, Outcome
from dc_tools.dedup.clusters import Cluster, Clusters, Results, find_clusters
from dc_tools.dedup.evidence import Described, Evidence, explain, results_of
from dc_tools.dedup.intake import Taken, read_references, reference_files, take
from dc_tools.dedup.matches import EXACT, Matches, Residents, contaminated_records
from dc_tools.dedup.search import find_pairs
from dc_tools.dedup.settings import Settings, Twins

CONTAMINATED, DUPLICATE = "contaminated", "duplicate"
CACHED_RECORDS = 256
NAMED_VETOES = 100
"""Pairs kept apart by their tests that the manifest names."""


def deduplicate(
    records: Iterable[tuple[Line, Problem]], settings: Settings, against: list[str], facts: dict[str, Any]
) -> Iterator[Outcome]:
    """One outcome for each record: kept, or dropped as `duplicate` or `contaminated` with evidence in `dedup`.

    Contamination is decided first, record by record; clusters are made of what is left. `facts` gets the counts.
    """
    files = reference_files(against)
    with ExitStack() as stack:
        taken = take(read_references(files), records, settings, stack)
        pairs = find_pairs(taken, stack)
        matches = Matches(pairs, taken.corpus.sizes, settings)
        read = _reader(taken)
        results = _results(read, settings)
        contaminated = contaminated_records(matches, taken, results)
        found = _clusters(matches, taken, contaminated, results)
        facts["against"] = [{"path": name, "sha256": sha256_of(name)} for name in files]
        facts["dedup"] = {
            "references": taken.references, "distinct": len(np.unique(taken.nodes[taken.nodes >= 0])),
            "candidates": pairs.candidates, "pairs": len(matches), "contaminated": len(contaminated),
            "clusters": len(found.clusters), "vetoed": len(found.vetoed),
            "vetoed_pairs": [[read(a).id, read(b).id] for a, b in found.vetoed[:NAMED_VETOES]],
        }
        yield from _outcomes(_Explainer(matches, taken, read), contaminated, found.clusters)


def summary(facts: dict[str, Any]) -> str:
    """The counts for people."""
    counts = facts["dedup"]
    text = f"clusters of duplicates {counts['clusters']}, contaminated records {counts['contaminated']}"
    if counts["vetoed"]:
        text += f", matches that are no duplicates (same test input, other output) {counts['vetoed']}"
    return text


class _Explainer:
    """Makes the evidence of each removal; reads the texts anew."""

    def __init__(self, matches: Matches, taken: Taken, read: Callable[[int], Described]) -> None:
        self.taken = taken
        self._matches, self._read = matches, read

    def contaminated(self, record: int, reference: int) -> Evidence:
        """Why `record` is contaminated."""
        found = self._evidence(CONTAMINATED, record, reference)
        found.against = self.taken.lines.line(reference).file
        return found

    def duplicate(self, record: int, cluster: Cluster) -> Evidence:
        """Why `record` is a duplicate of its cluster's kept record, which it matches itself or through another."""
        other = cluster.through[record]
        found = self._evidence(DUPLICATE, record, other)
        found.cluster = cluster.number
        if other != cluster.kept:
            found.through, found.kept_id = found.kept_id, self._read(cluster.kept).id
        return found

    def _evidence(self, reason: str, record: int, other: int) -> Evidence:
        nodes, keys = self.taken.nodes, self.taken.keys
        a, b = int(nodes[record]), int(nodes[other])
        metric, score = (EXACT, 1.0) if keys[record] == keys[other] else self._matches.score(a, b)
        found = self._matches.measures(a, b)
        measures = {
            "jaccard": found.jaccard, "containment": found.containment,
            "shingles": {"common": found.common, "removed": found.size_a, "matched": found.size_b},
        }
        return explain(reason, self._read(record), self._read(other), metric, score, measures)


def _clusters(
    matches: Matches, taken: Taken, leave_out: dict[int, int], results: Callable[[int], Results]
) -> Clusters:
    """Clusters of the records that are not contaminated."""
    residents = Residents(taken.nodes, taken.references)
    near = {*residents.nodes(at_least=2), *matches.nodes()}
    left = {node: [r for r in residents.of(node) if r not in leave_out] for node in near}
    edges = matches.among(left.get)
    matched = {node for edge in edges for node in (edge.a, edge.b)}
    concerned = {node: records for node, records in left.items() if len(records) > 1 or node in matched}
    return find_clusters(concerned, edges, results, taken.merits.__getitem__)


def _outcomes(explainer: _Explainer, contaminated: dict[int, int], clusters: list[Cluster]) -> Iterator[Outcome]:
    cluster_of = {member: cluster for cluster in clusters for member in cluster.members}
    first = explainer.taken.references
    for number, line in enumerate(explainer.taken.lines.lines(first), first):
        cluster = cluster_of.get(number)
        if number in contaminated:
            line.fields.put("dedup", explainer.contaminated(number, contaminated[number]))
            yield Dropped(line, CONTAMINATED)
        elif cluster is None:
            yield Kept(line)
        elif number == cluster.kept:
            line.fields.put("dedup", {"cluster": cluster.number})
            yield Kept(line)
        else:
            line.fields.put("dedup", explainer.duplicate(number, cluster))
            yield Dropped(line, DUPLICATE)


def _reader(taken: Taken) -> Callable[[int], Described]:
    """Reads texts by number and remembers the latest."""
    return lru_cache(CACHED_RECORDS)(lambda number: taken.lines.line(number).decode(Described))


def _results(read: Callable[[int], Described], settings: Settings) -> Callable[[int], Results]:
    """The test results by which records contradict each other; none where twins are duplicates."""
    return lambda number: results_of(read(number)) if settings.twins is Twins.KEEP else {}
