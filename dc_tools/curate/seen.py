"""The ids of the rows so far, so that the second row of a name is found: 32 to 64 bytes a row, nothing of the name."""

from typing import Any

import numpy as np
import xxhash

FREE = 0
FIRST_SIZE = 1 << 10
FULL = 0.5
"""Share of the places taken at which the table is doubled."""


class Seen:
    """Names and the number of the row that had each first. Two names are one where their 64-bit hashes are."""

    def __init__(self) -> None:
        self._count = 0
        self._make(FIRST_SIZE)

    def first(self, name: str, number: int) -> int | None:
        """The number of the row that had the name before; None where `number` is the first, which is remembered."""
        digest = xxhash.xxh64_intdigest(name.encode("utf-8", "surrogatepass")) or 1
        at = self._place(digest)
        if self._hashes[at] == digest:
            return int(self._numbers[at])
        self._hashes[at], self._numbers[at] = digest, number
        self._count += 1
        if self._count > FULL * len(self._hashes):
            self._grow()
        return None

    def _place(self, digest: int) -> int:
        """Where a hash is, or may be put."""
        mask = len(self._hashes) - 1
        at = digest & mask
        while self._hashes[at] not in (FREE, digest):
            at = (at + 1) & mask
        return at

    def _make(self, size: int) -> None:
        self._hashes: Any = np.zeros(size, np.uint64)
        self._numbers: Any = np.zeros(size, np.uint64)

    def _grow(self) -> None:
        hashes, numbers = self._hashes, self._numbers
        self._make(2 * len(hashes))
        for old in np.flatnonzero(hashes):
            at = self._place(int(hashes[old]))
            self._hashes[at], self._numbers[at] = hashes[old], numbers[old]
