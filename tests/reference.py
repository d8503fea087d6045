"""One uninterrupted run of a command, shared by the checks of the contract and those of its room."""

from pathlib import Path

from processes import Ended, run
from tools import Tool


class Reference:
    """A finished run: its folder with `in.jsonl` and `out`, and how it ended."""

    def __init__(self, tool: Tool, model: Path, folder: Path) -> None:
        self.tool, self.folder = tool, folder
        (folder / "in.jsonl").write_bytes(tool.input())
        rejects = [] if tool.makes_lines else ["--rejects", "rejects"]
        self.argv = tool.argv(model, "in.jsonl", "-o", "out", "--workers", "2", *rejects)
        self.ended: Ended = run([*self.argv, "-q"], cwd=folder)
