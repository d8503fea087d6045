"""What the report's viewer shows: each problem with its rollouts, verdicts and traces, as plain values.

The page stays usable however many rollouts there are: long texts keep their beginning and end, all the shorter the more
of them there are.
"""

from collections.abc import Sequence
from typing import Any

from dc_tools.core.extract import extract_code
from dc_tools.core.records import Problem, Rollout, Status, Verdict
from dc_tools.eval.groups import UNKNOWN
from dc_tools.eval.traces import Traces

TEXT_CHARS = 24_000
"""Most characters kept of an answer or a program."""
LEAST_TEXT_CHARS = 1_000
ALL_TEXT_CHARS = 30_000_000
"""Of all answers and programs together."""
STATEMENT_CHARS = 20_000
TEST_CHARS = 600
TESTS_SHOWN = 40
"""Of a verdict; what goes in and out is kept of the first few, and of those that fail."""
TESTS_IN_FULL = 4


class ReportData:
    """The problems of all rows, merged by id."""

    def __init__(self, names: Sequence[str]) -> None:
        self._row = {name: index for index, name in enumerate(names)}
        self._problems: dict[str, dict[str, Any]] = {}
        self._texts: list[dict[str, Any]] = []

    def add(
        self, row: str, problem: Problem, traces: Traces | None = None, *, runs_programs: bool = True
    ) -> None:
        """Add the rollouts that `row` holds for `problem`, traced as far as `traces` goes."""
        page = self._problems.setdefault(problem.id, _problem(problem, runs_programs=runs_programs))
        shown = [_rollout(rollout, self._row[row]) for rollout in problem.rollouts]
        failing = {place for rollout in problem.rollouts if rollout.verdict for place in _failing(rollout.verdict)}
        for place in {*range(TESTS_IN_FULL), *failing}:
            if place < len(problem.tests):
                test = problem.tests[place]
                page["tests"][str(place)] = [cut(test.input, TEST_CHARS), cut(test.output, TEST_CHARS)]
        page["rollouts"] += shown
        self._texts += shown
        if traces and runs_programs:
            traces.begin(problem, shown)

    def to_dict(self) -> dict[str, Any]:
        """Plain values in the order in which the problems came."""
        most = self._text_chars()
        for rollout in self._texts:
            for key, length in rollout.pop("lengths", {}).items():
                if rollout[key] is not None and not (key == "code" and "trace" in rollout):
                    rollout[key] = cut(rollout[key], most, length)
        return {"rows": list(self._row), "problems": list(self._problems.values()), "text_chars": most}

    def _text_chars(self) -> int:
        """How long a text may be for all of them to have room."""
        lengths = [len(rollout[key] or "") for rollout in self._texts for key in ("text", "code")]
        most = TEXT_CHARS
        while most > LEAST_TEXT_CHARS and sum(min(length, most) for length in lengths) > ALL_TEXT_CHARS:
            most = most * 3 // 4
        return most


def _problem(problem: Problem, *, runs_programs: bool) -> dict[str, Any]:
    return {
        "id": problem.id,
        "statement": cut(problem.statement, STATEMENT_CHARS),
        "mode": problem.mode if runs_programs else "answer",
        "entry": problem.entry.fn_name if problem.entry else None,
        "difficulty": problem.difficulty or UNKNOWN,
        "source": problem.source.dataset or UNKNOWN,
        "date": problem.source.date,
        "tags": problem.tags,
        "tests": {},
        "tests_total": len(problem.tests),
        "rollouts": [],
    }


def _rollout(rollout: Rollout, row: int) -> dict[str, Any]:
    code = rollout.code if rollout.code is not None else extract_code(rollout.text)
    return {
        "row": row,
        "text": cut(rollout.text, TEXT_CHARS) if rollout.text != code else "",
        "code": None if code is None else cut(code, TEXT_CHARS),
        "lengths": {"text": len(rollout.text), "code": len(code or "")},
        "finish": rollout.finish,
        "model": rollout.model,
        "seed": None if rollout.seed is None else str(rollout.seed),
        "tokens": rollout.taken.response if rollout.taken else None,
        "reward": rollout.reward,
        "error": rollout.error,
        "verdict": _verdict(rollout.verdict) if rollout.verdict else None,
    }


def _verdict(verdict: Verdict) -> dict[str, Any]:
    first = next(iter(_failing(verdict)), None)
    others = verdict.others if isinstance(verdict.others, list) else []
    begin = max(0, first - TESTS_SHOWN + 1) if first is not None else 0
    return {
        "status": verdict.status,
        "passed": verdict.passed,
        "total": verdict.total,
        "time_s": round(verdict.time_s, 4),
        "memory_mb": round(verdict.memory_mb, 1),
        "message": cut(verdict.message, TEST_CHARS),
        "others": [f"{each.backend}: {each.status}" for each in others],
        "first": begin,
        "tests": [
            [t.status, round(t.time_s, 4), round(t.memory_mb, 1), cut(t.message, TEST_CHARS)]
            for t in verdict.tests[begin : begin + TESTS_SHOWN]
        ],
    }


def _failing(verdict: Verdict) -> list[int]:
    """The places of tests, a few of them, that were not passed."""
    return [place for place, test in enumerate(verdict.tests) if test.status is not Status.AC][:TESTS_IN_FULL]


def cut(text: str, most: int, length: int | None = None) -> str:
    """`text`, or where it is longer than `most` its beginning and its end with a note between.

    `length` is how long it was before it was cut for the first time, to a larger `most`.
    """
    length = len(text) if length is None else length
    if length <= most or len(text) <= most:
        return text
    half = most // 2
    return f"{text[:half]}\n[... {length - 2 * half:,} characters left out ...]\n{text[-half:]}"
