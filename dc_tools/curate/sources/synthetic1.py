"""SYNTHETIC-1 and verifiable-coding-problems: a prompt, a fenced solution, and `verification_info` with typed tests.

`verification_info` is a struct or the Python literal of one; in the struct, a call's arguments and value are texts.
"""

from typing import Any

import msgspec

from dc_tools.core.languages import PYTHON
from dc_tools.core.records import Line, Problem, Solution, Source
from dc_tools.curate.draft import Draft
from dc_tools.curate.reading.limits import limits_of
from dc_tools.curate.reading.literals import read_data
from dc_tools.curate.reading.origin import content_name, split_of, told
from dc_tools.curate.reading.solutions import program_of
from dc_tools.curate.reading.typed_tests import read_typed, typed_draft
from dc_tools.curate.reading.unpack import Unreadable
from dc_tools.curate.reasons import Reason, Refusal
from dc_tools.curate.statements.statement import bare

DATASET, LICENSE = "synthetic1", "Apache-2.0"
UNKNOWN = "unknown_difficulty"


class Row(msgspec.Struct):
    """What is read of a row."""

    prompt: str
    verification_info: str | dict[str, Any]
    gold_standard_solution: str | None = None
    problem_id: str | int | None = None
    in_source_id: str | int | None = None
    source: str | None = None
    task_type: str | None = None
    metadata: str | dict[str, Any] | None = None


def draft(line: Line) -> Draft | Refusal:
    """The problem of one row."""
    row = line.decode(Row)
    statement = bare(row.prompt)
    try:
        info = _object(row.verification_info, "verification_info")
        if not isinstance(info.get("test_cases"), list | tuple):
            task = told(row.task_type) or "a row"
            return Refusal(Reason.PARSE_ERROR, f"{task} whose verification_info has no list of test_cases")
        tests = read_typed(info["test_cases"], "verification_info.test_cases")
        problem = _problem(row, line, statement, told(info.get("language")) or PYTHON)
        return typed_draft(problem, tests, "", None)
    except Unreadable as error:
        return error.refusal


def _object(held: str | dict[str, Any] | None, what: str) -> dict[str, Any]:
    value = read_data(held, what) if isinstance(held, str) and held.strip() else held or {}
    if not isinstance(value, dict):
        raise Unreadable(Reason.PARSE_ERROR, f"{what}: a {type(value).__name__}, no object")
    return value


def _problem(row: Row, line: Line, statement: str, language: str) -> Problem:
    facts = _object(row.metadata, "metadata")
    ids = [str(each) for each in (row.problem_id, row.in_source_id) if each is not None]
    name = ids[0] if ids else content_name(row.prompt, str(row.verification_info))
    program = program_of(row.gold_standard_solution or "")
    difficulty = str(facts.get("difficulty") or "").strip().lower()
    told_by = {"site": told(row.source), "in_source_id": ids[1] if len(ids) > 1 else ""}
    return Problem(
        id=f"{DATASET}/{name}",
        tests=[],
        statement=statement,
        limits=limits_of(facts.get("time_limit"), facts.get("memory_limit"), facts.get("memory_limit_bytes")),
        solutions=[Solution(program, language)] if program.strip() else [],
        source=Source(DATASET, split_of(line), name, told(facts.get("problem_url")) or None, LICENSE),
        difficulty=difficulty if difficulty not in {"", UNKNOWN} else None,
        meta={key: value for key, value in told_by.items() if value},
    )
