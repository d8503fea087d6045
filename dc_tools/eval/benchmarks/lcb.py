"""LiveCodeBench's code generation (Jain et al. 2024): problems of three sites by the date of their contest.

`real` judges by a process for each test, as everywhere here; `lcb` gives the verdicts of LiveCodeBench's own grader,
which refuses correct programs that it cannot run (eval/stdin_calls.py). With both, the first is the verdict and the
other one a further score.
"""

import json
from collections.abc import Iterable, Sequence, Set
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from dc_tools.core.errors import BadLine, CannotRun, UsageError
from dc_tools.core.extract import extract_code
from dc_tools.core.futures import combined
from dc_tools.core.languages import PYTHON
from dc_tools.core.lines import read_lines
from dc_tools.core.records import Checker, Entry, Limits, Mode, Problem, Status, Test, Verdict
from dc_tools.curate.draft import Draft
from dc_tools.curate.sources.livecodebench import draft
from dc_tools.eval import stdin_calls
from dc_tools.eval.benchmarks import Programs
from dc_tools.eval.benchmarks.lcb_errata import erratum
from dc_tools.eval.benchmarks.lcb_releases import NAMES, check_size, files_of, span
from dc_tools.eval.inlined import inlined
from dc_tools.eval.judging import Grader
from dc_tools.eval.passk import named_pass_at
from dc_tools.eval.tally import Tally

if TYPE_CHECKING:
    from dc_tools.sandbox.judge import JudgePool

REAL, LCB = "real", "lcb"
LAST_BLOCK = "last-block"
SCORES = (r"sound/pass@\d+", r"lcb/pass@\d+", r"real/pass@\d+")
MEMORY_MB = 4096
FENCE = "```"
PUBLISHED = "hf://livecodebench/code_generation_lite"


@dataclass(frozen=True)
class Options:
    """What of the benchmark, and by whose rules."""

    grader: str = REAL
    extraction: str = LAST_BLOCK
    start_date: str = ""
    """The first day, YYYY-MM-DD, and the last one; both belong to the window."""
    end_date: str = ""
    release: str = ""

    @property
    def graders(self) -> list[str]:
        """The first one gives the verdict."""
        return self.grader.split(",")

    def __post_init__(self) -> None:
        for grader in self.graders:
            if grader not in (REAL, LCB):
                raise UsageError(f"--grader {self.grader}: real, lcb, or both with a comma between")
        if self.extraction not in (LAST_BLOCK, LCB):
            raise UsageError(f"--extraction {self.extraction}: last-block or lcb")
        for flag, day in (("--start-date", self.start_date), ("--end-date", self.end_date)):
            if day and not _is_day(day):
                raise UsageError(f"{flag} {day}: a day as 2024-08-01")
        if self.start_date and self.end_date and self.start_date > self.end_date:
            raise UsageError(f"--start-date {self.start_date} is after --end-date {self.end_date}")


def _is_day(text: str) -> bool:
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


def in_window(day: str | None, start: str, end: str) -> bool:
    """Whether a day is between two others, both included; without a date it is in no window."""
    if not start and not end:
        return True
    return day is not None and (not start or start <= day) and (not end or day <= end)


class LiveCodeBench(Programs):
    """The problems of a window."""

    def __init__(self, problems: list[Problem], options: Options, elsewhere: Set[str] = frozenset()) -> None:
        self.problems, self.options, self.elsewhere = problems, options, elsewhere
        self.errata = {each.id: why for each in problems if (why := erratum(each))}

    def extract(self, text: str) -> str | None:
        """The program, by one of two rules."""
        return between_last_fences(text) or None if self.options.extraction == LCB else extract_code(text)

    def program(self, problem: Problem, sample: dict[str, Any]) -> str | None:
        """`code` or `solution` as it is, else what is found in `completion`."""
        whole = sample.get("code") or sample.get("solution")
        return str(whole) if whole else self.extract(str(sample.get("completion") or ""))

    def grader(self, pool: "JudgePool") -> Grader:
        """The first is the verdict."""
        graders = [_Original(pool) if name == LCB else pool for name in self.options.graders]
        return graders[0] if len(graders) == 1 else _Both(graders, self.options.graders)

    def scores(self, problem: Problem, ks: Sequence[int]) -> dict[str, float]:
        """pass@k by the second grader, and, where there are errata, over the problems that have none."""
        verdicts = [each.verdict for each in problem.rollouts if each.verdict]
        is_sound = self.errata and problem.id not in self.errata
        found = named_pass_at("sound", _passed(verdicts), ks) if is_sound else {}
        if len(self.options.graders) > 1:
            found |= named_pass_at(self.options.graders[1], _passed(map(_other, verdicts)), ks)
        return found

    def overall(self, tallies: Sequence[Tally], seed: int) -> dict[str, Any]:
        """The problems with errata."""
        return {"errata": self.errata}


