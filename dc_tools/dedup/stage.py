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
from dc_tools.dedup.clusters import Results
from dc_tools.dedup.decide import Decisions, decide
from dc_tools.dedup.evidence import Described, Evidence, results_of
from dc_tools.dedup.intake import Taken, take
from dc_tools.dedup.overlap import Ngrams
from dc_tools.dedup.pairs.finders import finder_for
from dc_tools.dedup.prepare import Recipe
from dc_tools.dedup.references import References, open_references
from dc_tools.dedup.removals import CONTAMINATED, DUPLICATE, evidence
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
        taken = take(references, records, settings, finder, stack)
        read = _reader(taken)
        matches, decisions, candidates = decide(finder, taken, settings, _results(read, settings))
        vetoed = sorted(decisions.vetoed)
        facts["against"] = references.facts()
        facts["dedup"] = {
            "references": taken.references, "distinct": len(np.unique(taken.nodes[taken.nodes >= 0])),
            "candidates": candidates, "pairs": len(matches), "contaminated": len(decisions.leaving),
            "clusters": len(decisions.clusters), "vetoed": len(vetoed),
            "vetoed_pairs": [[read(a).id, read(b).id] for a, b in vetoed[:NAMED_VETOES]],
        }
        yield from _outcomes(decisions, taken, evidence(decisions, matches, taken, settings, workers))


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
