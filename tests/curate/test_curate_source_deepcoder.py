"""Rows of DeepCoder-Preview's four configs and of rllm's files become drafts, by hand and from real files."""

import json
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from dc_tools.core.errors import BadLine
from dc_tools.core.lines import read_lines
from dc_tools.core.records import CheckerType, Line, Mode
from dc_tools.curate import sources
from dc_tools.curate.draft import Draft
from dc_tools.curate.formats import Format
from dc_tools.curate.reasons import Reason, Refusal

DATA = Path(__file__).parents[2].parent / "shared" / "data"
CODEFORCES = {
    "problem": "Add.",
    "tests": json.dumps([{"input": "1 2", "output": "3"}, {"input": "3 4", "output": "7"}]),
}
LCB = {
    "problem": "Halve the values.",
    "starter_code": "class Solution:\n    def halves(self, nums: List[int], by: int) -> List[float]:\n        ",
    "tests": json.dumps([
        {"input": "[2, 4]\n2", "output": "[1.0, 2.0]", "testtype": "functional", "metadata": {"func_name": "halves"}},
        {"input": "[]\n3", "output": "[]", "testtype": "functional", "metadata": {"func_name": "halves"}},
    ]),
    "metadata": {"func_name": "halves"},
}  # fmt: skip
PRIME = {
    "problem": "Solve the following coding problem using the programming language python:\n\nSay it.",
    "solutions": ["```python\ndef say(x):\n    return [x]\n```"],
    "tests": json.dumps([{"fn_name": "say", "input": [1], "output": [[1]], "type": "function_call"}]),
}
TACO = {
    "problem": "Add.",
    "solutions": ["```python\nprint(sum(map(int, input().split())))\n```", "print(0)"],
    "tests": json.dumps({"inputs": ["1 2\n", ["3", "4"]], "outputs": ["3\n", ["7"]]}),
}
FOOT = "\n\nTags:\n['dp', 'math']\n\nTime Limit: 1500 ms\nMemory Limit: 512 MB\n"


def read(row: dict[str, Any]) -> Draft | Refusal:
    return sources.draft(Line(json.dumps(row).encode()), Format.AUTO)


def draft(row: dict[str, Any]) -> Draft:
    found = read(row)
    assert isinstance(found, Draft), found
    return found


def pairs(row: dict[str, Any]) -> list[tuple[str, str]]:
    return [(test.input, test.output) for test in draft(row).problem.tests]


def test_codeforces_has_inputs_with_outputs() -> None:
    found = draft(CODEFORCES).problem
    assert (found.mode, found.statement, found.solutions) == (Mode.STDIN, "Add.", [])
    assert pairs(CODEFORCES) == [("1 2", "3"), ("3 4", "7")]
    assert found.id == f"deepcoder/{found.source.native_id}"


def test_lcbv5_has_one_value_a_line_and_its_function_in_the_metadata() -> None:
    found = draft(LCB).problem
    assert found.entry is not None
    assert (found.entry.fn_name, found.entry.class_name) == ("halves", "Solution")
    assert pairs(LCB) == [("[[2, 4], 2]", "[1.0, 2.0]"), ("[[], 3]", "[]")]
    assert found.checker.type is CheckerType.FLOAT
    bare = [{"input": "[2]\n1", "output": "[2.0]", "testtype": "functional"}]
    assert pairs({**LCB, "tests": bare}) == pairs({**LCB, "tests": bare, "metadata": '{"func_name": "halves"}'})
    stdin = [{"input": "1\n", "output": "2\n", "testtype": "stdin"}]
    assert pairs({**LCB, "tests": stdin, "starter_code": "", "metadata": {}}) == [("1\n", "2\n")]


def test_primeintellect_has_typed_tests_and_fenced_solutions() -> None:
    found = draft(PRIME).problem
    assert found.statement == "Say it."
    assert [each.code for each in found.solutions] == ["def say(x):\n    return [x]\n"]
    assert pairs(PRIME) == [("[1]", "[1]")]
    stdin = [{"fn_name": None, "input": "1", "output": "2", "type": "stdin_stdout"}]
    assert pairs({**PRIME, "tests": stdin}) == [("1", "2")]


def test_taco_has_lists_of_inputs_and_outputs() -> None:
    assert [each.code for each in draft(TACO).problem.solutions] == [
        "print(sum(map(int, input().split())))\n", "print(0)"
    ]  # fmt: skip
    assert pairs(TACO) == [("1 2\n", "3\n"), ("3\n4\n", "7\n")]
    function = {"inputs": [[1], [2]], "outputs": [[1], [2]], "fn_name": "f"}
    assert pairs({**TACO, "tests": function, "solutions": ["def f(x): return x"]}) == [("[1]", "1"), ("[2]", "2")]


def test_solutions_are_a_list_the_text_of_one_or_one_program() -> None:
    for given in ("print(3)", ["print(3)"], json.dumps(["print(3)"]), "```python\nprint(3)\n```"):
        assert [each.code.strip() for each in draft({**TACO, "solutions": given}).problem.solutions] == ["print(3)"]
    assert [draft({**TACO, "solutions": given}).problem.solutions for given in (None, "", [])] == [[], [], []]


