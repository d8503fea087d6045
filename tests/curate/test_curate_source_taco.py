"""TACO's and TACO-verified's rows become drafts: their texts, their shapes of inputs and outputs, their functions."""

import json
from typing import Any

import pytest

from dc_tools.core.errors import BadLine
from dc_tools.core.records import CheckerType, Line, Mode, TestKind
from dc_tools.curate import sources
from dc_tools.curate.draft import Draft
from dc_tools.curate.formats import Format
from dc_tools.curate.reasons import Reason, Refusal

ROW: dict[str, Any] = {
    "question": "Add two numbers.\n\n-----Input-----\n\nTwo integers.\n",
    "solutions": json.dumps(["a, b = map(int, input().split())\nprint(a + b)\n", "print(sum(map(int, input()[::2])))"]),
    "starter_code": "",
    "input_output": json.dumps({"inputs": ["1 2\n", "3 4\n"], "outputs": ["3\n", "7\n"]}),
    "difficulty": "EASY",
    "raw_tags": "['math', 'implementation']",
    "name": "1000_A. Sum",
    "source": "codeforces",
    "tags": "['Mathematics', 'Implementation']",
    "skill_types": "['Range queries']",
    "url": "https://codeforces.com/problemset/problem/1000/A",
    "Expected Auxiliary Space": None,
    "time_limit": "2.5 seconds",
    "date": "2018-06-27",
    "picture_num": "0",
    "memory_limit": "256.0 megabytes",
    "Expected Time Complexity": None,
}
VERIFIED = {
    "id": 17,
    "question": "Order the weights.",
    "solutions": ["def order_weight(s):\n    return ' '.join(sorted(s.split(), key=lambda x: (sum(map(int, x)), x)))"],
    "input_output": "{'fn_name': 'order_weight', 'inputs': [['103 123'], ['2000 10003']], "
    "'outputs': [['103 123'], ['2000 10003']]}",
}
ONE_F = {"solutions": json.dumps(["def f(x): pass"])}
TWO_SUM = "class Solution:\n    def twoSum(self, nums: List[int], target: int) -> List[int]:\n        return [0, 1]\n"


def read(row: dict[str, Any], file: str = "train-00000-of-00009.parquet") -> Draft | Refusal:
    return sources.draft(Line(json.dumps(row).encode(), file), Format.AUTO)


def draft(row: dict[str, Any]) -> Draft:
    found = read(row)
    assert isinstance(found, Draft), found
    return found


def refusal(row: dict[str, Any]) -> Refusal:
    found = read(row)
    assert isinstance(found, Refusal), found
    return found


def with_pairs(inputs: Any, outputs: Any, **others: Any) -> dict[str, Any]:
    return {**ROW, "input_output": json.dumps({"inputs": inputs, "outputs": outputs, **others})}


def pairs_of(row: dict[str, Any]) -> list[tuple[str, str]]:
    return [(test.input, test.output) for test in draft(row).problem.tests]


def test_a_row_keeps_what_taco_says_of_it() -> None:
    found = draft(ROW).problem
    assert (found.mode, found.statement) == (Mode.STDIN, ROW["question"].strip())
    assert [(t.input, t.output, t.kind) for t in found.tests] == [
        ("1 2\n", "3\n", TestKind.PRIVATE), ("3 4\n", "7\n", TestKind.PRIVATE)
    ]  # fmt: skip
    assert [each.code for each in found.solutions] == json.loads(ROW["solutions"])
    assert {each.lang for each in found.solutions} == {"python"}
    assert (found.limits.time_s, found.limits.memory_mb) == (2.5, 256)
    assert (found.difficulty, found.tags) == ("easy", ["Mathematics", "Implementation"])
    assert found.meta == {"name": "1000_A. Sum", "site": "codeforces", "skills": ["Range queries"]}
    source = found.source
    assert (source.dataset, source.split, source.url, source.date) == ("taco", "train", ROW["url"], "2018-06-27")
    assert found.id == f"taco/{source.native_id}"


def test_an_id_depends_on_the_content_alone() -> None:
    first, moved = draft(ROW).problem.id, Line(json.dumps(ROW).encode(), "other.jsonl", 99, 98)
    again = sources.draft(moved, Format.TACO)
    assert isinstance(again, Draft)
    assert again.problem.id == first
    assert draft({**ROW, "question": "Other."}).problem.id != first
    assert draft(with_pairs(["1"], ["1"])).problem.id != first


