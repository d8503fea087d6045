"""HumanEval+ rows: values learned from the canonical solution, and only after it has passed its own asserts."""

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dc_tools.core.errors import BadLine
from dc_tools.core.records import Line
from dc_tools.core.run import Dropped, Kept
from dc_tools.curate import sources
from dc_tools.curate.draft import Draft
from dc_tools.curate.examination import Settings
from dc_tools.curate.formats import Format
from dc_tools.curate.reasons import Reason, Refusal
from dc_tools.curate.stage import curated
from dc_tools.sandbox.judge import JudgePool

FILE = Path(__file__).parents[2].parent / "shared" / "data" / "eval" / "HumanEvalPlus.jsonl.gz"
ROW = {
    "task_id": "HumanEval/7", "entry_point": "scaled", "atol": 0, "contract": "\n    assert x > 0\n",
    "prompt": 'def scaled(x: int, y: list):\n    """Scale."""\n',
    "canonical_solution": "    while y and y[-1] == 0:\n        y.pop()\n    return [x * each for each in y]\n",
    "test": "METADATA = {}\n\ndef check(candidate):\n    assert candidate(2, [1, 0]) == [2]\n",
    "base_input": [[2, [1, 0]], [3, []]], "plus_input": [[2**70, [1, 2]], [2, [1, 0]], [1, [3]], [1, [4]]],
}  # fmt: skip


@pytest.fixture(scope="module")
def pool() -> Iterator[JudgePool]:
    with JudgePool(1) as judges:
        yield judges


def kept(row: dict[str, Any], pool: JudgePool) -> dict[str, Any]:
    found = curated(Line(json.dumps(row).encode()), Settings(), pool).outcome
    assert isinstance(found, Kept), found.line.fields if isinstance(found, Dropped) else found
    record: dict[str, Any] = json.loads(found.line.to_bytes())
    return record


def dropped(row: dict[str, Any], pool: JudgePool) -> tuple[str, str]:
    found = curated(Line(json.dumps(row).encode()), Settings(), pool).outcome
    assert isinstance(found, Dropped), found
    curation = json.loads(found.line.to_bytes())["curation"]
    return curation["reason"], curation["detail"]


def body(code: str, claim: str, *inputs: list[Any], **more: Any) -> dict[str, Any]:
    test = f"def check(candidate):\n    assert {claim}\n"
    row = {**ROW, "prompt": "def scaled(x, y):\n", "canonical_solution": f"    {code}\n", "test": test}
    return {**row, "base_input": [list(each) for each in inputs], "plus_input": [], **more}


def test_values_are_what_the_solution_says_of_each_input_before_it_changes_it(pool: JudgePool) -> None:
    record = kept(ROW, pool)
    assert (record["id"], record["source"]["license"]) == ("humaneval+/7", "Apache-2.0")
    assert [(test["input"], test["output"]) for test in record["tests"]] == [
        ("[2, [1, 0]]", "[2]"), ("[3, []]", "[]"), (f"[{2**70}, [1, 2]]", f"[{2**70}, {2**71}]"),
        ("[1, [3]]", "[3]"), ("[1, [4]]", "[4]"),
    ]  # fmt: skip
    assert record["meta"]["tests_left_out"] == {"duplicate": 1}
    assert record["solutions"][0]["code"] == ROW["prompt"] + ROW["canonical_solution"]


def test_a_canonical_solution_that_fails_its_own_asserts_teaches_nothing(pool: JudgePool) -> None:
    reason, detail = dropped({**ROW, "test": "def check(candidate):\n    assert candidate(2, [1]) == [3]\n"}, pool)
    assert reason == "solution_fails"
    assert "AssertionError in line 2: assert candidate(2, [1]) == [3]" in detail


def test_a_problem_with_an_oracle_of_its_own_needs_a_checker(pool: JudgePool) -> None:
    test = "def check(candidate):\n    x = candidate([1, 2])\n    assert abs(poly([1, 2], x)) < 1e-4\n"
    assert dropped({**ROW, "test": test}, pool)[0] == "needs_checker"


