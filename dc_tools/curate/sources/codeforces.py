"""open-r1/codeforces: official tests, often not all of them, and for problems with many answers a written checker.

There are no solutions. The rows of rllm's Codeforces file have DeepCoder's shape (deepcoder.py).
"""

from datetime import UTC, datetime
from importlib.resources import files

import msgspec

from dc_tools.core.records import Checker, CheckerType, Line, Problem, Source, TestKind
from dc_tools.curate.draft import Draft
from dc_tools.curate.reading.limits import limits_of
from dc_tools.curate.reading.origin import split_of
from dc_tools.curate.reading.stdin_tests import Case, stdin_draft
from dc_tools.curate.reading.syntax import NotPython, parse
from dc_tools.curate.reasons import Reason, Refusal

DATASET, LICENSE = "codeforces", "CC-BY-4.0"
STDIO = "stdio"
CALL = "\n\nsys.exit(exit_code({checker!r}, *sys.argv[1:4]))\n"


class Sample(msgspec.Struct):
    """One test."""

    input: str
    output: str


class Row(msgspec.Struct):
    """What is read of a row."""

    id: str
    official_tests: list[Sample] | None = None
    description: str | None = None
    title: str | None = None
    contest_id: str | int | None = None
    contest_start: int | None = None
    index: str | None = None
    time_limit: float | None = None
    memory_limit: float | None = None
    input_format: str | None = None
    output_format: str | None = None
    interaction_format: str | None = None
    note: str | None = None
    examples: list[Sample] | None = None
    rating: float | None = None
    tags: list[str] | None = None
    official_tests_complete: bool | None = None
    input_mode: str | None = None
    generated_checker: str | None = None


def draft(line: Line) -> Draft | Refusal:
    """The problem of one row."""
    row = line.decode(Row)
    statement = _statement(row)
    refusal = _unusable(row)
    if refusal:
        return refusal
    checker = _checker(row)
    if isinstance(checker, Refusal):
        return checker
    made = stdin_draft(_problem(row, line, statement), _cases(row))
    if checker:
        made.problem.checker = checker
    return made


def _unusable(row: Row) -> Refusal | None:
    if row.interaction_format:
        return Refusal(Reason.INTERACTIVE, "the row has an interaction_format")
    if (row.input_mode or STDIO) != STDIO:
        return Refusal(Reason.PARSE_ERROR, f"input_mode is '{row.input_mode}': a test has a place for stdin only")
    return None


def _checker(row: Row) -> Checker | Refusal | None:
    """The row's checker as one of ours."""
    if not row.generated_checker or not row.generated_checker.strip():
        return None
    try:
        parse(row.generated_checker)
    except NotPython as error:
        return Refusal(Reason.NEEDS_CHECKER, f"generated_checker is no Python: {error}")
    wrapper = files("dc_tools.curate.reading").joinpath("score_checker.py").read_text()
    return Checker(CheckerType.CUSTOM, code=wrapper + CALL.format(checker=row.generated_checker))


def _cases(row: Row) -> list[Case]:
    """The statement's examples, then the official tests that are not among them."""
    examples, official = row.examples or [], row.official_tests or []
    known = {(each.input.strip(), each.output.strip()) for each in examples}
    others = [each for each in official if (each.input.strip(), each.output.strip()) not in known]
    return [Case(each.input, each.output, TestKind.PUBLIC) for each in examples] + [
        Case(each.input, each.output, TestKind.PRIVATE) for each in others
    ]


def _statement(row: Row) -> str:
    """The parts of the statement under the headings that Codeforces gives them."""
    parts = [(None, row.description), ("Input", row.input_format), ("Output", row.output_format)]
    shown = [f"Input\n```\n{e.input.strip()}\n```\nOutput\n```\n{e.output.strip()}\n```" for e in row.examples or []]
    parts += [("Examples", "\n\n".join(shown)), ("Note", row.note)]
    return "\n\n".join((f"## {name}\n\n" if name else "") + text.strip() for name, text in parts if text)


def _start(seconds: int) -> datetime | None:
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, ValueError, OSError):  # a number that is no time
        return None


def _problem(row: Row, line: Line, statement: str) -> Problem:
    start = _start(row.contest_start) if row.contest_start else None
    facts = {"title": row.title, "official_tests_complete": row.official_tests_complete}
    has_url = row.contest_id is not None and row.index
    return Problem(
        id=f"{DATASET}/{row.id}",
        tests=[],
        statement=statement,
        limits=limits_of(row.time_limit, row.memory_limit),
        source=Source(
            DATASET,
            split_of(line),
            row.id,
            f"https://codeforces.com/problemset/problem/{row.contest_id}/{row.index}" if has_url else None,
            LICENSE,
            start.date().isoformat() if start else None,
        ),
        difficulty=f"{row.rating:.0f}" if row.rating else None,
        tags=row.tags or [],
        meta={key: value for key, value in facts.items() if value is not None},
    )
