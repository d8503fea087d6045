"""A row of each dataset with solutions, through all of the curation: its reference passes its own tests when run."""

import json
from typing import Any

import pytest

from dc_tools.core.records import Line
from dc_tools.core.run import Dropped, Kept
from dc_tools.curate.examination import Settings
from dc_tools.curate.stage import curate

NUMBERS = range(1, 7)
DOUBLE = "n = int(input())\nprint(2 * n)\n"
PAIRS = {"inputs": [f"{n}\n" for n in NUMBERS], "outputs": [f"{2 * n}\n" for n in NUMBERS]}
LINES = {"inputs": [["2", str(n), "x"] for n in NUMBERS], "outputs": [[f"{n}", "x"] for n in NUMBERS]}
ECHO = "for _ in range(int(input())):\n    print(input())\n"
TWICE = "class Solution:\n  def twice(self, xs: List[int], by: int) -> List[int]:\n    return [x * by for x in xs]\n"
CALLS = {
    "fn_name": "twice",
    "inputs": [[[n], 2] for n in NUMBERS],
    "outputs": [[2 * n] for n in NUMBERS],
}
WRAPPED = {**CALLS, "outputs": [[each] for each in CALLS["outputs"]]}
TYPED = [
    {"type": "function_call", "fn_name": "twice", "input": given, "output": wanted}
    for given, wanted in zip(WRAPPED["inputs"], WRAPPED["outputs"], strict=True)
]
ONE, NONE = {"input": ["1\n"], "output": ["2\n"]}, {"input": [], "output": []}
ROWS: dict[str, dict[str, Any]] = {
    "taco stdin": {"question": "q", "solutions": json.dumps([DOUBLE]), "input_output": json.dumps(PAIRS)},
    "taco lines": {"question": "q", "solutions": json.dumps([ECHO]), "input_output": repr(LINES)},
    "taco call": {"question": "q", "solutions": json.dumps([TWICE]), "input_output": json.dumps(CALLS)},
    "taco wrapped": {"question": "q", "solutions": [TWICE], "input_output": repr(WRAPPED)},
    "apps": {"problem_id": 1, "question": "q", "solutions": json.dumps([TWICE]), "input_output": json.dumps(WRAPPED)},
    "codecontests": {
        "name": "1_A", "description": "q", "public_tests": ONE, "private_tests": NONE,
        "generated_tests": {"input": PAIRS["inputs"][1:], "output": PAIRS["outputs"][1:]},
        "solutions": {"language": [2, 1, 3], "solution": ["int main() {}", "print 2 * input()", DOUBLE]},
    },
    "synthetic1": {
        "problem_id": "vcp_1", "prompt": "q", "gold_standard_solution": f"```python\n{TWICE}```",
        "verification_info": repr({"language": "python", "test_cases": TYPED}),
    },
    "primeintellect": {"problem": "q", "solutions": [f"```python\n{TWICE}\n```"], "tests": json.dumps(TYPED)},
    "deepcoder taco": {"problem": "q", "solutions": [f"```python\n{DOUBLE}\n```"], "tests": json.dumps(PAIRS)},
}  # fmt: skip


@pytest.mark.parametrize("name", ROWS)
def test_a_right_solution_is_verified_on_all_tests(name: str) -> None:
    [outcome] = curate([Line(json.dumps(ROWS[name]).encode())], Settings(), workers=1)
    assert isinstance(outcome, Kept), outcome
    record = json.loads(outcome.line.to_bytes())
    assert record["curation"]["reference"]["passed"] == len(record["tests"]) == len(NUMBERS)
    assert record["curation"]["coverage"]["ratio"] == 1.0


@pytest.mark.parametrize("name", ["taco stdin", "taco wrapped", "codecontests", "synthetic1"])
def test_a_wrong_solution_is_found_out(name: str) -> None:
    wrong = json.dumps(ROWS[name]).replace("2 * n", "2 + n").replace("x * by", "x + by")
    [outcome] = curate([Line(wrong.encode())], Settings(), workers=1)
    assert isinstance(outcome, Dropped)
    assert outcome.reason == "solution_fails"
