"""One uninterrupted run of each command, shared by the checks."""

from collections.abc import Callable
from pathlib import Path

import pytest
from processes import Ended, run
from tools import TOOLS, Tool


class Reference:
    """A finished run: its folder with `in.jsonl` and `out`, and how it ended."""

    def __init__(self, tool: Tool, model: Path, folder: Path) -> None:
        self.tool, self.folder = tool, folder
        (folder / "in.jsonl").write_bytes(tool.input())
        rejects = [] if tool.makes_lines else ["--rejects", "rejects"]
        self.argv = tool.argv(model, "in.jsonl", "-o", "out", "--workers", "2", *rejects)
        self.ended: Ended = run([*self.argv, "-q"], cwd=folder)


@pytest.fixture(scope="session")
def reference(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[Tool], Reference]:
    """The reference run of a command, made when first asked for."""
    made: dict[str, Reference] = {}

    def get(tool: Tool) -> Reference:
        if tool.name not in made:
            made[tool.name] = Reference(tool, tiny_model, tmp_path_factory.mktemp(tool.name))
        return made[tool.name]

    return get


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """`tool` is each command in turn."""
    if "tool" in metafunc.fixturenames:
        metafunc.parametrize("tool", TOOLS, ids=lambda tool: tool.name)
