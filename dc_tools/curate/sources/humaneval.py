"""HumanEval: a prompt that is the head of a Python function, its body, and a `check(candidate)` of asserts."""

import re

import msgspec

from dc_tools.core.records import Entry, Line, Mode, Problem, Solution, Source, TestKind
from dc_tools.curate.draft import Draft, Script, draft_of
from dc_tools.curate.reading.asserts import Checks, read_checks
from dc_tools.curate.reading.syntax import NotPython, function_named, heading_of, parse, signature_of
from dc_tools.curate.reasons import Reason, Refusal

DATASET, LICENSE = "humaneval", "MIT"
CANDIDATE = "candidate"


class Row(msgspec.Struct):
    """What is read of a row."""

    task_id: str
    prompt: str
    entry_point: str
    canonical_solution: str
    test: str


def draft(line: Line) -> Draft | Refusal:
    """The problem of one row."""
    row = line.decode(Row)
    found = read(row, DATASET, LICENSE)
    return found if isinstance(found, Refusal) else draft_of(*found)


def read(row: Row, dataset: str, license: str) -> tuple[Problem, Script, Checks] | Refusal:
    """The problem without its tests, the row's own test code, and what that says."""
    program = row.prompt + row.canonical_solution
    try:
        function = function_named(parse(program), row.entry_point)
    except NotPython as error:
        return Refusal(Reason.PARSE_ERROR, f"prompt and canonical_solution: {error}")
    if function is None:
        return Refusal(Reason.NO_SOLUTION, f"canonical_solution does not define {row.entry_point}")
    entry = Entry(row.entry_point, starter_code=heading_of(function))
    names = frozenset({CANDIDATE if re.search(rf"\b{CANDIDATE}\b", row.test) else row.entry_point})
    checks = read_checks(row.test, names, entry, signature_of(function).names)
    if isinstance(checks, Refusal):
        return checks
    native_id = row.task_id.rpartition("/")[2]
    problem = Problem(
        id=f"{dataset}/{native_id}",
        tests=[],
        statement=row.prompt,
        mode=Mode.FUNCTION,
        entry=entry,
        solutions=[Solution(program)],
        source=Source(dataset, "test", row.task_id, license=license),
    )
    return problem, Script(program, row.entry_point, row.test, names, TestKind.PRIVATE), checks
