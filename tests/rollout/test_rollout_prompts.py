"""How problems are asked."""

import pytest

from dc_tools.core.errors import BadLine
from dc_tools.core.records import Entry, Mode, Problem, Solution, Test
from dc_tools.rollout.prompts import PromptStyle, render

ADD = "Read an integer n and print n plus 3."
STARTER = "class Solution:\n    def twoSum(self, nums: List[int]) -> int:\n"


def function_problem(statement: str = "Find the pair.", **entry: str) -> Problem:
    return Problem("f", [], statement=statement, mode=Mode.FUNCTION, entry=Entry("twoSum", **entry))


def test_the_fenced_style_is_a_one_shot_chat_that_opens_the_block() -> None:
    prompt = render(Problem("p", [], statement=f" {ADD}\n"), PromptStyle.FENCED)
    assert [m["role"] for m in prompt.messages] == ["system", "user", "assistant", "user"]
    assert prompt.messages[2]["content"] == "```python\nx = int(input())\nprint(x + 1)\n```"
    assert prompt.messages[3]["content"] == ADD
    assert (prompt.id, prompt.prefix, prompt.stop) == ("p", "```python\n", ("```",))


def test_the_chat_style_says_how_to_read_and_to_answer() -> None:
    prompt = render(Problem("p", [], statement=ADD), PromptStyle.CHAT)
    assert [m["role"] for m in prompt.messages] == ["system", "user"]
    question = prompt.messages[1]["content"]
    assert question.startswith(ADD + "\n\n")
    assert "standard input" in question and "one fenced python block" in question
    assert (prompt.prefix, prompt.stop) == ("", ())


@pytest.mark.parametrize("style", list(PromptStyle))
def test_function_problems_show_the_starter_code(style: PromptStyle) -> None:
    problem = function_problem(class_name="Solution", starter_code=STARTER)
    question = render(problem, style).messages[-1]["content"]
    assert f"```python\n{STARTER.rstrip()}\n```" in question
    assert "standard input" not in question


@pytest.mark.parametrize("style", list(PromptStyle))
def test_starter_code_is_not_shown_twice(style: PromptStyle) -> None:
    problem = function_problem(f"Complete:\n{STARTER}", starter_code=STARTER)
    question = render(problem, style).messages[-1]["content"]
    assert question.count("def twoSum") == 1


@pytest.mark.parametrize(
    ("entry", "words"),
    [({}, "a function `twoSum`"), ({"class_name": "Solution"}, "a class `Solution` with a method `twoSum`")],
)
def test_without_starter_code_the_name_is_given(entry: dict[str, str], words: str) -> None:
    for style in PromptStyle:
        assert words in render(function_problem(**entry), style).messages[-1]["content"]


@pytest.mark.parametrize("style", list(PromptStyle))
def test_neither_tests_nor_solutions_are_in_the_prompt(style: PromptStyle) -> None:
    tests = [Test("SECRET-IN", "SECRET-OUT")]
    problem = Problem("p", tests, statement=ADD, solutions=[Solution("SECRET-CODE")])
    assert "SECRET" not in str(render(problem, style))


@pytest.mark.parametrize("style", list(PromptStyle))
def test_a_problem_without_a_statement_asks_nothing(style: PromptStyle) -> None:
    with pytest.raises(BadLine, match="nothing to ask"):
        render(Problem("p", [], statement=" \n"), style)
