"""Asserts about one function, read as claims of what a call returns: `assert f(a, b) == c` and its relatives.

Only the text is looked at. A claim whose arguments and value are literals becomes a test at once; one that needs
running (a loop, an expression, a tuple argument) leaves a reason to run; an assert that many values would satisfy
(`sorted(f(x)) == ...`, `f(x) > 0`) makes the problem one that needs a checker.
"""

import ast
import json
import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from dc_tools.core.records import Entry, Test
from dc_tools.curate.reading.syntax import (
    NotJson,
    NotLiteral,
    NotPython,
    function_named,
    holds_tuple,
    json_value,
    literal,
    parse,
    quoted,
)
from dc_tools.curate.reasons import Reason, Refusal

FLOAT_TOLERANCE = 1e-6
KEEPS_VALUE = {"list", "tuple", "int", "float", "str"}
"""Conversions through which the returned value is still pinned down, if not literally."""
SAME_NODES = {"is_same_list", "is_same_tree"}
NODE_MAKERS = {"list_node": "ListNode", "tree_node": "TreeNode"}


class _Property(Exception):
    """The assert does not say which value is returned; carries its source."""


class _MustRun(Exception):
    """The text does not say the values; carries what it was."""


@dataclass(frozen=True)
class Claim:
    """One call and the value that it must return; without a value, what the reference returns."""

    call: ast.Call | None
    """None where the call's result was first given a name."""
    value: ast.expr | None
    tolerance: float | None = None
    truth: bool = False


@dataclass
class Checks:
    """What a row's test code says."""

    tests: list[Test] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)
    tolerance: float | None = None
    """The tightest absolute tolerance of any assert."""
    truth: bool = False
    """Whether some assert asks only for a true or a false value."""
    must_run: str = ""
    """Why the code must be run to learn the tests; empty where `tests` is complete."""


def read_checks(code: str, names: frozenset[str], entry: Entry, parameters: list[str]) -> Checks | Refusal:
    """The tests in `code`, which calls the function by `names`; `parameters` are the function's, in order.

    `code` holds a `check` function, or asserts at its top.
    """
    try:
        tree = parse(code)
    except NotPython as error:
        return Refusal(Reason.PARSE_ERROR, f"test code: {error}")
    tree.body = [each for each in tree.body if not _calls_check(each)]
    check = function_named(tree, "check")
    body = check.body if check else tree.body
    try:
        claims = list(_Reader(names).claims(ast.Module([check], []) if check else tree))
    except _Property as error:
        return Refusal(Reason.NEEDS_CHECKER, f"more than one value may be right: {error}")
    if not claims:
        return Refusal(Reason.PARSE_ERROR, "test code: no assert about the function")
    tolerances = [claim.tolerance for claim in claims if claim.tolerance is not None]
    checks = Checks(tolerance=min(tolerances, default=None), truth=any(claim.truth for claim in claims))
    if not check and any(not isinstance(each, ast.Assert) for each in tree.body):
        checks.must_run = "set-up code"
    elif any(not _is_plain_step(each) for each in body):
        checks.must_run = "a statement that is not an assert"
    elif checks.truth:
        checks.must_run = "an assert of truth alone"
    else:
        _fill(checks, claims, entry, parameters)
    return checks


def _calls_check(node: ast.stmt) -> bool:
    """Whether the statement is the row's own `check(f)`."""
    match node:
        case ast.Expr(value=ast.Call(func=ast.Name(id="check"))):
            return True
    return False


def _is_plain_step(node: ast.stmt) -> bool:
    match node:
        case ast.Assert() | ast.Pass() | ast.Import() | ast.ImportFrom() | ast.Expr(value=ast.Constant()):
            return True
    return False


def _fill(checks: Checks, claims: list[Claim], entry: Entry, parameters: list[str]) -> None:
    for claim in claims:
        try:
            checks.tests.append(_test_of(claim, entry, parameters))
        except NotJson as error:
            checks.left_out[str(error)] += 1
        except (_MustRun, NotLiteral) as error:
            checks.tests, checks.left_out, checks.must_run = [], Counter(), str(error)
            return


def _test_of(claim: Claim, entry: Entry, parameters: list[str]) -> Test:
    """The claim as a test. Errors: `NotJson`; `_MustRun` and `NotLiteral` where the text does not say it."""
    if claim.call is None or claim.value is None:
        raise _MustRun("a value that the text does not give")
    nodes = _arguments(claim.call, parameters)
    types = entry.arg_types or ["json"] * len(nodes)
    if len(types) != len(nodes):
        raise _MustRun("a call with another number of arguments")
    arguments = [_value(node, type_) for node, type_ in zip(nodes, types, strict=True)]
    if holds_tuple(arguments):
        raise _MustRun("a tuple argument")
    value = json_value(_value(claim.value, entry.return_type))
    return make_test(json_value(arguments), value if claim.tolerance is None else as_float(value))


def as_float(value: Any) -> Any:
    """An integer that is compared within a tolerance as the float it is near. Errors: `NotJson` above all floats."""
    try:
        return float(value) if type(value) is int else value
    except OverflowError:
        raise NotJson("an integer beyond all floats, with a tolerance") from None


def make_test(arguments: Any, value: Any) -> Test:
    """A function test of JSON values."""
    return Test(json.dumps(arguments, ensure_ascii=False), json.dumps(value, ensure_ascii=False))


def _arguments(call: ast.Call, parameters: list[str]) -> list[ast.expr]:
    """The call's arguments in the order of `parameters`."""
    nodes = list(call.args)
    named = {each.arg: each.value for each in call.keywords}
    if None in named or any(isinstance(node, ast.Starred) for node in nodes):
        raise _MustRun("an unpacked argument")
    wanted = parameters[len(nodes) : len(nodes) + len(named)]
    if set(wanted) != set(named):
        raise _MustRun("keyword arguments that skip a parameter")
    return nodes + [named[name] for name in wanted]


