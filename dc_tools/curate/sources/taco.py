"""TACO, and TACO-verified, which has the same columns: problems of five sites with Python solutions.

`input_output` and `solutions` are JSON texts or Python literals, the tag columns are Python literals. TACO numbers no
row, so an id is made of the content; TACO-verified's own is kept.
"""

from typing import Any

import msgspec

from dc_tools.core.records import Line, Problem, Source
from dc_tools.curate.draft import Draft
from dc_tools.curate.reading.calls import call_draft
from dc_tools.curate.reading.limits import limits_of
from dc_tools.curate.reading.literals import read_data, read_strings
from dc_tools.curate.reading.origin import content_name, date_of, split_of, told
from dc_tools.curate.reading.solutions import solutions_of
from dc_tools.curate.reading.stdin_tests import Case, paired, stdin_draft
from dc_tools.curate.reading.unpack import Unreadable
from dc_tools.curate.reasons import Reason, Refusal

DATASET, LICENSE = "taco", "Apache-2.0"
UNKNOWN = "unknown_difficulty"


class Row(msgspec.Struct):
    """What is read of a row."""

    question: str
    input_output: str | dict[str, Any] | None
    solutions: str | list[str] | None = None
    id: int | str | None = None
    starter_code: str | None = None
    difficulty: str | None = None
    tags: str | list[str] | None = None
    raw_tags: str | list[str] | None = None
    skill_types: str | list[str] | None = None
    name: str | None = None
    source: str | None = None
    url: str | None = None
    date: str | None = None
    picture_num: str | float | None = None
    time_limit: str | float | None = None
    memory_limit: str | float | None = None


def draft(line: Line) -> Draft | Refusal:
    """The problem of one row."""
    row = line.decode(Row)
    refusal = _pictures(row)
    if refusal:
        return refusal
    try:
        return with_tests(_problem(row, line), row.input_output, row.starter_code or "")
    except Unreadable as error:
        return error.refusal


def with_tests(problem: Problem, held: Any, starter_code: str) -> Draft | Refusal:
    """The problem with the tests of `input_output`, {inputs, outputs, fn_name?} or its text. Errors: `Unreadable`."""
    if isinstance(held, str):
        held = read_data(held, "input_output") if held.strip() else {}
    if held is not None and not isinstance(held, dict):
        raise Unreadable(Reason.PARSE_ERROR, f"input_output: a {type(held).__name__}, no object")
    tests = held or {}
    cases: list[Case] = paired(tests.get("inputs"), tests.get("outputs"), "input_output")
    fn_name = tests.get("fn_name")
    if fn_name:
        return call_draft(problem, str(fn_name), starter_code, cases)
    return stdin_draft(problem, cases)


def _pictures(row: Row) -> Refusal | None:
    """TACO counts a statement's pictures and has left them out."""
    count = str(row.picture_num).partition(".")[0]
    if not count.isdecimal() or not count.strip("0"):
        return None
    return Refusal(Reason.IMAGE, f"the row lacks {count} picture{'s' * (count != '1')} of its statement")


def _problem(row: Row, line: Line) -> Problem:
    held = row.input_output if isinstance(row.input_output, str) else repr(row.input_output)
    name = str(row.id) if row.id is not None else content_name(row.question, held)
    tags = read_strings(row.tags, "tags") or read_strings(row.raw_tags, "raw_tags")
    difficulty = told(row.difficulty).lower()
    facts = {"name": told(row.name), "site": told(row.source), "skills": read_strings(row.skill_types, "skill_types")}
    return Problem(
        id=f"{DATASET}/{name}",
        tests=[],
        statement=row.question.strip(),
        limits=limits_of(row.time_limit, row.memory_limit),
        solutions=solutions_of(row.solutions, "solutions"),
        source=Source(DATASET, split_of(line), name, told(row.url) or None, LICENSE, date_of(row.date)),
        difficulty=difficulty if difficulty != UNKNOWN and difficulty else None,
        tags=tags,
        meta={key: value for key, value in facts.items() if value},
    )
