"""The README against the project: its commands, exit codes, tree and example line."""

import re
import tomllib
from pathlib import Path

import msgspec

from dc_tools.core.errors import Exit
from dc_tools.core.records import Problem

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


def test_every_command_is_in_the_table_and_has_a_wrapper():
    commands = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    assert re.findall(r"^\| `(dc-\w+)` \|", README, re.M) == [
        "dc-curate", "dc-dedup", "dc-sandbox", "dc-rollout", "dc-learn", "dc-eval", "dc-finetune",
    ]
    assert sorted(commands) == sorted(re.findall(r"^\| `(dc-\w+)` \|", README, re.M))
    assert all((ROOT / "bin" / name).exists() for name in commands)


def test_the_exit_codes_are_those_of_the_code():
    table = README.split("| exit code | meaning |")[1].split("\n\n")[0]
    assert {int(n) for n in re.findall(r"\d+", " ".join(re.findall(r"^\|([^|]+)\|", table, re.M)))} == set(Exit)


def test_the_tree_is_there():
    tree = README.split("## The tree")[1].split("```")[1]
    rooms = re.findall(r"(\w+)/ ", tree.split("dc_tools/")[1].split("bin/")[0])
    assert sorted(rooms) == sorted(p.name for p in (ROOT / "dc_tools").iterdir() if (p / "__init__.py").exists())
    named = tree.split("examples/ ")[1].split("tests/")[0].split()
    assert all((ROOT / "examples" / name).exists() for name in named)


def test_the_example_record_is_one():
    block = README.split("## The record")[1].split("```")[1]
    problem = msgspec.json.decode(" ".join(block.split("\n")).encode(), type=Problem)
    assert problem.rollouts[0].verdict is not None
    assert problem.rollouts[0].verdict.passed == 6


def test_nothing_else_lies_at_the_top():
    import subprocess

    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    assert {name.split("/")[0] for name in listed} <= {
        "dc_tools", "bin", "examples", "tests", "pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md", ".ci",
        ".gitignore",
    }
