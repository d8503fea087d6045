"""CodeContests: problems of five sites, three kinds of tests, solutions in four languages; enumerations are numbers."""

from typing import Any

import msgspec

from dc_tools.core.records import Line, Problem, Solution, Source, TestKind
from dc_tools.curate.draft import Draft
from dc_tools.curate.reading.limits import limits_of
from dc_tools.curate.reading.origin import split_of
from dc_tools.curate.reading.stdin_tests import paired, stdin_draft
from dc_tools.curate.reading.unpack import Unreadable
from dc_tools.curate.reasons import Reason, Refusal

DATASET, LICENSE = "codecontests", "CC-BY-4.0"
LANGUAGES = ("unknown", "python2", "cpp", "python", "java")
SITES = ("", "codechef", "codeforces", "hackerearth", "codejam", "atcoder", "aizu")
DIFFICULTIES = ("", "easy", "medium", "hard", "harder", "hardest", "external", *"abcdefghijklmnopqrstuv")
STANDARD_FILES = {"stdin", "stdout", "standard input", "standard output", ""}


class Tests(msgspec.Struct):
    """Inputs with their outputs."""

    input: list[str] = []
    output: list[str] = []


class Programs(msgspec.Struct):
    """Programs with their languages."""

    language: list[int] = []
    solution: list[str] = []


class Row(msgspec.Struct):
    """What is read of a row."""

    name: str
    description: str
    public_tests: Tests
    private_tests: Tests
    generated_tests: Tests | None = None
    solutions: Programs | None = None
    source: int | None = None
    difficulty: int | None = None
    time_limit: dict[str, Any] | float | str | None = None
    memory_limit_bytes: int | float | str | None = None
    cf_contest_id: int | None = None
    cf_index: str | None = None
    cf_rating: int | float | None = None
    cf_tags: list[str] | None = None
    input_file: str | None = None
    output_file: str | None = None


def draft(line: Line) -> Draft | Refusal:
    """The problem of one row."""
    row = line.decode(Row)
    refusal = _files(row)
    if refusal:
        return refusal
    try:
        problem = _problem(row, line)
        kinds = ((row.public_tests, TestKind.PUBLIC), (row.private_tests, TestKind.PRIVATE))
        cases = [
            case
            for tests, kind in (*kinds, (row.generated_tests or Tests(), TestKind.GENERATED))
            for case in paired(tests.input, tests.output, f"{kind}_tests", kind)
        ]
    except Unreadable as error:
        return error.refusal
    return stdin_draft(problem, cases)


def _files(row: Row) -> Refusal | None:
    """Some of the older problems are solved through files, which a test has no place for."""
    names = [each for each in (row.input_file, row.output_file) if (each or "").strip().lower() not in STANDARD_FILES]
    return Refusal(Reason.PARSE_ERROR, f"the program works on the file {names[0]}, not on stdin") if names else None


def _problem(row: Row, line: Line) -> Problem:
    facts = {"site": _name(SITES, row.source), "rating": row.cf_rating or None}
    return Problem(
        id=f"{DATASET}/{row.name}",
        tests=[],
        statement=row.description.strip(),
        limits=limits_of(row.time_limit, memory_bytes=row.memory_limit_bytes),
        solutions=_solutions(row.solutions or Programs()),
        source=Source(DATASET, split_of(line), row.name, _url(row), LICENSE),
        difficulty=_name(DIFFICULTIES, row.difficulty) or None,
        tags=[tag for tag in row.cf_tags or [] if tag],
        meta={key: value for key, value in facts.items() if value},
    )


def _solutions(programs: Programs) -> list[Solution]:
    """All solutions. Errors: `Unreadable` where the columns differ in length."""
    if len(programs.language) != len(programs.solution):
        found = f"{len(programs.solution)} programs and {len(programs.language)} languages"
        raise Unreadable(Reason.PARSE_ERROR, f"solutions: {found}")
    pairs = zip(programs.language, programs.solution, strict=True)
    return [Solution(code, _name(LANGUAGES, number) or LANGUAGES[0]) for number, code in pairs if code.strip()]


def _name(names: tuple[str, ...], number: int | None) -> str:
    return names[number] if number is not None and 0 <= number < len(names) else ""


def _url(row: Row) -> str | None:
    if not row.cf_contest_id or not row.cf_index:
        return None
    return f"https://codeforces.com/problemset/problem/{row.cf_contest_id}/{row.cf_index}"
