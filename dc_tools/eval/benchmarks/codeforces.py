"""Codeforces: programs judged on tests, and what rating their attempts would have earned in the contests.

The attempts at a problem are its rollouts, in order. Problems are records (dc-curate makes them) whose native id, URL
or id names contest and problem, as 1349A. Tests that are not the official ones flatter: how many there are is said.
"""

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from dc_tools.core.errors import CannotRun, UsageError
from dc_tools.core.records import Problem
from dc_tools.eval.benchmarks.plain import Plain
from dc_tools.eval.benchmarks.plain import read as read_plain
from dc_tools.eval.benchmarks.shapes import find_file
from dc_tools.eval.contests import Contests, read_contests, read_users
from dc_tools.eval.contests_api import fetched
from dc_tools.eval.rating import Method, rated
from dc_tools.eval.tally import Tally

if TYPE_CHECKING:
    from dc_tools.sandbox.judge import JudgePool

SCORES = ("rating",)
_NAME = re.compile(r"(?<!\d)(\d{1,5})[/_-]?(?:problem/)?([A-Z]\d?)$")


def contest_and_problem(problem: Problem) -> tuple[str, str] | None:
    """The contest of a problem, and its name in it, as 1349 and 1349A; None where nothing says them."""
    for text in (problem.source.native_id, problem.source.url or "", problem.id):
        found = _NAME.search(text.rstrip("/"))
        if found:
            return found[1], found[1] + found[2]
    return None


class Codeforces(Plain):
    """Problems with the contests they are of."""

    def __init__(self, problems: list[Problem], contests: Contests, users: Sequence[int], method: Method) -> None:
        super().__init__(problems)
        self.contests, self.users, self.method = contests, users, method
        self._names = {each.id: found[1] for each in problems if (found := contest_and_problem(each))}
        if twice := [name for name, count in Counter(self._names.values()).items() if count > 1]:
            same = ", ".join(problem for problem, name in self._names.items() if name == twice[0])
            raise CannotRun(f"several problems are {twice[0]} of a contest: {same}")

    def overall(self, tallies: Sequence[Tally], seed: int) -> dict[str, Any]:
        """The rating, and all that it is made of."""
        attempts = {self._names[each.id]: each.attempts for each in tallies if each.id in self._names and each.n}
        rating = rated(self.contests, attempts, self.method, self.users, seed)
        unnamed = sorted(each.id for each in tallies if each.id not in self._names)
        counts = [each.tests for each in tallies if each.n] or [0]
        tests = {"least": min(counts), "median": median(counts), "single": counts.count(1)}
        spread = {name: rating[name] for name in ("value", "low", "high", "se", "n_problems")}
        details = {**rating, "tests_per_problem": tests, "problems_without_name": unnamed}
        return {"scores": {"rating": spread}, "rating": details}


def read(
    data: Path, pool: "JudgePool", contests: str | None = None, users: str | None = None, method: str = "codeelo"
) -> Codeforces:
    """Read codeforces.jsonl at `data`, and contests and users from files, or contests from the API at a URL.

    Errors: `CannotRun`, `UsageError`.
    """
    if method not in list(Method):
        raise UsageError(f"--method {method}: {', '.join(Method)}")
    if contests is None:
        raise UsageError("--datasets codeforces needs --contests: a file in the shape of the API, or the API's URL")
    problems = read_plain(find_file(data, "codeforces"), pool).problems
    ids = sorted({found[0] for each in problems if (found := contest_and_problem(each))}, key=int)
    if not ids:
        raise CannotRun(f"{data}: no problem says its contest: a native_id as 1349A is needed")
    known = fetched(contests, ids) if contests.startswith(("http://", "https://")) else read_contests(Path(contests))
    return Codeforces(problems, known, read_users(Path(users)) if users else [], Method(method))
