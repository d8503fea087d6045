"""Cyclomatic complexity of a Python program: that of its most complex block, with the name of the definition."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

MODULE = "<module>"
DEFINITION = "radon cyclomatic, highest block"
"""Blocks are functions, methods, closures, and the module's own statements. Other tools count otherwise."""


@dataclass(frozen=True)
class Complexity:
    """McCabe's number of the block that has the most."""

    value: int
    block: str

    def to_dict(self) -> dict[str, Any]:
        """For the record."""
        return {"value": self.value, "block": self.block, "definition": DEFINITION}


def complexity_of(code: str) -> Complexity:
    """The highest complexity of any block of `code`. Errors: `SyntaxError`, `ValueError`, `RecursionError`."""
    from radon.visitors import ComplexityVisitor

    visitor = ComplexityVisitor.from_code(code)
    found = [*_blocks(visitor.functions, visitor.classes), Complexity(int(visitor.complexity), MODULE)]
    return max(found, key=lambda each: each.value)


def _blocks(functions: list[Any], classes: list[Any]) -> Iterator[Complexity]:
    for function in functions:
        yield Complexity(int(function.complexity), str(function.fullname))
        yield from _blocks(function.closures, [])
    for each in classes:
        yield from _blocks(each.methods, each.inner_classes)
