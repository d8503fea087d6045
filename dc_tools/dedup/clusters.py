"""Clusters of duplicates: union-find that never joins what contradicts itself, one kept record each, and chains.

A node is a distinct shingle set; its records match each other with score 1. A record or cluster whose test results
contradict another's never joins it, so every cluster is free of contradictions. Records of one node that cannot be
joined make variants: each variant is a cluster of its own until a pair joins it with another.

Who is joined first decides who is kept apart. Records of more merit come first, and the order of the input counts only
among records of equal merit.
"""

from collections import defaultdict, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

MAX_VARIANTS = 64
"""Variants of a node that a record of it is tried against; one that contradicts them all stays by itself."""
MATCHED_VARIANTS = 16
"""Variants of a node that are tried against as many of another node that matches it."""

Results = dict[int, int]
"""Hash of each test input of a record or cluster -> hash of its output."""


@dataclass(frozen=True)
class Match:
    """Two nodes that match, and their score."""

    a: int
    b: int
    score: float


@dataclass
class Cluster:
    """Two records or more; those not kept are removed."""

    number: int
    members: list[int]
    kept: int
    through: dict[int, int]
    """Removed record -> the member it matches on the shortest way to `kept` (mostly `kept` itself)."""


@dataclass
class Clusters:
    """All clusters in order of their first member, and the pairs of records that a contradiction kept apart."""

    clusters: list[Cluster]
    vetoed: list[tuple[int, int]] = field(default_factory=list)


def contradict(a: Results, b: Results) -> bool:
    """Whether some input has different outputs in `a` and `b`."""
    if len(a) > len(b):
        a, b = b, a
    return any(b.get(key, value) != value for key, value in a.items())


def find_clusters(
    records_of: dict[int, list[int]],
    matches: Iterable[Match],
    results_of: Callable[[int], Results],
    merit: Callable[[int], int],
) -> Clusters:
    """Join records by node, then by match; keep of each cluster the record that ranks first.

    Tie rule: a record ranks by its merit, of equals the first in the input ranks first. The records of a node join in
    this order; matches by score, of equals that whose nodes' first-ranked records rank first. So the order of the
    input shows only through records of equal merit: where merits differ, every order keeps the same records.

    `records_of` gives the records of every node that has several or that occurs in a match.
    """
    ranked = {record: (-merit(record), record) for records in records_of.values() for record in records}
    members_of = {node: sorted(records, key=ranked.__getitem__) for node, records in records_of.items()}
    first = {node: ranked[records[0]] for node, records in members_of.items()}
    forest = _Forest(results_of)
    variants = {node: forest.split(records)[:MATCHED_VARIANTS] for node, records in members_of.items()}
    ordered = sorted(matches, key=lambda match: (-match.score, *sorted((first[match.a], first[match.b]))))
    for match in ordered:
        here, there = sorted((match.a, match.b), key=first.__getitem__)
        for record in variants[here]:
            forest.join_one(record, variants[there])
    node_of = {record: node for node, records in records_of.items() for record in records}
    groups = sorted(members for members in forest.groups().values() if len(members) > 1)
    neighbours = _neighbours(ordered)
    clusters = []
    for number, members in enumerate(groups):
        kept = min(members, key=ranked.__getitem__)
        clusters.append(Cluster(number, members, kept, _ways(members, kept, node_of, neighbours)))
    return Clusters(clusters, forest.vetoed)


class _Forest:
    """Union-find over records; a root carries the test results of all its members."""

    def __init__(self, results_of: Callable[[int], Results]) -> None:
        self._results_of = results_of
        self._parent: dict[int, int] = {}
        self._results: dict[int, Results] = {}
        self.vetoed: list[tuple[int, int]] = []

    def split(self, records: list[int]) -> list[int]:
        """Join the records of one node as far as they agree; returns one record of each variant."""
        variants: list[int] = []
        for record in records:
            self._parent[record] = record
            self._results[record] = self._results_of(record)
            if not self.join_one(record, variants[:MAX_VARIANTS]):
                variants.append(record)
        return variants

    def join_one(self, record: int, variants: list[int]) -> bool:
        """Join `record` with the first of `variants` that it does not contradict, and note those that it does.

        Since variants contradict each other, no second one could be joined.
        """
        return any(self._join(variant, record) for variant in variants)

    def _join(self, a: int, b: int) -> bool:
        """Make one cluster of those of `a` and `b`; False, and noted, where their test results contradict."""
        root_a, root_b = self._root(a), self._root(b)
        if root_a == root_b:
            return True
        if contradict(self._results[root_a], self._results[root_b]):
            self.vetoed.append((min(a, b), max(a, b)))
            return False
        if len(self._results[root_a]) < len(self._results[root_b]):
            root_a, root_b = root_b, root_a
        self._parent[root_b] = root_a
        self._results[root_a].update(self._results.pop(root_b))
        return True

    def groups(self) -> dict[int, list[int]]:
        """Root -> members in input order."""
        found: dict[int, list[int]] = defaultdict(list)
        for record in sorted(self._parent):
            found[self._root(record)].append(record)
        return found

    def _root(self, record: int) -> int:
        parent = self._parent
        while parent[record] != record:
            parent[record] = parent[parent[record]]
            record = parent[record]
        return record


def _neighbours(matches: list[Match]) -> dict[int, list[int]]:
    found: dict[int, list[int]] = defaultdict(list)
    for match in matches:
        found[match.a].append(match.b)
        found[match.b].append(match.a)
    return found


def _ways(
    members: list[int], kept: int, node_of: dict[int, int], neighbours: dict[int, list[int]]
) -> dict[int, int]:
    """For each removed member the member it matches one step nearer to `kept`, by breadth-first search over nodes."""
    here: dict[int, list[int]] = defaultdict(list)
    for member in members:
        here[node_of[member]].append(member)
    start = node_of[kept]
    through = dict.fromkeys((m for m in here[start] if m != kept), kept)
    speaker = {start: kept}
    queue = deque([start])
    while queue:
        node = queue.popleft()
        for other in neighbours[node]:
            if other in here and other not in speaker:
                speaker[other] = here[other][0]
                through.update(dict.fromkeys(here[other], speaker[node]))
                queue.append(other)
    return through
