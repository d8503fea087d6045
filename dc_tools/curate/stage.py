"""The curation of lines: each row becomes a draft, passes the filters in order of cost, and is kept or dropped.

Rows are examined side by side, here or on a Ray cluster; what becomes of each depends on the row alone, but for the
second row of an id, which is dropped.
"""

import warnings
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain
from typing import Any

import msgspec

from dc_tools.core import cluster
from dc_tools.core.errors import BadLine
from dc_tools.core.parallel import Piece, ordered_within
from dc_tools.core.records import Line, Problem, Status, encode
from dc_tools.core.run import Dropped, Kept, Outcome, Rejected
from dc_tools.curate import sources
from dc_tools.curate.draft import Draft
from dc_tools.curate.examination import Examination, Settings
from dc_tools.curate.formats import Format
from dc_tools.curate.reading.recording import NO_ARGUMENTS, learned, recorder_program
from dc_tools.curate.reasons import Reason, Refusal
from dc_tools.curate.runs import SandboxFault
from dc_tools.curate.seen import Seen
from dc_tools.sandbox.judge import JudgePool

LEFT_OUT = "tests_left_out"
FEW_AHEAD, MANY_AHEAD = 2, 128
"""Rows for each worker that may be under way or done ahead of their turn: many, so that none waits for one slow row;
few where the input may stall, as a pipe does, since what is done goes out only when the next row has come."""
MOST_BYTES = 64 << 20
"""Of these rows together, unless a single one is larger."""
BATCH = 16
"""Rows that a node of a cluster takes at once."""
BATCH_BYTES = 8 << 20


@dataclass(frozen=True)
class Curated:
    """What became of a row, and the id it has where it could be read."""

    outcome: Outcome
    id: str | None


def curate(
    lines: Iterable[Line], settings: Settings, workers: int, *, on_cluster: bool = False, seen: Seen | None = None,
    ahead: int = FEW_AHEAD,
) -> Iterator[Outcome]:
    """One outcome for each line, in order, with at most `ahead` lines a worker ahead of their turn.

    `seen` holds the ids of the lines before them, see `remember`. `on_cluster` runs on the Ray cluster that is
    connected, whatever `workers`.
    """
    known = Seen() if seen is None else seen
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SyntaxWarning)
        warnings.simplefilter("ignore", DeprecationWarning)
        found = _on_cluster(lines, settings) if on_cluster else _here(lines, settings, workers, ahead)
        for each in found:
            yield _unless_seen(each, known)


def _here(lines: Iterable[Line], settings: Settings, workers: int, ahead: int) -> Iterator[Curated]:
    pool = JudgePool(workers, packages=settings.packages)
    threads = ThreadPoolExecutor(2 * workers, thread_name_prefix="curate")
    try:
        work = (Piece(threads.submit(curated, line, settings, pool), len(line.raw)) for line in lines)
        yield from ordered_within(work, ahead * workers, MOST_BYTES)
    finally:
        threads.shutdown(wait=False, cancel_futures=True)
        pool.close()
        threads.shutdown(wait=True)


def _on_cluster(lines: Iterable[Line], settings: Settings) -> Iterator[Curated]:
    return chain.from_iterable(cluster.spread(curated_batch, settings, _batches(lines)))


def curated_batch(settings: Settings, lines: list[Line]) -> list[Curated]:
    """What becomes of some lines, by one worker; a node's part of the work."""
    return list(_here(lines, settings, 1, MANY_AHEAD))


def _batches(lines: Iterable[Line]) -> Iterator[list[Line]]:
    batch: list[Line] = []
    for line in lines:
        batch.append(line)
        if len(batch) >= BATCH or sum(len(each.raw) for each in batch) > BATCH_BYTES:
            yield batch
            batch = []
    if batch:
        yield batch


def _unless_seen(found: Curated, seen: Seen) -> Outcome:
    """The outcome, or that the row is dropped as the second of its id."""
    outcome = found.outcome
    if found.id is None or isinstance(outcome, Rejected):
        return outcome
    before = seen.first(found.id, outcome.line.index + 1)
    if before is None:
        return outcome
    return _dropped(outcome.line, Refusal(Reason.PARSE_ERROR, f"row {before} of the input has the id {found.id}, too"))


def remember(line: Line, wanted: Format, seen: Seen) -> None:
    """Enter the id of a line that an earlier run has done with."""
    try:
        draft = sources.draft(line, wanted)
    except (BadLine, RecursionError):
        return
    if isinstance(draft, Draft):
        seen.first(draft.problem.id, line.index + 1)


def curated(line: Line, settings: Settings, pool: JudgePool) -> Curated:
    """What becomes of one line."""
    try:
        draft = sources.draft(line, settings.format)
    except BadLine as error:
        return Curated(Rejected(line, error.error), None)
    except RecursionError:
        return Curated(_dropped(line, Refusal(Reason.PARSE_ERROR, "the code is nested too deeply")), None)
    if isinstance(draft, Refusal):
        return Curated(_dropped(line, draft), None)
    try:
        return Curated(_examined(line, draft, settings, pool), draft.problem.id)
    except RecursionError:
        refusal = Refusal(Reason.PARSE_ERROR, "the code is nested too deeply")
        return Curated(_dropped(line, refusal), draft.problem.id)
    except MemoryError:
        return Curated(Rejected(line, f"a row of {len(line.raw)} bytes is too large for this machine's memory"), None)
    except SandboxFault as error:
        return Curated(Rejected(line, f"the sandbox failed: {error}"), None)


def _examined(line: Line, draft: Draft, settings: Settings, pool: JudgePool) -> Outcome:
    if draft.must_run:
        made = _with_learned_tests(draft, pool)
        if isinstance(made, Refusal):
            return _dropped(line, made)
        draft = made
    examination = Examination(draft, settings, pool)
    refusal = examination.refusal()
    record = _record(line, draft, examination)
    if refusal:
        return _dropped(record, refusal, examination.facts)
    record.fields.put("curation", examination.facts)
    return Kept(record)


def _with_learned_tests(draft: Draft, pool: JudgePool) -> Draft | Refusal:
    assert draft.script is not None
    run = pool.execute(recorder_program(draft.script, draft.problem.limits), [NO_ARGUMENTS]).runs[0]
    if run.status == Status.IE:
        raise SandboxFault(run.message)
    return learned(draft, run)


def _record(line: Line, draft: Draft, examination: Examination) -> Line:
    """The draft as a line: what the row itself held where it was a record, a new one otherwise."""
    problem = draft.problem
    if draft.left_out:
        problem.meta[LEFT_OUT] = dict(sorted((draft.left_out + _left_out_before(problem)).items()))
    if draft.own is None:
        return Line(encode(problem), line.file, line.number, line.index)
    if examination.has_new_tests:
        draft.own.fields.put("tests", problem.tests)
    if examination.has_new_checker:
        draft.own.fields.put("checker", problem.checker)
    if draft.left_out:
        draft.own.fields.put("meta", problem.meta)
    return draft.own


def _left_out_before(problem: Problem) -> Counter[str]:
    """What an earlier curation of the record says that it left out."""
    try:
        return Counter(msgspec.convert(problem.meta.get(LEFT_OUT, {}), dict[str, int]))
    except msgspec.ValidationError:
        return Counter()


def _dropped(line: Line, refusal: Refusal, facts: dict[str, Any] | None = None) -> Dropped:
    line.fields.put("curation", {"reason": refusal.reason.value, "detail": refusal.detail, **(facts or {})})
    return Dropped(line, refusal.reason.value)
