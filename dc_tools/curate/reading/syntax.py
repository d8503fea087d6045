"""Reading untrusted Python as data: syntax trees, literals as JSON values, signatures. Nothing here runs anything."""

import ast
import math
import re
from dataclasses import dataclass
from typing import Any

FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef
SHOWN = 80
"""Characters of source that a message quotes."""
MOST_CODE = 1 << 20
"""Characters of code of which a syntax tree is made: it takes up to 400 bytes for each."""
MOST_BITS = 14_000
"""Of an integer. Python writes no number of more than 4300 digits in decimal, and reads one only in another base."""
_OTHER_BASE = re.compile(r"(?<![0-9A-Za-z_])0[xXoObB][0-9A-Fa-f_]{3000}")


class NotPython(ValueError):
    """The text is not Python that can be read; the message says why."""


class NotLiteral(ValueError):
    """The expression is not a literal: only running it would give its value."""


class NotJson(ValueError):
    """The value has no JSON form; the message names what is in the way."""


def parse(code: str) -> ast.Module:
    """The syntax tree of `code`. Errors: `NotPython`."""
    if len(code) > MOST_CODE:
        raise NotPython(f"{len(code)} characters, more than {MOST_CODE}")
    try:
        tree = ast.parse(code)
    except SyntaxError as error:
        raise NotPython(f"line {error.lineno}: {error.msg}") from None
    except ValueError as error:
        raise NotPython(str(error)) from None
    except (RecursionError, MemoryError):
        raise NotPython("nested too deeply") from None
    if holds_long_number(code, tree):
        raise NotPython("a number of thousands of digits")
    return tree


def holds_long_number(code: str, tree: ast.AST) -> bool:
    """Whether `code`, whose tree is given, has an integer that Python reads but does not write."""
    if not _OTHER_BASE.search(code):
        return False
    constants = (node.value for node in ast.walk(tree) if isinstance(node, ast.Constant))
    return any(isinstance(value, int) and value.bit_length() > MOST_BITS for value in constants)


def quoted(node: ast.AST) -> str:
    """The source of `node`, shortened for a message."""
    try:
        text = " ".join(ast.unparse(node).split())
    except RecursionError:
        return "an expression nested too deeply"
    return text if len(text) <= SHOWN else f"{text[: SHOWN - 3]}..."


def literal(node: ast.expr) -> Any:
    """The value of a literal expression. Errors: `NotLiteral`."""
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        raise NotLiteral(quoted(node)) from None


def json_value(value: Any) -> Any:
    """`value` in JSON's types, tuples as lists. Errors: `NotJson`."""
    if type(value) is str and not _is_writable(value):
        raise NotJson("a string with a lone surrogate")
    if value is None or type(value) in (bool, int, str):
        return value
    if type(value) is float:
        if math.isfinite(value):
            return value
        raise NotJson(f"the number {value}")
    if type(value) in (list, tuple):
        return [json_value(each) for each in value]
    if type(value) is dict:
        if all(type(key) is str for key in value):
            return {key: json_value(each) for key, each in value.items()}
        raise NotJson("a dict whose keys are not all strings")
    raise NotJson(f"a value of type {type(value).__name__}")


def _is_writable(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def holds_tuple(value: Any) -> bool:
    """Whether a tuple is anywhere in a literal's value."""
    match value:
        case tuple():
            return True
        case list():
            return any(map(holds_tuple, value))
        case dict():
            return any(map(holds_tuple, value.values()))
    return False


def holds_float(value: Any) -> bool:
    """Whether a float is anywhere in a JSON value."""
    match value:
        case float():
            return True
        case list():
            return any(map(holds_float, value))
        case dict():
            return any(map(holds_float, value.values()))
    return False


def function_named(tree: ast.Module, name: str, class_name: str | None = None) -> FunctionNode | None:
    """The last definition of `name` at the top of the module, or of that method in the last such class."""
    body: list[ast.stmt] = list(tree.body)
    if class_name is not None:
        classes = [node for node in body if isinstance(node, ast.ClassDef) and node.name == class_name]
        body = list(classes[-1].body) if classes else []
    found = [node for node in body if isinstance(node, FunctionNode) and node.name == name]
    return found[-1] if found else None


def functions_of(tree: ast.Module) -> list[str]:
    """Names of the functions defined at the top of the module, in order."""
    return [node.name for node in tree.body if isinstance(node, FunctionNode)]


@dataclass(frozen=True)
class Signature:
    """The parameters of a function as far as its text shows them."""

    names: list[str]
    """Positional parameters in order, without `self`."""
    annotations: list[str]
    """Their annotations as source, empty where there is none."""
    returns: str
    """The annotation of the result as source, or empty."""


def signature_of(node: FunctionNode, *, method: bool = False) -> Signature:
    """The signature of a function; of a method without its first parameter."""
    parameters = [*node.args.posonlyargs, *node.args.args][1 if method else 0 :]
    return Signature(
        [each.arg for each in parameters],
        [ast.unparse(each.annotation) if each.annotation else "" for each in parameters],
        ast.unparse(node.returns) if node.returns else "",
    )


def heading_of(node: FunctionNode) -> str:
    """The `def` line of a function, without decorators and body."""
    bare = ast.FunctionDef(
        name=node.name, args=node.args, body=[ast.Pass()], decorator_list=[], returns=node.returns, lineno=1
    )
    return ast.unparse(bare).removesuffix("\n    pass")
