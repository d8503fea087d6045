"""`tool` is each command in turn."""

from typing import Any

import pytest
from tools import TOOLS, Tool

SLOW = {("test_a_signal_ends_it_and_its_children_within_ten_seconds", "dc-learn")}
"""Tests that take over ten seconds with these commands."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Where a test has a `tool`."""

    def marked(tool: Tool) -> Any:
        is_slow = (metafunc.function.__name__, tool.name) in SLOW
        return pytest.param(tool, marks=pytest.mark.slow) if is_slow else tool

    if "tool" in metafunc.fixturenames:
        metafunc.parametrize("tool", [marked(tool) for tool in TOOLS], ids=lambda tool: tool.name)
