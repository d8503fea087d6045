"""Cyclomatic complexity of a program: that of its most complex block, with the name of the definition.

Python is counted by radon, other languages by lizard, which only looks at tokens: it needs no program that compiles,
and says nothing about whether one does. On Python they give the same number for 3066 of 3070 published solutions; the
`else` of a loop, `assert` and `case _` part them. A number says who counted.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from dc_tools.core.languages import PYTHON, language

MODULE = "<module>"
DEFINITION = "radon cyclomatic, highest block"
"""Blocks are functions, methods, closures, and the module's own statements. Other tools count otherwise."""
LIZARD = "lizard cyclomatic, highest function"
"""Functions and methods, closures where lizard tells them apart, and what stands outside of all."""
LARGEST = {DEFINITION: 1 << 18, LIZARD: 1 << 14}
"""Characters looked at. radon takes up to 10 s for a million; lizard 3 s for a plain million, but the square of the
length for some: 16384 characters of the worst kinds found (`{a`, `"\\\\`, `/*` repeated) take two seconds."""
LONGEST_NAME = 100
NAME = re.compile(r"(?:(?:gnu|ms|microsoft|visual) )*([a-z](?:[a-z.-]*[a-z])?(?:\+\+|#)?) *(\d*)")
"""A language and its version at the start of what datasets and judges call it: `GNU C++17 (64)`, `PyPy 3-64`."""
EXTENSIONS = {
    "cpp": ("cpp", "c++", "g++", "gnu++", "clang++", "cc", "cxx"), "c": ("c", "gcc"), "java": ("java",),
    "js": ("javascript", "js", "node", "node.js", "nodejs"), "ts": ("typescript", "ts"), "go": ("go", "golang"),
    "rs": ("rust", "rs"), "cs": ("c#", "csharp", "cs", "mono"), "kt": ("kotlin", "kt"), "rb": ("ruby", "rb"),
    "php": ("php",), "swift": ("swift",), "scala": ("scala",), "lua": ("lua",), "pl": ("perl", "pl"), "r": ("r",),
    "m": ("objective-c", "objc"), "f90": ("fortran",), "py": ("python", "py", "pypy"),
}
"""By the file extension that lizard knows a language by: its names. Python stands here for Python 2."""
_EXTENSION = {name: extension for extension, names in EXTENSIONS.items() for name in names}


class Unmeasured(ValueError):
    """No number can be had: an unknown language, or a program that is too long or beyond the tool; says which."""


@dataclass(frozen=True)
class Complexity:
    """McCabe's number of the block that has the most."""

    value: int
    block: str
    definition: str = DEFINITION

    def to_dict(self) -> dict[str, Any]:
        """For the record."""
        return {"value": self.value, "block": self.block, "definition": self.definition}


def complexity_of(code: str, lang: str = PYTHON) -> Complexity:
    """The highest complexity of any block of `code`, in a language by any of its names.

    Errors: `Unmeasured`; for Python 3 `SyntaxError`, `ValueError`, `RecursionError` and `MemoryError`, too.
    """
    if _is_python(lang):
        return _by_radon(code)
    extension = _extension_of(lang)
    if not extension:
        raise Unmeasured(f"nothing counts the complexity of {lang or 'a program of no language'}")
    return _by_lizard(code, extension)


def _by_radon(code: str) -> Complexity:
    from radon.visitors import ComplexityVisitor

    _check_size(code, DEFINITION)
    visitor = ComplexityVisitor.from_code(code)
    found = [*_blocks(visitor.functions, visitor.classes), Complexity(int(visitor.complexity), MODULE)]
    return max(found, key=lambda each: each.value)


def _blocks(functions: list[Any], classes: list[Any]) -> Iterator[Complexity]:
    for function in functions:
        yield Complexity(int(function.complexity), str(function.fullname))
        yield from _blocks(function.closures, [])
    for each in classes:
        yield from _blocks(each.methods, each.inner_classes)


def _by_lizard(code: str, extension: str) -> Complexity:
    """What lizard's own file analysis finds, which would write on stderr where it gives up."""
    import lizard

    _check_size(code, LIZARD)
    name = f"program.{extension}"
    context = lizard.FileInfoBuilder(name)
    try:
        reader = lizard.get_reader_for(name)(context)
        tokens = reader.generate_tokens(code)
        for processor in lizard.get_extensions([]):
            tokens = processor(tokens, reader)
        for _ in reader(tokens, reader):
            pass
    except Exception as error:
        raise Unmeasured(f"lizard cannot read it: {type(error).__name__}") from error
    functions = [*context.fileinfo.function_list, context.global_pseudo_function]
    highest = max(functions, key=lambda each: int(each.cyclomatic_complexity))
    block = MODULE if highest is functions[-1] else str(highest.name)[:LONGEST_NAME]
    return Complexity(int(highest.cyclomatic_complexity), block, LIZARD)


def _check_size(code: str, definition: str) -> None:
    if len(code) > LARGEST[definition]:
        raise Unmeasured(f"{len(code)} characters, more than the {LARGEST[definition]} that are looked at")


def _is_python(lang: str) -> bool:
    """Whether this is Python 3, as it is where no version is named."""
    found = NAME.match(lang.strip().lower())
    return language(lang) == PYTHON or bool(found and found[1] in EXTENSIONS["py"] and found[2] != "2")


def _extension_of(lang: str) -> str | None:
    found = NAME.match(lang.strip().lower())
    return _EXTENSION.get(found[1]) if found else None
