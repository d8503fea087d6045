"""The outline of a Python program: its classes, functions, loops and try blocks, in the order of the text.

It is parsed and never run. Conditions are left out: they would be most of an outline, and are counted in a function's
complexity. Recursion is seen where a function names itself, not where two call each other.
"""

import ast
import re
import warnings
from collections.abc import Iterator
from enum import StrEnum

from dc_tools.core.records import Struct

LARGEST = 1 << 17
"""Characters that are looked at."""
MOST = 200
"""Parts of an outline."""
LONGEST = 60
"""Characters of a name."""
LINE_END = re.compile(r"\r\n|\r|\n")
"""Where Python ends a line; `str.splitlines` does so in more places."""
_Function = ast.FunctionDef | ast.AsyncFunctionDef
_Loop = ast.For | ast.AsyncFor | ast.While


class Kind(StrEnum):
    """What a part is; ERROR where the program cannot be parsed, MORE for parts that are left out."""

    CLASS = "class"
    FUNCTION = "function"
    LOOP = "loop"
    TRY = "try"
    ERROR = "error"
    MORE = "more"


class Part(Struct, omit_defaults=False):
    """One part of a program."""

    kind: Kind
    name: str
    """Of a class or function; the line that a loop begins with; what a try block catches; what an error is."""
    line: int
    """From 1."""
    end_line: int
    depth: int = 0
    """Parts around it."""
    note: str = ""
    """In words: complexity (radon's) and recursion of a function, how many loops are around a loop."""


def structure(code: str) -> list[Part]:
    """The outline of `code`; one part of kind `error` where it is too long or no Python."""
    if len(code) > LARGEST:
        return [_error(f"{len(code)} characters, more than the {LARGEST} that are looked at", 1)]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(code)
    except SyntaxError as error:
        return [_error(error.msg, error.lineno or 1)]
    except (ValueError, RecursionError, MemoryError) as error:
        return [_error(str(error) or "nested too deeply", 1)]
    parts = list(_parts(tree, LINE_END.split(code), _complexities(tree)))
    if len(parts) > MOST:
        first = parts[MOST]
        more = Part(Kind.MORE, f"{len(parts) - MOST} more", first.line, max(each.end_line for each in parts[MOST:]))
        parts[MOST:] = [more]
    return parts


def _error(message: str, line: int) -> Part:
    return Part(Kind.ERROR, message, line, line)


def _parts(tree: ast.Module, lines: list[str], complexities: dict[tuple[int, int], int]) -> Iterator[Part]:
    """Without recursion: a chain of `elif` is deeper than Python's stack."""
    waiting: list[tuple[ast.AST, int, int]] = [(tree, 0, 0)]
    while waiting:
        node, depth, loops = waiting.pop()
        part = _part(node, lines, complexities, depth, loops)
        if part:
            yield part
            depth += 1
        loops = 0 if isinstance(node, _Function | ast.ClassDef) else loops + isinstance(node, _Loop)
        inner = [each for each in ast.iter_child_nodes(node) if not isinstance(each, ast.expr)]
        waiting += [(each, depth, loops) for each in reversed(inner)]


def _part(
    node: ast.AST, lines: list[str], complexities: dict[tuple[int, int], int], depth: int, loops: int
) -> Part | None:
    match node:
        case ast.ClassDef():
            kind, name, note = Kind.CLASS, node.name, ""
        case ast.FunctionDef() | ast.AsyncFunctionDef():
            kind, name, note = Kind.FUNCTION, node.name, _note(node, complexities)
        case ast.For() | ast.AsyncFor() | ast.While():
            kind, name, note = Kind.LOOP, lines[node.lineno - 1].strip(), f"inside of {loops}" if loops else ""
        case ast.Try() | ast.TryStar():
            kind, name, note = Kind.TRY, ", ".join(_handled(node)) or "finally", ""
        case _:
            return None
    return Part(kind, name[:LONGEST], node.lineno, node.end_lineno or node.lineno, depth, note)


def _handled(node: ast.Try | ast.TryStar) -> Iterator[str]:
    """What a try block catches."""
    for handler in node.handlers:
        names = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
        for name in names:
            yield name.id if isinstance(name, ast.Name) else "all" if name is None else "…"


def _note(node: _Function, complexities: dict[tuple[int, int], int]) -> str:
    found = complexities.get((node.lineno, node.col_offset))
    notes = [f"complexity {found}"] if found else []
    return ", ".join([*notes, "recursive"] if _is_recursive(node) else notes)


def _is_recursive(node: _Function) -> bool:
    """Whether it calls its own name, as a function or as a method of something."""
    calls = (each.func for each in ast.walk(node) if isinstance(each, ast.Call))
    return any(
        (isinstance(called, ast.Name) and called.id == node.name)
        or (isinstance(called, ast.Attribute) and called.attr == node.name and _is_self(called.value))
        for called in calls
    )


def _is_self(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and node.id in ("self", "cls")


def _complexities(tree: ast.Module) -> dict[tuple[int, int], int]:
    """By place, the cyclomatic complexity of each function; none where radon gives up."""
    from radon.visitors import ComplexityVisitor

    try:
        visitor = ComplexityVisitor.from_ast(tree)
    except RecursionError:
        return {}
    found, waiting = {}, [*visitor.functions, *visitor.classes]
    while waiting:
        each = waiting.pop()
        if hasattr(each, "closures"):
            found[each.lineno, each.col_offset] = int(each.complexity)
            waiting += each.closures
        else:
            waiting += [*each.methods, *each.inner_classes]
    return found
