"""Problems as dc-tools itself writes them, for samples that are kept in a file of their own."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from dc_tools.core.errors import BadLine, CannotRun
from dc_tools.core.extract import extract_code
from dc_tools.core.lines import expand_inputs, read_lines
from dc_tools.core.records import Problem
from dc_tools.eval.benchmarks import Programs
from dc_tools.eval.judging import Grader

if TYPE_CHECKING:
    from dc_tools.sandbox.judge import JudgePool


class Plain(Programs):
    """Problems of a file, a folder of shards, or a folder with problems.jsonl."""

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = problems

    def program(self, problem: Problem, sample: dict[str, Any]) -> str | None:
        """`code` or `solution` as it is; otherwise what is fenced in `completion`, or all of it without a fence."""
        whole = sample.get("code") or sample.get("solution")
        if whole:
            return str(whole)
        completion = str(sample.get("completion") or "")
        return extract_code(completion) or (completion if completion.strip() and "```" not in completion else None)

    def grader(self, pool: "JudgePool") -> Grader:
        """The sandbox's own rules."""
        return pool


def read(data: Path, pool: "JudgePool") -> Plain:
    """Read the problems at `data`. Errors: `CannotRun`, with the line that is not a problem."""
    inside = data / "problems.jsonl"
    problems = []
    for line in read_lines(expand_inputs([str(inside if inside.is_file() else data)])):
        try:
            problem = line.decode(Problem)
        except BadLine as error:
            raise CannotRun(f"{line.file}:{line.number}: not a problem: {error}") from error
        problem.rollouts = []
        problems.append(problem)
    if not problems:
        raise CannotRun(f"{data}: no problems")
    return Plain(problems)
