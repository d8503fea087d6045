"""KodCode: a question, a solution, and a module of pytest functions about it, or stdin and stdout."""

import ast
from typing import Any

import msgspec

from dc_tools.core.records import Entry, Line, Mode, Problem, Solution, Source, TestKind
from dc_tools.curate.draft import Draft, Script, draft_of, in_words
from dc_tools.curate.reading.asserts import read_checks
from dc_tools.curate.reading.literals import read_data
from dc_tools.curate.reading.origin import split_of
from dc_tools.curate.reading.pytests import Check, as_check, names_called
from dc_tools.curate.reading.stdin_tests import paired, stdin_draft
from dc_tools.curate.reading.syntax import NotPython, function_named, heading_of, parse, signature_of
from dc_tools.curate.reading.unpack import Unreadable
from dc_tools.curate.reasons import Reason, Refusal

DATASET, LICENSE = "kodcode", "CC-BY-NC-4.0"


class Info(msgspec.Struct):
    """One function under test."""

    function_name: str
    function_declaration: str | None = None


class Row(msgspec.Struct):
    """What is read of a row."""

    question: str
    solution: str
    test: str | dict[str, Any]
    test_info: list[Info] | None = None
    question_id: str = ""
    subset: str | None = None
    gpt_difficulty: str | None = None


def draft(line: Line) -> Draft | Refusal:
    """The problem of one row."""
    row = line.decode(Row)
    try:
        if isinstance(row.test, dict) or row.test.lstrip().startswith("{"):
            return _stdin(row, line, row.test if isinstance(row.test, dict) else read_data(row.test, "test"))
        return _function(row, line, parse(row.solution), as_check(row.test))
    except NotPython as error:
        return Refusal(Reason.PARSE_ERROR, f"solution or test: {error}")
    except Unreadable as error:
        return error.refusal


def _stdin(row: Row, line: Line, test: Any) -> Draft | Refusal:
    """A problem of stdin and stdout. Errors: `Unreadable`."""
    if not isinstance(test, dict) or not test.keys() >= {"stdin", "stdout"}:
        return Refusal(Reason.PARSE_ERROR, "test: neither Python nor an object of stdin and stdout")
    return stdin_draft(_problem(row, line), paired(test["stdin"], test["stdout"], "test", TestKind.PRIVATE))


def _function(row: Row, line: Line, tree: ast.Module, check: Check) -> Draft | Refusal:
    """The problem of the one function that the tests call. Errors: `NotPython`."""
    infos = {each.function_name: each for each in row.test_info or []}
    known = {**{name: name for name in infos}, **check.aliases}
    called = {known[name] for name in names_called(check.code, set(known))}
    if len(called) > 1:
        return Refusal(Reason.PARSE_ERROR, f"the tests call several functions: {', '.join(sorted(called))}")
    if not called and check.left_out:
        return Refusal(Reason.PARSE_ERROR, f"no test is left: {in_words(check.left_out)}")
    name = next(iter(called), "")
    function = function_named(tree, name)
    if function is None:
        return Refusal(Reason.NO_SOLUTION, "the tests call no function of test_info that solution defines")
    declared = infos[name].function_declaration if name in infos else None
    entry = Entry(name, starter_code=(declared or heading_of(function)).strip())
    names = frozenset(alias for alias, meant in known.items() if meant == name)
    checks = read_checks(check.code, names, entry, signature_of(function).names)
    if isinstance(checks, Refusal):
        return checks
    problem = _problem(row, line)
    problem.mode, problem.entry = Mode.FUNCTION, entry
    script = Script(row.solution, name, check.code, names, TestKind.PRIVATE)
    return draft_of(problem, script, checks, check.left_out)


def _problem(row: Row, line: Line) -> Problem:
    return Problem(
        id=f"{DATASET}/{row.question_id}",
        tests=[],
        statement=row.question,
        solutions=[Solution(row.solution)],
        source=Source(DATASET, split_of(line), row.question_id, license=LICENSE),
        difficulty=(row.gpt_difficulty or "").lower() or None,
        tags=[row.subset] if row.subset else [],
    )
