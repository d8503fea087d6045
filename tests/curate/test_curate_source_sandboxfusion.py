"""SandboxFusion's two packings, by hand and the real rows."""

import base64
import json
import pickle
import zlib
from pathlib import Path
from typing import Any

import pytest

from dc_tools.core.errors import BadLine
from dc_tools.core.records import CheckerType, Line, Mode, TestKind
from dc_tools.curate import sources
from dc_tools.curate.draft import Draft
from dc_tools.curate.formats import Format
from dc_tools.curate.reasons import Reason, Refusal

RAW = Path(__file__).parents[2].parent / "shared" / "data" / "raw"


def packed(value: Any) -> str:
    return base64.b64encode(zlib.compress(pickle.dumps(value))).decode()


def packed_tests(**fields: Any) -> str:
    return packed({"input_output": json.dumps({"inputs": [], "outputs": [], "fn_name": None, **fields})})


CONTESTS = {
    "content": "Codehorses T-shirts\n", "id": "3", "__internal_uuid__": "x",
    "labels": '{"difficulty":"A", "name":"1000_A. Codehorses T-shirts", "source":"CODEFORCES"}',
    "test": json.dumps([{"input": {"stdin": "1\nM"}, "output": {"stdout": "0\n"}}] * 2),
}  # fmt: skip
PROMPT = "You are an expert.\n### Question:\nCount.\n\nMore.\n\n### Format: You will use the following starter code\n"
FUNCTION = {
    "id": "10", "canonical_solution": "import sys; sys.exit(0)",
    "content": f"{PROMPT}```python\nclass Solution:\n    def count(self, a: List[str]) -> int:\n        \n```\n\n### A",
    "test": packed_tests(inputs=['["a", "b"]', "[]"], outputs=["2", "0"], fn_name="count"),
    "labels": '{"task_id": "leetcode/2727", "category": "leetcode", "difficulty": "easy", "fewshot": false}',
}  # fmt: skip
STDIN = {
    **FUNCTION, "content": f"{PROMPT}```python\n# YOUR CODE HERE\n```",
    "test": packed_tests(inputs=["1"], outputs=["2"]),
    "labels": '{"task_id": "codeforces/1873_A", "difficulty": "easy"}',
}  # fmt: skip


def drafted(row: dict[str, Any]) -> Draft | Refusal:
    return sources.draft(Line(json.dumps(row).encode()), Format.AUTO)


def draft(row: dict[str, Any]) -> Draft:
    found = drafted(row)
    assert isinstance(found, Draft), found
    return found


def real(name: str) -> list[Draft]:
    if not (RAW / name).exists():
        pytest.skip(f"{RAW / name} is not there")
    found = [sources.draft(Line(row), Format.AUTO) for row in (RAW / name).read_bytes().splitlines()]
    return [each for each in found if isinstance(each, Draft)]


def test_code_contests_rows_have_tests_as_json_text() -> None:
    found = draft(CONTESTS).problem
    assert (found.id, found.mode, found.statement) == (
        "sandboxfusion/code_contests/3", Mode.STDIN, "Codehorses T-shirts\n",
    )  # fmt: skip
    assert [(t.input, t.output, t.kind) for t in found.tests] == [("1\nM", "0\n", TestKind.PRIVATE)] * 2
    assert (found.difficulty, found.source.dataset, found.source.url) == (
        "a", "sandboxfusion/code_contests", "https://codeforces.com/problemset/problem/1000/A",
    )  # fmt: skip
    assert found.limits.time_s == 4.0
    assert found.meta == {"name": "1000_A. Codehorses T-shirts", "source": "CODEFORCES"}


def test_live_code_bench_rows_give_the_question_without_its_prompt_and_no_placeholder_for_a_solution() -> None:
    found = draft(FUNCTION).problem
    assert (found.id, found.mode, found.statement) == (
        "sandboxfusion/live_code_bench/10", Mode.FUNCTION, "Count.\n\nMore.",
    )  # fmt: skip
    assert found.entry is not None
    assert (found.entry.fn_name, found.entry.class_name) == ("count", "Solution")
    assert found.entry.starter_code == "class Solution:\n    def count(self, a: List[str]) -> int:"
    assert [(t.input, t.output) for t in found.tests] == [('[["a", "b"]]', "2"), ("[[]]", "0")]
    assert (found.solutions, found.limits.time_s) == ([], 6.0)
    assert [each.code for each in draft({**FUNCTION, "canonical_solution": "x = 1"}).problem.solutions] == ["x = 1"]