def _passed(verdicts: Iterable[Verdict]) -> list[bool]:
    return [each.status is Status.AC for each in verdicts if each.status is not Status.IE]


def _other(verdict: Verdict) -> Verdict:
    return verdict.others[0] if isinstance(verdict.others, list) and verdict.others else verdict


def between_last_fences(text: str) -> str:
    """What stands between the last two lines that have a fence, as LiveCodeBench extracts it; '' without two."""
    lines = text.split("\n")
    fences = [number for number, line in enumerate(lines) if FENCE in line]
    return "\n".join(lines[fences[-2] + 1 : fences[-1]]) if len(fences) > 1 else ""


def on_the_hub(**given: Any) -> list[str]:
    """The files of a release as its publisher has them. Errors: `UsageError` where no release is named."""
    release = Options(**given).release
    if not release:
        raise UsageError("--datasets lcb without --data: say which --release, as release_v5 (its files are large)")
    first, last = span(release)
    return [f"{PUBLISHED}/{name}" for name in NAMES[first - 1 : last]]


def read(data: Path, pool: "JudgePool", **given: Any) -> LiveCodeBench:
    """Read the rows of code_generation_lite at `data`; `given` are those of `Options`.

    Errors: `UsageError`, and `CannotRun` with the row that cannot be used.
    """
    options = Options(**given)
    problems: list[Problem] = []
    elsewhere: set[str] = set()
    count = 0
    for line in read_lines([str(file) for file in files_of(data, options.release)]):
        count += 1
        try:
            made = draft(line)
        except BadLine as error:
            raise CannotRun(f"{line.file}:{line.number}: not a row of LiveCodeBench: {error}") from error
        if not isinstance(made, Draft):
            raise CannotRun(f"{line.file}:{line.number}: {made.reason}: {made.detail}")
        if in_window(made.problem.source.date, options.start_date, options.end_date):
            problems.append(made.problem)
        else:
            elsewhere |= {made.problem.id, made.problem.source.native_id}
    if options.release:
        check_size(options.release, count)
    if not problems:
        raise CannotRun(f"{data}: no problems in the window")
    return LiveCodeBench(problems, options, elsewhere)


class _Original:
    """LiveCodeBench's own rules."""

    def __init__(self, pool: "JudgePool") -> None:
        self._pool = pool

    def submit(self, problem: Problem, code: str, lang: str = PYTHON) -> "Future[Verdict]":
        """Start judging `code`."""
        from dc_tools.sandbox.compare import lcb_difference, lcb_value_difference

        limits = Limits(problem.limits.time_s, MEMORY_MB)
        if problem.mode is Mode.FUNCTION:
            asked = msgspec.structs.replace(problem, limits=limits, checker=Checker())
            return self._pool.submit(asked, f"{stdin_calls.PRELUDE}\n\n{code}", difference=lcb_value_difference)
        asked = msgspec.structs.replace(
            problem, mode=Mode.FUNCTION, entry=Entry(fn_name="written"), limits=limits, checker=Checker(),
            tests=[Test(json.dumps([test.input]), test.output, test.kind) for test in problem.tests],
        )

        def difference(expected: str, output: str) -> str | None:
            try:
                return lcb_difference(expected, str(json.loads(output)))
            except (ValueError, RecursionError):
                return "the program gave no text"

        return self._pool.submit(asked, _stdin_program(code), difference=difference)


def _stdin_program(code: str) -> str:
    """A program with one function, from what is read to what is written."""
    return (
        f"{inlined('__runner', stdin_calls)}\n\ndef written(text):\n"
        f"    return __runner['run']({code!r}, text)\n"
    )


class _Both:
    """Two graders; the second one's verdict is with the first one's."""

    def __init__(self, graders: Sequence[Grader], names: Sequence[str]) -> None:
        self._graders, self._names = graders, names

    def submit(self, problem: Problem, code: str, lang: str = PYTHON) -> "Future[Verdict]":
        """Start judging `code` by both."""

        def both(verdict: Verdict, other: Verdict) -> Verdict:
            named = msgspec.structs.replace(other, backend=self._names[1])
            return msgspec.structs.replace(verdict, others=[named])

        return combined(both, *(grader.submit(problem, code, lang) for grader in self._graders))
