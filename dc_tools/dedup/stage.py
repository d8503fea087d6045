"""The stage: all records in, then contamination and clusters found, then each line's outcome in input order."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from dc_tools.core.parallel import Workers
from dc_tools.core.records import Line, Problem
from dc_tools.core.run import Dropped, Kept, Outcome
from dc_tools.dedup.clusters import Clusters, Results, find_clusters
from dc_tools.dedup.evidence import Described, Evidence, results_of
from dc_tools.dedup.intake import Taken, take
from dc_tools.dedup.matches import Matches, Residents, contaminated_records, overlapping_records
from dc_tools.dedup.overlap import Ngrams
from dc_tools.dedup.prepare import Recipe
from dc_tools.dedup.references import References, open_references
from dc_tools.dedup.removals import CONTAMINATED, DUPLICATE, Decisions, evidence
from dc_tools.dedup.search import finder_for
from dc_tools.dedup.settings import Settings, Twins

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
        workers = stack.enter_context(Workers(settings.workers))
        finder = finder_for(settings, workers, stack, _ngrams(references, settings, stack))
        taken = take(references, records, settings, finder, workers, stack)
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
        decisions = Decisions(by_text, by_ngrams, found.clusters, settings.ngram)
        yield from _outcomes(decisions, taken, evidence(decisions, matches, taken, workers))


def summary(facts: dict[str, Any]) -> str:
    """The counts for people."""
    counts = facts["dedup"]
    text = f"clusters of duplicates {counts['clusters']}, contaminated records {counts['contaminated']}"
    if counts["vetoed"]:
        text += f", matches that are no duplicates (same test input, other output) {counts['vetoed']}"
    return text


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


def _outcomes(decisions: Decisions, taken: Taken, accounts: Iterator[Evidence]) -> Iterator[Outcome]:
    """Each record's; the accounts of the removed ones come in the same order."""
    cluster_of = {member: cluster for cluster in decisions.clusters for member in cluster.members}
    for number, line in enumerate(taken.lines.lines(taken.references), taken.references):
        cluster = cluster_of.get(number)
        if number in decisions.contaminated or number in decisions.overlapping:
            line.fields.put("dedup", next(accounts))
            yield Dropped(line, CONTAMINATED)
        elif cluster is None:
            yield Kept(line)
        elif number == cluster.kept:
            line.fields.put("dedup", {"cluster": cluster.number})
            yield Kept(line)
        else:
            line.fields.put("dedup", next(accounts))
            yield Dropped(line, DUPLICATE)


def _reader(taken: Taken) -> Callable[[int], Described]:
    """Reads texts by number and remembers the latest."""
    return lru_cache(CACHED_RECORDS)(lambda number: taken.lines.line(number).decode(Described))


def _results(read: Callable[[int], Described], settings: Settings) -> Callable[[int], Results]:
    """The test results by which records contradict each other; none where twins are duplicates."""
    return lambda number: results_of(read(number)) if settings.twins is Twins.KEEP else {}
