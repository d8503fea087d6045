"""APPS' rows become drafts; what they share with TACO's is tested there."""

import json
from typing import Any

import pytest

from dc_tools.core.errors import BadLine
from dc_tools.core.records import Line, Mode
from dc_tools.curate import sources
from dc_tools.curate.draft import Draft
from dc_tools.curate.formats import Format
from dc_tools.curate.reasons import Reason, Refusal

ROW: dict[str, Any] = {
    "problem_id": 2361,
    "question": "Given an array, return indices of two numbers.\n\nExample:\n\n[Image]\n",
    "solutions": json.dumps(["class Solution:\r\n    def twoSum(self, nums, target):\r\n        return [0, 1]\r\n"]),
    "input_output": json.dumps(
        {"fn_name": "twoSum", "inputs": [[[2, 7], 9], [[3, 3], 6]], "outputs": [[0, 1], [0, 1]]}
    ),
    "difficulty": "introductory",
    "url": "https://leetcode.com/problems/two-sum/",
    "starter_code": "\nclass Solution:\n    def twoSum(self, nums: List[int], target: int) -> List[int]:\n        ",
}


def read(row: dict[str, Any], file: str = "-") -> Draft | Refusal:
    return sources.draft(Line(json.dumps(row).encode(), file), Format.AUTO)


def test_a_row_keeps_what_apps_says_of_it() -> None:
    found = read(ROW)
    assert isinstance(found, Draft)
    problem = found.problem
    assert (problem.id, problem.mode, problem.difficulty) == ("apps/2361", Mode.FUNCTION, "introductory")
    assert problem.entry is not None
    assert (problem.entry.fn_name, problem.entry.class_name) == ("twoSum", "Solution")
    assert [(t.input, t.output) for t in problem.tests] == [("[[2, 7], 9]", "[0, 1]"), ("[[3, 3], 6]", "[0, 1]")]
    assert "\r" not in problem.solutions[0].code
    assert problem.source.url == ROW["url"]


def test_train_and_test_which_number_alike_are_told_apart_by_the_files_name() -> None:
    ids = []
    for file in ("data/train.jsonl", "data/apps_test.jsonl", "testament.jsonl", "x.jsonl"):
        found = read(ROW, file)
        assert isinstance(found, Draft)
        ids.append((found.problem.id, found.problem.source.split))
    assert ids == [
        ("apps/train/2361", "train"), ("apps/test/2361", "test"), ("apps/2361", ""), ("apps/2361", "")
    ]  # fmt: skip


def test_a_test_problem_without_an_answer_has_no_solutions() -> None:
    found = read({**ROW, "solutions": "", "input_output": '{"inputs": ["1\\n"], "outputs": ["1\\n"]}'})
    assert isinstance(found, Draft)
    assert (found.problem.solutions, found.problem.mode) == ([], Mode.STDIN)


def test_a_picture_ahead_of_the_examples_is_missed_a_later_one_is_not() -> None:
    found = read({**ROW, "question": "Look at [Image] and count.\n\n-----Examples-----\n1"})
    assert isinstance(found, Refusal)
    assert found.reason is Reason.IMAGE


@pytest.mark.parametrize(("field", "value"), [("problem_id", None), ("question", 3), ("starter_code", 3)])
def test_a_field_of_the_wrong_type_is_a_bad_line_with_its_path(field: str, value: Any) -> None:
    with pytest.raises(BadLine, match=rf"\$\.{field}"):
        read({**ROW, field: value})
