"""Function problems: the entry that a signature shows, and tests whose input is text with one JSON value a line."""

import json
import re
from collections import Counter
from collections.abc import Iterable
from typing import Any

from dc_tools.core.records import Checker, CheckerType, Entry, Problem, Test, TestKind
from dc_tools.curate.reading.asserts import FLOAT_TOLERANCE, make_test
from dc_tools.curate.reading.syntax import (
    NotJson,
    NotPython,
    Signature,
    function_named,
    holds_float,
    json_value,
    parse,
    signature_of,
)
from dc_tools.curate.reading.unpack import Unreadable
from dc_tools.curate.reasons import Reason, Refusal
from dc_tools.curate.statements.statement import tolerance_of

CLASS = "Solution"
NODE = re.compile(r"(?:Optional\[)?['\"]?(ListNode|TreeNode)['\"]?\]?")
SHOWN = 60


def call_tests(cases: Iterable[tuple[str, str, TestKind]], left_out: Counter[str]) -> list[Test]:
    """Tests of (input, output, kind); what JSON proper cannot say is counted in `left_out`. Errors: `Unreadable`."""
    tests = []
    for given, wanted, kind in cases:
        try:
            test = make_test([_value(line) for line in given.split("\n") if line.strip()], _value(wanted))
        except NotJson as error:
            left_out[str(error)] += 1
        else:
            tests.append(Test(test.input, test.output, kind))
    return tests


def _value(text: str) -> Any:
    """The JSON value. Errors: `Unreadable`; `NotJson` for NaN and the like."""
    try:
        return json_value(json.loads(text))
    except NotJson:
        raise
    except ValueError as error:
        shown = text.strip()[:SHOWN]
        raise Unreadable(Reason.PARSE_ERROR, f"a function's test that is not JSON: {error}: {shown}") from None
    except RecursionError:
        raise Unreadable(Reason.PARSE_ERROR, "a function's test that is nested too deeply") from None


def entry_for(fn_name: str, class_name: str, starter_code: str) -> Entry | Refusal:
    """The function with what its starter code shows: the class, `Solution` where none is named, and argument types."""
    starter = starter_code.rstrip()
    if not starter:
        return Entry(fn_name, class_name or None)
    try:
        tree = parse(f"{starter} pass" if starter.endswith(":") else starter)
    except NotPython as error:
        return Refusal(Reason.PARSE_ERROR, f"starter code: {error}")
    method = function_named(tree, fn_name, class_name or CLASS)
    if method:
        return entry_of(class_name or CLASS, fn_name, starter, signature_of(method, method=True))
    if class_name or not function_named(tree, fn_name):
        return Refusal(Reason.PARSE_ERROR, f"starter code: no definition of {fn_name}")
    return Entry(fn_name, starter_code=starter)


def entry_of(class_name: str, method: str, starter: str, signature: Signature) -> Entry | Refusal:
    """The method with the types of its arguments; linked lists and trees only where they stand alone."""
    types = [_type_of(each) for each in [*signature.annotations, signature.returns]]
    if None in types:
        annotation = [*signature.annotations, signature.returns][types.index(None)]
        return Refusal(Reason.PARSE_ERROR, f"an argument or value of type {annotation} has no JSON form")
    if signature.returns == "None":
        return Refusal(Reason.NEEDS_CHECKER, "the method changes its argument and returns nothing")
    known = [each for each in types if each is not None]
    arguments = known[:-1] if set(known[:-1]) - {"json"} else []
    return Entry(method, class_name, starter, arguments, known[-1])


def _type_of(annotation: str) -> str | None:
    """`json`, `ListNode` or `TreeNode`; None for a structure of nodes."""
    node = NODE.fullmatch(annotation)
    if node:
        return node[1]
    return None if re.search(r"\b(?:ListNode|TreeNode|Node)\b", annotation) else "json"


def checker_for(problem: Problem) -> Checker:
    """The float checker where a value holds a float."""
    if any(holds_float(json.loads(test.output)) for test in problem.tests):
        return Checker(CheckerType.FLOAT, tolerance_of(problem.statement) or FLOAT_TOLERANCE)
    return Checker()
