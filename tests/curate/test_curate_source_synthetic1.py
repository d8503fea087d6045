"""SYNTHETIC-1's and verifiable-coding-problems' rows become drafts, `verification_info` as text or as a struct."""

import json
from typing import Any

import pytest

from dc_tools.core.errors import BadLine
from dc_tools.core.records import CheckerType, Line, Mode
from dc_tools.curate import sources
from dc_tools.curate.draft import Draft
from dc_tools.curate.formats import Format
from dc_tools.curate.reasons import Reason, Refusal

STDIN = {"type": "stdin_stdout", "fn_name": None}
CALL = {"type": "function_call", "fn_name": "f"}
PROMPT = (
    "Solve the following coding problem using the programming language python:\n\nDouble it.\n\n"
    "The input will be stdin and you should print your solution to stdout\n\n\n"
    "Now solve the problem and return the code."
)
ROW: dict[str, Any] = {
    "problem_id": "vcp_17",
    "source": "apps",
    "task_type": "verifiable_code",
    "in_source_id": "4242",
    "prompt": PROMPT,
    "gold_standard_solution": "```python\nprint(2 * int(input()))\n```",
    "verification_info": repr({
        "language": "python",
        "test_cases": [{**STDIN, "input": "1\n", "output": "2\n"}, {**STDIN, "input": "2", "output": "4"}],
    }),
    "metadata": "{'difficulty': 'EASY', 'memory_limit': None, 'memory_limit_bytes': 256000000, "
    "'problem_url': 'https://x.org/1', 'time_limit': '{\\'seconds\\': 2, \\'nanos\\': 0}'}",
}
NO_ARGUMENTS = {**CALL, "input": [], "output": [1]}
SOLUTION = "```python\ndef f(x):\n    return x\n```"


def read(**change: Any) -> Draft | Refusal:
    return sources.draft(Line(json.dumps({**ROW, **change}).encode()), Format.AUTO)


def draft(**change: Any) -> Draft:
    found = read(**change)
    assert isinstance(found, Draft), found
    return found


def info(*cases: dict[str, Any], **others: Any) -> dict[str, Any]:
    return {"language": "python", "test_cases": list(cases), **others}


def pairs(found: Draft) -> list[tuple[str, str]]:
    return [(test.input, test.output) for test in found.problem.tests]


def test_a_row_keeps_what_synthetic1_says_of_it() -> None:
    found = draft().problem
    assert (found.id, found.mode, found.statement) == ("synthetic1/vcp_17", Mode.STDIN, "Double it.")
    assert [(t.input, t.output) for t in found.tests] == [("1\n", "2\n"), ("2", "4")]
    assert [(each.lang, each.code) for each in found.solutions] == [("python", "print(2 * int(input()))\n")]
    assert (found.limits.time_s, found.limits.memory_mb, found.difficulty) == (2.0, 245, "easy")
    assert (found.source.url, found.meta) == ("https://x.org/1", {"site": "apps", "in_source_id": "4242"})


@pytest.mark.parametrize("as_text", [repr, json.dumps, lambda held: held])
def test_the_info_may_be_a_literal_json_or_a_struct(as_text: Any) -> None:
    cases = [{**STDIN, "input": "it's \"1\"\n", "output": "é\\n"}, {**STDIN, "input": "", "output": ""}]
    assert pairs(draft(verification_info=as_text(info(*cases)))) == [("it's \"1\"\n", "é\\n"), ("", "")]


def test_a_call_has_a_list_of_arguments_and_its_value_in_a_list() -> None:
    cases = [{**CALL, "input": [[1, 2], "a"], "output": [[3]]}, {**CALL, "input": [[], ""], "output": [[]]}]
    found = draft(verification_info=repr(info(*cases)), gold_standard_solution=SOLUTION)
    assert pairs(found) == [('[[1, 2], "a"]', "[3]"), ('[[], ""]', "[]")]
    assert found.problem.mode is Mode.FUNCTION
    assert found.problem.entry is not None
    assert (found.problem.entry.fn_name, found.problem.entry.class_name) == ("f", None)


