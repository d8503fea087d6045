"""LiveCodeBench rows: public tests in JSON, private ones in JSON or packed, functions with one value a line."""

import base64
import json
import os
import pickle
import zlib
from pathlib import Path
from typing import Any

import pytest

from dc_tools.core.errors import BadLine
from dc_tools.core.records import CheckerType, Line, Mode, TestKind
from dc_tools.core.run import Dropped, Kept, Rejected
from dc_tools.curate import sources
from dc_tools.curate.draft import Draft
from dc_tools.curate.examination import Settings
from dc_tools.curate.formats import Format
from dc_tools.curate.reasons import Reason, Refusal
from dc_tools.curate.stage import curate


def cases(testtype: str, *pairs: tuple[str, str]) -> str:
    return json.dumps([{"input": given, "output": wanted, "testtype": testtype} for given, wanted in pairs])


def packed(value: Any) -> str:
    return base64.b64encode(zlib.compress(pickle.dumps(value))).decode()


STDIN = {
    "question_title": "A. Short Sort", "question_content": "Three cards.", "platform": "codeforces",
    "question_id": "1873_A", "contest_id": "1873", "contest_date": "2023-08-21T00:00:00", "starter_code": "",
    "difficulty": "easy", "metadata": "{}", "public_test_cases": cases("stdin", ("6\nabc\n", "YES\n")),
    "private_test_cases": packed(cases("stdin", ("1\nabc\n", "YES\n"), ("1\r\ncab", "NO"))),
}  # fmt: skip
FUNCTION = {
    **STDIN, "question_title": "number-of-senior-citizens", "platform": "leetcode", "question_id": "2727",
    "contest_id": "weekly-contest-345", "metadata": '{"func_name": "count", "extra": 1}', "difficulty": "Medium",
    "starter_code": "class Solution:\n    def count(self, details: List[str], k: int) -> int:\n        ",
    "public_test_cases": cases("functional", ('["a\\nb", "c"]\n2', "1")),
    "private_test_cases": cases("functional", ('["x\u2028"]\n123456789012345678901234567890\n', "0")),
}  # fmt: skip


def drafted(row: dict[str, Any], wanted: Format = Format.AUTO) -> Draft | Refusal:
    return sources.draft(Line(json.dumps(row).encode()), wanted)


def draft(row: dict[str, Any]) -> Draft:
    found = drafted(row)
    assert isinstance(found, Draft), found
    return found


def refusal(row: dict[str, Any]) -> tuple[Reason, str]:
    found = drafted(row)
    assert isinstance(found, Refusal), found
    return found.reason, found.detail


def test_a_stdin_row_keeps_public_and_private_tests_as_they_are() -> None:
    found = draft(STDIN).problem
    assert (found.id, found.mode, found.statement) == ("livecodebench/1873_A", Mode.STDIN, "Three cards.")
    assert [(t.input, t.output, t.kind) for t in found.tests] == [
        ("6\nabc\n", "YES\n", TestKind.PUBLIC), ("1\nabc\n", "YES\n", TestKind.PRIVATE),
        ("1\r\ncab", "NO", TestKind.PRIVATE),
    ]  # fmt: skip
    assert (found.source.dataset, found.source.native_id, found.source.date) == (
        "livecodebench", "1873_A", "2023-08-21",
    )  # fmt: skip
    assert (found.source.url, found.difficulty) == ("https://codeforces.com/problemset/problem/1873/A", "easy")
    assert (found.solutions, found.limits.time_s) == ([], 6.0)
    assert found.meta == {"title": "A. Short Sort", "platform": "codeforces"}


def test_a_function_row_has_one_argument_a_line() -> None:
    found = draft(FUNCTION).problem
    assert found.mode is Mode.FUNCTION
    assert found.entry is not None
    assert (found.entry.fn_name, found.entry.class_name) == ("count", "Solution")
    assert found.entry.starter_code.endswith("-> int:")
    assert [(t.input, t.output, t.kind) for t in found.tests] == [
        ('[["a\\nb", "c"], 2]', "1", TestKind.PUBLIC),
        ('[["x\u2028"], 123456789012345678901234567890]', "0", TestKind.PRIVATE),
    ]
    assert found.source.url == "https://leetcode.com/problems/number-of-senior-citizens/"
    assert (found.difficulty, found.checker.type) == ("medium", CheckerType.DEFAULT)


def test_values_with_floats_get_the_float_checker_and_nan_is_left_out() -> None:
    found = draft({**FUNCTION, "private_test_cases": cases("functional", ("[1]\n2", "0.5"), ("[NaN]\n2", "0.5"))})
    assert (found.problem.checker.type, found.problem.checker.tolerance) == (CheckerType.FLOAT, 1e-6)
    assert len(found.problem.tests) == 2
    assert found.left_out == {"the number nan": 1}


def test_node_types_come_from_the_starter_code() -> None:
    starter = "class Solution:\n    def count(self, head: Optional[ListNode], k: int) -> Optional[TreeNode]:\n        "
    entry = draft({**FUNCTION, "starter_code": starter}).problem.entry
    assert entry is not None
    assert (entry.arg_types, entry.return_type) == (["ListNode", "json"], "TreeNode")


@pytest.mark.parametrize(
    ("platform", "id_", "title", "url"),
    [
        ("atcoder", "abc301_a", "Overall Winner", "https://atcoder.jp/contests/1873/tasks/abc301_a"),
        ("leetcode", "2727", "Number of Citizens", None),
        ("codeforces", "x", "y", None),
        ("", "1873_A", "", None),
    ],
)
def test_an_address_is_given_only_where_it_is_known(platform: str, id_: str, title: str, url: str | None) -> None:
    row = {**STDIN, "platform": platform, "question_id": id_, "question_title": title}
    assert draft(row).problem.source.url == url


