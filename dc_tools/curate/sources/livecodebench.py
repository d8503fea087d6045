"""LiveCodeBench's code_generation_lite: public tests as JSON text, private ones packed, and no solutions.

A function's input is one JSON value a line; `metadata` names the function, the starter code its class.
"""

import re

import msgspec

from dc_tools.core.records import Entry, Limits, Line, Mode, Problem, Source, Test, TestKind
from dc_tools.curate.draft import Draft
from dc_tools.curate.reading.functional import call_tests, checker_for, entry_for
from dc_tools.curate.reading.unpack import Unreadable, read_json, unpacked
from dc_tools.curate.reasons import Reason, Refusal
from dc_tools.curate.statements.statement import checker_of

DATASET = "livecodebench"
TIME_S = 6.0
"""LiveCodeBench's own limit for each test."""
DATE = re.compile(r"\d{4}-\d\d-\d\d")
SLUG = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
TASK = re.compile(r"(\d+)_(\w+)")


class Case(msgspec.Struct):
    """One test."""

    input: str
    output: str
    testtype: str


class Metadata(msgspec.Struct):
    """What is read of `metadata`."""

    func_name: str | None = None


class Row(msgspec.Struct):
    """What is read of a row."""

    question_content: str
    question_id: str
    public_test_cases: str
    private_test_cases: str = ""
    question_title: str = ""
    platform: str = ""
    contest_id: str = ""
    contest_date: str = ""
    starter_code: str = ""
    difficulty: str = ""
    metadata: str = ""


def draft(line: Line) -> Draft | Refusal:
    """The problem of one row."""
    row = line.decode(Row)
    problem = _problem(row)
    made = Draft(problem)
    try:
        public = _cases(row.public_test_cases, "public_test_cases")
        private = _cases(row.private_test_cases, "private_test_cases")
        function = read_json(row.metadata, Metadata, "metadata").func_name if row.metadata.strip() else None
        mode = _mode(public + private)
        if isinstance(mode, Refusal):
            return mode
        cases = [(each.input, each.output, TestKind.PUBLIC) for each in public]
        cases += [(each.input, each.output, TestKind.PRIVATE) for each in private]
        if mode is Mode.STDIN:
            problem.tests = [Test(*case) for case in cases]
            problem.checker = checker_of(problem.statement, problem.tests)
            return made
        entry = entry_for(function, "", row.starter_code) if function else _nameless()
        if isinstance(entry, Refusal):
            return entry
        problem.mode, problem.entry = mode, entry
        problem.tests = call_tests(cases, made.left_out)
    except Unreadable as error:
        return error.refusal
    problem.checker = checker_for(problem)
    return made


def _cases(text: str, what: str) -> list[Case]:
    """The tests in JSON text, or in such text packed as a pickle. Errors: `Unreadable`."""
    if not text.strip():
        return []
    if not text.lstrip().startswith("["):
        held = unpacked(text, what)
        if not isinstance(held, str):
            raise Unreadable(Reason.PARSE_ERROR, f"{what}: packed is a {type(held).__name__}, not JSON text")
        text = held
    return read_json(text, list[Case], what)


def _mode(cases: list[Case]) -> Mode | Refusal:
    types = {each.testtype for each in cases} or {"stdin"}
    if types == {"stdin"}:
        return Mode.STDIN
    if types == {"functional"}:
        return Mode.FUNCTION
    return Refusal(Reason.PARSE_ERROR, f"tests of the types {', '.join(sorted(types))}")


def _nameless() -> Entry | Refusal:
    return Refusal(Reason.PARSE_ERROR, "tests of a function that metadata.func_name does not name")


def _problem(row: Row) -> Problem:
    date = DATE.match(row.contest_date)
    return Problem(
        id=f"{DATASET}/{row.question_id}",
        tests=[],
        statement=row.question_content,
        limits=Limits(time_s=TIME_S),
        source=Source(DATASET, "test", row.question_id, _url(row), date=date[0] if date else None),
        difficulty=row.difficulty.lower() or None,
        meta={key: value for key, value in (("title", row.question_title), ("platform", row.platform)) if value},
    )


def _url(row: Row) -> str | None:
    """Where the problem was published; LeetCode's is known only where the title is the address's last part."""
    task = TASK.fullmatch(row.question_id)
    match row.platform:
        case "atcoder":
            return f"https://atcoder.jp/contests/{row.contest_id}/tasks/{row.question_id}"
        case "codeforces" if task:
            return f"https://codeforces.com/problemset/problem/{task[1]}/{task[2]}"
        case "leetcode" if SLUG.fullmatch(row.question_title):
            return f"https://leetcode.com/problems/{row.question_title}/"
    return None
