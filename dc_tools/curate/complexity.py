"""Cyclomatic complexity of a Python program: that of its most complex block, with the name of the definition."""

from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

MODULE = "<module>"


@dataclass(frozen=True)
class Complexity:
    """McCabe's number of the block that has the most."""

    value: int
    block: str

    def to_dict(self) -> dict[str, Any]:
        """For the record; definitions differ between tools, so the tool is named."""
        return {"value": self.value, "block": self.block, "definition": definition()}


def definition() -> str:
    """Which complexity this is."""
    return f"radon {version('radon')} cyclomatic complexity, highest of functions, methods, closures and module"


def complexity_of(code: str) -> Complexity:
    """The highest complexity of any block of `code`. Errors: `SyntaxError`, `ValueError`, `RecursionError`."""
    from radon.visitors import ComplexityVisitor

    visitor = ComplexityVisitor.from_code(code)
    found = [Complexity(int(visitor.complexity), MODULE), *_blocks(visitor.functions, visitor.classes)]
    return max(found, key=lambda each: each.value)


def _blocks(functions: list[Any], classes: list[Any]) -> Iterator[Complexity]:
    for function in functions:
        yield Complexity(int(function.complexity), str(function.fullname))
        yield from _blocks(function.closures, [])
    for each in classes:
        yield from _blocks(each.methods, each.inner_classes)