def test_in_the_struct_a_calls_arguments_and_value_are_texts() -> None:
    cases = [{**CALL, "input": "[[1, 2], 'a']", "output": "[0.5]"}, {**CALL, "input": '["7"]', "output": "[true]"}]
    found = draft(verification_info=info(*cases), gold_standard_solution=SOLUTION)
    assert pairs(found) == [('[[1, 2], "a"]', "0.5"), ('["7"]', "true")]
    assert found.problem.checker.type is CheckerType.FLOAT


def test_other_languages_keep_their_name() -> None:
    case = {**STDIN, "input": "1", "output": "2"}
    found = draft(verification_info=info(case, language="rust"), gold_standard_solution="```rust\nfn main() {}\n```")
    assert [(each.lang, each.code) for each in found.problem.solutions] == [("rust", "fn main() {}\n")]


def test_a_prompt_of_other_words_stays_whole_and_ids_fall_back() -> None:
    absent = dict.fromkeys(("problem_id", "in_source_id", "metadata", "source", "gold_standard_solution"))
    found = draft(prompt="  Now solve it.\n", **absent).problem
    assert (found.statement, found.solutions, found.meta) == ("Now solve it.", [], {})
    assert found.id == f"synthetic1/{found.source.native_id}"
    assert len(found.source.native_id) == 16
    assert draft(problem_id=None).problem.id == "synthetic1/4242"


@pytest.mark.parametrize(
    ("change", "reason", "said"),
    [
        ({"verification_info": "__import__('os').system('id')"}, Reason.UNSAFE_PAYLOAD, "code where data belongs"),
        ({"verification_info": "{'test_cases': [0]*10**9}"}, Reason.UNSAFE_PAYLOAD, "[0] * 10 ** 9"),
        ({"verification_info": "{'a':" * 10**6}, Reason.UNSAFE_PAYLOAD, "verification_info: "),
        ({"metadata": "{'a': exit()}"}, Reason.UNSAFE_PAYLOAD, "metadata: code where data belongs: exit()"),
        ({"verification_info": "[1]"}, Reason.PARSE_ERROR, "verification_info: a list, no object"),
        ({"verification_info": "{'test_cases': [nan]}"}, Reason.PARSE_ERROR, "the name nan"),
        ({"verification_info": '{"answer": "42"}', "task_type": "math"}, Reason.PARSE_ERROR, "math whose"),
        ({"verification_info": info({"type": "stdin_stdout"})}, Reason.PARSE_ERROR, "required field `input`"),
        ({"verification_info": info("x")}, Reason.PARSE_ERROR, "test_cases: Expected `object`"),
        ({"verification_info": info({**NO_ARGUMENTS, "type": "oracle"})}, Reason.PARSE_ERROR, "of the types oracle"),
        (
            {"verification_info": info({**STDIN, "input": "", "output": ""}, NO_ARGUMENTS)},
            Reason.PARSE_ERROR, "tests of the types function_call, stdin_stdout",
        ),
        (
            {"verification_info": info(NO_ARGUMENTS, {**NO_ARGUMENTS, "fn_name": "g"})},
            Reason.PARSE_ERROR, "tests of the functions 'f', 'g'",
        ),
        ({"verification_info": info({**NO_ARGUMENTS, "fn_name": None})}, Reason.PARSE_ERROR, "of the functions ''"),
        ({"verification_info": info(NO_ARGUMENTS)}, Reason.NO_SOLUTION, "no solution defines f"),
        ({"prompt": "Use the picture ![p](x.png)"}, Reason.IMAGE, "shows a picture"),
    ],
)  # fmt: skip
def test_a_row_that_cannot_become_a_problem_has_its_reason(change: dict[str, Any], reason: Reason, said: str) -> None:
    found = read(**change)
    assert isinstance(found, Refusal)
    assert (found.reason, said in found.detail) == (reason, True), found.detail


@pytest.mark.parametrize(("field", "value"), [("prompt", None), ("verification_info", [1]), ("metadata", 3)])
def test_a_field_of_the_wrong_type_is_a_bad_line_with_its_path(field: str, value: Any) -> None:
    with pytest.raises(BadLine, match=rf"\$\.{field}"):
        read(**{field: value})
