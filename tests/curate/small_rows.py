"""A small row of each format, all about doubling a number; those of datasets with solutions are kept."""

import base64
import json
import pickle
import zlib
from typing import Any

NUMBERS = range(1, 7)
PROGRAM = "n = int(input())\nprint(2 * n)\n"
FUNCTION = "def double(x):\n    return 2 * x\n"
METHOD = "class Solution:\n    def double(self, x: int) -> int:\n        return 2 * x\n"
STARTER = METHOD.partition("        return")[0]
INPUTS, OUTPUTS = [f"{n}\n" for n in NUMBERS], [f"{2 * n}\n" for n in NUMBERS]
TEXTS = {"inputs": INPUTS, "outputs": OUTPUTS}
CALLS = {"fn_name": "double", "inputs": [[n] for n in NUMBERS], "outputs": [2 * n for n in NUMBERS]}
CHECK = "def check(candidate):\n" + "".join(f"    assert candidate(x = {n}) == {2 * n}\n" for n in NUMBERS)
SAMPLES = [{"input": given, "output": wanted} for given, wanted in zip(INPUTS, OUTPUTS, strict=True)]
TYPED = [{"type": "function_call", "fn_name": "double", "input": [n], "output": [2 * n]} for n in NUMBERS]
FUNCTIONAL = [{"input": str(n), "output": str(2 * n), "testtype": "functional"} for n in NUMBERS]
HUMANEVAL = {
    "task_id": "HumanEval/1", "prompt": 'def double(x):\n    """Double x."""\n', "entry_point": "double",
    "canonical_solution": "    return 2 * x\n", "test": CHECK,
}  # fmt: skip


def packed(value: Any) -> str:
    """As LiveCodeBench packs its private tests."""
    return base64.b64encode(zlib.compress(pickle.dumps(value))).decode()


