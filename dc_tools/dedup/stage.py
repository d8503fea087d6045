"""The stage: all records in, then contamination and clusters found, then each line's outcome in input order."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from dc_tools.core.records import Line, Problem
from dc_tools.core.run import Dropped, Kept, Outcome
from dc_tools.dedup.clusters import Cluster, Clusters, Results, find_clusters
from dc_tools.dedup.evidence import Described, Evidence, explain, results_of
from dc_tools.dedup.intake import Taken, take
from dc_tools.dedup.matches import EXACT, NGRAM, Matches, Residents, contaminated_records, overlapping_records
from dc_tools.dedup.overlap import Ngrams
from dc_tools.dedup.prepare import Recipe
from dc_tools.dedup.references import References, open_references
from dc_tools.dedup.search import finder_for
from dc_tools.dedup.settings import Settings, Twins

CONTAMINATED, DUPLICATE = "contaminated", "duplicate"
CACHED_RECORDS = 256
NAMED_VETOES = 100
"""Pairs kept apart by their tests that the manifest names."""


def deduplicate(
    records: Iterable[tuple[Line, Problem]], settings: Settings, facts: dict[str, Any]
) -> Iterator[Outcome]:
    """One outcome for each record: kept, or dropped as `duplicate` or `contaminated` with evidence in `dedup`.

    Contamination is decided first, record by record; clusters are made of what is left. `facts` gets the counts.
    """
    references = open_references(settings)
    with ExitStack() as stack:
        finder = finder_for(settings, stack, _ngrams(references, settings, stack))
        taken = take(references, records, settings, finder, stack)
        pairs = finder.pairs(taken)
        matches = Matches(pairs, taken.corpus.sizes, settings)
        read = _reader(taken)
        results = _results(read, settings)
        by_text = contaminated_records(matches, taken, results)
        by_ngrams = {r: found for r, found in overlapping_records(taken, results).items() if r not in by_text}
        contaminated = {*by_text, *by_ngrams}
        found = _clusters(matches, taken, contaminated, results, settings)
        facts["against"] = references.facts()
        facts["dedup"] = {
            "references": taken.references, "distinct": len(np.unique(taken.nodes[taken.nodes >= 0])),
            "candidates": pairs.candidates, "pairs": len(matches), "contaminated": len(contaminated),
            "clusters": len(found.clusters), "vetoed": len(found.vetoed),
            "vetoed_pairs": [[read(a).id, read(b).id] for a, b in sorted(found.vetoed)[:NAMED_VETOES]],
        }
        yield from _outcomes(_Explainer(matches, taken, read, settings, by_text, by_ngrams), found.clusters)


def summary(facts: dict[str, Any]) -> str:
    """The counts for people."""
    counts = facts["dedup"]
    text = f"clusters of duplicates {counts['clusters']}, contaminated records {counts['contaminated']}"
    if counts["vetoed"]:
        text += f", matches that are no duplicates (same test input, other output) {counts['vetoed']}"
    return text


class _Explainer:
    """Makes the evidence of each removal; reads the texts anew."""

    def __init__(
        self,
        matches: Matches,
        taken: Taken,
        read: Callable[[int], Described],
        settings: Settings,
        by_text: dict[int, int],
        by_ngrams: dict[int, tuple[int, int, float]],
    ) -> None:
        self.taken = taken
        self._matches, self._read, self._settings = matches, read, settings
        self._by_text, self._by_ngrams = by_text, by_ngrams

    def contaminated(self, record: int) -> Evidence | None:
        """Why `record` is contaminated; None where it is not."""
        if record in self._by_text:
            reference = self._by_text[record]
            found = self._evidence(CONTAMINATED, record, reference)
        elif record in self._by_ngrams:
            reference, common, share = self._by_ngrams[record]
            measures = {"ngram": {"words": self._settings.ngram, "common": common, "of_reference": share}}
            found = explain(CONTAMINATED, self._read(record), self._read(reference), NGRAM, share, measures)
        else:
            return None
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
        metric, score, measures = self._matches.likeness(int(nodes[record]), int(nodes[other]))
        if keys[record] == keys[other]:
            metric, score = EXACT, 1.0
        return explain(reason, self._read(record), self._read(other), metric, score, measures)


def _ngrams(references: References, settings: Settings, stack: ExitStack) -> Ngrams | None:
    """The references' n-grams, in a form that worker processes can share."""
    if not settings.ngram:
        return None
    found = references.ngrams(settings.ngram, Recipe(settings.unit, settings.shingle, 0))
    if settings.on_cluster:
        return found
    return found.save(Path(stack.enter_context(TemporaryDirectory(prefix="dc-dedup-"))))


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
        from dc_tools.dedup.distributed import clusters_on_cluster

        return clusters_on_cluster(concerned, edges, taken, settings.twins)
    return find_clusters(concerned, edges, results, taken.merits.__getitem__)


def _outcomes(explainer: _Explainer, clusters: list[Cluster]) -> Iterator[Outcome]:
    cluster_of = {member: cluster for cluster in clusters for member in cluster.members}
    first = explainer.taken.references
    for number, line in enumerate(explainer.taken.lines.lines(first), first):
        cluster = cluster_of.get(number)
        contamination = explainer.contaminated(number)
        if contamination:
            line.fields.put("dedup", contamination)
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
