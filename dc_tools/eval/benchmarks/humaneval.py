"""HumanEval (Chen et al. 2021) from its published rows, graded without its expected values inside the candidate.

The published `check(candidate)` is a function full of asserts that the candidate could read. Here it becomes tests
of arguments and values: literal asserts are read from the source; any other check is run once in the sandbox on the
canonical solution, with a recorder that notes each call (its random arguments from a fixed seed). Candidates then
get arguments only. Two differences from the published harness follow: a list is as good as a tuple with the same
items, and tolerances (tasks 2 and 4) are relative for values above 1.
"""

import ast
import json
import math
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dc_tools.core.errors import CannotRun
from dc_tools.core.extract import extract_code
from dc_tools.core.futures import combined
from dc_tools.core.languages import PYTHON
from dc_tools.core.records import (
    Checker,
    CheckerType,
    Entry,
    Mode,
    Problem,
    Solution,
    Source,
    Status,
    Test,
    TestVerdict,
    Verdict,
)
from dc_tools.eval.benchmarks import Programs
from dc_tools.eval.benchmarks.shapes import find_file, read_rows
from dc_tools.eval.judging import Grader

if TYPE_CHECKING:
    from dc_tools.sandbox.judge import Executions, JudgePool

Call = tuple[tuple[Any, ...], Any]
"""Arguments and value."""
FIND_ZERO = "HumanEval/32"
ROOT_TOLERANCE = 1e-4
"""|poly(root)| below which the published check of task 32 accepts any root."""
RECORDER = """
def record_calls():
    import json, random
    random.seed(0)
    calls = []
    def candidate(*arguments):
        seen = repr(arguments)
        value = {entry}(*arguments)
        calls.append([seen, json.loads(json.dumps(value))])
        return value
    check(candidate)
    return calls
"""
LITERAL_CALL = """

def {name}(literal):
    from ast import literal_eval
    return {entry}(*literal_eval(literal))
"""
"""Glue for arguments that JSON would change (tuples, integer keys): they travel as a Python literal."""


class HumanEval(Programs):
    """The 164 problems, how a sample becomes a program, and the one special rule."""

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = problems

    def program(self, problem: Problem, sample: dict[str, Any]) -> str | None:
        """`solution` or `code` is a whole program; so is a fenced `completion`; any other continues the prompt."""
        whole = sample.get("solution") or sample.get("code")
        completion = sample.get("completion")
        if not whole and isinstance(completion, str):
            fenced = "```" in completion
            whole = extract_code(completion) if fenced else problem.statement + completion
        return str(whole) if whole else None

    def grader(self, pool: "JudgePool") -> Grader:
        """The sandbox's rules with the glue that a problem needs; for task 32, any root."""
        return _Rules(pool)


def on_the_hub() -> list[str]:
    """As its publisher has it there."""
    return ["hf://openai/openai_humaneval"]


def read(data: Path, pool: "JudgePool") -> HumanEval:
    """Read HumanEval.jsonl.gz at `data`; `pool` runs the canonical solutions whose checks are no plain asserts."""
    file = find_file(data, "HumanEval")
    rows = list(read_rows(file, "HumanEval"))
    recordings = {row["task_id"]: _record(row, pool) for row in rows if literal_calls(row["test"]) is None}
    return HumanEval([_problem(row, recordings.get(row["task_id"])) for row in rows])


def literal_calls(test: str) -> list[Call] | None:
    """The calls of a check that consists of plain asserts on literals; None where it holds anything else."""
    calls: list[Call] = []
    for statement in _check_body(test):
        if _is_remark(statement):
            continue
        try:
            calls.append(_literal_call(statement))
        except ValueError:
            return None
    return calls


def tolerance_in(test: str) -> float | None:
    """The largest `t` of asserts like `abs(candidate(x) - y) < t`; None where values are compared exactly."""
    found = [
        float(ast.literal_eval(node.comparators[0]))
        for node in ast.walk(ast.parse(test))
        if isinstance(node, ast.Compare) and isinstance(node.ops[0], ast.Lt)
        and isinstance(node.left, ast.Call) and isinstance(node.left.func, ast.Name) and node.left.func.id == "abs"
        and isinstance(node.comparators[0], ast.Constant)
    ]
    return max(found, default=None)


def _check_body(test: str) -> list[ast.stmt]:
    functions = [node for node in ast.parse(test).body if isinstance(node, ast.FunctionDef) and node.name == "check"]
    if not functions:
        raise CannotRun("a HumanEval row without a function check(candidate)")
    return functions[0].body


def _is_remark(statement: ast.stmt) -> bool:
    """Whether a statement tests nothing: `assert True`, a lone name."""
    if isinstance(statement, ast.Assert):
        return isinstance(statement.test, ast.Constant)
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Name | ast.Constant)


def _literal_call(statement: ast.stmt) -> Call:
    """Arguments and value of one plain assert. Errors: `ValueError` for any other statement."""
    match statement:
        case ast.Assert(test=ast.Compare(left=ast.Call() as call, ops=[ast.Eq() | ast.Is()], comparators=[value])):
            return _arguments(call), ast.literal_eval(value)
        case ast.Assert(test=ast.UnaryOp(op=ast.Not(), operand=ast.Call() as call)):
            return _arguments(call), False
        case ast.Assert(test=ast.Call() as call):
            return _arguments(call), True
    raise ValueError("not a plain assert")


