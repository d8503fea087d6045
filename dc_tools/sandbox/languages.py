"""How programs in other languages than Python are made runnable. Standard library only: the worker reads it too."""

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
