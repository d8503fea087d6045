"""The languages that programs may be written in. Standard library only, since the worker reads it too."""

from typing import NamedTuple


class Compiler(NamedTuple):
    """How a compiled language becomes one static program: `command` reads `source` and writes `program`."""

    source: str
    command: tuple[str, ...]


PYTHON, CPP = "python", "cpp"
COMPILERS = {
    CPP: Compiler(
        "solution.cpp", ("/usr/bin/g++", "-O2", "-std=gnu++17", "-static", "-pipe", "-o", "program", "solution.cpp")
    ),
}
COMPILE_CPU_S, COMPILE_WALL_S = 20, 60
COMPILE_MEMORY_MB = 1024
TOOLS = ("/usr/bin", "/usr/include", "/usr/libexec", "/usr/local/include")
"""What a compiler reads and runs beside the libraries."""
_ALIASES = {
    PYTHON: ("python", "python3", "py", "py3", "pypy", "pypy3"),
    CPP: ("cpp", "c++", "cc", "cxx", "g++", "cpp17", "c++17", "gnu++17", "cpp14", "c++14", "cpp11", "c++11"),
}
_NAMES = {alias: name for name, aliases in _ALIASES.items() for alias in aliases}


def language(name: str) -> str | None:
    """The language that people mean by `name`; None for one that cannot be run."""
    return _NAMES.get(name.strip().lower())