def test_values_that_json_cannot_say_are_left_out_and_floats_are_near(pool: JudgePool) -> None:
    inputs = [[x, 3] for x in range(6)]
    record = kept(body("return x / y if x else float('inf')", "candidate(1, 3) == 1 / 3", *inputs), pool)
    assert len(record["tests"]) == 5
    assert record["meta"]["tests_left_out"] == {"the number inf": 1}
    assert record["checker"] == {"type": "float", "tolerance": 1e-6}
    reason, detail = dropped(body("return {x, y}", "candidate(1, 1) == {1}", *inputs), pool)
    assert (reason, "a value of type set (6)" in detail) == ("parse_error", True)
    record = kept(body("return (x, [y])", "candidate(1, 2) == (1, [2])", *inputs), pool)
    assert record["tests"][1]["output"] == "[1, [3]]"


def test_a_tolerance_of_the_row_counts_where_it_is_wider_than_ours(pool: JudgePool) -> None:
    inputs = [[x, 2] for x in range(5)]
    claim = "candidate(1, 2) == 0.5"
    record = kept(body("return x / y", claim, *inputs, atol=1e-4), pool)
    assert record["checker"] == {"type": "float", "tolerance": 5e-5}
    assert kept(body("return x / y", claim, *inputs, atol=1e-9), pool)["checker"]["tolerance"] == 1e-6


def test_a_row_without_inputs_has_few_tests(pool: JudgePool) -> None:
    assert dropped(body("return x / y", "candidate(1, 2) == 0.5", atol=1e-4), pool) == (
        "few_tests", "0 distinct tests, 5 are asked for",
    )  # fmt: skip


def test_tests_beyond_what_the_sandbox_hands_over_are_left_out(pool: JudgePool) -> None:
    inputs = [*([[x, 1] for x in range(5)]), [1, 5 << 20], [2, 5 << 20], [3, 5 << 20], [1, 2]]
    record = kept(body("return str(x) * y", "candidate(1, 2) == '11'", *inputs), pool)
    assert [len(test["output"]) for test in record["tests"]] == [3] * 5 + [2 + (5 << 20)] * 2 + [4]
    assert record["meta"]["tests_left_out"] == {"more than 12 MiB of tests": 1}


@pytest.mark.parametrize(
    ("change", "reason", "detail"),
    [
        ({"test": "assert scaled(1, [1]) == [1]"}, Reason.PARSE_ERROR, "test: no function check(candidate)"),
        ({"test": "def check(:"}, Reason.PARSE_ERROR, "test code: line 1"),
        ({"entry_point": "other"}, Reason.NO_SOLUTION, "does not define other"),
    ],
)
def test_a_row_that_cannot_be_used_has_its_reason(change: dict[str, str], reason: Reason, detail: str) -> None:
    found = sources.draft(Line(json.dumps({**ROW, **change}).encode()), Format.AUTO)
    assert isinstance(found, Refusal)
    assert found.reason is reason
    assert detail in found.detail


@pytest.mark.parametrize(
    ("raw", "error"),
    [
        (b'"base_input": [1]', r"\$\.base_input\[0\]"),
        (b'"base_input": [[NaN]]', "invalid character"),
        (b'"base_input": [[1e400]]', "out of range"),
        (b'"base_input": {}', r"\$\.base_input"),
        (b'"base_input": [], "atol": "0"', r"\$\.atol"),
    ],
)
def test_inputs_that_are_no_lists_of_json_are_a_bad_line(raw: bytes, error: str) -> None:
    rest = {name: value for name, value in ROW.items() if name not in ("base_input", "atol")}
    with pytest.raises(BadLine, match=error):
        sources.draft(Line(json.dumps(rest).encode()[:-1] + b", " + raw + b"}"), Format.HUMANEVAL_PLUS)


def real_rows() -> list[bytes]:
    if not FILE.exists():
        pytest.skip(f"{FILE} is not there")
    with gzip.open(FILE) as rows:
        return rows.read().splitlines()


def test_of_the_real_rows_only_find_zero_needs_a_checker() -> None:
    drafts = [sources.draft(Line(row), Format.AUTO) for row in real_rows()]
    assert sum(isinstance(each, Draft) and each.must_run for each in drafts) == 163
    refused = [number for number, each in enumerate(drafts) if isinstance(each, Refusal)]
    assert refused == [32]
    assert isinstance(drafts[32], Refusal)
    assert drafts[32].reason is Reason.NEEDS_CHECKER


@pytest.mark.parametrize("number", [1, 13])
def test_real_rows_are_kept_with_all_their_inputs(number: int, pool: JudgePool) -> None:
    row = json.loads(real_rows()[number])
    record = kept(row, pool)
    left_out = record.get("meta", {}).get("tests_left_out", {}).get("duplicate", 0)
    assert len(record["tests"]) + left_out == len(row["base_input"]) + len(row["plus_input"])
