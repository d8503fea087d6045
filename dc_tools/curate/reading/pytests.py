"""A module of pytest functions, rewritten as one `check(candidate)` of asserts. Only the text is looked at.

Tests that ask for more than a value (what is raised, fixtures, set-up) are left out and counted; `approx` becomes
`isclose`; parametrized tests are called with each of their values. What is not plain asserts stays a function that
`check` calls, so that running it shows the values.
"""

import ast
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from dc_tools.curate.reading.syntax import FunctionNode, NotLiteral, literal, parse

SOLUTION, PYTEST = "solution", "pytest"
RAISING = {"raises", "warns", "deprecated_call"}
REL, ABS = 1e-6, 1e-12
"""The tolerances of `pytest.approx`."""
NEAR = '''def isclose(value, wanted, rel_tol, abs_tol):
    if isinstance(wanted, dict):
        return value.keys() == wanted.keys() and all(isclose(value[k], wanted[k], rel_tol, abs_tol) for k in wanted)
    if isinstance(wanted, (list, tuple)):
        pairs = zip(value, wanted)
        return len(value) == len(wanted) and all(isclose(v, w, rel_tol, abs_tol) for v, w in pairs)
    return value == wanted or abs(value - wanted) <= max(abs_tol, rel_tol * abs(wanted))


'''


class _LeftOut(Exception):
    """The test asks for more than a value; says for what."""


@dataclass
class Check:
    """The module as one function."""

    code: str = ""
    aliases: dict[str, str] = field(default_factory=dict)
    """What the tests call the solution's names, where not by these."""
    left_out: Counter[str] = field(default_factory=Counter)


def as_check(code: str) -> Check:
    """The tests of a module. Errors: `NotPython`."""
    found = Check()
    tree = parse(code)
    tree = _Rewriter(found, _imports_solution(tree)).visit(tree)
    body: list[ast.stmt] = []
    for node in tree.body:
        body += _steps(node, found)
    check = ast.FunctionDef(
        name="check", args=_no_arguments("candidate"), body=body or [ast.Pass()], decorator_list=[], lineno=1
    )
    found.code = NEAR + ast.unparse(ast.fix_missing_locations(ast.Module([check], [])))
    return found


def _steps(node: ast.stmt, found: Check) -> list[ast.stmt]:
    """What becomes of a statement at the module's top."""
    match node:
        case ast.ImportFrom(module="solution"):
            found.aliases |= {each.asname: each.name for each in node.names if each.asname}
            return []
        case ast.ImportFrom(module="pytest"):
            return []
        case ast.Import():
            node.names = [each for each in node.names if each.name not in (SOLUTION, PYTEST)]
            return [node] if node.names else []
        case ast.If(test=ast.Compare(left=ast.Name(id="__name__"))):
            return []
        case ast.FunctionDef() | ast.AsyncFunctionDef() if node.name.startswith("test"):
            return _test(node, found, method=False)
        case ast.ClassDef() if node.name.startswith("Test"):
            methods = [each for each in node.body if isinstance(each, FunctionNode) and each.name.startswith("test")]
            return [step for each in methods for step in _test(each, found, method=True)]
        case ast.FunctionDef(decorator_list=[*marks]) if any("fixture" in ast.unparse(mark) for mark in marks):
            return []  # the tests that use it are left out
    return [node]


def _test(node: FunctionNode, found: Check, *, method: bool) -> list[ast.stmt]:
    """A test function's steps: its asserts themselves where it has nothing else, or the function and its calls."""
    try:
        if isinstance(node, ast.AsyncFunctionDef):
            raise _LeftOut("a test that is asynchronous")
        calls = _calls(node, method)
    except _LeftOut as error:
        found.left_out[str(error)] += 1
        return []
    if calls is None and all(isinstance(each, ast.Assert | ast.Pass) or _is_text(each) for each in node.body):
        return [each for each in node.body if isinstance(each, ast.Assert)]
    node.decorator_list = []
    if method:
        del node.args.args[:1]
    return [node, *map(ast.Expr, [_call(node.name, [])] if calls is None else calls)]


