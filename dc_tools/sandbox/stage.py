"""Judge whatever on a line lacks a verdict: its solutions and its rollouts."""

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field

import msgspec

from dc_tools.core.extract import extract_code
from dc_tools.core.records import Fields, Finish, Line, Problem, Rollout, Solution, Status, Verdict
from dc_tools.core.run import Kept
from dc_tools.sandbox.judge import JudgePool

PYTHON = frozenset({"python", "python3", "py"})
NO_CODE = "the answer has no code block"


@dataclass
class _Pending:
    """A line whose programs are being judged; `waiting` names the objects that will get a verdict."""

    line: Line
    lists: dict[str, list[Fields]] = field(default_factory=dict)
    waiting: list[tuple[Fields, "Future[Verdict] | Verdict"]] = field(default_factory=list)

    def done(self) -> Line:
        """Wait for the verdicts and put them onto the line."""
        for fields, verdict in self.waiting:
            fields.put("verdict", verdict if isinstance(verdict, Verdict) else verdict.result())
        for name, entries in self.lists.items():
            self.line.fields.put_raw(name, b"[" + b",".join(entry.to_bytes() for entry in entries) + b"]")
        return self.line


@dataclass
class Tally:
    """What was judged: programs per status, and internal errors among them."""

    counts: dict[str, int] = field(default_factory=dict)

    def add(self, verdict: Verdict) -> None:
        """Count one verdict."""
        name = verdict.status.value
        self.counts[name] = self.counts.get(name, 0) + 1

    @property
    def faults(self) -> int:
        """Verdicts that are the judge's own fault."""
        return self.counts.get(Status.IE, 0)

    def __str__(self) -> str:
        order = [s for s in Status if s in self.counts]
        return ", ".join(f"{self.counts[s]} {s}" for s in order) or "nothing to judge"


def judge_lines(lines: Iterable[tuple[Line, Problem]], pool: JudgePool, tally: Tally) -> Iterator[Kept]:
    """Each line with all verdicts, in order; at most two lines per worker are in flight."""
    waiting: list[_Pending] = []
    for line, problem in lines:
        waiting.append(_begin(line, problem, pool))
        if len(waiting) >= 2 * pool.workers:
            yield _end(waiting.pop(0), tally)
    for pending in waiting:
        yield _end(pending, tally)


def _end(pending: _Pending, tally: Tally) -> Kept:
    line = pending.done()
    for _, verdict in pending.waiting:
        tally.add(verdict if isinstance(verdict, Verdict) else verdict.result())
    return Kept(line)


def _begin(line: Line, problem: Problem, pool: JudgePool) -> _Pending:
    pending = _Pending(line)
    same: dict[str, Future[Verdict]] = {}

    def judged(code: str) -> "Future[Verdict]":
        if code not in same:
            same[code] = pool.submit(problem, code)
        return same[code]

    lists: dict[str, Sequence[Solution | Rollout]] = {"solutions": problem.solutions, "rollouts": problem.rollouts}
    for name, entries in lists.items():
        if all(entry.verdict is not None for entry in entries):
            continue
        raws = line.fields.get_as(name, list[msgspec.Raw], [])
        pending.lists[name] = [Fields.parse(bytes(raw)) for raw in raws]
        for entry, fields in zip(entries, pending.lists[name], strict=True):
            if entry.verdict is None:
                code = _code_of(entry, fields)
                if isinstance(code, Verdict):
                    pending.waiting.append((fields, code))
                elif code is not None:
                    pending.waiting.append((fields, judged(code)))
    return pending


def _code_of(entry: Solution | Rollout, fields: Fields) -> str | Verdict | None:
    """The program to judge; a verdict where there is none; None for what is left alone (another language)."""
    if isinstance(entry, Solution):
        return entry.code if entry.lang.lower() in PYTHON else None
    if entry.finish is Finish.ERROR:
        return Verdict(status=Status.IE, passed=0, total=0, message=entry.error or "the engine failed")
    code = entry.code if entry.code is not None else extract_code(entry.text)
    if code is None:
        return Verdict(status=Status.CE, passed=0, total=0, message=NO_CODE)
    if entry.code is None:
        fields.put("code", code)
    return code
