"""HumanEval+: HumanEval with many more inputs, whose values are what the canonical solution says.

The file has no expected values. They are learned in the sandbox, and only after the canonical solution has passed the
row's own asserts there; a problem whose asserts do not pin a value down has an oracle of its own in EvalPlus.
"""

import json
from typing import Any

import msgspec

from dc_tools.core.records import Line
from dc_tools.curate.draft import Draft, Script
from dc_tools.curate.reading.asserts import FLOAT_TOLERANCE, Checks
from dc_tools.curate.reading.syntax import NotPython, function_named, parse
from dc_tools.curate.reasons import Reason, Refusal
from dc_tools.curate.sources import humaneval

DATASET, LICENSE = "humaneval+", "Apache-2.0"
CODE = """{test}


def check(candidate, published=check, reference={entry_point}):
    import json
    published(reference)
    for arguments in json.loads({inputs!r}):
        candidate(*arguments)
"""


class Row(humaneval.Row):
    """What is read of a row."""

    base_input: list[list[Any]] = msgspec.field(default_factory=list)
    plus_input: list[list[Any]] = msgspec.field(default_factory=list)
    atol: float = 0.0


def draft(line: Line) -> Draft | Refusal:
    """The problem of one row."""
    row = line.decode(Row)
    found = humaneval.read(row, DATASET, LICENSE)
    if isinstance(found, Refusal):
        return found
    problem, script, checks = found
    try:
        has_check = function_named(parse(row.test), "check")
    except NotPython as error:
        return Refusal(Reason.PARSE_ERROR, f"test: {error}")
    if not has_check:
        return Refusal(Reason.PARSE_ERROR, "test: no function check(candidate)")
    inputs = json.dumps(row.base_input + row.plus_input)
    code = CODE.format(test=row.test, entry_point=row.entry_point, inputs=inputs)
    tolerance = row.atol if row.atol > FLOAT_TOLERANCE else None
    return Draft(
        problem,
        Script(script.program, script.target, code, frozenset(), script.kind),
        Checks(tolerance=tolerance, truth=checks.truth, must_run="no expected values"),
    )
