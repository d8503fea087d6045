"""A small evaluation set, records that match it in several ways, and the command as a process."""

import json
import subprocess
from pathlib import Path

from processes import BIN, environment

COMMAND = str(BIN / "dc-dedup")
SQUARE = "Given an integer n print the square of n on a single line"
PATH = "Find the length of the shortest path between the two given nodes of the graph"
COINS = "Count the ways in which the coins of the given list make the wanted amount of money"
SORT = "Sort the words of a text by their second letter"
REFERENCES = [
    {"id": "e/0", "statement": SQUARE}, {"id": "e/1", "statement": PATH, "tests": [{"input": "1", "output": "2"}]},
    {"id": "e/2", "statement": COINS},
]
_TEXTS = {
    "same": SQUARE.upper(), "wrapped": f"Solve this, please. {PATH}!", "cleared": f"Solve this, please. {PATH}!",
    "half": "Count the ways in which the coins of the given list make nothing but noise when they fall down",
    "other": SORT, "again": SORT.lower(),
}
_TESTS = {"cleared": [{"input": "1", "output": "3"}]}
RECORDS = [{"id": name, "statement": text, "tests": _TESTS.get(name, [])} for name, text in _TEXTS.items()]


def lines_of(rows):
    """JSON lines."""
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


def write(name, rows):
    """Write rows as JSON lines."""
    Path(name).write_bytes(lines_of(rows))


def evidence_of(removed):
    """Id -> `dedup` of removed lines."""
    return {row["id"]: row["dedup"] for row in map(json.loads, removed.splitlines())}


def from_shell(script, **variables):
    """Run a script of bash, in which `$D` is the command, to its end."""
    return subprocess.run(
        ["bash", "-c", script], capture_output=True, timeout=120, check=False, env=environment(D=COMMAND, **variables)
    )
