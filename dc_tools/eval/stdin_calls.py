"""How LiveCodeBench runs a program that reads its standard input; its text is sent into the candidate's process.

The program becomes a function, behind the imports that LiveCodeBench puts before it, and is called with stand-ins for
stdin and open(). So correct programs fail there that iterate over stdin, read it by open(0) or by lines of its buffer,
write by os.write or the buffer of stdout, use `global`, or call quit(). Whoever compares with published numbers wants
the same verdicts. Only the standard library.
"""

import ast
import builtins
import io
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any
from unittest import mock

STARS = (
    "string", "re", "datetime", "collections", "heapq", "bisect", "copy", "math", "random", "statistics", "itertools",
    "functools", "operator", "io", "sys", "json", "builtins", "typing",
)
"""Modules of which all names are there, in this order: the later hide the earlier, as io.open does open."""
NAMED = [name for name in STARS if name not in ("builtins", "typing")]
PRELUDE = "\n".join([
    *(f"from {name} import *" for name in STARS), *(f"import {name}" for name in NAMED), "sys.setrecursionlimit(50000)",
])
FUNCTION = "program"


class Bytes:
    """Stands for stdin's buffer: all of it, or its first line."""

    def __init__(self, text: str) -> None:
        self._bytes = text.encode()

    def read(self, *_: int) -> bytes:
        """All, each time."""
        return self._bytes

    def readline(self, *_: int) -> bytes:
        """The first line, each time."""
        return self._bytes.partition(b"\n")[0] + b"\n"


class Stdin:
    """Stands for stdin: read by input(), read, readline and readlines, but not by iterating."""

    def __init__(self, text: str) -> None:
        self.buffer = Bytes(text)
        self._text, self._rest, self._file = text, iter(text.split("\n")), io.StringIO(text)

    def read(self, *_: int) -> str:
        """All, each time."""
        return self._text

    def readline(self, *_: int) -> str:
        """The next line, without its end. Errors: `StopIteration` behind the last."""
        return next(self._rest)

    def readlines(self, *_: int) -> list[str]:
        """All lines, without their ends."""
        return self._text.split("\n")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


def run(code: str, text: str) -> str:
    """What a program writes to sys.stdout where it reads `text`. Errors: what it raises, but for `SystemExit`."""
    names: dict[str, Any] = {"__name__": "tmp_sol"}
    with mock.patch.object(builtins, "quit", None):
        exec(as_function(code), names)
        if "class Solution" in code:
            names["Solution"]()  # as for functions; in a program it is inside of the function, and not found
        with _written() as output, _reading(text), suppress(SystemExit):
            names[FUNCTION]()
    return output.getvalue()


def as_function(code: str) -> str:
    """The program as a function without arguments, behind all imports."""
    try:
        tree = ast.parse(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return code
    body = _without_guard(tree.body)
    imports = [each for each in body if isinstance(each, ast.Import | ast.ImportFrom)]
    others = [each for each in body if not isinstance(each, ast.Import | ast.ImportFrom)]
    function = ast.parse(f"def {FUNCTION}(): pass").body[0]
    assert isinstance(function, ast.FunctionDef)
    function.body = others
    return "\n".join([PRELUDE, *map(ast.unparse, imports), ast.unparse(function), ""])


def _without_guard(body: list[ast.stmt]) -> list[ast.stmt]:
    """The statements; those of a last `if __name__ == "__main__"` in its place."""
    last = body[-1] if body else None
    if isinstance(last, ast.If) and ast.unparse(last.test) == "__name__ == '__main__'":
        return [*body[:-1], *last.body]
    return body


@contextmanager
def _written() -> Iterator[io.StringIO]:
    output = io.StringIO()
    with mock.patch.object(sys, "stdout", output):
        yield output


@contextmanager
def _reading(text: str) -> Iterator[None]:
    with mock.patch.object(builtins, "open", mock.mock_open(read_data=text)), mock.patch.object(
        sys, "stdin", Stdin(text)
    ):
        yield
