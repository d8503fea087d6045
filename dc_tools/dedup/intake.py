"""Taking records in: lines, shingle sets and join entries go to the disk, a few numbers for each record stay."""

from array import array
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from itertools import chain, islice
from typing import Any

import numpy as np

from dc_tools.core.errors import BadLine, CannotRun, UsageError
from dc_tools.core.lines import expand_inputs, read_lines
from dc_tools.core.parallel import ordered_map
from dc_tools.core.records import Line, Problem, Status
from dc_tools.dedup.arrays import Hashes, Ints
from dc_tools.dedup.evidence import Described
from dc_tools.dedup.join import Corpus, Rule
from dc_tools.dedup.order import SAMPLE, Order
from dc_tools.dedup.prepare import Entries, Prepared, Recipe, heads, prepare, prepare_both
from dc_tools.dedup.settings import Keep, Settings
from dc_tools.dedup.spool import Lines, Sets, Shuffle, scratch
from dc_tools.dedup.text import batches

PART_BITS = 4
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
    sets: Sets
    heads: Shuffle
    recipe: Recipe


def take(
    references: Iterable[tuple[Line, Described]],
    records: Iterable[tuple[Line, Problem]],
    settings: Settings,
    stack: ExitStack,
) -> Taken:
    """Take all in; what is set aside on the disk lives as long as `stack`."""
    lines, sets = Lines(stack.enter_context(scratch())), Sets(stack.enter_context(scratch()))
    shuffle = Shuffle(stack.enter_context(scratch()), 1 << PART_BITS)
    merits = array("q")
    places: list[int] = []

    def statements() -> Iterator[str]:
        for line, described in references:
            lines.add(line)
            merits.append(0)
            yield described.statement
        places.append(len(lines))
        for line, record in records:
            lines.add(line)
            merits.append(_merit(record, settings.keep))
            yield record.statement

    recipe = Recipe(settings.unit, settings.shingle, Rule(settings.metric, settings.threshold), PART_BITS)
    keys, digests, sizes = [_NONE], [_NONE], [np.zeros(0, dtype=np.int32)]
    first = 0
    for prepared, entries in _prepared(batches(statements(), settings.batch), recipe, settings.workers):
        sets.add(prepared.sizes, prepared.hashes)
        shuffle.add(entries.entries + np.uint64(first), entries.counts)
        keys.append(prepared.keys)
        digests.append(prepared.digests)
        sizes.append(prepared.sizes.astype(np.int32))
        first += len(prepared.sizes)
    for each in (lines, sets, shuffle):
        each.flush()
    nodes, corpus = _corpus(np.concatenate(digests), np.concatenate(sizes), places[0])
    return Taken(places[0], lines, np.concatenate(keys), nodes, merits, corpus, sets, shuffle, recipe)


def _prepared(statements: Iterator[list[str]], recipe: Recipe, workers: int) -> Iterator[tuple[Prepared, Entries]]:
    """All batches prepared; the order of shingles is learned from the first ones."""
    sample, count = [], 0
    for batch in statements:
        sample.append(batch)
        count += len(batch)
        if count >= SAMPLE:
            break
    known = list(ordered_map(partial(prepare, recipe=recipe), sample, min(workers, len(sample))))
    order = Order.learn(np.concatenate([_NONE, *(each.hashes for each in known)]))
    while known:
        prepared = known.pop(0)
        yield prepared, heads(prepared.sizes, prepared.hashes, order, recipe)
    rest = list(islice(statements, 1))
    work = partial(prepare_both, recipe=recipe, order=order)
    yield from ordered_map(work, chain(rest, statements), workers if rest else 1)


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


def reference_files(names: list[str]) -> list[str]:
    """The files that --against names, folders of shards expanded. Errors: `UsageError`, `CannotRun`."""
    if "-" in names:
        raise UsageError("--against reads files, not stdin")
    return expand_inputs(names) if names else []


def read_references(files: list[str]) -> Iterator[tuple[Line, Described]]:
    """The records of `files`. Errors: `CannotRun` for a file that cannot be read and a line that is no record."""
    for line in read_lines(files):
        try:
            yield line, line.decode(Described)
        except BadLine as error:
            raise CannotRun(f"--against {line.file}:{line.number}: {error.error}") from None


def _merit(record: Problem | Described, keep: Keep) -> int:
    match keep:
        case Keep.FIRST:
            return 0
        case Keep.MOST_TESTS:
            return len(record.tests)
        case Keep.LONGEST:
            return len(record.statement)
        case Keep.BEST_VERIFIED:
            return verified_merit(record.curation) if isinstance(record, Problem) else 0


def verified_merit(curation: dict[str, Any] | None) -> int:
    """Tests that the reference passed, then thousandths of its branches that they take, by dc-curate's account."""
    known = curation or {}
    reference, coverage = known.get("reference"), known.get("coverage")
    passed = reference.get("passed") if isinstance(reference, dict) and reference.get("status") == Status.AC else None
    ratio = coverage.get("ratio") if isinstance(coverage, dict) else None
    if type(passed) is not int or passed <= 0:
        return 0
    return passed * 1001 + round(1000 * min(max(ratio, 0.0), 1.0) if isinstance(ratio, int | float) else 0)
