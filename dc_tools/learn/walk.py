"""Which problems a step asks: an endless walk, round after round, whose whole state is one integer. Pure."""

from collections.abc import Iterator, Sequence
from itertools import islice
from random import Random


class Walk:
    """Over items by number; each round is a permutation of its own, or goes in order where `seed` is None.

    An item of weight 2 is in each round twice, one of 0.5 in every other, one of 0 in none.
    """

    def __init__(self, size: int, seed: int | None, weights: Sequence[float] | None = None) -> None:
        """Of `size` items, each once a round where there are no `weights`. Errors: `ValueError` where all are 0."""
        self.size, self.seed, self.weights = size, seed, weights
        if weights is not None and not any(weights):
            raise ValueError("no item has a weight above 0")
        self._begins = [0]
        """Where each round begins that was looked at, for rounds that differ in length."""

    def at(self, cursor: int, count: int) -> list[int]:
        """`count` items from `cursor` on."""
        number, begins = self._round_of(cursor)
        return list(islice(self._from(number), cursor - begins, cursor - begins + count))

    def _from(self, number: int) -> Iterator[int]:
        while True:
            yield from self._round(number)
            number += 1

    def _round_of(self, cursor: int) -> tuple[int, int]:
        """The round that a place is in, and where it begins."""
        if self.weights is None:
            return cursor // self.size, cursor // self.size * self.size
        while self._begins[-1] <= cursor:
            self._begins.append(self._begins[-1] + sum(self._counts(len(self._begins) - 1)))
        number = next(i for i in range(len(self._begins) - 1, -1, -1) if self._begins[i] <= cursor)
        return number, self._begins[number]

    def _counts(self, number: int) -> list[int]:
        """How often each item is in a round."""
        assert self.weights is not None
        return [int(weight * (number + 1)) - int(weight * number) for weight in self.weights]

    def _round(self, number: int) -> list[int]:
        items = list(range(self.size))
        if self.weights is not None:
            items = [item for item, times in enumerate(self._counts(number)) for _ in range(times)]
        return items if self.seed is None else Random(f"{self.seed}/{number}").sample(items, len(items))
