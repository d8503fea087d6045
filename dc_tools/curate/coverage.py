"""Branch coverage by probes written into the syntax tree: compiled once, run on all tests, one byte an outcome.

A branch is one outcome of an `if`, `for`, `while` or `case`, as coverage.py counts them where every statement has a
line of its own; a test that is constant has none. Conditions, counted apart, are the outcomes inside expressions
(conditional expressions, short circuits, comprehension filters, asserts) and the entered `except` and `finally`.
"""

import ast
from dataclasses import dataclass, field
from typing import Any

PROBES, DECIDE = "__probes__", "__decide__"
DECIDER = f"""
def {DECIDE}(probe, value):
    {PROBES}[probe if value else probe + 1] = 1
    return value
"""


class NotCovered(Exception):
    """The program cannot be given probes; the message says why."""


@dataclass(frozen=True)
class Probed:
    """A program with probes in it."""

    code: str
    is_branch: list[bool]
    """For each probe whether it is a branch's outcome; the others are conditions."""

    def coverage(self, probes: bytes) -> "Coverage":
        """What the final content of the probe buffer says."""
        seen = [bool(each) for each in probes[: len(self.is_branch)]]
        branch = [hit for hit, is_branch in zip(seen, self.is_branch, strict=True) if is_branch]
        condition = [hit for hit, is_branch in zip(seen, self.is_branch, strict=True) if not is_branch]
        return Coverage(sum(branch), len(branch), sum(condition), len(condition), probes)


@dataclass(frozen=True)
class Coverage:
    """Outcomes seen and outcomes there are."""

    covered: int
    branches: int
    conditions_covered: int
    conditions: int
    probes: bytes = field(default=b"", compare=False, repr=False)
    """The buffer that says so."""

    @property
    def ratio(self) -> float:
        """Share of the branches seen; 1 where there are none."""
        return self.covered / self.branches if self.branches else 1.0

    def to_dict(self) -> dict[str, Any]:
        """For the record."""
        return {
            "covered": self.covered,
            "branches": self.branches,
            "ratio": round(self.ratio, 4),
            "conditions": {"covered": self.conditions_covered, "total": self.conditions},
        }


def probed(code: str) -> Probed:
    """`code` with a probe at every outcome. Errors: `NotCovered`."""
    try:
        tree = ast.parse(code)
        writer = _ProbeWriter()
        writer.visit(tree)
        at = _first_statement(tree.body)
        tree.body[at:at] = ast.parse(DECIDER).body
        return Probed(ast.unparse(ast.fix_missing_locations(tree)), writer.is_branch)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise NotCovered(f"{type(error).__name__}: {error}") from None


def _first_statement(body: list[ast.stmt]) -> int:
    """Where code may be put: after the docstring and the imports from `__future__`."""
    at = 0
    for statement in body:
        match statement:
            case ast.Expr(value=ast.Constant(value=str())) | ast.ImportFrom(module="__future__"):
                at += 1
            case _:
                break
    return at


class _ProbeWriter(ast.NodeTransformer):
    def __init__(self) -> None:
        self.is_branch: list[bool] = []

    # -- branches: outcomes of statements -----------------------------------------------------------------------

    def visit_If(self, node: ast.If) -> ast.AST:
        self.generic_visit(node)
        if _is_constant(node.test):
            return node
        if len(node.orelse) == 1 and isinstance(node.orelse[0], ast.If):
            node.test = self._decided(node.test, branch=True)
            return node
        return self._two_ways(node)

    def visit_While(self, node: ast.While) -> ast.AST:
        self.generic_visit(node)
        return node if _is_constant(node.test) else self._two_ways(node)

    def visit_For(self, node: ast.For) -> ast.AST:
        self.generic_visit(node)
        return self._two_ways(node)

    def visit_AsyncFor(self, node: ast.AsyncFor) -> ast.AST:
        self.generic_visit(node)
        return self._two_ways(node)

    def _two_ways(self, node: ast.If | ast.While | ast.For | ast.AsyncFor) -> ast.AST:
        """Mark the body and the `else`: for a loop its `else` is where it ends by itself."""
        node.body = [self._mark(branch=True), *node.body]
        node.orelse = [self._mark(branch=True), *node.orelse]
        return node

    def visit_Match(self, node: ast.Match) -> ast.AST:
        self.generic_visit(node)
        cases: list[ast.match_case] = []
        for case in node.cases:
            cases.append(case)
            if case.guard is None and _always_matches(case.pattern):
                continue
            case.body = [self._mark(branch=True), *case.body]
            never = ast.parse(f"{PROBES}.__setitem__({self._new(branch=True)}, 1)", mode="eval").body
            cases.append(ast.match_case(pattern=ast.MatchAs(), guard=never, body=[ast.Pass()]))
        node.cases = cases
        return node

    # -- conditions: outcomes inside expressions, handlers ------------------------------------------------------

    def visit_IfExp(self, node: ast.IfExp) -> ast.AST:
        self.generic_visit(node)
        node.test = self._decided(node.test)
        return node

    def visit_BoolOp(self, node: ast.BoolOp) -> ast.AST:
        self.generic_visit(node)
        node.values = [*map(self._decided, node.values[:-1]), node.values[-1]]
        return node

    def visit_comprehension(self, node: ast.comprehension) -> ast.AST:
        self.generic_visit(node)
        node.ifs = list(map(self._decided, node.ifs))
        return node

    def visit_Assert(self, node: ast.Assert) -> ast.AST:
        self.generic_visit(node)
        node.test = self._decided(node.test)
        return node

    def visit_ExceptHandler(self, node: ast.ExceptHandler) -> ast.AST:
        self.generic_visit(node)
        node.body = [self._mark(branch=False), *node.body]
        return node

    def visit_Try(self, node: ast.Try) -> ast.AST:
        self.generic_visit(node)
        if node.finalbody:
            node.finalbody = [self._mark(branch=False), *node.finalbody]
        return node

    # -- probes -------------------------------------------------------------------------------------------------

    def _new(self, *, branch: bool) -> int:
        self.is_branch.append(branch)
        return len(self.is_branch) - 1

    def _mark(self, *, branch: bool) -> ast.stmt:
        """`__probes__[k] = 1`."""
        return ast.parse(f"{PROBES}[{self._new(branch=branch)}] = 1").body[0]

    def _decided(self, test: ast.expr, *, branch: bool = False) -> ast.expr:
        """`__decide__(k, test)`: the value of `test`, its outcome marked at k (true) or k + 1 (false)."""
        if _is_constant(test):
            return test
        probe = self._new(branch=branch)
        self._new(branch=branch)
        return ast.Call(ast.Name(DECIDE, ast.Load()), [ast.Constant(probe), test], [])


def _is_constant(test: ast.expr) -> bool:
    match test:
        case ast.Constant() | ast.Name(id="__debug__"):
            return True
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            return _is_constant(operand)
        case ast.BoolOp(values=values):
            return all(map(_is_constant, values))
    return False


def _always_matches(pattern: ast.pattern) -> bool:
    match pattern:
        case ast.MatchOr(patterns=patterns):
            return _always_matches(patterns[-1])
        case ast.MatchAs(pattern=inner):
            return inner is None or _always_matches(inner)
    return False
