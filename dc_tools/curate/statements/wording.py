"""Phrases in statements, as patterns: a space in a pattern is one space or the end of a line, case does not matter."""

import re

SPACES = re.compile(r"[^\S\n]+")


def wording(*patterns: str) -> re.Pattern[str]:
    """Any of the patterns, for a text from `spaced`."""
    return re.compile("|".join(patterns).replace(" ", r"[ \n]"), re.IGNORECASE | re.MULTILINE)


def spaced(text: str) -> str:
    """Single spaces; the lines are kept."""
    return SPACES.sub(" ", text)


def one_line(text: str) -> str:
    """Without line ends, for a message."""
    return " ".join(text.split())
