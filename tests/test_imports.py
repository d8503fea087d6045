"""The import rule: what a room may import, where heavy packages live, and how long a file may be."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "dc_tools"
FILES = sorted(PACKAGE.rglob("*.py"))
ROOMS = {
    "core": set(),
    "sandbox": {"core"},
    "dedup": {"core"},
    "rollout": {"core"},
    "curate": {"core", "sandbox"},
    "learn": {"core", "sandbox", "rollout"},
    "eval": {"core", "sandbox", "rollout", "curate"},
    "finetune": {"core", "learn", "rollout"},
}
HOMES = {
    "torch": ("rollout/", "learn/", "finetune/"),
    "transformers": ("rollout/", "learn/", "finetune/", "dedup/pairs/embed.py"),
    "sentence_transformers": ("dedup/pairs/embed.py",),
    "vllm": ("rollout/vllm.py",),
    "ray": ("learn/driver.py", "core/cluster.py"),
    "docker": ("sandbox/docker.py",),
    "datasketch": ("dedup/bands.py",),
    "peft": ("learn/policy.py",),
    "huggingface_hub": ("core/hub.py",),
}
"""Heavy package -> the files or folders (ending in /) that may import it."""
LIGHT = {"typer", "msgspec", "orjson", "dc_tools"}
"""What a command file may import at its top besides the standard library."""
LINES = 400


def imports(path: Path) -> Iterator[tuple[str, int, bool]]:
    """Every absolute module that a file imports, with its line and whether at the top (run when it is imported)."""
    tree = ast.parse(path.read_text())
    inner = {
        id(node) for part in ast.walk(tree) if isinstance(part, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        for node in ast.walk(part)
    } | {id(node) for part in ast.walk(tree) if typing_only(part) for node in ast.walk(part)}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}:{node.lineno}: a relative import"
            for alias in node.names:
                yield f"{node.module}.{alias.name}", node.lineno, id(node) not in inner
        elif isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node.lineno, id(node) not in inner


def typing_only(node: ast.AST) -> bool:
    """Whether a node is `if TYPE_CHECKING:`."""
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)


def name(path: Path) -> str:
    return str(path.relative_to(PACKAGE))


@pytest.mark.parametrize("path", FILES, ids=name)
def test_a_room_imports_only_the_rooms_below_it(path):
    room = name(path).partition("/")[0]
    if path.parent == PACKAGE:
        room = "core"
    allowed = ROOMS[room] | {room}
    for module, line, _ in imports(path):
        parts = module.split(".")
        if parts[0] == "dc_tools" and len(parts) > 1 and parts[1] in ROOMS:
            assert parts[1] in allowed, f"{name(path)}:{line}: {room} imports {parts[1]}"


@pytest.mark.parametrize("path", FILES, ids=name)
def test_a_heavy_package_is_imported_only_at_home(path):
    for module, line, _ in imports(path):
        homes = HOMES.get(module.split(".")[0])
        if homes:
            at_home = any(name(path) == home or (home.endswith("/") and name(path).startswith(home)) for home in homes)
            assert at_home, f"{name(path)}:{line}: {module} lives in {homes}"


@pytest.mark.parametrize("path", sorted(PACKAGE.glob("*/command.py")), ids=name)
def test_a_command_file_imports_nothing_heavy_at_its_top(path):
    import sys

    for module, line, top in imports(path):
        package = module.split(".")[0]
        if top:
            assert package in LIGHT or package in sys.stdlib_module_names, f"{name(path)}:{line}: {module}"


def test_core_stands_without_anything_that_takes_long_to_import():
    slow = {"numpy", "scipy", "torch", "pyarrow", "rich", "zstandard", "xxhash", "httpx", "docker", "datasketch"}
    for path in sorted((PACKAGE / "core").glob("*.py")):
        for module, line, top in imports(path):
            assert not (top and module.split(".")[0] in slow), f"{name(path)}:{line}: {module}"


@pytest.mark.parametrize("path", FILES, ids=name)
def test_a_file_stays_under_four_hundred_lines_and_says_what_it_is(path):
    text = path.read_text()
    assert len(text.splitlines()) < LINES
    if path.parent != PACKAGE or text:
        assert ast.get_docstring(ast.parse(text)), "no module docstring"


def test_every_room_is_known_to_the_rule():
    assert {path.parent.name for path in PACKAGE.glob("*/__init__.py")} == set(ROOMS)


def test_no_module_is_a_bag_of_things():
    assert [name(path) for path in FILES if path.stem in {"utils", "util", "helpers", "misc", "common"}] == []
