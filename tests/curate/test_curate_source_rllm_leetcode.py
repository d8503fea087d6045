"""rllm's LeetCode rows, by hand and the real file: told from DeepCoder's by the key `functional` within `tests`."""

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dc_tools.core.errors import BadLine
from dc_tools.core.records import CheckerType, Line, Mode, TestKind
from dc_tools.core.run import Kept
from dc_tools.curate import sources
from dc_tools.curate.draft import Draft
from dc_tools.curate.examination import Settings
from dc_tools.curate.formats import Format, chosen
from dc_tools.curate.reasons import Reason, Refusal
from dc_tools.curate.stage import curated
from dc_tools.sandbox.judge import JudgePool

FILE = Path(__file__).parents[2].parent / "shared" / "data" / "raw" / "rllm_leetcode_train.json.gz"
HEAD = "Please solve the programming task below using a self-contained code snippet in a markdown code block.\n\n"
STARTER = "class Solution:\n    def half(self, n: int, of: List[int]) -> float:\n"
ROW = {
    "problem": f"{HEAD}Halve it.\n \nPlease complete the following python code precisely:\n```python\n{STARTER}```",
    "solutions": f"{STARTER}        return n / 2 + sum(of)\n",
    "tests": {
        "functional": "def check(candidate):\n    assert candidate(n = 3, of = []) == 1.50000\n"
        "    assert candidate(n = 4, of = [1]) == 3.00000\n\n\ncheck(Solution().half)"
    },
}
LIST = {
    "problem": f"{HEAD}Return it.",
    "solutions": "class Solution:\n    def same(self, head: Optional[ListNode]) -> Optional[ListNode]:\n"
    "        return head\n",
    "tests": {
        "functional": "def check(candidate):\n"
        "    assert is_same_list(candidate(head = list_node([1])), list_node([1]))\n\n\ncheck(Solution().same)"
    },
}


def drafted(row: dict[str, Any], file: str = "-") -> Draft | Refusal:
    return sources.draft(Line(json.dumps(row).encode(), file), Format.AUTO)


def draft(row: dict[str, Any], file: str = "-") -> Draft:
    found = drafted(row, file)
    assert isinstance(found, Draft), found
    return found


@pytest.fixture(scope="module")
def pool() -> Iterator[JudgePool]:
    with JudgePool(1) as judges:
        yield judges


def with_tests(code: str) -> dict[str, Any]:
    return {**ROW, "tests": {"functional": code}}


def test_the_statement_is_freed_of_its_prompt_and_the_starter_code_taken_out_of_it() -> None:
    found = draft(ROW, "data/rllm_leetcode_train.json.gz").problem
    assert (found.statement, found.mode, found.source.split) == ("Halve it.", Mode.FUNCTION, "train")
    assert found.entry is not None
    assert (found.entry.fn_name, found.entry.class_name) == ("half", "Solution")
    assert found.entry.starter_code == STARTER.rstrip()
    assert [each.code for each in found.solutions] == [ROW["solutions"]]
    assert [(t.input, t.output, t.kind) for t in found.tests] == [
        ("[3, []]", "1.5", TestKind.PUBLIC), ("[4, [1]]", "3.0", TestKind.PUBLIC)
    ]  # fmt: skip
    assert (found.checker.type, found.checker.tolerance) == (CheckerType.FLOAT, 1e-6)


def test_the_id_is_of_the_content_alone() -> None:
    one, same = draft(ROW, "a").problem.id, draft({**ROW, "extra": 1}, "b").problem.id
    assert one == same
    assert one.startswith("rllm_leetcode/")
    assert draft({**ROW, "problem": "Halve."}).problem.id != one


def test_linked_lists_are_lists() -> None:
    found = draft(LIST).problem
    assert found.entry is not None
    assert (found.entry.arg_types, found.entry.return_type) == (["ListNode"], "ListNode")
    assert found.entry.starter_code == (
        "class Solution:\n    def same(self, head: Optional[ListNode]) -> Optional[ListNode]:"
    )
    assert [(t.input, t.output) for t in found.tests] == [("[[1]]", "[1]")]


