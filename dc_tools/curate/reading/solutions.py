"""Solutions as rows list them: a list or the text of one, bare or fenced, and the field's names of languages."""

from typing import Any

from dc_tools.core.extract import extract_code
from dc_tools.core.languages import PYTHON, language
from dc_tools.core.records import Solution
from dc_tools.curate.reading.literals import read_strings

FENCES = ("```", "~~~")


def solutions_of(listed: Any, what: str, lang: str = PYTHON) -> list[Solution]:
    """The programs of a list of strings, or of the text of one. Errors: `Unreadable`."""
    return [Solution(program_of(each), lang) for each in read_strings(listed, what) if each.strip()]


def program_of(text: str) -> str:
    """The program in a text that may put it between fences; line ends are Unix's."""
    bare = text.replace("\r\n", "\n")
    fenced = bare.lstrip().startswith(FENCES)
    return (extract_code(bare) or "") if fenced else bare


def python_codes(solutions: list[Solution]) -> list[str]:
    """Those of the programs that are Python 3."""
    return [each.code for each in solutions if language(each.lang) == PYTHON]
