"""LeetCodeDataset, both of its shapes: a method of `class Solution` and a `check(candidate)` of asserts.

v0.3.1 has the statement in `problem_description`; v0.1.0 has it, oddly, in `meta.question_title`.
"""

import ast
import re

import msgspec

from dc_tools.core.records import Entry, Line, Mode, Problem, Solution, Source, TestKind
from dc_tools.curate.draft import Draft, Script, draft_of
from dc_tools.curate.reading.asserts import read_checks
from dc_tools.curate.reading.functional import entry_of
from dc_tools.curate.reading.syntax import NotPython, function_named, heading_of, parse, signature_of
from dc_tools.curate.reasons import Reason, Refusal
from dc_tools.sandbox.program import LEETCODE_MODULES, LEETCODE_STARS

DATASET, LICENSE = "leetcode", "Apache-2.0"
ENTRY_POINT = re.compile(r"(\w+)\(\)\.(\w+)")
GIVEN = frozenset({*LEETCODE_MODULES, *LEETCODE_STARS})
"""Modules that the sandbox gives a class solution, as LeetCode does."""


class Meta(msgspec.Struct):
    """v0.1.0's account of the problem."""

    question_title: str = ""
    difficulty: str = ""
    lang_code: str = ""


class Row(msgspec.Struct):
    """What is read of a row."""

    task_id: str
    completion: str
    entry_point: str
    test: str
    prompt: str = ""
    query: str = ""
    problem_description: str = ""
    starter_code: str = ""
    difficulty: str = ""
    tags: list[str] = []
    estimated_date: str | None = None
    meta: Meta = msgspec.field(default_factory=Meta)


def draft(line: Line) -> Draft | Refusal:
    """The problem of one row."""
    row = line.decode(Row)
    names = ENTRY_POINT.fullmatch(row.entry_point)
    if not names:
        return Refusal(Reason.PARSE_ERROR, f"entry_point '{row.entry_point}' is not of the form Class().method")
    class_name, method = names[1], names[2]
    try:
        tree = parse(row.completion)
        solution = _needed_imports(parse(row.prompt), tree) + row.completion
    except NotPython as error:
        return Refusal(Reason.PARSE_ERROR, f"prompt or completion: {error}")
    function = function_named(tree, method, class_name)
    if function is None:
        return Refusal(Reason.NO_SOLUTION, f"completion does not define {class_name}.{method}")
    signature = signature_of(function, method=True)
    starter = row.starter_code or row.meta.lang_code or f"class {class_name}:\n    {heading_of(function)}"
    entry = entry_of(class_name, method, starter.rstrip(), signature)
    if isinstance(entry, Refusal):
        return entry
    checks = read_checks(row.test, frozenset({"candidate"}), entry, signature.names)
    if isinstance(checks, Refusal):
        return checks
    script = Script(
        f"{row.prompt}\n\n{row.completion}", row.entry_point, row.test, frozenset({"candidate"}), TestKind.PRIVATE
    )
    return draft_of(_problem(row, entry, solution), script, checks)


def _needed_imports(prompt: ast.Module, completion: ast.Module) -> str:
    """The prompt's imports that the completion uses and that a LeetCode solution is not given anyway."""
    used = {node.id for node in ast.walk(completion) if isinstance(node, ast.Name)}
    lines = []
    for node in prompt.body:
        match node:
            case ast.Import(names=[ast.alias(name=module)]) | ast.ImportFrom(module=str(module)):
                if module not in GIVEN and used & {each.asname or each.name for each in node.names}:
                    lines.append(f"{ast.unparse(node)}\n")
    return "".join(lines)


def _problem(row: Row, entry: Entry, solution: str) -> Problem:
    difficulty = (row.difficulty or row.meta.difficulty).lower()
    return Problem(
        id=f"{DATASET}/{row.task_id}",
        tests=[],
        statement=(row.problem_description or row.meta.question_title or row.query).strip(),
        mode=Mode.FUNCTION,
        entry=entry,
        solutions=[Solution(solution)],
        source=Source(
            DATASET,
            native_id=row.task_id,
            url=f"https://leetcode.com/problems/{row.task_id}/",
            license=LICENSE,
            date=row.estimated_date,
        ),
        difficulty=difficulty or None,
        tags=row.tags,
    )