def test_tags_and_limits_at_the_foot_of_a_statement_become_fields() -> None:
    found = draft({**CODEFORCES, "problem": f"\nAdd.{FOOT}"}).problem
    assert (found.statement, found.tags) == ("Add.", ["dp", "math"])
    assert (found.limits.time_s, found.limits.memory_mb) == (1.5, 512)
    foot = "\n\nTime Limit: {'seconds': 2, 'nanos': 500000000}\nMemory Limit: 256000000 Bytes\n"
    other = draft({**CODEFORCES, "problem": f"Add.{foot}"}).problem
    assert (other.statement, other.tags) == ("Add.", [])
    assert (other.limits.time_s, other.limits.memory_mb) == (2.5, 245)
    middle = draft({**CODEFORCES, "problem": f"Add.{FOOT}More."}).problem
    assert (middle.limits.time_s, middle.statement.endswith("More.")) == (4.0, True)


@pytest.mark.parametrize("filler", ["\n", " ", "![", "10 ", "relative ", "Note\n", "\nTags:\n[", "\nTime Limit: "])
def test_a_long_statement_of_one_kind_is_read_in_linear_time(filler: str) -> None:
    start = time.process_time()
    read({**CODEFORCES, "problem": filler * (10**6 // len(filler)) + "x"})
    assert time.process_time() - start < 3


@pytest.mark.parametrize(
    ("change", "reason", "said"),
    [
        ({"tests": "__import__('os').system('id')"}, Reason.UNSAFE_PAYLOAD, "tests: code where data belongs"),
        ({"tests": "[" * 10**7}, Reason.UNSAFE_PAYLOAD, "tests: nested too deeply"),
        ({"problem": f"Add.{FOOT}".replace("'dp'", "exit()")}, Reason.UNSAFE_PAYLOAD, "tags: code where data belongs"),
        ({"tests": "no tests"}, Reason.PARSE_ERROR, "tests: neither JSON"),
        ({"tests": "7"}, Reason.PARSE_ERROR, "tests: Expected `array`"),
        ({"tests": [{"input": "1"}]}, Reason.PARSE_ERROR, "missing required field `output`"),
        ({"tests": [{"input": "1", "output": "1", "type": 7}]}, Reason.PARSE_ERROR, "tests: Expected `str | null`"),
        ({"tests": {"inputs": ["1"], "outputs": []}}, Reason.PARSE_ERROR, "1 inputs and 0 outputs"),
        ({"tests": [{"input": "1", "output": "1", "testtype": "functional"}]}, Reason.PARSE_ERROR, "functions ''"),
        ({"tests": [{"input": [1], "output": [1], "testtype": "functional"}], "metadata": {"func_name": "f"}},
         Reason.PARSE_ERROR, "a functional test whose input or output is no text"),
        ({"metadata": {"func_name": 7}}, Reason.PARSE_ERROR, "metadata: Expected `str | null`"),
        ({"problem": "This is an interactive problem."}, Reason.INTERACTIVE, "interactive"),
    ],
)  # fmt: skip
def test_a_row_that_cannot_become_a_problem_has_its_reason(change: dict[str, Any], reason: Reason, said: str) -> None:
    found = read({**CODEFORCES, **change})
    assert isinstance(found, Refusal)
    assert (found.reason, said in found.detail) == (reason, True), found.detail


@pytest.mark.parametrize(("field", "value"), [("problem", 3), ("tests", 3), ("solutions", {}), ("starter_code", 3)])
def test_a_field_of_the_wrong_type_is_a_bad_line_with_its_path(field: str, value: Any) -> None:
    with pytest.raises(BadLine, match=rf"\$\.{field}"):
        read({**CODEFORCES, field: value})


@pytest.mark.parametrize(
    ("name", "rows", "tests", "dropped", "limits"),
    [
        ("raw/rllm_code_contests_test.json.gz", 165, 1744, {"image": 10, "interactive": 3}, ((2.0, 245), 54)),
        ("raw/rllm_codeforces_test.json.gz", 408, 436, {"image": 16, "interactive": 16}, ((2.0, 256), 158)),
    ],
)
def test_real_rows_are_all_read_with_their_limits(
    name: str, rows: int, tests: int, dropped: dict[str, int], limits: tuple[tuple[float, int], int]
) -> None:
    if not (DATA / name).exists():
        pytest.skip(f"{DATA / name} is not there")
    found = [sources.draft(line, Format.AUTO) for line in read_lines([str(DATA / name)])]
    problems = [each.problem for each in found if isinstance(each, Draft)]
    assert Counter(each.reason.value for each in found if isinstance(each, Refusal)) == dropped
    assert (len(found), sum(len(each.tests) for each in problems)) == (rows, tests)
    assert len({each.id for each in problems}) == len(problems) == rows - sum(dropped.values())
    assert not any("Memory Limit" in each.statement for each in problems)
    assert Counter((each.limits.time_s, each.limits.memory_mb) for each in problems).most_common(1) == [limits]
