"""Who matches whom: scores of matching nodes, the records of each node, and which records a reference contaminates."""

from collections import defaultdict
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from dc_tools.dedup.clusters import Match, Results, contradict
from dc_tools.dedup.intake import Taken
from dc_tools.dedup.join import Pairs
from dc_tools.dedup.settings import Metric, Settings
from dc_tools.dedup.text import Ints

EXACT = "exact"
"""The metric's name where whole folded statements are equal."""


class Measures(NamedTuple):
    """How much two shingle sets have in common."""

    common: int
    size_a: int
    size_b: int

    @property
    def jaccard(self) -> float:
        """|A & B| / |A | B|."""
        return self.common / (self.size_a + self.size_b - self.common)

    @property
    def containment(self) -> float:
        """|A & B| / min(|A|, |B|)."""
        return self.common / min(self.size_a, self.size_b)


class Matches:
    """The verified pairs of nodes, and each node with itself."""

    def __init__(self, pairs: Pairs, sizes: Ints, settings: Settings) -> None:
        self._sizes, self._settings = sizes, settings
        self._common = {
            (a, b): common
            for a, b, common in zip(pairs.a.tolist(), pairs.b.tolist(), pairs.common.tolist(), strict=True)
        }
        self.neighbours: dict[int, list[int]] = defaultdict(list)
        for a, b in self._common:
            self.neighbours[a].append(b)
            self.neighbours[b].append(a)

    def measures(self, a: int, b: int) -> Measures:
        """Sizes and common count of two nodes that match."""
        size_a, size_b = int(self._sizes[a]), int(self._sizes[b])
        return Measures(size_a if a == b else self._common[min(a, b), max(a, b)], size_a, size_b)

    def score(self, a: int, b: int) -> tuple[str, float]:
        """Metric and value by which two nodes match: with `either` Jaccard where it suffices."""
        found, wanted = self.measures(a, b), self._settings.metric
        if wanted is Metric.JACCARD or (wanted is Metric.EITHER and found.jaccard >= self._settings.threshold):
            return Metric.JACCARD.value, found.jaccard
        return Metric.CONTAINMENT.value, found.containment

    def among(self, nodes: Callable[[int], Any]) -> list[Match]:
        """The matches both of whose nodes are truthy in `nodes`."""
        return [Match(a, b, self.score(a, b)[1]) for a, b in self._common if nodes(a) and nodes(b)]


class Residents:
    """The records of each node, in input order."""

    def __init__(self, nodes: Ints) -> None:
        self._records = np.argsort(nodes, kind="stable")
        self._nodes = nodes[self._records]

    def of(self, node: int) -> list[int]:
        """The records of `node`."""
        first, last = np.searchsorted(self._nodes, [node, node + 1])
        found: list[int] = self._records[first:last].tolist()
        return found

    def nodes(self, at_least: int = 1) -> list[int]:
        """The nodes with `at_least` so many records."""
        nodes, counts = np.unique(self._nodes[self._nodes >= 0], return_counts=True)
        found: list[int] = nodes[counts >= at_least].tolist()
        return found


def contaminated_records(
    matches: Matches,
    taken: Taken,
    references: Taken,
    results_of_record: Callable[[int], Results],
    results_of_reference: Callable[[int], Results],
) -> dict[int, int]:
    """Record -> the reference it matches best: an equal statement, then the highest score, then the first.

    A near match is cleared by a shared test input with different outputs; an equal statement never is.
    """
    ours, theirs = Residents(taken.nodes), Residents(references.nodes)
    partners: dict[int, list[int]] = defaultdict(list)
    for node in theirs.nodes():
        for near in (node, *matches.neighbours.get(node, [])):
            partners[near].append(node)
    found = {}
    for node, others in partners.items():
        scored = [(-matches.score(node, other)[1], r) for other in others for r in theirs.of(other)]
        for record in ours.of(node):
            key = taken.keys[record]
            for differs, _, reference in sorted((bool(key != references.keys[r]), s, r) for s, r in scored):
                if not differs or not contradict(results_of_record(record), results_of_reference(reference)):
                    found[record] = reference
                    break
    return found
