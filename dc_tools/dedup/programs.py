"""What makes two programs the same but for their names: a hash of the syntax tree with its own names numbered.

Two problems whose solutions are the same program are the same problem or twins. The reverse says nothing.
"""

import ast
import builtins
import warnings
from collections.abc import Iterable
from itertools import islice

import xxhash

MOST_CHARACTERS = 1 << 16
MOST_PROGRAMS = 16
"""Solutions of a record that are looked at."""
LEAST_NODES = 20
"""A smaller tree is shared by too many programs to tell anything."""
_BUILTINS = frozenset(dir(builtins))
_Body = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def fingerprints(programs: Iterable[str]) -> frozenset[int]:
    """The hashes of those of the first programs that are Python of some size."""
    return frozenset(each for code in islice(programs, MOST_PROGRAMS) if (each := fingerprint(code)) is not None)


def fingerprint(code: str) -> int | None:
    """Equal for programs that differ in their own names, docstrings, annotations and layout; None for no program."""
    if len(code) > MOST_CHARACTERS:
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(code)
        if sum(1 for _ in ast.walk(tree)) < LEAST_NODES:
            return None
        dump = ast.dump(_Renamer(tree).visit(tree))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    return xxhash.xxh3_64_intdigest(dump.encode("utf-8", "surrogatepass"))


class _Renamer(ast.NodeTransformer):
    """Numbers the program's own names as they appear; those of builtins, modules and attributes stay."""

    def __init__(self, tree: ast.Module) -> None:
        self._numbers: dict[str, str] = {}
        nodes = list(ast.walk(tree))
        imported = (alias for node in nodes if isinstance(node, ast.Import | ast.ImportFrom) for alias in node.names)
        self._kept = _BUILTINS | {(alias.asname or alias.name).partition(".")[0] for alias in imported}
        self._own = {node.name for node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}

    def _name(self, name: str) -> str:
        return name if name in self._kept else self._numbers.setdefault(name, f"_{len(self._numbers)}")

    def generic_visit(self, node: ast.AST) -> ast.AST:
        """Take docstrings and annotations away, then go on."""
        if isinstance(node, _Body) and ast.get_docstring(node, clean=False) is not None:
            del node.body[0]
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            node.name, node.returns = self._name(node.name), None
        elif isinstance(node, ast.ClassDef):
            node.name = self._name(node.name)
        elif isinstance(node, ast.arg):
            node.arg, node.annotation = self._name(node.arg), None
        elif isinstance(node, ast.Name):
            node.id = self._name(node.id)
        elif isinstance(node, ast.Attribute) and node.attr in self._own:
            node.attr = self._name(node.attr)
        return super().generic_visit(node)
