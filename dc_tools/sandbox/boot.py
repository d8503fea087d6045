"""Starting a worker where nothing of this package is installed: its sources are sent to a bare `python3`.

Sent are the worker and the modules of this package that it imports, which use the standard library only.
"""

import ast
import functools
import json
from collections.abc import Iterator
from pathlib import Path

import dc_tools

_BOOT = """
import importlib.abc, importlib.util, json, os, sys
def exactly(size):
    data = b""
    while len(data) < size:
        block = os.read(0, size - len(data))
        if not block:
            os._exit(0)
        data += block
    return data
class Sources(importlib.abc.MetaPathFinder, importlib.abc.InspectLoader):
    def __init__(self, texts):
        self.texts = texts
    def find_spec(self, name, path=None, target=None):
        return importlib.util.spec_from_loader(name, self) if name in self.texts else None
    def is_package(self, name):
        return any(other.startswith(name + ".") for other in self.texts)
    def get_source(self, name):
        return self.texts[name]
sources = Sources(json.loads(exactly(int.from_bytes(exactly(4), "little"))))
sys.meta_path.insert(0, sources)
main = importlib.import_module(sys.argv[1]).main
sys.meta_path.remove(sources)
arguments = [*sys.argv[2:], os.path.dirname(os.__file__)]
del exactly, Sources, sources
main(arguments)
"""
FLAGS = ("-s", "-S", "-P", "-B", "-X", "utf8")


def command(module: str, *arguments: str) -> list[str]:
    """What to run: it takes `packed(module)` from stdin and calls the module's `main` with a list of strings, which are
    `arguments` and the folder of the standard library there. The rest of stdin is the module's."""
    return ["python3", *FLAGS, "-c", _BOOT, module, *arguments]


@functools.cache
def packed(module: str) -> bytes:
    """A module and the modules of this package that it imports; the packages they are in are sent empty.

    The first call must have no other thread beside it that parses Python: 3.11 counts the depth of all in one place.
    """
    texts: dict[str, str] = {}
    waiting = [module]
    while waiting:
        name = waiting.pop()
        if name not in texts:
            texts[name] = _file_of(name).read_text(encoding="utf-8")
            waiting += _imported(texts[name])
    packages = {package: "" for name in texts for package in _packages_of(name)}
    data = json.dumps(packages | texts).encode()
    return len(data).to_bytes(4, "little") + data


def _imported(text: str) -> Iterator[str]:
    """The modules of this package that a source imports."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == dc_tools.__name__:
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield inner if _file_of(inner).exists() else node.module


def _file_of(module: str) -> Path:
    return Path(dc_tools.__file__).parents[1].joinpath(*module.split(".")).with_suffix(".py")


def _packages_of(module: str) -> Iterator[str]:
    """The packages around a module."""
    parts = module.split(".")
    for size in range(1, len(parts)):
        yield ".".join(parts[:size])