def test_all_of_several_solutions_are_kept() -> None:
    found = draft({**ROW, "solutions": ["", ROW["solutions"], "class Solution: pass"]}).problem
    assert [each.code for each in found.solutions] == [ROW["solutions"], "class Solution: pass"]


def test_test_code_that_must_be_run_finds_the_names_that_leetcode_gives(pool: JudgePool) -> None:
    loop = "    for n in range(5):\n        assert candidate(n, of=[n]) == n * 1.5\n"
    code = f"def check(candidate):\n{loop}\ncheck(Solution().half)"
    solution = f"{STARTER}        return pow(n, 1, None) / 2 + sum(of)\n"
    found = curated(Line(json.dumps({**with_tests(code), "solutions": solution}).encode()), Settings(), pool).outcome
    assert isinstance(found, Kept)
    tests = json.loads(found.line.to_bytes())["tests"]
    assert [(each["input"], each["output"]) for each in tests] == [
        (f"[{n}, [{n}]]", str(n * 1.5)) for n in range(5)
    ]


@pytest.mark.parametrize(
    ("row", "reason", "detail"),
    [
        (with_tests("def check(candidate):\n    assert candidate(1, []) == 0.5"), Reason.PARSE_ERROR, "does not end"),
        ({**ROW, "solutions": "class Solution:\n  def half("}, Reason.PARSE_ERROR, "solutions: line 2"),
        ({**ROW, "solutions": []}, Reason.NO_SOLUTION, "solutions do not define Solution.half"),
        ({**ROW, "solutions": "class Solution:\n    def other(self): pass"}, Reason.NO_SOLUTION, "Solution.half"),
        (
            {**ROW, "solutions": "class Solution:\n    def half(self, n, of) -> None: pass"}, Reason.NEEDS_CHECKER,
            "returns nothing",
        ),
        (
            with_tests("def check(candidate):\n    assert candidate(1, []) > 0\n\ncheck(Solution().half)"),
            Reason.NEEDS_CHECKER, "more than one value",
        ),
        (with_tests("def check(c):\n    assert (\n\ncheck(Solution().half)"), Reason.PARSE_ERROR, "test code: line"),
        ({**ROW, "problem": f"{HEAD}See ![it](x.png)"}, Reason.IMAGE, "picture"),
    ],
)  # fmt: skip
def test_a_row_that_cannot_be_used_has_its_reason(row: dict[str, Any], reason: Reason, detail: str) -> None:
    found = drafted(row)
    assert isinstance(found, Refusal)
    assert found.reason is reason
    assert detail in found.detail


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"tests": {"functional": 1}}, r"\$\.tests\.functional"),
        ({"problem": None}, r"\$\.problem"),
        ({"solutions": [1]}, r"\$\.solutions\[0\]"),
    ],
)
def test_a_field_of_the_wrong_type_is_a_bad_line(change: dict[str, Any], path: str) -> None:
    with pytest.raises(BadLine, match=path):
        drafted({**ROW, **change})


def test_only_an_object_with_functional_tests_is_such_a_row() -> None:
    assert chosen(Format.AUTO, ["problem", "tests", "tests.functional"]) is Format.RLLM_LEETCODE
    assert chosen(Format.AUTO, ["problem", "tests", "tests.inputs"]) is not Format.RLLM_LEETCODE
    assert chosen(Format.AUTO, ["problem", "tests"]) is not Format.RLLM_LEETCODE


def test_the_real_rows_become_problems_or_have_their_reason() -> None:
    if not FILE.exists():
        pytest.skip(f"{FILE} is not there")
    with gzip.open(FILE) as rows:
        found = [drafted(row) for row in json.load(rows)]
    drafts = [each.problem for each in found if isinstance(each, Draft)]
    assert (len(found), len(drafts), sum(len(each.tests) for each in drafts)) == (1889, 1889, 4750)
    assert len({each.id for each in drafts}) == len(drafts)
