"""The program in an answer: the last fenced block after the reasoning, or nothing."""

import json
from pathlib import Path

import pytest

from dc_tools.core.extract import answer_of, extract_code

MEASURED = Path(__file__).parents[2].parent / "shared" / "data" / "lcb" / "extraction_cases.jsonl"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("Here:\n```python\nA=1\n```\nDone.", "A=1\n"),
        ("```python\nA=1\n```\nbetter:\n```py\nB=2\n```\n", "B=2\n"),
        ("```\nA=1\n```", "A=1\n"),
        ("~~~python\nA=1\n~~~\n", "A=1\n"),
        ("````markdown\n```python\nA=1\n```\n````\n", "```python\nA=1\n```\n"),
        ("~~~\n```\nA=1\n```\n~~~", "```\nA=1\n```\n"),
        ("```python\r\nA=1\r\n```\r\n", "A=1\r\n"),
        ("```python\nA=1\nB=", "A=1\nB="),
        ("```python\nA=1\n```\nand\n```python\nB=2", "B=2"),
        ("```python\nA=1\n```\nand\n```python\n", "A=1\n"),
        ("  ```python\nA=1\n  ```", "A=1\n"),
        ("```python\ns = '```'\nprint(s)\n```", "s = '```'\nprint(s)\n"),
        ("```python\nA=1\n`````\nrest", "A=1\n"),
        ("<think>\n```python\nBAD=1\n```\n</think>\n```python\nA=1\n```", "A=1\n"),
        ("<think>first</think> then </think>\n```\nA=1\n```", "A=1\n"),
        ("```python\n```", ""),
    ],
)
def test_the_last_block_of_the_answer_is_the_program(text, code):
    assert extract_code(text) == code


@pytest.mark.parametrize(
    "text",
    ["", "print(1)", "Use ```A=1``` here", "`A=1`", "<think>\n```python\nBAD=1\n```\n</think>\nNo code.",
     "<think>\n```python\nBAD=1\n```\n", "    ```python\n    A=1\n    ```", "```python", "``\nA=1\n``"],
)
def test_an_answer_without_a_block_has_no_code(text):
    assert extract_code(text) is None


def test_reasoning_that_never_ended_leaves_no_answer():
    assert answer_of("<think>so far") == ""
    assert answer_of("reasoned, its opening was in the prompt</think>answer") == "answer"
    assert answer_of("plain") == "plain"


def test_a_block_of_the_prompt_is_not_in_reach():
    """Only the answer is passed in: a template that ends in an open fence belongs to the prompt."""
    prompt, answer = "Fill in:\n```python\nTEMPLATE\n```\n", "I cannot."
    assert extract_code(answer) is None
    assert extract_code(prompt + answer) == "TEMPLATE\n"


def test_published_extractors_agree_where_the_text_is_unambiguous():
    if not MEASURED.exists():
        pytest.skip("no measured extraction cases here")
    cases = {case["name"]: case for case in map(json.loads, MEASURED.read_text().splitlines())}
    ours = {name: (extract_code(case["text"]) or "").strip() for name, case in cases.items()}
    for name in ("one_block", "think_block", "py_tag", "cpp", "block_then_text_block", "crlf", "inline"):
        assert ours[name] == cases[name]["lcb"].strip(), name
    assert (ours["unclosed"], cases["unclosed"]["lcb"]) == ("A=1", "")
