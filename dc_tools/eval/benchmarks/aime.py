"""AIME: 30 problems a year whose answers are whole numbers from 0 to 999; read strictly (eval/answers.py).

Further scores: `maj@N` of all N answers to a problem, and `math-verify/pass@1` by the second opinion, where it is
installed.
"""

from collections.abc import Sequence, Set
from concurrent.futures import Future
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dc_tools.core.errors import CannotRun
from dc_tools.core.languages import PYTHON
from dc_tools.core.records import Finish, Problem, Source, Status, Test, Verdict
from dc_tools.eval.answers import final_answer, majority, verified, whole_number
from dc_tools.eval.benchmarks.shapes import find_file, read_rows
from dc_tools.eval.judging import Grader
from dc_tools.eval.tally import Tally
from dc_tools.rollout.engine import Prompt
from dc_tools.rollout.prompts import PromptStyle

if TYPE_CHECKING:
    from dc_tools.sandbox.judge import JudgePool

ASK = "Reason step by step, and put your final answer, a whole number from 0 to 999, within \\boxed{}."
SCORES = (r"maj@\d+", "math-verify/pass@1")
KEYS = ("completion", "solution", "code")


class Aime:
    """Problems with their answers."""

    nothing = "no answer was found: no box, and no 'answer is'"
    runs_programs = False
    elsewhere: Set[str] = frozenset()

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = problems
        self._has_second_opinion = find_spec("math_verify") is not None

    def prompt(self, problem: Problem, style: PromptStyle) -> Prompt:
        """The problem, and how to answer."""
        return Prompt(problem.id, ({"role": "user", "content": f"{problem.statement}\n\n{ASK}"},))

    def extract(self, text: str) -> str | None:
        """The final answer."""
        return final_answer(text)

    def program(self, problem: Problem, sample: dict[str, Any]) -> str | None:
        """The final answer of the text of a sample."""
        return final_answer(str(next((sample[key] for key in KEYS if sample.get(key)), "")))

    def grader(self, pool: "JudgePool") -> Grader:
        """Compares numbers."""
        return _Rules()

    def scores(self, problem: Problem, ks: Sequence[int]) -> dict[str, float]:
        """The majority's answer, and the second opinion."""
        answered = [rollout for rollout in problem.rollouts if rollout.finish is not Finish.ERROR]
        if not answered:
            return {}
        gold = problem.tests[0].output
        chosen = majority([rollout.code for rollout in answered])
        found = {f"maj@{len(answered)}": float(chosen == int(gold))}
        if self._has_second_opinion:
            found["math-verify/pass@1"] = sum(verified(rollout.text, gold) for rollout in answered) / len(answered)
        return found

    def overall(self, tallies: Sequence[Tally], seed: int) -> dict[str, Any]:
        """Nothing."""
        return {}


def on_the_hub() -> list[str]:
    """AIME 2024."""
    return ["hf://HuggingFaceH4/aime_2024"]


def read(data: Path, pool: "JudgePool") -> Aime:
    """Read the rows {problem, answer} at `data`. Errors: `CannotRun`."""
    file = find_file(data, "aime")
    return Aime([_problem(row, number, file) for number, row in enumerate(read_rows(file, "AIME"), 1)])


def _problem(row: dict[str, Any], number: int, file: Path) -> Problem:
    gold = whole_number(str(row["answer"]))
    if gold is None:
        raise CannotRun(f"{file}: problem {number}: the answer '{row['answer']}' is no whole number from 0 to 999")
    year, part, place = (row.get(key) for key in ("year", "aime_number", "problem_number"))
    name = f"{year}-{part}-{place}" if year and part and place else str(number)
    return Problem(
        id=f"aime/{name}", statement=str(row["problem"]), tests=[Test("", str(gold))],
        source=Source(dataset="aime", native_id=name, date=f"{year}" if year else None),
    )


class _Rules:
    """The strict rule."""

    def submit(self, problem: Problem, code: str, lang: str = PYTHON) -> "Future[Verdict]":
        """Compare an answer with the problem's."""
        settled: Future[Verdict] = Future()
        gold, found = int(problem.tests[0].output), whole_number(code)
        if found == gold:
            settled.set_result(Verdict(Status.AC, passed=1, total=1, backend=""))
        else:
            wrong = "no whole number from 0 to 999" if found is None else f"expected {gold}, got {found}"
            settled.set_result(Verdict(Status.WA, passed=0, total=1, backend="", message=wrong))
        return settled
