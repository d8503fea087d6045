"""Who matches whom: scores of matching nodes, the records of each node, and which records a reference contaminates."""

from collections import defaultdict
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from dc_tools.dedup.arrays import Ints
from dc_tools.dedup.clusters import Match, Results, contradict
from dc_tools.dedup.evidence import Likeness
from dc_tools.dedup.intake import Taken
from dc_tools.dedup.pairs.join import Pairs, packed
from dc_tools.dedup.settings import Metric, Settings

EXACT = "exact"
"""The metric's name where whole folded statements are equal."""
NGRAM = "ngram"
"""The metric's name where a record has a reference's n-grams."""


class Matches:
    """The verified pairs of nodes, and each node with itself."""

    def __init__(self, pairs: Pairs, sizes: npt.NDArray[np.int32], settings: Settings) -> None:
        self._sizes, self._settings, self._pairs = sizes, settings, pairs
        self._words = packed(pairs.a, pairs.b)
        both = np.concatenate([pairs.a, pairs.b])
        order = np.argsort(both, kind="stable")
        self._nodes, self._others = both[order], np.concatenate([pairs.b, pairs.a])[order]

    def __len__(self) -> int:
        """Number of pairs."""
        return len(self._words)

    def neighbours(self, node: int) -> list[int]:
        """The other nodes that it matches, in order."""
        first, last = np.searchsorted(self._nodes, [node, node + 1])
        found: list[int] = np.sort(self._others[first:last]).tolist()
        return found

    def nodes(self) -> list[int]:
        """The nodes that match another."""
        found: list[int] = np.unique(self._nodes).tolist()
        return found

    def likeness(self, a: int, b: int) -> Likeness:
        """Metric, score and measures by which two nodes match: with `either` Jaccard where it suffices."""
        settings, size_a, size_b = self._settings, int(self._sizes[a]), int(self._sizes[b])
        place = int(np.searchsorted(self._words, np.uint64((min(a, b) << 32) | max(a, b))))
        if a != b and self._pairs.cosines is not None:
            return Likeness(settings.metric.value, float(self._pairs.cosines[place]), {})
        common = size_a if a == b else int(self._pairs.common[place])
        jaccard, containment = common / (size_a + size_b - common), common / min(size_a, size_b)
        measures = {
            "jaccard": jaccard, "containment": containment,
            "shingles": {"common": common, "removed": size_a, "matched": size_b},
        }
        if settings.metric is not Metric.CONTAINMENT and (
            jaccard >= settings.threshold or settings.metric is not Metric.EITHER
        ):
            return Likeness(Metric.JACCARD.value, jaccard, measures)
        return Likeness(Metric.CONTAINMENT.value, containment, measures)

    def among(self, nodes: Callable[[int], Any]) -> list[Match]:
        """The matches both of whose nodes are truthy in `nodes`."""
        pairs = zip(self._pairs.a.tolist(), self._pairs.b.tolist(), strict=True)
        return [Match(a, b, self.likeness(a, b).score) for a, b in pairs if nodes(a) and nodes(b)]


class Residents:
    """The records of each node, in input order."""

    def __init__(self, nodes: Ints, first: int = 0) -> None:
        """`nodes` gives the node of each text; those before `first` are none of the records."""
        order = np.argsort(nodes[first:], kind="stable")
        self._records, self._nodes = order + first, nodes[first:][order]

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
    matches: Matches, taken: Taken, results_of: Callable[[int], Results]
) -> dict[int, int]:
    """Record -> the reference it matches best: an equal statement, then the highest score, then the first.

    A near match is cleared by a shared test input with different outputs; an equal statement never is. Both are
    numbered as they were taken in.
    """
    ours, theirs = Residents(taken.nodes, taken.references), Residents(taken.nodes[: taken.references])
    partners: dict[int, list[int]] = defaultdict(list)
    for node in theirs.nodes():
        for near in (node, *matches.neighbours(node)):
            partners[near].append(node)
    found = {}
    for node, others in partners.items():
        scored = ((-matches.likeness(node, other).score, r) for other in others for r in theirs.of(other))
        ordered = [reference for _, reference in sorted(scored)]
        equal: dict[int, int] = {}
        for reference in ordered:
            equal.setdefault(int(taken.keys[reference]), reference)
        for record in ours.of(node):
            best = equal.get(int(taken.keys[record]))
            if best is None:
                mine = results_of(record)
                best = next((r for r in ordered if not contradict(mine, results_of(r))), None)
            if best is not None:
                found[record] = best
    return found


def overlapping_records(taken: Taken, results_of: Callable[[int], Results]) -> dict[int, tuple[int, int, float]]:
    """Record -> the reference with which it has most n-grams in common, how many, and their share of the reference's.

    A shared test input with different outputs clears a record of that reference.
    """
    met = taken.overlaps
    order = np.lexsort((met.references, -met.shares, -met.common, met.records))
    edges = np.flatnonzero(np.diff(met.records[order], prepend=-1, append=-1)).tolist()
    found: dict[int, tuple[int, int, float]] = {}
    for start, stop in pairwise(edges):
        record = int(met.records[order[start]])
        mine = results_of(record)
        for place in order[start:stop]:
            reference = int(met.references[place])
            if not contradict(mine, results_of(reference)):
                found[record] = reference, int(met.common[place]), float(met.shares[place])
                break
    return found
