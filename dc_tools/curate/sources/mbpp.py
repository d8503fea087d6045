"""MBPP: a sentence, a solution, and a few asserts that name the function themselves."""

import ast
from collections import Counter

import msgspec

from dc_tools.core.records import Entry, Line, Mode, Problem, Solution, Source, TestKind
from dc_tools.curate.draft import Draft, Script, draft_of
from dc_tools.curate.reading.asserts import read_checks
from dc_tools.curate.reading.syntax import NotPython, function_named, functions_of, heading_of, parse, signature_of
from dc_tools.curate.reasons import Reason, Refusal

DATASET, LICENSE = "mbpp", "CC-BY-4.0"
SPLITS = ((10, "prompt"), (510, "test"), (600, "validation"), (974, "train"))
"""The last task of each published split."""


class Row(msgspec.Struct):
    """What is read of a row."""

    task_id: int | str
    text: str
    code: str
    test_list: list[str]
    test_setup_code: str = ""
    challenge_test_list: list[str] = []


def draft(line: Line) -> Draft | Refusal:
    """The problem of one row."""
    row = line.decode(Row)
    program = row.code.replace("\r\n", "\n")
    checks_code = "\n".join([row.test_setup_code, *row.test_list, *row.challenge_test_list])
    try:
        tree, asserts = parse(program), parse(checks_code)
    except NotPython as error:
        return Refusal(Reason.PARSE_ERROR, f"code or test_list: {error}")
    name = _function_under_test(asserts, functions_of(tree))
    function = function_named(tree, name) if name else None
    if name is None or function is None:
        return Refusal(Reason.NO_SOLUTION, "test_list calls no function that code defines")
    entry = Entry(name, starter_code=heading_of(function))
    checks = read_checks(checks_code, frozenset({name}), entry, signature_of(function).names)
    if isinstance(checks, Refusal):
        return checks
    problem = Problem(
        id=f"{DATASET}/{row.task_id}",
        tests=[],
        statement=row.text,
        mode=Mode.FUNCTION,
        entry=entry,
        solutions=[Solution(program)],
        source=Source(DATASET, _split_of(row.task_id), str(row.task_id), license=LICENSE),
    )
    return draft_of(problem, Script(program, name, checks_code, frozenset({name}), TestKind.PUBLIC), checks)


def _function_under_test(asserts: ast.Module, defined: list[str]) -> str | None:
    """The function of `defined` that the asserts call most often."""
    calls: Counter[str] = Counter()
    for node in ast.walk(asserts):
        match node:
            case ast.Call(func=ast.Name(id=name)) if name in defined:
                calls[name] += 1
    return max(calls, key=lambda name: calls[name], default=None)


def _split_of(task_id: int | str) -> str:
    if not isinstance(task_id, int):
        return ""
    return next((split for last, split in SPLITS if task_id <= last), "")