def _calls(node: ast.FunctionDef, method: bool) -> list[ast.expr] | None:
    """A call for each set of parametrized values; None for a test without parameters. Errors: `_LeftOut`."""
    names = [each.arg for each in node.args.args]
    if method:
        this = names.pop(0) if names else ""
        if any(isinstance(each, ast.Name) and each.id == this for each in ast.walk(node)):
            raise _LeftOut("a test with set-up")
    if not node.decorator_list and not names:
        return None
    match node.decorator_list:
        case [ast.Call(func=ast.Attribute(attr="parametrize"), args=[given, ast.List() | ast.Tuple() as values, *_])]:
            parameters = _parameters(given)
            if set(parameters) == set(names):
                return [_call(node.name, parameters, each) for each in values.elts]
    raise _LeftOut("a test with fixtures or marks")


def _parameters(given: ast.expr) -> list[str]:
    try:
        value = literal(given)
    except NotLiteral:
        raise _LeftOut("a test with fixtures or marks") from None
    names = value.split(",") if isinstance(value, str) else value
    if not isinstance(names, list | tuple) or not all(isinstance(each, str) for each in names):
        raise _LeftOut("a test with fixtures or marks")
    return [each.strip() for each in names]


def _call(name: str, parameters: list[str], values: ast.expr | None = None) -> ast.expr:
    """A call of the test with one set of values."""
    match values:
        case ast.Call(func=ast.Attribute(attr="param"), args=given):
            pass
        case ast.Tuple(elts=given) | ast.List(elts=given) if len(parameters) > 1:
            pass
        case None:
            given = []
        case _:
            given = [values]
    if len(given) != len(parameters) or any(isinstance(each, ast.Starred) for each in given):
        raise _LeftOut("a test with fixtures or marks")
    keywords = [ast.keyword(each, value) for each, value in zip(parameters, given, strict=True)]
    return ast.Call(ast.Name(name, ast.Load()), [], keywords)


class _Rewriter(ast.NodeTransformer):
    """Takes pytest's own words and the solution's module name out of the tests."""

    def __init__(self, found: Check, by_module: bool) -> None:
        self.found = found
        self.by_module = by_module
        """Whether the tests import the solution as a module."""

    def visit_Attribute(self, node: ast.Attribute) -> ast.expr:
        """`solution.f` is `f`."""
        self.generic_visit(node)
        is_module = isinstance(node.value, ast.Name) and node.value.id == SOLUTION
        return ast.Name(node.attr, node.ctx) if is_module and self.by_module else node

    def visit_With(self, node: ast.With) -> ast.stmt:
        """What is raised is not asked."""
        if any(_called(each.context_expr) in RAISING for each in node.items):
            self.found.left_out["an assert of what is raised"] += 1
            return ast.Pass()
        self.generic_visit(node)
        return node

    def visit_Compare(self, node: ast.Compare) -> ast.expr:
        """`x == approx(y)` is `isclose(x, y)`."""
        self.generic_visit(node)
        match node:
            case ast.Compare(left=left, ops=[ast.Eq()], comparators=[right]):
                for side, other in ((left, right), (right, left)):
                    if isinstance(side, ast.Call) and _called(side) == "approx" and side.args:
                        return _isclose(other, side)
        return node


def _imports_solution(tree: ast.Module) -> bool:
    imports = [node for node in tree.body if isinstance(node, ast.Import)]
    return any(each.name == SOLUTION for node in imports for each in node.names)


def _isclose(value: ast.expr, approx: ast.Call) -> ast.expr:
    given = dict(zip(("rel", "abs"), approx.args[1:], strict=False))
    given |= {each.arg: each.value for each in approx.keywords if each.arg in ("rel", "abs")}
    rel = given.get("rel") or ast.Constant(0.0 if "abs" in given else REL)
    keywords = [ast.keyword("rel_tol", rel), ast.keyword("abs_tol", given.get("abs") or ast.Constant(ABS))]
    return ast.Call(ast.Name("isclose", ast.Load()), [value, approx.args[0]], keywords)


def _called(node: ast.expr) -> str:
    match node:
        case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name)):
            return name
    return ""


def _is_text(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _no_arguments(*names: str) -> ast.arguments:
    """Parameters of these names."""
    return ast.arguments([], [ast.arg(each) for each in names], None, [], [], None, [])


def names_called(code: str, names: set[str]) -> Iterator[str]:
    """Those of `names` that the code calls, as often as it does."""
    for node in ast.walk(parse(code)):
        match node:
            case ast.Call(func=ast.Name(id=name)) if name in names:
                yield name
