"""The program inside a model's answer: the last fenced block after any reasoning, or nothing.

Only the answer is read, never the prompt, so a template's block cannot be taken for a solution. No guessing: an
answer without a fence has no code.
"""

import re
from typing import NamedTuple

from dc_tools.core.languages import PYTHON, language

_FENCE = re.compile(
    r"(?:(?:^[ \t]{0,3}|(?<=[^\s`])[ \t]*)(?P<ticks>`{3,})|^[ \t]{0,3}(?P<tildes>~{3,}))[ \t]*(?P<info>[^\n`]*)$",
    re.MULTILINE,
)
"""A fence ends its line. Backticks may stand behind other text, as models write them; tildes begin a line."""


def answer_of(text: str) -> str:
    """What follows the last `</think>`; reasoning that never ended leaves no answer."""
    head, mark, tail = text.rpartition("</think>")
    if mark:
        return tail
    return "" if "<think>" in head + tail else text


def never_answers(text: str) -> bool:
    """Whether it is nothing but reasoning that was begun and never ended."""
    return "<think>" in text.rpartition("</think>")[2] and not answer_of(text)


class Block(NamedTuple):
    """A program and its language: what the fence names, Python where it names none that we know."""

    code: str
    lang: str


def extract_code(text: str) -> str | None:
    """The code of `extract_block`."""
    block = extract_block(text)
    return None if block is None else block.code


def extract_block(text: str) -> Block | None:
    """The last fenced block of the answer in `text`, or None.

    A last block that was opened and never closed (the token budget ran out) counts, since its code may be whole.
    """
    answer = answer_of(text)
    block: Block | None = None
    opened, start, lang = "", 0, PYTHON
    for match in _FENCE.finditer(answer):
        fence, info = match["ticks"] or match["tildes"], match["info"].strip()
        if not opened:
            opened, start = fence, match.end() + 1
            lang = language(info.split(" ")[0]) or PYTHON
        elif fence[0] == opened[0] and len(fence) >= len(opened) and not info:
            block = Block(answer[start : match.start()], lang)
            opened = ""
    if opened and start <= len(answer):
        rest = answer[start:]
        block = Block(rest, lang) if rest.strip() else block
    return block
