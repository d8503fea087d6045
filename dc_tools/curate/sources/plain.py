"""Our own record, whole or minimal: `tests`, an `id`, and solutions that may be bare strings of Python."""

from typing import Any

from dc_tools.core.records import Line, Problem
from dc_tools.curate.draft import Draft


def draft(line: Line) -> Draft:
    """The problem of one row; whatever else the row holds stays on it."""
    solutions: list[str | dict[str, Any]] = line.fields.get_as("solutions", list[str | dict[str, Any]], [])
    if any(isinstance(each, str) for each in solutions):
        line.fields.put("solutions", [{"code": each} if isinstance(each, str) else each for each in solutions])
    problem = Line(line.to_bytes(), line.file, line.number, line.index).decode(Problem)
    return Draft(problem, own=line)