def _arguments(call: ast.Call) -> tuple[Any, ...]:
    if not isinstance(call.func, ast.Name) or call.func.id != "candidate" or call.keywords:
        raise ValueError("not a plain call of the candidate")
    return tuple(ast.literal_eval(argument) for argument in call.args)


def _record(row: dict[str, Any], pool: "JudgePool") -> "Future[Executions]":
    """Start running the check on the canonical solution, noting each call."""
    from dc_tools.sandbox.judge import Program

    parts = (row["prompt"] + row["canonical_solution"], row["test"], RECORDER.format(entry=row["entry_point"]))
    program = Program(code="\n".join(parts), mode=Mode.FUNCTION, entry=Entry(fn_name="record_calls"))
    return pool.submit_execute(program, ["[]"])


def _recorded_calls(row: dict[str, Any], recording: "Future[Executions]") -> list[Call]:
    run = recording.result().runs[0]
    if run.status != "OK":
        raise CannotRun(f"{row['task_id']}: the canonical solution fails its own check: {run.status} {run.message}")
    return [(ast.literal_eval(seen), value) for seen, value in json.loads(run.output)]


def _problem(row: dict[str, Any], recording: "Future[Executions] | None") -> Problem:
    calls = _recorded_calls(row, recording) if recording else literal_calls(row["test"])
    calls = calls or []
    entry = row["entry_point"]
    as_json = all(_survives_json(arguments) for arguments, _ in calls)
    name = entry if as_json else f"{entry}_of_literal"
    glue = "" if as_json else LITERAL_CALL.format(name=name, entry=entry)
    tolerance = tolerance_in(row["test"])
    return Problem(
        id=row["task_id"],
        statement=row["prompt"],
        mode=Mode.FUNCTION,
        entry=Entry(fn_name=name, starter_code=row["prompt"]),
        tests=[Test(json.dumps(args if as_json else [repr(args)]), json.dumps(value)) for args, value in calls],
        checker=Checker() if tolerance is None else Checker(CheckerType.FLOAT, tolerance),
        solutions=[Solution(row["prompt"] + row["canonical_solution"])],
        source=Source(dataset="humaneval", split="test", native_id=row["task_id"], license="MIT"),
        meta={"glue": glue} if glue else {},
    )


def _survives_json(arguments: tuple[Any, ...]) -> bool:
    return bool(json.loads(json.dumps(arguments)) == list(arguments))


class _Rules:
    """The sandbox's pool behind the glue of a problem, except that task 32 accepts any root of the polynomial."""

    def __init__(self, pool: "JudgePool") -> None:
        self._pool = pool

    def submit(self, problem: Problem, code: str, lang: str = PYTHON) -> "Future[Verdict]":
        """Start judging `code`."""
        from dc_tools.sandbox.judge import program_of

        if problem.id != FIND_ZERO:
            return self._pool.submit(problem, code + problem.meta.get("glue", ""))
        runs = self._pool.submit_execute(program_of(problem, code), [test.input for test in problem.tests])
        return combined(lambda done: _root_verdict(done, problem), runs)


def _root_verdict(executions: "Executions", problem: Problem) -> Verdict:
    """The verdict of task 32: each returned number must be a root of the polynomial that was given."""
    tests = list(_root_tests(executions, problem))
    failed = [test for test in tests if test.status is not Status.AC]
    return Verdict(
        status=failed[0].status if failed else Status.AC,
        passed=sum(test.status is Status.AC for test in tests),
        total=len(problem.tests),
        tests=tests,
        time_s=round(sum(test.time_s for test in tests), 4),
        memory_mb=max(test.memory_mb for test in tests),
        message=failed[0].message if failed else "",
    )


def _root_tests(executions: "Executions", problem: Problem) -> Iterator[TestVerdict]:
    """Verdicts up to the first that fails."""
    for run, test in zip(executions.runs, problem.tests, strict=False):
        status, message = run.status, run.message
        if status == "OK":
            wrong = root_difference(json.loads(test.input)[0], run.output)
            status, message = (Status.AC, "") if wrong is None else (Status.WA, wrong)
        verdict = TestVerdict(Status(status), time_s=run.time_s, memory_mb=run.memory_mb, message=message)
        yield verdict
        if verdict.status is not Status.AC:
            return


def root_difference(coefficients: list[float], output: str) -> str | None:
    """In words, why `output` (JSON text) is no root of sum(c_i x^i); None where it is one."""
    try:
        root = json.loads(output)
    except (ValueError, RecursionError):
        root = None
    if isinstance(root, bool) or not isinstance(root, int | float):
        return f"value: expected a number, got {output[:60] or 'nothing'}"
    try:
        value = sum(c * math.pow(root, i) for i, c in enumerate(coefficients))
    except OverflowError:
        return "value: too large for a root"
    return None if abs(value) < ROOT_TOLERANCE else f"value: the polynomial at {root:g} is {value:g}, not 0"
