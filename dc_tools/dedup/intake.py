"""Taking records in: lines go to a spool, statements become nodes, the distinct shingle sets."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import chain, islice
from typing import Any

import numpy as np
import xxhash

from dc_tools.core.errors import BadLine, CannotRun, UsageError
from dc_tools.core.lines import expand_inputs, read_lines
from dc_tools.core.parallel import ordered_map
from dc_tools.core.records import Line, Problem, Status
from dc_tools.dedup.evidence import Described
from dc_tools.dedup.join import ShingleSets
from dc_tools.dedup.settings import Keep, Settings
from dc_tools.dedup.spool import Spool
from dc_tools.dedup.text import Hashes, Ints, Prepared, batches, prepare


@dataclass(frozen=True)
class Taken:
    """Records that were taken in, by position."""

    nodes: Ints
    """The node of each; -1 where there is no text."""
    keys: Hashes
    """Hash of each whole statement."""
    merits: list[int]
    """What the keep policy compares."""


class Intake:
    """Takes in references first, then the records; nodes are numbered as they appear."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.sets = ShingleSets()
        self._nodes: dict[bytes, int] = {}

    def __len__(self) -> int:
        """Number of nodes."""
        return len(self._nodes)

    def take(self, records: Iterable[tuple[Line, Problem | Described]], spool: Spool) -> Taken:
        """Take all of `records` in; memory keeps new shingle sets and a few numbers for each record."""
        merits: list[int] = []

        def statements() -> Iterator[str]:
            for line, record in records:
                spool.add(line)
                merits.append(_merit(record, self.settings.keep))
                yield record.statement

        nodes, keys = [np.zeros(0, dtype=np.int64)], [np.zeros(0, dtype=np.uint64)]
        for prepared in self._prepared(batches(statements(), self.settings.batch)):
            nodes.append(self._place(prepared))
            keys.append(prepared.keys)
        spool.flush()
        return Taken(np.concatenate(nodes), np.concatenate(keys), merits)

    def _prepared(self, statements: Iterator[list[str]]) -> Iterator[Prepared]:
        head = list(islice(statements, 2))
        workers = self.settings.workers if len(head) > 1 else 1
        work = partial(prepare, unit=self.settings.unit, k=self.settings.shingle)
        return ordered_map(work, chain(head, statements), workers)

    def _place(self, prepared: Prepared) -> Ints:
        """The node of each text; a set not seen before becomes one."""
        found = np.full(len(prepared.sizes), -1, dtype=np.int64)
        is_new = np.zeros(len(prepared.sizes), dtype=np.bool_)
        ends = np.cumsum(prepared.sizes)
        starts, stops = (ends - prepared.sizes).tolist(), ends.tolist()
        for i in np.flatnonzero(prepared.sizes).tolist():
            digest = xxhash.xxh3_128_digest(prepared.hashes[starts[i] : stops[i]].data)
            node = self._nodes.get(digest)
            if node is None:
                node = self._nodes[digest] = len(self._nodes)
                is_new[i] = True
            found[i] = node
        self.sets.add(prepared.sizes[is_new], prepared.hashes[np.repeat(is_new, prepared.sizes)])
        return found


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
