"""Tests each of which says what it is: text for stdin, a call with a list of arguments, or one with a value a line."""

from typing import Any

import msgspec

from dc_tools.core.records import Mode, Problem, TestKind
from dc_tools.curate.draft import Draft
from dc_tools.curate.reading.calls import call_draft
from dc_tools.curate.reading.functional import call_tests, checker_for, entry_for
from dc_tools.curate.reading.stdin_tests import Case, stdin_draft
from dc_tools.curate.reading.unpack import Unreadable
from dc_tools.curate.reasons import Reason, Refusal

STDIN, CALL, LINES = "stdin_stdout", "function_call", "functional"
SAME = {"": STDIN, "stdin": STDIN, "stdio": STDIN}


class Named(msgspec.Struct):
    """LiveCodeBench's note on a test."""

    func_name: str | None = None


class Typed(msgspec.Struct):
    """One test."""

    input: Any
    output: Any
    type: str | None = None
    testtype: str | None = None
    fn_name: str | None = None
    metadata: Named | None = None

    @property
    def way(self) -> str:
        """How the test talks to the program."""
        said = self.type or self.testtype or ""
        return SAME.get(said, said)


def read_typed(held: Any, what: str) -> list[Typed]:
    """The tests in a list of objects. Errors: `Unreadable`."""
    try:
        return msgspec.convert(held, list[Typed])
    except (msgspec.ValidationError, UnicodeError, RecursionError) as error:
        raise Unreadable(Reason.PARSE_ERROR, f"{what}: {error}") from None


def typed_draft(problem: Problem, tests: list[Typed], starter_code: str, fn_name: str | None) -> Draft | Refusal:
    """The problem with these tests, all of one way. Errors: `Unreadable`."""
    ways = sorted({each.way for each in tests}) or [STDIN]
    if len(ways) > 1 or ways[0] not in (STDIN, CALL, LINES):
        return Refusal(Reason.PARSE_ERROR, f"tests of the types {', '.join(ways)}")
    if ways == [STDIN]:
        return stdin_draft(problem, _cases(tests))
    names = {each.fn_name or (each.metadata and each.metadata.func_name) or fn_name or "" for each in tests}
    if len(names) > 1 or "" in names:
        return Refusal(Reason.PARSE_ERROR, f"tests of the functions {', '.join(sorted(map(repr, names)))}")
    name = names.pop()
    if ways == [CALL]:
        return call_draft(problem, name, starter_code, _cases(tests))
    return _lines_draft(problem, name, starter_code, tests)


def _cases(tests: list[Typed]) -> list[Case]:
    return [Case(each.input, each.output) for each in tests]


def _lines_draft(problem: Problem, fn_name: str, starter_code: str, tests: list[Typed]) -> Draft | Refusal:
    entry = entry_for(fn_name, "", starter_code)
    if isinstance(entry, Refusal):
        return entry
    if any(not isinstance(text, str) for each in tests for text in (each.input, each.output)):
        raise Unreadable(Reason.PARSE_ERROR, "a functional test whose input or output is no text")
    made = Draft(problem)
    problem.mode, problem.entry = Mode.FUNCTION, entry
    problem.tests = call_tests([(each.input, each.output, TestKind.PRIVATE) for each in tests], made.left_out)
    problem.checker = checker_for(problem)
    return made