ROWS: dict[str, dict[str, Any]] = {
    "humaneval": HUMANEVAL,
    "humaneval+": {**HUMANEVAL, "base_input": [[n] for n in NUMBERS], "plus_input": [[n] for n in range(40, 50)]},
    "mbpp": {
        "task_id": 11, "text": "Double x.", "code": FUNCTION,
        "test_list": [f"assert double({n}) == {2 * n}" for n in NUMBERS],
    },
    "leetcode": {
        "task_id": "double", "problem_description": "Double x.", "completion": METHOD, "prompt": "import math\n",
        "entry_point": "Solution().double", "test": CHECK, "tags": ["Math"], "estimated_date": "2024-08-11",
    },
    "rllm_leetcode": {
        "problem": "Double x.", "solutions": METHOD,
        "tests": {"functional": f"{CHECK}\n\ncheck(Solution().double)"},
    },
    "kodcode": {
        "question_id": "K_1", "question": "Double x.", "solution": FUNCTION, "test_info": [{"function_name": "double"}],
        "test": "import pytest\nfrom solution import double\n\n@pytest.mark.parametrize('x', [1, 2, 3, 4, 5])\n"
        "def test_double(x):\n    assert double(x) == pytest.approx(2 * x)\n",
    },
    "rstar": {
        "question_id": "seed_1", "question": "Double x.", "inputs": json.dumps(INPUTS), "outputs": json.dumps(OUTPUTS),
        "is_synthesized": "[0, 0, 0, 1, 1, 1]",
    },
    "rstar call": {
        "question_id": "seed_2", "question": "Double x.", "func_name": "double", "class_name": "Solution",
        "starter_code": STARTER, "inputs": [str(n) for n in NUMBERS], "outputs": [str(2 * n) for n in NUMBERS],
    },
    "livecodebench": {
        "question_id": "1873_A", "question_content": "Double x.", "platform": "codeforces",
        "contest_date": "2023-08-28",
        "public_test_cases": json.dumps([{**each, "testtype": "stdin"} for each in SAMPLES[:2]]),
        "private_test_cases": packed(json.dumps([{**each, "testtype": "stdin"} for each in SAMPLES[2:]])),
    },
    "livecodebench call": {
        "question_id": "2727", "question_content": "Double x.", "starter_code": STARTER,
        "public_test_cases": json.dumps(FUNCTIONAL[:2]), "private_test_cases": packed(json.dumps(FUNCTIONAL[2:])),
        "metadata": '{"func_name": "double"}',
    },
    "sandboxfusion": {
        "id": "3", "content": "Double x.", "labels": '{"name": "1000_A. Double", "source": "CODEFORCES"}',
        "test": json.dumps([{"input": {"stdin": e["input"]}, "output": {"stdout": e["output"]}} for e in SAMPLES]),
    },
    "sandboxfusion lcb": {
        "id": 10, "content": f"### Question:\nDouble x.\n\n### Format: as here\n```python\n{STARTER}        \n```",
        "labels": '{"task_id": "leetcode/2727", "difficulty": "easy"}', "canonical_solution": "import sys; sys.exit(0)",
        "test": packed({"input_output": json.dumps({**TEXTS, "fn_name": "double"})}),
    },
    "taco": {
        "question": "Double x.", "solutions": json.dumps([PROGRAM, "print(0)"]), "input_output": json.dumps(TEXTS),
        "tags": "['Mathematics']", "difficulty": "EASY", "picture_num": "0", "time_limit": "2.5 seconds",
        "memory_limit": "256.0 megabytes", "date": "2018-06-27",
    },
    "taco call": {"question": "Double x by a call.", "solutions": [METHOD], "input_output": repr(CALLS), "id": 17},
    "apps": {"problem_id": 1, "question": "Double x.", "solutions": json.dumps([FUNCTION]), "input_output": CALLS},
    "codecontests": {
        "name": "1_A", "description": "Double x.", "public_tests": {"input": INPUTS[:1], "output": OUTPUTS[:1]},
        "private_tests": {"input": [], "output": []}, "time_limit": {"seconds": 1, "nanos": 500000000},
        "generated_tests": {"input": INPUTS[1:], "output": OUTPUTS[1:]}, "memory_limit_bytes": 256000000,
        "solutions": {"language": [2, 3], "solution": ["int main() {}", PROGRAM]}, "cf_contest_id": 1, "cf_index": "A",
        "cf_rating": 800,
    },
    "codeforces": {
        "id": "852/A", "description": "Double x.", "examples": SAMPLES[:1], "official_tests": SAMPLES, "rating": 800,
        "contest_id": "852", "index": "A", "contest_start": 1504432800, "time_limit": 1.0, "memory_limit": 256.0,
        "tags": ["math"],
    },
    "synthetic1": {
        "problem_id": "vcp_1", "prompt": "Double x.", "gold_standard_solution": f"```python\n{FUNCTION}```",
        "verification_info": repr({"language": "python", "test_cases": TYPED}),
        "metadata": "{'difficulty': 'EASY', 'memory_limit_bytes': 256000000, 'time_limit': '{\\'seconds\\': 2}'}",
    },
    "deepcoder": {
        "problem": "Double x.\n\nTags:\n['math']\n\nTime Limit: 1500 ms\nMemory Limit: 512 MB\n",
        "solutions": [f"```python\n{PROGRAM}```"], "tests": json.dumps(TEXTS),
    },
    "deepcoder call": {
        "problem": "Double x by a call.", "solutions": [METHOD], "tests": TYPED, "metadata": {"func_name": "double"},
    },
    "plain": {
        "id": "p1", "statement": "Double x.", "tests": SAMPLES, "meta": {"n": 1.50},
        "solutions": [PROGRAM, {"code": "int main() {}", "lang": "cpp"}],
    },
    "plain call": {
        "id": "p2", "statement": "Double x.", "mode": "function", "entry": {"fn_name": "double"},
        "tests": [{"input": f"[{n}]", "output": str(2 * n)} for n in NUMBERS], "solutions": [{"code": FUNCTION}],
        "theirs": {"a": [None, "\u00e9"]},
    },
}  # fmt: skip
UNSOLVED = {
    "rstar", "rstar call", "livecodebench", "livecodebench call", "sandboxfusion", "sandboxfusion lcb", "codeforces",
}  # fmt: skip
"""Those that are dropped, since their datasets have no solutions."""
