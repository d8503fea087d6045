"""The stage: all records in, then contamination and clusters found, then each line's outcome in input order."""

from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from typing import Any

import numpy as np

from dc_tools.core.lines import sha256_of
from dc_tools.core.records import Line, Problem
from dc_tools.core.run import Dropped, Kept, Outcome
from dc_tools.dedup.clusters import Cluster, Clusters, Results, find_clusters
from dc_tools.dedup.evidence import Described, Evidence, explain, results_of
from dc_tools.dedup.intake import Intake, Taken, read_references, reference_files
from dc_tools.dedup.join import find_pairs
from dc_tools.dedup.matches import EXACT, Matches, Residents, contaminated_records
from dc_tools.dedup.settings import Settings, Twins
from dc_tools.dedup.spool import Spool, open_spool

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
    with open_spool() as shelf, open_spool() as lines:
        intake = Intake(settings)
        references = intake.take(read_references(files), shelf)
        of_references = len(intake)
        taken = intake.take(records, lines)
        alone = np.arange(len(intake)) < of_references
        alone[taken.nodes[taken.nodes >= 0]] = False
        pairs = find_pairs(intake.sets, settings.metric, settings.threshold, alone)
        matches = Matches(pairs, intake.sets.sizes, settings)
        record, reference = _reader(lines), _reader(shelf)
        results, reference_results = _results(record, settings), _results(reference, settings)
        contaminated = contaminated_records(matches, taken, references, results, reference_results)
        found = _clusters(matches, taken, contaminated, results)
        facts["against"] = [{"path": name, "sha256": sha256_of(name)} for name in files]
        facts["dedup"] = {
            "references": len(shelf), "distinct": len(intake), "candidates": pairs.candidates, "pairs": len(pairs.a),
            "contaminated": len(contaminated), "clusters": len(found.clusters), "vetoed": len(found.vetoed),
            "vetoed_pairs": [[record(a).id, record(b).id] for a, b in found.vetoed[:NAMED_VETOES]],
        }
        explainer = _Explainer(matches, taken, references, record, reference, shelf)
        yield from _outcomes(lines, explainer, contaminated, found.clusters)


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
        references: Taken,
        record: Callable[[int], Described],
        reference: Callable[[int], Described],
        shelf: Spool,
    ) -> None:
        self._matches, self._taken, self._references = matches, taken, references
        self._record, self._reference, self._shelf = record, reference, shelf

    def contaminated(self, record: int, reference: int) -> Evidence:
        """Why `record` is contaminated."""
        found = self._evidence(CONTAMINATED, record, self._references, reference, self._reference(reference))
        found.against = self._shelf.line(reference).file
        return found

    def duplicate(self, record: int, cluster: Cluster) -> Evidence:
        """Why `record` is a duplicate of its cluster's kept record, which it matches itself or through another."""
        other = cluster.through[record]
        found = self._evidence(DUPLICATE, record, self._taken, other, self._record(other))
        found.cluster = cluster.number
        if other != cluster.kept:
            found.through, found.kept_id = found.kept_id, self._record(cluster.kept).id
        return found

    def _evidence(self, reason: str, record: int, others: Taken, other: int, matched: Described) -> Evidence:
        a, b = int(self._taken.nodes[record]), int(others.nodes[other])
        is_exact = self._taken.keys[record] == others.keys[other]
        metric, score = (EXACT, 1.0) if is_exact else self._matches.score(a, b)
        found = self._matches.measures(a, b)
        measures = {
            "jaccard": found.jaccard, "containment": found.containment,
            "shingles": {"common": found.common, "removed": found.size_a, "matched": found.size_b},
        }
        return explain(reason, self._record(record), matched, metric, score, measures)


def _clusters(
    matches: Matches, taken: Taken, leave_out: dict[int, int], results: Callable[[int], Results]
) -> Clusters:
    """Clusters of the records that are not contaminated."""
    residents = Residents(taken.nodes)
    near = {*residents.nodes(at_least=2), *matches.neighbours}
    left = {node: [r for r in residents.of(node) if r not in leave_out] for node in near}
    edges = matches.among(left.get)
    matched = {node for edge in edges for node in (edge.a, edge.b)}
    concerned = {node: records for node, records in left.items() if len(records) > 1 or node in matched}
    return find_clusters(concerned, edges, results, taken.merits.__getitem__)


def _outcomes(
    lines: Spool, explainer: _Explainer, contaminated: dict[int, int], clusters: list[Cluster]
) -> Iterator[Outcome]:
    cluster_of = {member: cluster for cluster in clusters for member in cluster.members}
    for position, line in enumerate(lines.lines()):
        cluster = cluster_of.get(position)
        if position in contaminated:
            line.fields.put("dedup", explainer.contaminated(position, contaminated[position]))
            yield Dropped(line, CONTAMINATED)
        elif cluster is None:
            yield Kept(line)
        elif position == cluster.kept:
            line.fields.put("dedup", {"cluster": cluster.number})
            yield Kept(line)
        else:
            line.fields.put("dedup", explainer.duplicate(position, cluster))
            yield Dropped(line, DUPLICATE)


def _reader(spool: Spool) -> Callable[[int], Described]:
    """Reads records by position and remembers the latest."""
    return lru_cache(CACHED_RECORDS)(lambda position: spool.line(position).decode(Described))


def _results(read: Callable[[int], Described], settings: Settings) -> Callable[[int], Results]:
    """The test results by which records contradict each other; none where twins are duplicates."""
    return lambda position: results_of(read(position)) if settings.twins is Twins.KEEP else {}
