"""Rows of each raw format become drafts; rows of other shapes say what they look like."""

import gzip
import json
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dc_tools.core.errors import BadLine
from dc_tools.core.records import CheckerType, Line, Mode, TestKind
from dc_tools.curate import sources
from dc_tools.curate.draft import Draft
from dc_tools.curate.formats import SHAPES, Format, chosen
from dc_tools.curate.reasons import Reason, Refusal

pytestmark = pytest.mark.filterwarnings("ignore:invalid escape sequence", "ignore:.*is an invalid escape sequence")
DATA = Path(__file__).parents[2].parent / "shared" / "data"


def line(row: dict[str, Any]) -> Line:
    return Line(json.dumps(row).encode())


def draft(row: dict[str, Any], wanted: Format = Format.AUTO) -> Draft:
    found = sources.draft(line(row), wanted)
    assert isinstance(found, Draft), found
    return found


def real(name: str, limit: int | None = None) -> Iterator[Draft | Refusal]:
    """Drafts of a real file's rows."""
    if not (DATA / name).exists():
        pytest.skip(f"{DATA / name} is not there")
    with gzip.open(DATA / name) as rows:
        for number, row in enumerate(rows):
            if number == limit:
                return
            yield sources.draft(Line(row), Format.AUTO)


HUMANEVAL = {
    "task_id": "HumanEval/7",
    "prompt": 'from typing import List\n\n\ndef add(x: int, y: List[int] = []) -> int:\n    """Add."""\n',
    "entry_point": "add",
    "canonical_solution": "    return x + sum(y)\n",
    "test": "META = {}\n\ndef check(candidate):\n    assert candidate(1, [2]) == 3\n    assert candidate(x=5) == 5\n",
}
MBPP = {
    "task_id": 601, "text": "Add one.", "code": "def helper(x):\r\n    return x\r\n\r\ndef add(x):\r\n    return x + 1",
    "test_list": ["assert add(1) == 2", "assert add(2)==3"], "test_setup_code": "",
    "challenge_test_list": ["assert add(-1) == 0"],
}
LEETCODE = {
    "task_id": "half", "difficulty": "Easy", "tags": ["Math"], "problem_description": " Halve it.\n",
    "estimated_date": "2024-08-11", "starter_code": "class Solution:\n    def half(self, n: int) -> float:\n        ",
    "prompt": "from math import *\nfrom sortedcontainers import SortedList\nimport numpy as np\n",
    "completion": "class Solution:\n    def half(self, n: int) -> float:\n        return SortedList([n / 2])[0]\n",
    "entry_point": "Solution().half",
    "test": "def check(candidate):\n    assert candidate(n = 3) == 1.50000\n    assert candidate(n = 4) == 2.00000\n",
}
OLD_LEETCODE = {
    "task_id": "reverse", "prompt": "from typing import *\n", "query": "Reverse.", "response": "", "input_output": [],
    "completion": (
        "class Solution:\n    def rev(self, head: Optional[ListNode], k: int) -> Optional[ListNode]:\n"
        "        return head\n"
    ),
    "entry_point": "Solution().rev",
    "test": "def check(candidate):\n    assert is_same_list(candidate(head = list_node([1]), k = 1), list_node([1]))\n",
    "meta": {"difficulty": "Hard", "question_title": "Reverse the list.", "lang_code": "class S:\n  x"},
}


def test_humaneval_keeps_prompt_signature_and_whole_program() -> None:
    found = draft(HUMANEVAL).problem
    assert (found.id, found.mode, found.statement) == ("humaneval/7", Mode.FUNCTION, HUMANEVAL["prompt"])
    assert found.entry is not None
    assert found.entry.starter_code == "def add(x: int, y: List[int]=[]) -> int:"
    assert found.solutions[0].code == HUMANEVAL["prompt"] + HUMANEVAL["canonical_solution"]
    assert [(t.input, t.output, t.kind) for t in found.tests] == [
        ("[1, [2]]", "3", TestKind.PRIVATE), ("[5]", "5", TestKind.PRIVATE)
    ]
    assert (found.source.dataset, found.source.split, found.source.native_id) == ("humaneval", "test", "HumanEval/7")


def test_mbpp_finds_the_function_under_test_and_its_split() -> None:
    found = draft(MBPP).problem
    assert (found.id, found.source.split) == ("mbpp/601", "train")
    assert found.entry is not None
    assert (found.entry.fn_name, found.entry.starter_code) == ("add", "def add(x):")
    assert "\r" not in found.solutions[0].code
    assert [(t.input, t.output) for t in found.tests] == [("[1]", "2"), ("[2]", "3"), ("[-1]", "0")]


def test_leetcode_binds_keywords_and_takes_the_imports_that_the_sandbox_does_not_give() -> None:
    found = draft(LEETCODE).problem
    assert (found.id, found.statement, found.difficulty, found.tags) == ("leetcode/half", "Halve it.", "easy", ["Math"])
    assert found.entry is not None
    assert (found.entry.fn_name, found.entry.class_name) == ("half", "Solution")
    assert found.solutions[0].code == f"from sortedcontainers import SortedList\n{LEETCODE['completion']}"
    assert (found.checker.type, found.checker.tolerance) == (CheckerType.FLOAT, 1e-6)
    assert (found.source.url, found.source.date) == ("https://leetcode.com/problems/half/", "2024-08-11")
    assert [(t.input, t.output) for t in found.tests] == [("[3]", "1.5"), ("[4]", "2.0")]


