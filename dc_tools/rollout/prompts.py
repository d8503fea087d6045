"""How a problem is asked: a problem in, a prompt out. The tests of a problem are never shown."""

from enum import StrEnum

from dc_tools.core.errors import BadLine
from dc_tools.core.records import Mode, Problem
from dc_tools.rollout.engine import Prompt


class PromptStyle(StrEnum):
    """`chat` instructs a capable model; `fenced` shows a small one an example and opens its code block."""

    CHAT = "chat"
    FENCED = "fenced"


CHAT_SYSTEM = (
    "You are an expert Python programmer. Solve the problem with a correct and efficient Python program, "
    "and answer with one fenced python block that holds the whole program."
)
STDIN_RULE = (
    "Read the input from standard input and write the answer to standard output, nothing else. "
    "Answer with one fenced python block:\n\n```python\n# your program\n```"
)
FUNCTION_RULE = "Do not read input or print. Answer with one fenced python block that holds the whole {what}."

FENCED_SYSTEM = "Reply with a Python program."
FENCED_QUESTION = "Read an integer x and print x plus 1."
FENCED_ANSWER = "```python\nx = int(input())\nprint(x + 1)\n```"
FENCE_OPEN, FENCE_CLOSE = "```python\n", "```"


def render(problem: Problem, style: PromptStyle) -> Prompt:
    """The prompt for `problem`. Errors: `BadLine` where it has no statement."""
    if not problem.statement.strip():
        raise BadLine("no `statement`: nothing to ask")
    return _chat(problem) if style is PromptStyle.CHAT else _fenced(problem)


def _chat(problem: Problem) -> Prompt:
    parts = [problem.statement.strip()]
    if problem.mode is Mode.STDIN:
        parts.append(STDIN_RULE)
    else:
        parts += [_target(problem), FUNCTION_RULE.format(what=_kind(problem))]
    question = "\n\n".join(filter(None, parts))
    messages = ({"role": "system", "content": CHAT_SYSTEM}, {"role": "user", "content": question})
    return Prompt(problem.id, messages)


def _fenced(problem: Problem) -> Prompt:
    parts = [problem.statement.strip()]
    if problem.mode is Mode.FUNCTION:
        parts.append(_target(problem))
    messages = (
        {"role": "system", "content": FENCED_SYSTEM},
        {"role": "user", "content": FENCED_QUESTION},
        {"role": "assistant", "content": FENCED_ANSWER},
        {"role": "user", "content": "\n\n".join(filter(None, parts))},
    )
    return Prompt(problem.id, messages, FENCE_OPEN, (FENCE_CLOSE,))


def _target(problem: Problem) -> str:
    """What to write in function mode: the starter code unless the statement shows it, else the name that is called."""
    entry = problem.entry
    if entry is None:
        return ""
    starter = entry.starter_code.strip("\n")
    if starter.strip():
        shown = starter.strip() in problem.statement
        return "" if shown else f"Complete this code:\n\n```python\n{starter}\n```"
    if entry.class_name:
        return f"Write a class `{entry.class_name}` with a method `{entry.fn_name}`."
    return f"Write a function `{entry.fn_name}`."


def _kind(problem: Problem) -> str:
    return "class" if problem.entry and problem.entry.class_name else "function"
