"""Whether a statement allows other answers than the listed one, told by its words.

A task with many right answers whose statement is silent on it is not recognised.
"""

import re
from dataclasses import dataclass

from dc_tools.curate.statements.wording import one_line, spaced, wording

_TELL = r"\b(?:print|output|return|report|display)"
_NOT = r"(?<!not )(?<!n't )(?<!without )(?<!never )(?<!cannot )"
_MAY_BE = r"(?:will|would|shall|should|can|is|are) (?:also )?(?:be )?(?:considered )?"
ANY_ANSWER = wording(
    rf"{_NOT}{_TELL} (?:out )?any\b"
    r"(?! (?:number|amount|extra|additional|other|more|case|order|way|error|message|text)\b)",
    rf"{_NOT}(?<!can )(?<!could )\b(?:find|construct|build|restore|reconstruct|provide|generate) any\b"
    r"(?! (?:number|amount|extra|additional|other|more|two|vowel)\b)",
    rf"{_TELL}\b[^.\n]{{0,160}}\bany (?:suitable|acceptable|appropriate|feasible|correct)\b",
    rf"{_TELL}\b[^.\n]{{0,100}}(?:\bcontaining|[\u2013\u2014:]|--) any\b(?! (?:number|amount)\b)",
    rf"(?:{_TELL}|\bfind) (?:an )?arbitrary (?!number\b|order\b)",
    rf"(?:{_TELL}|\bfind) either (?:one\b|of (?:them|these|those)\b)",
    rf"(?:{_TELL}|\bfind) (?:just |only )?one of "
    r"(?:them|these|those|(?:the )?(?:possible|valid|correct|optimal|such))\b",
    r"\b(?:answers?|solutions?)\b[^.\n]{0,60}\bchoose any\b|\bchoose any (?:one )?(?:answer|solution)\b",
    rf"\bany(?! permutation of \[)(?: [^.\n]{{1,80}})? {_MAY_BE}(?:accepted|acceptable)\b",
    r"\bany (?:one )?(?:(?:other|valid|correct|possible|such) )*"
    rf"(?:answers?|solutions?|outputs?|of (?:them|these|those)) {_MAY_BE}(?:fine|correct|valid|ok)\b",
    r"(?<!if )\bthere (?:are|exists?|(?:may|might|can|could) (?:be|exist)) (?:multiple|several|many|more than one)"
    r"(?: (?:possible|valid|correct|acceptable|right))+ (?:answers?|outputs?)\b",
    r"(?<!if )(?<!case )(?<!when )\bthe answer (?:is|may be|might be|need) not (?:be |always |necessarily )*unique",
    r"\bone of (?:the )?(?:possible|many|several|acceptable|correct|valid) (?:\w+ )?(?:answers?|outputs?)\b",
    r"\bspecial (?:judge|checker)\b",
    r"\b(?:does not|doesn't) matter which (?:one )?you\b",
)
"""How statements say that answers that are quite different from the listed one are right, too."""
OTHER_ANSWER = wording(
    r"\balso (?:be |been )?(?:an? )?(?:accepted|acceptable|recogni[sz]ed|(?:valid|correct|possible) answers?)\b",
    r"(?<!no )\b(?:other|another|different)(?: (?:valid|correct|possible|acceptable|accepted))+ "
    r"(?:answers?|outputs?)\b",
)
"""How examples show another right answer, be it only the order that differs."""
SPELLING = re.compile(r"\byes\b|\bcase\b|\berrors?\b|\bwithin\b|\bprecision\b|\bdiffers?\b", re.IGNORECASE)
"""What is accepted in a sentence with such a word is another spelling, which checkers know of."""
ACCEPTS = re.compile(r"accept|recogni", re.IGNORECASE)
ANY_ORDER = wording(
    rf"(?:{_TELL}(?:ed)?|\blisted)\b[^.\n]{{0,80}}"
    r"\bin (?:any|an arbitrary|arbitrary|any arbitrary|no particular) order\b",
    r"\border\b[^.\n]{0,30}\b(?:return(?:ed)?|output|answers?|results?|print(?:ed)?)\b[^.\n]{0,60}"
    r"\b(?:does not|doesn't|do not|don't) matter",
    r"\(in any order\)",
)
ORDERED_INSIDE = wording(
    r"\b(?:permutations?|paths?|coordinates|points?|segments?|intervals?|ranges?|boards?|rectangles?)\b",
    r"\b(?:answer|result|freqs?)\[i\] (?:=|is an array)",
    r"\brepresented by the [\w-]+ array \[",
)
"""Items of a list whose own parts have one right order."""
FREE_INSIDE = wording(
    r"\b(?:triplets?|quadruplets?|combinations?|subsets?|pairs|connections?|edges?)\b"
)
"""Items whose parts may be in any order as well, although few statements say so."""


@dataclass(frozen=True)
class Freedom:
    """The words by which a statement allows other answers."""

    words: str
    order_only: bool
    """Whether they leave free nothing but the order in which the parts of the answer are given."""


def freedom_of(statement: str) -> Freedom | None:
    """How the statement allows several answers, if it does."""
    text = spaced(statement)
    found = _but_spellings(ANY_ANSWER, text)
    if found:
        return Freedom(one_line(found), False)
    ordered = ANY_ORDER.search(text)
    if ordered:
        return Freedom(one_line(ordered[0]), True)
    found = _but_spellings(OTHER_ANSWER, text)
    return Freedom(one_line(found), False) if found else None


def fixes_items_inside(statement: str) -> bool:
    """Whether the statement fixes the order within each item of a list of lists."""
    text = spaced(statement)
    return bool(ORDERED_INSIDE.search(text)) and not FREE_INSIDE.search(text)


def _but_spellings(pattern: re.Pattern[str], text: str) -> str | None:
    """The first match, unless its sentence accepts spellings of one answer, such as `yEs` or a rounded number."""
    for found in pattern.finditer(text):
        start = max(text.rfind(end, 0, found.start()) for end in ".\n") + 1
        stops = [place for place in (text.find(end, found.end()) for end in ".\n") if place >= 0]
        if not (ACCEPTS.search(found[0]) and SPELLING.search(text, start, min(stops, default=len(text)))):
            return found[0]
    return None