def test_the_older_leetcode_shape_has_its_statement_in_meta_and_node_types_in_the_signature() -> None:
    found = draft(OLD_LEETCODE).problem
    assert (found.statement, found.difficulty) == ("Reverse the list.", "hard")
    assert found.entry is not None
    assert (found.entry.arg_types, found.entry.return_type) == (["ListNode", "json"], "ListNode")
    assert found.entry.starter_code == "class S:\n  x"
    assert [(t.input, t.output) for t in found.tests] == [("[[1], 1]", "[1]")]


def test_a_plain_row_may_have_bare_solutions_and_keeps_what_we_do_not_know() -> None:
    row = {"id": "x", "tests": [{"input": "1", "output": "2"}], "solutions": ["print(2)"], "mine": [1.50, {"a": None}]}
    found = draft(row)
    assert found.problem.solutions[0].code == "print(2)"
    assert found.own is not None
    assert json.loads(found.own.to_bytes()) == {**row, "solutions": [{"code": "print(2)"}]}


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({**HUMANEVAL, "canonical_solution": "  return ("}, Reason.PARSE_ERROR),
        ({**HUMANEVAL, "entry_point": "sub"}, Reason.NO_SOLUTION),
        ({**HUMANEVAL, "test": "def check(candidate):\n    assert candidate(1) >= 1\n"}, Reason.NEEDS_CHECKER),
        ({**MBPP, "code": "def other(): pass"}, Reason.NO_SOLUTION),
        ({**MBPP, "test_list": ["assert add({1}) == 1"], "challenge_test_list": []}, Reason.PARSE_ERROR),
        ({**LEETCODE, "entry_point": "half"}, Reason.PARSE_ERROR),
        ({**LEETCODE, "completion": "class Other: pass"}, Reason.NO_SOLUTION),
        (
            {**OLD_LEETCODE, "completion": "class Solution:\n    def rev(self, x: List[Optional[ListNode]]): pass"},
            Reason.PARSE_ERROR,
        ),
        ({**LEETCODE, "completion": "class Solution:\n    def half(self, n) -> None: pass"}, Reason.NEEDS_CHECKER),
    ],
)
def test_a_row_that_cannot_become_a_problem_has_its_reason(row: dict[str, Any], reason: Reason) -> None:
    found = sources.draft(line(row), Format.AUTO)
    assert isinstance(found, Refusal)
    assert found.reason is reason


@pytest.mark.parametrize(("name", "keys"), SHAPES)
def test_each_shape_is_recognised_by_its_keys(name: str, keys: tuple[str, ...]) -> None:
    found = chosen(Format.AUTO, keys)
    if name in set(Format):
        assert found == name
    else:
        assert found == f"looks like {name} ({', '.join(keys)}): not supported yet"


def test_a_row_of_another_format_than_asked_for_says_which_it_looks_like() -> None:
    with pytest.raises(BadLine, match=r"not a humaneval row: it looks like mbpp \(text, code, test_list\)"):
        sources.draft(line(MBPP), Format.HUMANEVAL)
    assert draft(MBPP, Format.MBPP).problem.id == "mbpp/601"


def test_a_row_of_no_known_shape_shows_its_keys() -> None:
    with pytest.raises(BadLine, match=r"no known format: the row has the keys foo, bar$"):
        sources.draft(line({"foo": 1, "bar": 2}), Format.AUTO)
    with pytest.raises(BadLine, match="no known format: the row is an empty object"):
        sources.draft(line({}), Format.AUTO)


def test_a_field_of_the_wrong_type_is_a_bad_line_with_its_path() -> None:
    with pytest.raises(BadLine, match=r"\$\.test_list\[1\]"):
        sources.draft(line({**MBPP, "test_list": ["assert add(1) == 2", 3]}), Format.AUTO)


def test_every_literal_assert_of_humaneval_becomes_a_test_or_is_counted_as_left_out() -> None:
    drafts = [each for each in real("eval/HumanEval.jsonl.gz") if isinstance(each, Draft)]
    assert len(drafts) == 163
    literal = [each for each in drafts if not each.must_run]
    assert len(literal) == 143
    for each in literal:
        assert each.script is not None
        asserts = re.findall(r"^\s*assert (?!True\b|\(?candidate\(.*\) and )", each.script.code, re.MULTILINE)
        assert len(each.problem.tests) + each.left_out.total() == len(asserts), each.problem.id


def test_all_of_mbpp_is_read() -> None:
    drafts = list(real("raw/mbpp.jsonl.gz"))
    read = [each for each in drafts if isinstance(each, Draft)]
    assert (len(drafts), len(read)) == (974, 963)


def test_a_hundred_rows_of_leetcode_are_read() -> None:
    read = [each for each in real("raw/leetcode_dataset_v0.3.1_test.jsonl.gz", 100) if isinstance(each, Draft)]
    assert len(read) == 100
    assert sum(len(each.problem.tests) for each in read if not each.must_run) > 8000


def test_linked_lists_and_trees_of_the_older_leetcode_are_read() -> None:
    drafts = [each for each in real("raw/leetcode_dataset_v0.1.0_train.jsonl.gz", 300) if isinstance(each, Draft)]
    entries = [each.problem.entry for each in drafts if each.problem.entry and not each.must_run]
    types = Counter(t for entry in entries for t in (*entry.arg_types, entry.return_type) if t != "json")
    assert types["ListNode"] > 20
    assert types["TreeNode"] > 20
