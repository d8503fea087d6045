"""What a statement says of how it can be judged: pictures that are missing, dialogues, tolerances, YES in any case."""

import re

from dc_tools.core.records import Checker, CheckerType, Test
from dc_tools.curate.reading.asserts import FLOAT_TOLERANCE
from dc_tools.curate.reasons import Reason, Refusal
from dc_tools.curate.statements.wording import one_line, spaced, wording

PICTURE = re.compile(r"!\[[^\]\n]{0,200}\]\(|<img\b|<image>|\[image\]", re.IGNORECASE)
EXAMPLES = re.compile(
    r"^[^\w\n]{0,12}(?:(?:examples?|samples?)(?: (?:input|output|tests?|cases?))?|notes?|explanations?)[^a-z\n]{0,12}$",
    re.IGNORECASE | re.MULTILINE,
)
INTERACTIVE = wording(
    r"\b(?:this is|is) an interactive (?:problem|task)\b",
    r"\b(?:problem|task) is interactive\b",
    r"^[^\w\n]{0,12}interaction(?: protocol)?[^\w\n]{0,12}$",
    r"\binteractor\b",
    r"\bfflush ?\( ?stdout ?\)",
    r"\b(?:must|should|need to|have to|(?:forget|remember|sure|required) to)\b[^.\n]{0,60}\bflush\b",
    r"\bflush (?:the |your )?(?:standard )?(?:output|stdout)\b[^.\n]{0,30}\b(?:after|each|every)\b",
)
ERROR_ALLOWED = re.compile(
    r"\b(?:absolute|relative)\b[^.]{0,40}\berrors?\b|\banswers? within\b[^.]{0,20}\bof the (?:actual|correct|exact)\b",
    re.IGNORECASE,
)
POWER = re.compile(r"10\s*(?:\^|\*\*)?\s*\{?\s*[-\u2212]\s*\{?\s*([1-9][0-9]?)\b|\b1e-0?([1-9][0-9]?)\b", re.IGNORECASE)
POWER_WITHIN = 160
"""Characters about the word `error` in which its size is looked for."""
ANY_CASE = re.compile(
    r"\bin (?:any|either|arbitrary)(?: letter)? (?:case|register)\b|\bcase[- ]insensitive", re.IGNORECASE
)
SHOWN = 40
REAL = re.compile(r"(?<!\S)[+-]?[0-9]*\.[0-9]+(?:[eE][+-]?[0-9]+)?(?!\S)")
YES_NO = frozenset({"yes", "no"})
PREFIX = re.compile(r"\ASolve the following coding problem using the programming language [\w+#]+:\s*", re.IGNORECASE)
SUFFIX = re.compile(
    r"(?:The input will be (?:given via )?stdin and you should print your solution to stdout\.?\s*)?"
    r"Now solve the problem and return the code\.?\Z",
    re.IGNORECASE,
)


def unusable(statement: str) -> Refusal | None:
    """A refusal where the statement shows a picture, or describes a dialogue with the judge.

    Pictures from the examples on only illustrate them.
    """
    found = INTERACTIVE.search(spaced(statement))
    if found:
        return Refusal(Reason.INTERACTIVE, f"the statement says: '{one_line(found[0])}'")
    examples = EXAMPLES.search(statement)
    found = PICTURE.search(statement, 0, examples.start() if examples else len(statement))
    if not found:
        return None
    shown = " ".join(statement[found.start() : found.end() + SHOWN].split())
    return Refusal(Reason.IMAGE, f"the statement shows a picture: {shown}")


def checker_of(statement: str, tests: list[Test]) -> Checker:
    """The checker for stdout that the statement asks for, where the expected outputs bear it out."""
    allowed = tolerance_of(statement)
    if allowed and any(REAL.search(test.output) for test in tests):
        return Checker(CheckerType.FLOAT, allowed)
    words = (word for test in tests for word in test.output.split())
    if ANY_CASE.search(statement) and any(word.lower() in YES_NO for word in words):
        return Checker(CheckerType.YESNO)
    return Checker()


def tolerance_of(statement: str) -> float | None:
    """The error that the statement allows, the usual one where it names no size; None where it allows none."""
    allowed = ERROR_ALLOWED.search(statement)
    if not allowed:
        return None
    about = statement[max(0, allowed.start() - POWER_WITHIN) : allowed.end() + POWER_WITHIN]
    powers = [int(found[1] or found[2]) for found in POWER.finditer(about)]
    return float(f"1e-{max(powers)}") if powers else FLOAT_TOLERANCE


def bare(prompt: str) -> str:
    """A statement without SYNTHETIC-1's sentences to the model about it."""
    return SUFFIX.sub("", PREFIX.sub("", prompt).strip()).strip()
