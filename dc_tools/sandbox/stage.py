"""Judge whatever on a line lacks a verdict: its solutions and its rollouts."""

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field

import msgspec

from dc_tools.core.extract import extract_block
from dc_tools.core.languages import PYTHON
from dc_tools.core.records import Fields, Finish, Line, Problem, Rollout, Solution, Status, Verdict
from dc_tools.core.run import Kept
from dc_tools.sandbox.dual import Judge

DISAGREED = "disagreements"
NO_CODE = "the answer has no code block"


@dataclass
class _Pending:
    """A line whose programs are being judged; `waiting` names the objects that will get a verdict."""

    line: Line
    lists: dict[str, list[Fields]] = field(default_factory=dict)
    waiting: list[tuple[str, Fields, "Future[Verdict] | Verdict"]] = field(default_factory=list)

    def done(self) -> Kept:
        """Wait for the verdicts and put them onto the line; each is marked as `rollouts AC` and the like."""
        marks = []
        for kind, fields, pending in self.waiting:
            verdict = pending if isinstance(pending, Verdict) else pending.result()
            marks.append(f"{kind} {verdict.status}")
            if verdict.others is not msgspec.UNSET:
                marks.append(DISAGREED)
            fields.put("verdict", verdict)
        for name, entries in self.lists.items():
            self.line.fields.put_raw(name, b"[" + b",".join(entry.to_bytes() for entry in entries) + b"]")
        return Kept(self.line, tuple(marks), sum(mark.endswith(Status.IE) for mark in marks))


def summary(marks: dict[str, int]) -> str:
    """The counts of `judge_lines` for people."""
    parts = []
    for kind in ("rollouts", "solutions"):
        found = [f"{marks[f'{kind} {status}']} {status}" for status in Status if f"{kind} {status}" in marks]
        parts += [f"{kind}: {', '.join(found)}"] if found else []
    if marks.get(DISAGREED):
        parts.append(f"{marks[DISAGREED]} disagreements between judges: the strictest verdict stands")
    return "; ".join(parts) or "nothing to judge"


def judge_lines(
    lines: Iterable[tuple[Line, Problem]], pool: Judge, *, retry_errors: bool = False
) -> Iterator[Kept]:
    """Each line with all verdicts, in order; at most two lines per worker are in flight.

    `retry_errors` judges again what has the verdict IE.
    """
    waiting: list[_Pending] = []
    for line, problem in lines:
        waiting.append(_begin(line, problem, pool, retry_errors))
        if len(waiting) >= 2 * pool.workers:
            yield waiting.pop(0).done()
    for pending in waiting:
        yield pending.done()


def _begin(line: Line, problem: Problem, pool: Judge, retry_errors: bool) -> _Pending:
    pending = _Pending(line)
    same: dict[tuple[str, str], Future[Verdict]] = {}

    def judged(code: str, lang: str) -> "Future[Verdict]":
        if (code, lang) not in same:
            same[code, lang] = pool.submit(problem, code, lang)
        return same[code, lang]

    lists: dict[str, Sequence[Solution | Rollout]] = {"solutions": problem.solutions, "rollouts": problem.rollouts}
    for name, entries in lists.items():
        if not any(_is_open(entry, retry_errors) for entry in entries):
            continue
        raws = line.fields.get_as(name, list[msgspec.Raw], [])
        pending.lists[name] = [Fields.parse(bytes(raw)) for raw in raws]
        for entry, fields in zip(entries, pending.lists[name], strict=True):
            if _is_open(entry, retry_errors):
                found = _program_of(entry, fields)
                verdict = found if isinstance(found, Verdict) else judged(*found)
                pending.waiting.append((name, fields, verdict))
    return pending


def _is_open(entry: Solution | Rollout, retry_errors: bool) -> bool:
    return entry.verdict is None or (retry_errors and entry.verdict.status is Status.IE)


def _program_of(entry: Solution | Rollout, fields: Fields) -> tuple[str, str] | Verdict:
    """The program to judge and its language; a verdict where there is none."""
    if isinstance(entry, Solution):
        return entry.code, entry.lang
    if entry.finish is Finish.ERROR:
        return Verdict(status=Status.IE, passed=0, total=0, message=entry.error or "the engine failed")
    if entry.code is not None:
        return entry.code, entry.lang
    block = extract_block(entry.text)
    if block is None:
        return Verdict(status=Status.CE, passed=0, total=0, message=NO_CODE)
    fields.put("code", block.code)
    if block.lang != PYTHON:
        fields.put("lang", block.lang)
    return block.code, block.lang