def test_the_same_packing_holds_stdin_tests() -> None:
    found = draft(STDIN).problem
    assert (found.mode, found.entry, found.source.url) == (
        Mode.STDIN, None, "https://codeforces.com/problemset/problem/1873/A",
    )  # fmt: skip
    assert [(t.input, t.output) for t in found.tests] == [("1", "2")]


@pytest.mark.parametrize(
    ("row", "reason", "detail"),
    [
        ({**STDIN, "test": packed(b"x")}, Reason.UNSAFE_PAYLOAD, "SHORT_BINBYTES"),
        ({**STDIN, "test": packed({"x": "y"})}, Reason.PARSE_ERROR, "packed without the text input_output"),
        ({**STDIN, "test": packed({"input_output": "{}"})}, Reason.PARSE_ERROR, "missing required field `inputs`"),
        ({**STDIN, "test": packed_tests(inputs=["1"])}, Reason.PARSE_ERROR, "1 inputs and 0 outputs"),
        ({**STDIN, "test": packed_tests(inputs=[1], outputs=["1"])}, Reason.PARSE_ERROR, "Expected `str`, got `int`"),
        ({**STDIN, "test": STDIN["test"][:40]}, Reason.PARSE_ERROR, "zlib"),
        ({**STDIN, "test": "{}"}, Reason.PARSE_ERROR, "neither JSON nor base64"),
        ({**STDIN, "labels": "x"}, Reason.PARSE_ERROR, "labels: "),
        ({**CONTESTS, "test": '[{"input": {}}]'}, Reason.PARSE_ERROR, "missing required field `stdin`"),
        (
            {**FUNCTION, "test": packed_tests(inputs=["["], outputs=["1"], fn_name="count")}, Reason.PARSE_ERROR,
            "a function's test that is not JSON",
        ),
        ({**CONTESTS, "content": "<image> Look at it."}, Reason.IMAGE, "picture"),
        ({**FUNCTION, "test": packed_tests(fn_name="other")}, Reason.PARSE_ERROR, "no definition of other"),
    ],
)  # fmt: skip
def test_a_row_that_cannot_be_used_has_its_reason(row: dict[str, Any], reason: Reason, detail: str) -> None:
    found = drafted(row)
    assert isinstance(found, Refusal)
    assert found.reason is reason
    assert detail in found.detail


@pytest.mark.parametrize(("name", "value"), [("test", [1]), ("content", 1), ("labels", {}), ("id", 1.5)])
def test_a_field_of_the_wrong_type_is_a_bad_line(name: str, value: Any) -> None:
    with pytest.raises(BadLine, match=rf"\$\.{name}"):
        drafted({**CONTESTS, name: value})


def test_the_real_code_contests_rows_are_read_whole_but_for_pictures_and_dialogues() -> None:
    drafts = real("sandboxfusion_code_contests.jsonl")
    assert [int(each.problem.source.native_id) for each in drafts] == [*range(9), 10, *range(12, 15), 17, 18, 19]
    assert sum(len(each.problem.tests) for each in drafts) == 1769
    assert {each.problem.difficulty for each in drafts} >= {"medium", "a", "h"}
    assert drafts[5].problem.checker.tolerance == 1e-4


def test_the_real_live_code_bench_rows_are_read_whole() -> None:
    drafts = {each.problem.source.native_id: each.problem for each in real("sandboxfusion_live_code_bench_v1.jsonl")}
    assert {name: (each.mode.value, len(each.tests)) for name, each in drafts.items()} == {
        "1": ("stdin", 5), "10": ("function", 14), "191": ("stdin", 15),
    }  # fmt: skip
    entry = drafts["10"].entry
    assert entry is not None
    assert (entry.fn_name, entry.class_name) == ("countSeniors", "Solution")
    assert drafts["1"].checker.type is CheckerType.YESNO
    assert drafts["191"].statement.startswith("Takahashi and Aoki played N games.")
