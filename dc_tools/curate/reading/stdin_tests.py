"""Tests of programs that read stdin, as the datasets write them: texts, lists of lines, lists of lists of words."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from dc_tools.core.records import Problem, Test, TestKind
from dc_tools.curate.draft import Draft
from dc_tools.curate.reading.unpack import Unreadable
from dc_tools.curate.reasons import Reason
from dc_tools.curate.statements.statement import checker_of


@dataclass(frozen=True)
class Case:
    """An input and its output as the row has them."""

    input: Any
    output: Any
    kind: TestKind = TestKind.PRIVATE


class _NotText(ValueError):
    """The value is no text that a program could read or write; the message says what it is."""


def paired(inputs: Any, outputs: Any, what: str, kind: TestKind = TestKind.PRIVATE) -> list[Case]:
    """Two lists as cases; null is an empty list. Errors: `Unreadable` where they are no lists of the same length."""
    given, wanted = ([] if each is None else each for each in (inputs, outputs))
    if not isinstance(given, list | tuple) or not isinstance(wanted, list | tuple):
        raise Unreadable(Reason.PARSE_ERROR, f"{what}: inputs or outputs are no list")
    if len(given) != len(wanted):
        raise Unreadable(Reason.PARSE_ERROR, f"{what}: {len(given)} inputs and {len(wanted)} outputs")
    return [Case(*pair, kind) for pair in zip(given, wanted, strict=True)]


def stdin_draft(problem: Problem, cases: Iterable[Case]) -> Draft:
    """The problem with these tests, and the checker that its statement asks for."""
    draft = Draft(problem)
    problem.tests = []
    for case in cases:
        try:
            problem.tests.append(Test(stdin_text(case.input), stdin_text(case.output), case.kind))
        except _NotText as error:
            draft.left_out[str(error)] += 1
    problem.checker = checker_of(problem.statement, problem.tests)
    return draft


def stdin_text(value: Any) -> str:
    """A text as it is; a list of lines, or of lists of words, as lines. Errors: a `ValueError` for all else."""
    if isinstance(value, list | tuple):
        return "".join(f"{_line(each)}\n" for each in value)
    return _word(value)


def _line(value: Any) -> str:
    return " ".join(map(_word, value)) if isinstance(value, list | tuple) else _word(value).removesuffix("\n")


def _word(value: Any) -> str:
    if isinstance(value, str):
        return _writable(value)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    raise _NotText(f"a value of type {type(value).__name__} for stdin or stdout")


def _writable(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise _NotText("a string with a lone surrogate") from None
    return text
