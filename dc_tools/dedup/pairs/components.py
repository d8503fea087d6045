"""Connected components of pairs, found piece by piece and merged."""

from dataclasses import dataclass

import numpy as np

from dc_tools.dedup.arrays import Ints
from dc_tools.dedup.pairs.join import Flags, Pairs


@dataclass(frozen=True)
class Forest:
    """The components of some pairs, as a star each."""

    texts: Ints
    """All texts that occur."""
    roots: Ints
    """The lowest text of each one's component."""

    @staticmethod
    def of(a: Ints, b: Ints) -> "Forest":
        """That of the pairs (a[i], b[i])."""
        from scipy.sparse import coo_array
        from scipy.sparse.csgraph import connected_components

        texts, places = np.unique(np.concatenate([a, b]), return_inverse=True)
        edges = (np.ones(len(a), dtype=np.bool_), (places[: len(a)], places[len(a) :]))
        graph = coo_array(edges, shape=(len(texts), len(texts)))
        _, first, label = np.unique(
            connected_components(graph, directed=False)[1], return_index=True, return_inverse=True
        )
        return Forest(texts, texts[first[label]])

    @staticmethod
    def merged(*forests: "Forest") -> "Forest":
        """That of the pairs of all."""
        return Forest.of(
            np.concatenate([forest.texts for forest in forests]), np.concatenate([forest.roots for forest in forests])
        )

    def labels(self, count: int) -> Ints:
        """For each of `count` texts the lowest of its component, itself where it is in no pair."""
        found = np.arange(count)
        found[self.texts] = self.roots
        return found


def among(pairs: Pairs, chosen: Flags) -> tuple[Ints, Ints]:
    """The pairs both of whose texts are chosen."""
    both = chosen[pairs.a] & chosen[pairs.b]
    return pairs.a[both], pairs.b[both]
