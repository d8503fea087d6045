"""`tool` is each command in turn."""

import pytest
from tools import TOOLS


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Where a test has a `tool`."""
    if "tool" in metafunc.fixturenames:
        metafunc.parametrize("tool", TOOLS, ids=lambda tool: tool.name)
