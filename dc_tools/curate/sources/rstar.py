"""rStar-Coder's test cases, of seed problems and of synthetic ones: inputs and outputs as text, and no solutions.

Synthetic rows have neither starter code nor a function. A function's input is a list of arguments, or text with one
JSON value a line.
"""

from typing import Any

import msgspec

from dc_tools.core.records import Line, Mode, Problem, Source, TestKind
from dc_tools.curate.draft import Draft
from dc_tools.curate.reading.calls import call_draft
from dc_tools.curate.reading.functional import call_tests, checker_for, entry_for
from dc_tools.curate.reading.literals import read_data
from dc_tools.curate.reading.origin import split_of, told
from dc_tools.curate.reading.stdin_tests import Case, paired, stdin_draft
from dc_tools.curate.reading.unpack import Unreadable
from dc_tools.curate.reasons import Reason, Refusal

DATASET, LICENSE = "rstar", "CC-BY-4.0"


class Row(msgspec.Struct):
    """What is read of a row."""

    question_id: str
    question: str
    inputs: str | list[Any]
    outputs: str | list[Any]
    starter_code: str | None = None
    is_synthesized: str | bool | list[Any] | None = None
    func_name: str | None = None
    class_name: str | None = None


def draft(line: Line) -> Draft | Refusal:
    """The problem of one row."""
    row = line.decode(Row)
    problem = _problem(row, line)
    try:
        cases = _with_kinds(paired(_data(row.inputs, "inputs"), _data(row.outputs, "outputs"), "tests"), row)
        function = told(row.func_name)
        if not function:
            return stdin_draft(problem, cases)
        if all(isinstance(each.input, str) and isinstance(each.output, str) for each in cases):
            return _lines_draft(problem, function, row, cases)
        return call_draft(problem, function, told(row.starter_code), cases)
    except Unreadable as error:
        return error.refusal


def _data(held: Any, what: str) -> Any:
    """What a text holds, or what is given as it is. Errors: `Unreadable`."""
    return read_data(held, what) if isinstance(held, str) else held


def _with_kinds(cases: list[Case], row: Row) -> list[Case]:
    """The cases, those that the row calls synthesized as generated ones. Errors: `Unreadable`."""
    said = row.is_synthesized
    text = told(said) if isinstance(said, str) else said
    flags = _data(text, "is_synthesized") if text else False
    if not isinstance(flags, list):
        flags = [flags] * len(cases)
    if len(flags) != len(cases) or not all(isinstance(each, bool | int) for each in flags):
        raise Unreadable(Reason.PARSE_ERROR, f"is_synthesized: no true or false for each of {len(cases)} tests")
    return [
        Case(case.input, case.output, TestKind.GENERATED if flag else TestKind.PRIVATE)
        for case, flag in zip(cases, flags, strict=True)
    ]


def _lines_draft(problem: Problem, function: str, row: Row, cases: list[Case]) -> Draft | Refusal:
    """The problem of a function whose arguments are lines. Errors: `Unreadable`."""
    entry = entry_for(function, told(row.class_name), told(row.starter_code))
    if isinstance(entry, Refusal):
        return entry
    made = Draft(problem)
    problem.mode, problem.entry = Mode.FUNCTION, entry
    problem.tests = call_tests([(each.input, each.output, each.kind) for each in cases], made.left_out)
    problem.checker = checker_for(problem)
    return made


def _problem(row: Row, line: Line) -> Problem:
    return Problem(
        id=f"{DATASET}/{row.question_id}",
        tests=[],
        statement=row.question,
        source=Source(DATASET, split_of(line), row.question_id, license=LICENSE),
    )
