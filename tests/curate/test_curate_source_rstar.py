"""rStar-Coder's test cases: all columns are texts, of which `inputs` and `outputs` hold lists."""

import json
from typing import Any

import pytest

from dc_tools.core.errors import BadLine
from dc_tools.core.records import CheckerType, Line, Mode, TestKind
from dc_tools.curate import sources
from dc_tools.curate.draft import Draft
from dc_tools.curate.formats import Format, chosen
from dc_tools.curate.reasons import Reason, Refusal

SYNTHETIC = {
    "question_id": "synthetic_50262", "question": "Double it.",
    "inputs": '["1\\n1", "2\\n3"]', "outputs": '["2\\n", "4"]',
}  # fmt: skip
SEED = {
    "question_id": "seed_10", "question": "Double it.", "inputs": '["3", "4"]', "outputs": '["6", "8"]',
    "starter_code": "", "is_synthesized": "[false, true]", "test_case_type": "[]", "func_name": "", "class_name": "",
}  # fmt: skip
STARTER = "class Solution:\n    def twice(self, values: List[int], by: float) -> float:\n        "
CALL = {
    **SEED, "starter_code": STARTER, "func_name": "twice", "class_name": "Solution",
    "inputs": '["[1, 2]\\n0.5", "[]\\n1"]', "outputs": '["1.5", "0"]',
}  # fmt: skip


def drafted(row: dict[str, Any]) -> Draft | Refusal:
    return sources.draft(Line(json.dumps(row).encode(), "synthetic_rl_testcase/train-0.parquet"), Format.AUTO)


def draft(row: dict[str, Any]) -> Draft:
    found = drafted(row)
    assert isinstance(found, Draft), found
    return found


def triples_of(row: dict[str, Any]) -> list[tuple[str, str, TestKind]]:
    return [(each.input, each.output, each.kind) for each in draft(row).problem.tests]


def test_a_synthetic_row_reads_stdin_and_is_told_by_its_four_columns() -> None:
    found = draft(SYNTHETIC).problem
    assert chosen(Format.AUTO, SYNTHETIC) is Format.RSTAR
    assert (found.id, found.mode, found.statement) == ("rstar/synthetic_50262", Mode.STDIN, "Double it.")
    assert (found.source.split, found.source.license) == ("train", "CC-BY-4.0")
    assert triples_of(SYNTHETIC) == [("1\n1", "2\n", TestKind.PRIVATE), ("2\n3", "4", TestKind.PRIVATE)]


def test_synthesized_tests_are_generated_ones() -> None:
    assert [kind for *_, kind in triples_of(SEED)] == [TestKind.PRIVATE, TestKind.GENERATED]
    for value, kind in (("True", TestKind.GENERATED), (False, TestKind.PRIVATE), ("None", TestKind.PRIVATE)):
        assert [kind for *_, kind in triples_of({**SEED, "is_synthesized": value})] == [kind] * 2


def test_lists_and_python_literals_are_read_as_the_json_text_is() -> None:
    for inputs in (["3", "4"], "['3', '4']", '["3", "4"]'):
        assert triples_of({**SEED, "inputs": inputs}) == triples_of(SEED)


def test_a_function_with_a_value_a_line() -> None:
    found = draft(CALL).problem
    assert found.entry is not None
    assert (found.mode, found.entry.fn_name, found.entry.class_name) == (Mode.FUNCTION, "twice", "Solution")
    assert found.entry.starter_code == STARTER.rstrip()
    assert [(each.input, each.output, each.kind) for each in found.tests] == [
        ("[[1, 2], 0.5]", "1.5", TestKind.PRIVATE), ("[[], 1]", "0", TestKind.GENERATED),
    ]  # fmt: skip
    assert found.checker.type is CheckerType.FLOAT


def test_a_function_with_lists_of_arguments() -> None:
    row = {**CALL, "inputs": "[[[1, 2], 0.5], [[], 1]]", "outputs": "[1.5, 0]"}
    assert [pair[:2] for pair in triples_of(row)] == [("[[1, 2], 0.5]", "1.5"), ("[[], 1]", "0")]


def test_a_function_without_starter_code_is_called_by_its_name() -> None:
    entry = draft({**CALL, "starter_code": None, "class_name": None}).problem.entry
    assert entry is not None
    assert (entry.fn_name, entry.class_name) == ("twice", None)


@pytest.mark.parametrize(
    ("row", "reason", "detail"),
    [
        ({**SEED, "inputs": '["3"]'}, Reason.PARSE_ERROR, "tests: 1 inputs and 2 outputs"),
        ({**SEED, "inputs": '["3", "4"'}, Reason.PARSE_ERROR, "inputs: "),
        ({**SEED, "inputs": "__import__('os').system('true')"}, Reason.UNSAFE_PAYLOAD, "inputs: "),
        ({**SEED, "inputs": "{}"}, Reason.PARSE_ERROR, "no list"),
        ({**SEED, "inputs": "[" * 100_000}, Reason.UNSAFE_PAYLOAD, "inputs: "),
        ({**SEED, "is_synthesized": "[true]"}, Reason.PARSE_ERROR, "is_synthesized: no true or false for each of 2"),
        ({**CALL, "inputs": '["[1", "2"]'}, Reason.PARSE_ERROR, "a function's test that is not JSON"),
        ({**CALL, "func_name": "other"}, Reason.PARSE_ERROR, "no definition of other"),
        ({**SEED, "question": "See ![it](http://x/y.png)."}, Reason.IMAGE, "picture"),
    ],
)
def test_a_row_that_cannot_be_used_has_its_reason(row: dict[str, Any], reason: Reason, detail: str) -> None:
    found = drafted(row)
    assert isinstance(found, Refusal)
    assert found.reason is reason, found
    assert detail in found.detail


@pytest.mark.parametrize(
    ("name", "value"), [("inputs", 1), ("outputs", None), ("question", []), ("question_id", 1), ("func_name", 1)]
)
def test_a_field_of_the_wrong_type_is_a_bad_line(name: str, value: Any) -> None:
    with pytest.raises(BadLine, match=rf"\$\.{name}"):
        drafted({**SEED, name: value})
