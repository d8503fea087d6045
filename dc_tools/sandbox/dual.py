"""Several judges of different make over the same programs: where they do not agree the strictest verdict stands."""

from collections.abc import Sequence
from concurrent.futures import Future
from typing import Protocol

import msgspec

from dc_tools.core.futures import combined
from dc_tools.core.languages import PYTHON
from dc_tools.core.records import Problem, Status, Verdict


class Judge(Protocol):
    """What takes programs and gives verdicts."""

    workers: int

    def submit(self, problem: Problem, code: str, lang: str = PYTHON) -> "Future[Verdict]":
        """Judge `code`; verdicts come in any order."""
        ...


class JudgeSeveral:
    """Has every one of `judges` judge every program; they outlive it."""

    def __init__(self, judges: Sequence[Judge]) -> None:
        self._judges = judges
        self.workers = max(judge.workers for judge in judges)

    def submit(self, problem: Problem, code: str, lang: str = PYTHON) -> "Future[Verdict]":
        """The strictest verdict, once all have come."""
        asked = [judge.submit(problem, code, lang) for judge in self._judges]
        return combined(lambda *verdicts: strictest(verdicts), *asked)


def strictest(verdicts: Sequence[Verdict]) -> Verdict:
    """The first that does not accept, of those who could judge; `others` holds the rest where not all agree."""
    sure = [verdict for verdict in verdicts if verdict.status is not Status.IE] or list(verdicts)
    stands = next((verdict for verdict in sure if verdict.status is not Status.AC), sure[0])
    if all(verdict.status is stands.status for verdict in verdicts):
        return stands
    return msgspec.structs.replace(stands, others=[verdict for verdict in verdicts if verdict is not stands])
