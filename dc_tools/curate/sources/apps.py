"""APPS: TACO's forerunner, with the same `input_output`. Train and test number their problems alike, from 0."""

from typing import Any

import msgspec

from dc_tools.core.records import Line, Problem, Source
from dc_tools.curate.draft import Draft
from dc_tools.curate.reading.origin import split_of, told
from dc_tools.curate.reading.solutions import solutions_of
from dc_tools.curate.reading.unpack import Unreadable
from dc_tools.curate.reasons import Refusal
from dc_tools.curate.sources import taco

DATASET, LICENSE = "apps", "MIT"


class Row(msgspec.Struct):
    """What is read of a row."""

    problem_id: int | str
    question: str
    input_output: str | dict[str, Any] | None = None
    solutions: str | list[str] | None = None
    starter_code: str | None = None
    difficulty: str | None = None
    url: str | None = None


def draft(line: Line) -> Draft | Refusal:
    """The problem of one row."""
    row = line.decode(Row)
    split, name = split_of(line), str(row.problem_id)
    try:
        problem = Problem(
            id="/".join(filter(None, (DATASET, split, name))),
            tests=[],
            statement=row.question.strip(),
            solutions=solutions_of(row.solutions, "solutions"),
            source=Source(DATASET, split, name, told(row.url) or None, LICENSE),
            difficulty=told(row.difficulty).lower() or None,
        )
        return taco.with_tests(problem, row.input_output, row.starter_code or "")
    except Unreadable as error:
        return error.refusal
