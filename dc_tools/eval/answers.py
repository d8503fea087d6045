"""Whole numbers as answers, as AIME has them: read strictly, and by math-verify as a second opinion.

The strict rule reads the last box after the thinking, or where there is none the last "answer is", and takes nothing
but a whole number from 0 to 999 there; leading zeros change nothing.
"""

import re
from collections import Counter
from collections.abc import Sequence

from dc_tools.core.errors import missing_extra
from dc_tools.core.extract import answer_of

_BOX = re.compile(r"\\(?:boxed|fbox)\s*\{")
_SAID = re.compile(r"answer\s*(?:is|:)\W{0,20}?(-?\d[\d,.]*)", re.IGNORECASE)
_WHOLE = re.compile(r"\$?\s*0*([0-9]{1,3})\s*\$?")
VERIFY_S = 5
"""Seconds that math-verify may take to read or to compare."""


def final_answer(text: str) -> str | None:
    """What an answer gives as its result, as it is written there; None where it gives nothing, or is still thinking."""
    answer = answer_of(text)
    boxes = list(_BOX.finditer(answer))
    if boxes:
        return _boxed(answer[boxes[-1].end() :])
    said = _SAID.findall(answer)
    return said[-1].rstrip(".,") if said else None


def whole_number(answer: str | None) -> int | None:
    """The number that an answer is, from 0 to 999; None where it is anything else."""
    found = _WHOLE.fullmatch(answer.strip()) if answer else None
    return int(found[1]) if found else None


def verified(text: str, gold: str) -> bool:
    """By math-verify, which reads expressions and other ways of giving an answer. Errors: `CannotRun` without it."""
    try:
        from math_verify import parse, verify
    except ImportError:
        raise missing_extra("math-verify", "math") from None
    read = [parse(each, parsing_timeout=VERIFY_S) for each in (str(int(gold)), text)]
    return bool(verify(*read, timeout_seconds=VERIFY_S))


def majority(answers: Sequence[str | None]) -> int | None:
    """The number that most answers give, the first seen of equally many; None where none gives one."""
    numbers = [number for answer in answers if (number := whole_number(answer)) is not None]
    return Counter(numbers).most_common(1)[0][0] if numbers else None


def _boxed(rest: str) -> str:
    """Up to the brace that closes the box; to the end of its line where none does."""
    depth = 1
    for place, char in enumerate(rest):
        depth += (char == "{") - (char == "}")
        if not depth:
            return rest[:place]
    return rest.partition("\n")[0]
