"""rllm's LeetCode rows: a prompt, solutions that take LeetCode's own names for given, and a `check` of asserts."""

import re

import msgspec

from dc_tools.core.records import Entry, Line, Mode, Problem, Solution, Source, TestKind
from dc_tools.curate.draft import Draft, Script, draft_of
from dc_tools.curate.reading.asserts import read_checks
from dc_tools.curate.reading.functional import entry_of
from dc_tools.curate.reading.origin import content_name, split_of
from dc_tools.curate.reading.syntax import NotPython, function_named, heading_of, parse, signature_of
from dc_tools.curate.reasons import Reason, Refusal
from dc_tools.sandbox.program import LEETCODE_MODULES, LEETCODE_STARS

DATASET, LICENSE = "rllm_leetcode", "Apache-2.0"
CANDIDATE = frozenset({"candidate"})
CHECKED = re.compile(r"^check\((\w+)\(\)\.(\w+)\)\s*\Z", re.MULTILINE)
HEAD = re.compile(r"\APlease solve the programming task below using [^\n]*\n+")
FOOT = re.compile(r"\s*Please complete the following python code precisely:\s*```python\n(.*?)```\s*\Z", re.DOTALL)
GIVEN = "\n".join([
    *(f"from {module} import *" for module in LEETCODE_STARS), *(f"import {module}" for module in LEETCODE_MODULES),
    "from builtins import *", "inf = float('inf')", "class ListNode: pass", "class TreeNode: pass", "",
])  # fmt: skip
"""What LeetCode gives a solution, for where the test code must be run."""


class Tests(msgspec.Struct):
    """The tests."""

    functional: str


class Row(msgspec.Struct):
    """What is read of a row."""

    problem: str
    solutions: str | list[str]
    tests: Tests


def draft(line: Line) -> Draft | Refusal:
    """The problem of one row."""
    row = line.decode(Row)
    code = row.tests.functional
    checked, foot = CHECKED.search(code), FOOT.search(row.problem)
    if not checked:
        return Refusal(Reason.PARSE_ERROR, "tests.functional does not end with check(Class().method)")
    class_name, method = checked[1], checked[2]
    solutions = [row.solutions] if isinstance(row.solutions, str) else row.solutions
    reference = next((each for each in solutions if each.strip()), "")
    try:
        function = function_named(parse(reference), method, class_name)
    except NotPython as error:
        return Refusal(Reason.PARSE_ERROR, f"solutions: {error}")
    if function is None:
        return Refusal(Reason.NO_SOLUTION, f"solutions do not define {class_name}.{method}")
    signature = signature_of(function, method=True)
    starter = foot[1].rstrip() if foot else f"class {class_name}:\n    {heading_of(function)}"
    entry = entry_of(class_name, method, starter, signature)
    if isinstance(entry, Refusal):
        return entry
    checks = read_checks(code, CANDIDATE, entry, signature.names)
    if isinstance(checks, Refusal):
        return checks
    problem = _problem(row, line, entry, [Solution(each) for each in solutions if each.strip()])
    script = Script(GIVEN + reference, f"{class_name}().{method}", code, CANDIDATE, TestKind.PUBLIC)
    return draft_of(problem, script, checks)


def _problem(row: Row, line: Line, entry: Entry, solutions: list[Solution]) -> Problem:
    name = content_name(row.problem, row.tests.functional)
    return Problem(
        id=f"{DATASET}/{name}",
        tests=[],
        statement=FOOT.sub("", HEAD.sub("", row.problem)).strip(),
        mode=Mode.FUNCTION,
        entry=entry,
        solutions=solutions,
        source=Source(DATASET, split_of(line), name, license=LICENSE),
    )