def test_taco_verified_has_ids_lists_and_python_literals() -> None:
    found = draft(VERIFIED).problem
    assert (found.id, found.mode) == ("taco/17", Mode.FUNCTION)
    assert found.entry is not None
    assert (found.entry.fn_name, found.entry.class_name) == ("order_weight", None)
    assert [(t.input, t.output) for t in found.tests] == [
        ('["103 123"]', '"103 123"'), ('["2000 10003"]', '"2000 10003"')
    ]  # fmt: skip


def test_columns_may_be_null_empty_or_the_word_none() -> None:
    absent = dict.fromkeys(("starter_code", "raw_tags", "tags", "url", "date", "picture_num", "time_limit"))
    found = draft({**ROW, **absent, "difficulty": "UNKNOWN_DIFFICULTY", "memory_limit": "None", "name": "None"}).problem
    assert (found.limits.time_s, found.limits.memory_mb) == (4.0, 1024)
    assert (found.difficulty, found.tags, found.source.url, found.source.date) == (None, [], None, None)
    assert "name" not in found.meta
    assert draft({**ROW, "tags": "[]"}).problem.tags == ["math", "implementation"]


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ("1\n2", "1\n2"),
        (["1 2", "3"], "1 2\n3\n"),
        (["1 2\n", "3\n"], "1 2\n3\n"),
        ([["1", "2"], ["3"]], "1 2\n3\n"),
        ([[1, 2.5], [3]], "1 2.5\n3\n"),
        (7, "7"),
        ([], ""),
        ("", ""),
    ],
)
def test_inputs_and_outputs_are_texts_lines_or_words(given: Any, text: str) -> None:
    assert pairs_of(with_pairs([given], [given])) == [(text, text)]


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (None, "a value of type NoneType for stdin or stdout"),
        ({"a": 1}, "a value of type dict for stdin or stdout"),
        ([[["1"]]], "a value of type list for stdin or stdout"),
        (True, "a value of type bool for stdin or stdout"),
        ("\ud800", "a string with a lone surrogate"),
    ],
)
def test_a_test_that_is_no_text_is_left_out_and_counted(value: Any, why: str) -> None:
    found = draft(with_pairs(["1", value], ["2", "3"]))
    assert [(t.input, t.output) for t in found.problem.tests] == [("1", "2")]
    assert found.left_out == {why: 1}


def test_a_function_is_called_where_its_solution_defines_it() -> None:
    row = with_pairs([[[2, 7, 11], 9]], [[0, 1]], fn_name="twoSum")
    found = draft({**row, "solutions": json.dumps([TWO_SUM]), "starter_code": "class Solution:\n  # here\n"}).problem
    assert found.entry is not None
    assert (found.entry.class_name, found.entry.starter_code) == ("Solution", "class Solution:\n  # here")
    assert [(t.input, t.output) for t in found.tests] == [("[[2, 7, 11], 9]", "[0, 1]")]
    bare = draft({**row, "solutions": "[]", "starter_code": "class Solution:\n  # here\n"}).problem
    assert bare.entry is not None
    assert bare.entry.class_name == "Solution"
    python2 = draft({**row, "solutions": json.dumps(["print 1", "def twoSum(a, b): return [0, 1]"])}).problem
    assert python2.entry is not None
    assert python2.entry.class_name is None
    assert refusal({**row, "solutions": json.dumps(["def other(): pass"])}).reason is Reason.NO_SOLUTION


@pytest.mark.parametrize(
    ("outputs", "returns", "values"),
    [
        ([[1], [2]], "", [1, 2]),
        ([[[1, 2]], [[3]]], "", [[1, 2], [3]]),
        ([[0, 1], [1, 2]], "", [[0, 1], [1, 2]]),
        ([[0, 1], [1]], "", [[0, 1], [1]]),
        ([[], [1]], "", [[], [1]]),
        ([1, 2], "", [1, 2]),
        ([[1], [2]], " -> int", [1, 2]),
        ([[1], [2]], " -> List[int]", [[1], [2]]),
        ([[[1]], [[]]], " -> List[int]", [[1], []]),
        ([[[1]], [[]]], " -> List[List[int]]", [[[1]], [[]]]),
        ([[[[1]]], [[]]], " -> list[list[int]]", [[[1]], []]),
        ([["a"]], " -> Optional[str]", ["a"]),
        ([["a"]], " -> 'List[str]'", [["a"]]),
        ([["a"]], " -> Node2", ["a"]),
    ],
)
def test_values_are_unwrapped_where_the_facts_say_so(outputs: list[Any], returns: str, values: list[Any]) -> None:
    code = f"class Solution:\n    def f(self, x){returns}: pass"
    row = {**with_pairs([[i] for i in range(len(outputs))], outputs, fn_name="f"), "solutions": json.dumps([code])}
    assert [json.loads(test.output) for test in draft(row).problem.tests] == values


