"""Taking records in: lines go to the disk, a few numbers for each record stay; a finder keeps what it compares."""

from array import array
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import chain
from typing import Any, Protocol

import numpy as np

from dc_tools.core.records import Line, Problem, Status
from dc_tools.dedup.arrays import Hashes, Ints
from dc_tools.dedup.overlap import Overlaps
from dc_tools.dedup.pairs.join import Corpus, Flags, Pairs
from dc_tools.dedup.prepare import Batch, Prepared, Recipe, finish
from dc_tools.dedup.references import References
from dc_tools.dedup.settings import Keep, Settings
from dc_tools.dedup.shared import nameless_file
from dc_tools.dedup.spool import Lines
from dc_tools.dedup.text import batches

_NONE = np.zeros(0, dtype=np.uint64)


@dataclass(frozen=True)
class Taken:
    """What was taken in: all references, then all records, by number."""

    references: int
    """How many of them are references."""
    lines: Lines
    keys: Hashes
    """Hash of each whole statement."""
    nodes: Ints
    """The first text with the same shingle set; -1 where there is no text."""
    merits: "array[int]"
    """What the keep policy compares."""
    corpus: Corpus
    overlaps: Overlaps
    """Records whose statements have a reference's n-grams."""

    def firsts(self) -> Flags:
        """The texts that stand for all that have the same set."""
        found: Flags = self.nodes == np.arange(len(self.nodes))
        return found


class Finder(Protocol):
    """Finds the pairs of texts that match by one metric."""

    recipe: Recipe

    def prepared(self, batches: Iterator[Batch]) -> Iterator[Prepared]:
        """What is made of each batch of statements, in order."""

    def add(self, first: int, prepared: Prepared) -> None:
        """Keep what is needed of the texts from number `first` on."""

    def pairs(self, taken: Taken, chosen: Flags) -> Pairs:
        """All pairs of chosen texts that match."""


def take(
    references: References,
    records: Iterable[tuple[Line, Problem]],
    settings: Settings,
    finder: Finder,
    stack: ExitStack,
) -> Taken:
    """Take all in; what is set aside on the disk lives as long as `stack`."""
    lines, recipe = Lines(stack.enter_context(nameless_file())), finder.recipe
    merits = array("q")
    borders: list[int] = []

    def known() -> Iterator[Prepared]:
        for index in references.suiting(recipe):
            for line in index.lines():
                lines.add(line)
                merits.append(0)
            yield from index.prepared()

    def of_references() -> Iterator[str]:
        for line, described in references.unprepared(recipe):
            lines.add(line)
            merits.append(0)
            yield described.statement
        borders.append(len(lines))

    def of_records() -> Iterator[str]:
        for line, record in records:
            lines.add(line)
            merits.append(_merit(record, settings.keep))
            yield record.statement

    keys, digests, sizes = [_NONE], [_NONE], [np.zeros(0, dtype=np.int32)]
    overlaps: list[tuple[int, Overlaps]] = []
    first = 0
    def given() -> Iterator[Batch]:
        """Begun when all that is known has been taken in."""
        at = len(lines)
        for are_records, statements in ((False, of_references()), (True, of_records())):
            for some in batches(statements, settings.batch):
                lines.flush()
                yield Batch(some, are_records, lines.places(np.arange(at, at + len(some))))
                at += len(some)

    for prepared in chain((finish(each, recipe) for each in known()), finder.prepared(given())):
        finder.add(first, prepared)
        keys.append(prepared.keys)
        digests.append(prepared.digests)
        sizes.append(prepared.sizes.astype(np.int32))
        if prepared.overlaps:
            overlaps.append((first, prepared.overlaps))
        first += len(prepared.keys)
    lines.flush()
    nodes, corpus = _corpus(np.concatenate(digests), np.concatenate(sizes), borders[0])
    return Taken(borders[0], lines, np.concatenate(keys), nodes, merits, corpus, Overlaps.joined(overlaps))


def _corpus(digests: Hashes, sizes: Any, references: int) -> tuple[Ints, Corpus]:
    """The first text of each set, and what the join knows of the texts."""
    _, first, place = np.unique(digests, return_index=True, return_inverse=True)
    nodes = np.where(sizes > 0, first[place], -1)
    number = np.arange(len(digests))
    ranks = np.empty(len(digests), dtype=np.uint32)
    ranks[np.lexsort((digests, sizes))] = number
    has_record, has_reference = np.zeros(len(digests), np.bool_), np.zeros(len(digests), np.bool_)
    is_reference = number < references
    has_reference[nodes[is_reference & (nodes >= 0)]] = True
    has_record[nodes[~is_reference & (nodes >= 0)]] = True
    return nodes, Corpus(sizes, ranks, has_reference & ~has_record, has_record & ~has_reference)


def _merit(record: Problem, keep: Keep) -> int:
    match keep:
        case Keep.FIRST:
            return 0
        case Keep.MOST_TESTS:
            return len(record.tests)
        case Keep.LONGEST:
            return len(record.statement)
        case Keep.BEST_VERIFIED:
            return verified_merit(record.curation)


def verified_merit(curation: dict[str, Any] | None) -> int:
    """Tests that the reference passed, then thousandths of its branches that they take, by dc-curate's account."""
    known = curation or {}
    reference, coverage = known.get("reference"), known.get("coverage")
    passed = reference.get("passed") if isinstance(reference, dict) and reference.get("status") == Status.AC else None
    ratio = coverage.get("ratio") if isinstance(coverage, dict) else None
    if type(passed) is not int or passed <= 0:
        return 0
    return passed * 1001 + round(1000 * min(max(ratio, 0.0), 1.0) if isinstance(ratio, int | float) else 0)