def _value(node: ast.expr, type_: str) -> Any:
    """The literal that `node` is; a list for a linked list or a tree."""
    match node:
        case ast.Call(func=ast.Name(id=maker), args=[inner], keywords=[]) if NODE_MAKERS.get(maker) == type_:
            return _trimmed(literal(inner), type_)
        case ast.Constant(value=None) if type_ in NODE_MAKERS.values():
            return []
    return literal(node)


def _trimmed(values: Any, type_: str) -> Any:
    """A tree's level order without the nulls at its end, which say nothing."""
    if type_ == "TreeNode" and isinstance(values, list):
        while values and values[-1] is None:
            values = values[:-1]
    return values or []


class _Reader:
    """Finds the claims in a tree, and refuses what is said of the function in any other way."""

    def __init__(self, names: frozenset[str]) -> None:
        self.names = names
        self.results: set[str] = set()
        """Variables that hold a call's result."""
        self.spoken_for: set[ast.AST] = set()

    def claims(self, tree: ast.Module) -> Iterator[Claim]:
        """All claims, in the order of the text."""
        nodes = list(ast.walk(tree))
        for node in nodes:
            match node:
                case ast.Assign(targets=[ast.Name(id=name)], value=ast.Call() as call) if self._is_call(call):
                    self.results.add(name)
                    self.spoken_for.add(call.func)
        asserts = [node for node in nodes if isinstance(node, ast.Assert)]
        for each in sorted(asserts, key=lambda node: (node.lineno, node.col_offset)):
            yield from self._read(each.test)
            self.spoken_for.update(ast.walk(each.msg) if each.msg else ())
        for node in nodes:
            if self._names_result(node) and node not in self.spoken_for:
                raise _Property(f"`{quoted(node)}` is used outside an equality")

    def _read(self, test: ast.expr) -> Iterator[Claim]:
        if not any(map(self._names_result, ast.walk(test))):
            return
        match test:
            case ast.BoolOp(op=ast.And(), values=values):
                for value in values:
                    yield from self._read(value)
            case ast.UnaryOp(op=ast.Not(), operand=operand) if self._is_result(operand):
                yield self._claim(operand, ast.Constant(False), truth=True)
            case ast.Compare(left=left, ops=[ast.Eq() | ast.Is()], comparators=[right]):
                yield self._equal(left, right, test)
            case _ if self._is_result(test):
                yield self._claim(test, ast.Constant(True), truth=True)
            case _:
                yield self._near_or_same(test)

    def _equal(self, left: ast.expr, right: ast.expr, test: ast.expr) -> Claim:
        for side, other in ((left, right), (right, left)):
            if self._is_result(side):
                return self._claim(side, other)
            match side:
                case ast.Call(func=ast.Name(id="round"), args=[inner, places]) if self._is_result(inner):
                    return self._claim(inner, other, tolerance=_half_unit(places, test))
                case ast.Call(func=ast.Name(id=name), args=[inner]) if name in KEEPS_VALUE and self._is_result(inner):
                    return self._claim(inner, None)
        raise _Property(quoted(test))

    def _near_or_same(self, test: ast.expr) -> Claim:
        match test:
            case ast.Compare(
                left=ast.Call(func=function, args=[ast.BinOp(left=left, op=ast.Sub(), right=right)]),
                ops=[ast.Lt() | ast.LtE()],
                comparators=[limit],
            ) if _called(function) in {"abs", "fabs"}:
                return self._either(left, right, test, _number(limit, test))
            case ast.Call(func=function, args=[left, right], keywords=keywords) if _called(function) == "isclose":
                given = [_number(each.value, test) for each in keywords]
                return self._either(left, right, test, max(given, default=FLOAT_TOLERANCE))
            case ast.Call(func=function, args=[left, right]) if _called(function) in SAME_NODES:
                return self._either(left, right, test, None)
        raise _Property(quoted(test))

    def _either(self, left: ast.expr, right: ast.expr, test: ast.expr, tolerance: float | None) -> Claim:
        for side, other in ((left, right), (right, left)):
            if self._is_result(side):
                return self._claim(side, other, tolerance=tolerance)
        raise _Property(quoted(test))

    def _claim(
        self, result: ast.expr, value: ast.expr | None, *, tolerance: float | None = None, truth: bool = False
    ) -> Claim:
        call = result if isinstance(result, ast.Call) else None
        self.spoken_for.add(call.func if call else result)
        return Claim(call, value, tolerance, truth)

    def _names_result(self, node: ast.AST) -> bool:
        """Whether the node is the function's name, or that of a variable with its result, being read."""
        if not isinstance(node, ast.Name) or not isinstance(node.ctx, ast.Load):
            return False
        return node.id in self.names or node.id in self.results

    def _is_call(self, node: ast.expr) -> bool:
        return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in self.names

    def _is_result(self, node: ast.expr) -> bool:
        return self._is_call(node) or (isinstance(node, ast.Name) and node.id in self.results)


def _called(function: ast.expr) -> str:
    match function:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
    return ""


def _half_unit(places: ast.expr, test: ast.expr) -> float:
    """What rounding to so many decimal places may change."""
    try:
        return 0.5 * math.pow(10.0, -_number(places, test))
    except OverflowError:
        raise _Property(quoted(test)) from None


def _number(node: ast.expr, test: ast.expr) -> float:
    """The finite number that the text gives."""
    try:
        number: float = float(literal(node))
    except (NotLiteral, TypeError, ValueError, OverflowError):
        raise _Property(quoted(test)) from None
    if not math.isfinite(number):
        raise _Property(quoted(test))
    return number
