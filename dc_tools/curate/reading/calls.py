"""Tests of functions, as TACO, APPS and SYNTHETIC-1 write them: a list of arguments, and the value, often in a list.

Whether `[[1, 2]]` is the list [[1, 2]], or [1, 2] wrapped as these datasets do, the row does not say. The facts decide,
for all tests of a problem at once: where some output is no list of one item, none is wrapped. Where the solution says
what it returns, they are wrapped if some output is nested more deeply than that. Else they are wrapped.
"""

import ast
import re
from collections.abc import Sequence
from typing import Any

from dc_tools.core.records import Entry, Mode, Problem, Test
from dc_tools.curate.draft import Draft
from dc_tools.curate.reading.asserts import make_test
from dc_tools.curate.reading.functional import checker_for, entry_of
from dc_tools.curate.reading.literals import read_data
from dc_tools.curate.reading.solutions import python_codes
from dc_tools.curate.reading.stdin_tests import Case
from dc_tools.curate.reading.syntax import (
    FunctionNode,
    NotJson,
    NotPython,
    Signature,
    function_named,
    json_value,
    parse,
    signature_of,
)
from dc_tools.curate.reading.unpack import Unreadable
from dc_tools.curate.reasons import Reason, Refusal

CLASS = re.compile(r"^class\s+(\w+)", re.MULTILINE)
LISTS = re.compile(r"(?:typing\.)?(?:list|sequence|iterable)\[(.*)\]", re.IGNORECASE | re.DOTALL)
OPTIONAL = re.compile(r"(?:typing\.)?Optional\[(.*)\]", re.DOTALL)
BARE_LISTS = {"list", "List", "ListNode", "TreeNode"}
SCALARS = {"int", "str", "bool", "float"}
SHOWN = 60


def call_draft(problem: Problem, fn_name: str, starter_code: str, cases: list[Case]) -> Draft | Refusal:
    """The problem with these tests of the function `fn_name`. Errors: `Unreadable`."""
    found = _definition(fn_name, python_codes(problem.solutions), starter_code)
    if found is None:
        return Refusal(Reason.NO_SOLUTION, f"no solution defines {fn_name}")
    class_name, signature = found
    entry = _entry(class_name, fn_name, starter_code.rstrip(), signature)
    if isinstance(entry, Refusal):
        return entry
    problem.mode, problem.entry, problem.tests = Mode.FUNCTION, entry, []
    draft = Draft(problem)
    given = [_arguments(case) for case in cases]
    wanted = values_of([_output(case) for case in cases], signature.returns)
    for case, arguments, value in zip(cases, given, wanted, strict=True):
        try:
            test = make_test(json_value(arguments), json_value(value))
        except NotJson as error:
            draft.left_out[str(error)] += 1
        else:
            problem.tests.append(Test(test.input, test.output, case.kind))
    problem.checker = checker_for(problem)
    return draft


def values_of(outputs: list[Any], returns: str) -> list[Any]:
    """The values that `outputs` are or wrap; `returns` is the solution's annotation, empty where it has none."""
    if not outputs or any(not isinstance(each, list | tuple) or len(each) != 1 for each in outputs):
        return outputs
    declared = _declared_depth(returns)
    if declared is not None and max(map(_depth, outputs)) <= declared:
        return outputs
    return [each[0] for each in outputs]


def _depth(value: Any) -> int:
    return 1 + max(map(_depth, value), default=0) if isinstance(value, list | tuple) else 0


def _declared_depth(annotation: str) -> int | None:
    """How deeply a value of this type is nested; None where the text does not say."""
    text = annotation.strip().strip("'\"")
    inner = OPTIONAL.fullmatch(text)
    if inner:
        return _declared_depth(inner[1])
    inner = LISTS.fullmatch(text)
    if inner:
        depth = _declared_depth(inner[1])
        return None if depth is None else depth + 1
    if text in BARE_LISTS:
        return None if text in {"list", "List"} else 1
    return 0 if text in SCALARS else None


def _definition(fn_name: str, codes: Sequence[str], starter_code: str) -> tuple[str | None, Signature] | None:
    """The class, if any, and the signature of the function: of the first solution that has it, else of the starter."""
    trees = []
    for code in codes:
        try:
            trees.append(parse(code))
        except NotPython:
            continue
    for tree in trees:
        found = _function_in(tree, fn_name)
        if found:
            class_name, node = found
            return class_name, signature_of(node, method=class_name is not None)
    if trees:
        return None
    named = CLASS.search(starter_code)
    return (named[1] if named else None), Signature([], [], "")


def _function_in(tree: ast.Module, fn_name: str) -> tuple[str | None, FunctionNode] | None:
    node = function_named(tree, fn_name)
    if node:
        return None, node
    for each in tree.body:
        if isinstance(each, ast.ClassDef):
            node = function_named(tree, fn_name, each.name)
            if node:
                return each.name, node
    return None


def _entry(class_name: str | None, fn_name: str, starter: str, signature: Signature) -> Entry | Refusal:
    if class_name is None:
        return Entry(fn_name, starter_code=starter)
    return entry_of(class_name, fn_name, starter, signature)


def _arguments(case: Case) -> list[Any]:
    """The argument list, or what the text of one holds. Errors: `Unreadable`."""
    value = read_data(case.input, "the arguments of a call") if isinstance(case.input, str) else case.input
    if not isinstance(value, list | tuple):
        raise Unreadable(Reason.PARSE_ERROR, f"the arguments of a call are no list: {str(value)[:SHOWN]}")
    return list(value)


def _output(case: Case) -> Any:
    """The output; where the arguments are text, so is it. Errors: `Unreadable`."""
    is_text = isinstance(case.input, str) and isinstance(case.output, str)
    return read_data(case.output, "the value of a call") if is_text else case.output
