"""Modules of ours, of the standard library alone, that run inside a sandboxed program: their text is sent with it."""

from functools import cache
from pathlib import Path
from types import ModuleType


@cache
def inlined(name: str, module: ModuleType) -> str:
    """Source that makes `name` the names of `module`, apart from those of the program that it is put into."""
    text = Path(str(module.__file__)).read_text()
    return f"{name} = {{'__name__': {module.__name__!r}}}\nexec({text!r}, {name})\n"