def test_absent_private_tests_and_metadata_are_no_error() -> None:
    bare = {name: STDIN[name] for name in ("question_content", "question_id", "public_test_cases")}
    assert len(draft(bare).problem.tests) == 1
    assert draft({**STDIN, "public_test_cases": "[]", "private_test_cases": ""}).problem.tests == []
    assert draft({**STDIN, "contest_date": "soon"}).problem.source.date is None


def test_the_statement_decides_on_the_checker_of_stdin_tests() -> None:
    row = {**STDIN, "question_content": 'You can output "YES" in any case (for example, "yEs").'}
    assert draft(row).problem.checker.type is CheckerType.YESNO
    assert draft(STDIN).problem.checker.type is CheckerType.DEFAULT


def test_a_packed_command_is_not_run(tmp_path: Path) -> None:
    trace = tmp_path / "ran"

    class Command:
        def __reduce__(self) -> tuple[Any, ...]:
            return os.system, (f"touch {trace}",)

    reason, detail = refusal({**STDIN, "private_test_cases": packed(Command())})
    assert reason is Reason.UNSAFE_PAYLOAD
    assert detail.startswith("private_test_cases: a pickle that does more than hold strings")
    assert not trace.exists()


@pytest.mark.parametrize(
    ("change", "reason", "detail"),
    [
        ({"private_test_cases": packed([1, 2])}, Reason.UNSAFE_PAYLOAD, "EMPTY_LIST"),
        ({"private_test_cases": packed({"a": "b"})}, Reason.PARSE_ERROR, "packed is a dict, not JSON text"),
        ({"private_test_cases": packed("[")}, Reason.PARSE_ERROR, "private_test_cases: Input data was truncated"),
        ({"private_test_cases": packed("[]")[:-5]}, Reason.PARSE_ERROR, "neither JSON nor base64"),
        ({"private_test_cases": packed("[]")[:-8]}, Reason.PARSE_ERROR, "zlib data that ends early"),
        ({"public_test_cases": '[{"input": "1"}]'}, Reason.PARSE_ERROR, "missing required field `output`"),
        ({"public_test_cases": "[1]"}, Reason.PARSE_ERROR, "public_test_cases: Expected `object`"),
        ({"public_test_cases": cases("interactive", ("", ""))}, Reason.PARSE_ERROR, "types interactive, stdin"),
        ({"public_test_cases": cases("functional", ("1", "1"))}, Reason.PARSE_ERROR, "types functional, stdin"),
        ({"metadata": "[]"}, Reason.PARSE_ERROR, "metadata: Expected `object`"),
        ({"question_content": "See ![it](x.png)."}, Reason.IMAGE, "picture"),
    ],
)
def test_a_row_that_cannot_be_used_has_its_reason(change: dict[str, str], reason: Reason, detail: str) -> None:
    found = refusal({**STDIN, **change})
    assert found[0] is reason
    assert detail in found[1]


@pytest.mark.parametrize(
    ("change", "reason", "detail"),
    [
        ({"metadata": "{}"}, Reason.PARSE_ERROR, "tests of a function that metadata.func_name does not name"),
        ({"starter_code": "class Solution:\n    def other(self): "}, Reason.PARSE_ERROR, "no definition of count"),
        ({"starter_code": "class Solution(:"}, Reason.PARSE_ERROR, "starter code: line 1"),
        (
            {"starter_code": "class Solution:\n    def count(self, x) -> None:\n"}, Reason.NEEDS_CHECKER,
            "changes its argument and returns nothing",
        ),
        (
            {"private_test_cases": cases("functional", ("[1", "1"))}, Reason.PARSE_ERROR,
            "a function's test that is not JSON",
        ),
        (
            {"private_test_cases": cases("functional", ("[" * 100_000, "1"))}, Reason.PARSE_ERROR,
            "a function's test that is nested too deeply",
        ),
    ],
)  # fmt: skip
def test_a_function_row_that_cannot_be_used_has_its_reason(
    change: dict[str, str], reason: Reason, detail: str
) -> None:
    found = refusal({**FUNCTION, **change})
    assert found[0] is reason
    assert detail in found[1]


def test_among_good_rows_a_bad_one_has_its_reason_and_the_run_goes_on() -> None:
    bomb = base64.b64encode(zlib.compress(b"\x80\x04" + b"}" * 2000 + b".")).decode()
    rows = [
        STDIN, {**STDIN, "private_test_cases": bomb}, {**STDIN, "private_test_cases": STDIN["private_test_cases"][:30]},
        {**STDIN, "question_id": 7}, FUNCTION,
    ]  # fmt: skip
    lines = [Line(json.dumps(row).encode(), "rows", number, number - 1) for number, row in enumerate(rows, 1)]
    found = list(curate(lines, Settings(min_tests=2, verify=False), workers=1))
    assert [(type(each), each.line.number) for each in found] == [
        (Kept, 1), (Dropped, 2), (Dropped, 3), (Rejected, 4), (Kept, 5),
    ]  # fmt: skip
    assert [each.reason for each in found if isinstance(each, Dropped)] == ["unsafe_payload", "parse_error"]
    (verified,) = curate(lines[:1], Settings(min_tests=2), workers=1)
    assert isinstance(verified, Dropped)
    assert verified.reason == "no_solution"


@pytest.mark.parametrize("name", ["question_content", "question_id", "public_test_cases", "private_test_cases"])
@pytest.mark.parametrize("value", [1, None, ["x"], {"a": 1}])
def test_a_field_of_the_wrong_type_is_a_bad_line(name: str, value: Any) -> None:
    with pytest.raises(BadLine, match=rf"\$\.{name}"):
        drafted({**STDIN, name: value}, Format.LIVECODEBENCH)