def test_linked_lists_of_a_signature_are_lists_of_their_values() -> None:
    code = "class Solution:\n    def rev(self, head: Optional[ListNode], k: int) -> Optional[ListNode]: pass"
    found = draft({**with_pairs([[[1], 2]], [[[1]]], fn_name="rev"), "solutions": json.dumps([code])}).problem
    assert found.entry is not None
    assert (found.entry.arg_types, found.entry.return_type) == (["ListNode", "json"], "ListNode")
    assert [(t.input, t.output) for t in found.tests] == [("[[1], 2]", "[1]")]


def test_a_call_that_json_cannot_say_is_left_out_and_floats_get_their_checker() -> None:
    held = "{'fn_name': 'f', 'inputs': [[{1: 2}], [(1, 2)], [3]], 'outputs': [[1], [0.5], [float]]}"
    assert refusal({**ROW, "input_output": held}).detail == "input_output: the name float in a literal"
    found = draft({**ROW, "input_output": held.replace("[float]", "[{4}]"), **ONE_F})
    assert [(t.input, t.output) for t in found.problem.tests] == [("[[1, 2]]", "0.5")]
    assert found.left_out == {"a dict whose keys are not all strings": 1, "a value of type set": 1}
    assert (found.problem.checker.type, found.problem.checker.tolerance) == (CheckerType.FLOAT, 1e-6)


def test_nan_in_json_is_a_value_that_a_test_cannot_have() -> None:
    row = {**ROW, **ONE_F, "input_output": '{"fn_name": "f", "inputs": [[1], [2]], "outputs": [[NaN], [2]]}'}
    assert draft(row).left_out == {"the number nan": 1}


@pytest.mark.parametrize(
    ("change", "reason", "said"),
    [
        ({"input_output": "__import__('os').system('id')"}, Reason.UNSAFE_PAYLOAD, "code where data belongs"),
        ({"solutions": "[0]*10**9"}, Reason.UNSAFE_PAYLOAD, "solutions: code where data belongs: [0] * 10 ** 9"),
        ({"tags": "[open('/etc/passwd')]"}, Reason.UNSAFE_PAYLOAD, "tags: code where data belongs"),
        ({"input_output": "[" * 10**7}, Reason.UNSAFE_PAYLOAD, "nested too deeply"),
        ({"input_output": "[1, 2]"}, Reason.PARSE_ERROR, "input_output: a list, no object"),
        ({"input_output": '{"inputs": ["1"]}'}, Reason.PARSE_ERROR, "1 inputs and 0 outputs"),
        ({"input_output": '{"inputs": "1", "outputs": "2"}'}, Reason.PARSE_ERROR, "inputs or outputs are no list"),
        ({"input_output": '{"inputs": ["1"'}, Reason.PARSE_ERROR, "neither JSON"),
        ({"input_output": '{"inputs": [7], "outputs": [7], "fn_name": "f"}', **ONE_F}, Reason.PARSE_ERROR,
         "the arguments of a call are no list: 7"),
        ({"input_output": '{"inputs": ["n = 7"], "outputs": ["7"], "fn_name": "f"}', **ONE_F}, Reason.PARSE_ERROR,
         "the arguments of a call: neither JSON"),
        ({"solutions": '{"a": 1}'}, Reason.PARSE_ERROR, "solutions: no list of strings"),
        ({"picture_num": "2"}, Reason.IMAGE, "the row lacks 2 pictures of its statement"),
        ({"picture_num": 1.0}, Reason.IMAGE, "the row lacks 1 picture of its statement"),
        ({"question": "See ![this](http://x/y.png)."}, Reason.IMAGE, "the statement shows a picture"),
        ({"question": "This is an interactive problem."}, Reason.INTERACTIVE, "This is an interactive problem"),
    ],
)  # fmt: skip
def test_a_row_that_cannot_become_a_problem_has_its_reason(change: dict[str, Any], reason: Reason, said: str) -> None:
    found = refusal({**ROW, **change})
    assert (found.reason, said in found.detail) == (reason, True), found.detail


@pytest.mark.parametrize(("field", "value"), [("question", None), ("input_output", 3), ("tags", 3), ("url", ["x"])])
def test_a_field_of_the_wrong_type_is_a_bad_line_with_its_path(field: str, value: Any) -> None:
    with pytest.raises(BadLine, match=rf"\$\.{field}"):
        read({**ROW, field: value})


def test_a_row_without_tests_or_solutions_is_left_to_the_filters() -> None:
    found = draft({**ROW, "input_output": "", "solutions": ""}).problem
    assert (found.tests, found.solutions) == ([], [])
