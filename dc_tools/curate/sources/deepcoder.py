"""DeepCoder-Preview-Dataset, all four configs, and the files of rllm, which it was made of.

`tests` is a list or an object, or the JSON text of one: typed tests (codeforces, lcbv5, primeintellect), or TACO's
{inputs, outputs, fn_name?} (taco, code_contests). Rows have no id, so one is made of the content. rllm's statements end
with the problem's tags and limits, which become fields here.
"""

import re
from typing import Any

import msgspec

from dc_tools.core.records import Limits, Line, Problem, Solution, Source
from dc_tools.curate.draft import Draft
from dc_tools.curate.reading.limits import limits_of
from dc_tools.curate.reading.literals import read_data, read_strings
from dc_tools.curate.reading.origin import content_name, split_of
from dc_tools.curate.reading.solutions import program_of, solutions_of
from dc_tools.curate.reading.typed_tests import Named, read_typed, typed_draft
from dc_tools.curate.reading.unpack import Unreadable
from dc_tools.curate.reasons import Reason, Refusal
from dc_tools.curate.sources import taco
from dc_tools.curate.statements.statement import bare

DATASET, LICENSE = "deepcoder", "MIT"
FOOT = re.compile(
    r"(?:\nTags:\n(?P<tags>\[[^\n]*\])\n)?\nTime Limit: (?P<time>[^\n]+)\nMemory Limit: (?P<memory>[^\n]+)\s*\Z"
)


class Row(msgspec.Struct):
    """What is read of a row."""

    problem: str
    tests: str | list[Any] | dict[str, Any]
    solutions: str | list[str] | None = None
    starter_code: str | None = None
    metadata: str | dict[str, Any] | None = None


def draft(line: Line) -> Draft | Refusal:
    """The problem of one row."""
    row = line.decode(Row)
    try:
        held = read_data(row.tests, "tests") if isinstance(row.tests, str) else row.tests
        problem = _problem(row, line)
        if isinstance(held, dict):
            return taco.with_tests(problem, held, row.starter_code or "")
        return typed_draft(problem, read_typed(held, "tests"), row.starter_code or "", _function(row))
    except Unreadable as error:
        return error.refusal


def _function(row: Row) -> str | None:
    """What `metadata`, an object or its text, calls the function. Errors: `Unreadable`."""
    held = row.metadata
    value = read_data(held, "metadata") if isinstance(held, str) and held.strip() else held or {}
    try:
        return msgspec.convert(value, Named).func_name
    except (msgspec.ValidationError, UnicodeError) as error:
        raise Unreadable(Reason.PARSE_ERROR, f"metadata: {error}") from None


def _problem(row: Row, line: Line) -> Problem:
    """The problem without its tests. Errors: `Unreadable`."""
    foot = FOOT.search(row.problem)
    name = content_name(row.problem, row.tests if isinstance(row.tests, str) else repr(row.tests))
    return Problem(
        id=f"{DATASET}/{name}",
        tests=[],
        statement=bare(row.problem[: foot.start()] if foot else row.problem),
        limits=limits_of(foot["time"], foot["memory"]) if foot else Limits(),
        solutions=_solutions(row.solutions),
        source=Source(DATASET, split_of(line), name, license=LICENSE),
        tags=read_strings(foot["tags"], "tags") if foot else [],
    )


def _solutions(listed: str | list[str] | None) -> list[Solution]:
    """The solutions; a text is one program, unless it is that of a list."""
    if isinstance(listed, str) and listed.strip() and not listed.lstrip().startswith("["):
        return [Solution(program_of(listed))]
    return solutions_of(listed, "solutions")
