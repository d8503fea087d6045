"""How hard a problem is for a model, by the share of earlier rollouts that were accepted."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import msgspec

from dc_tools.core.errors import BadLine, CannotRun, UsageError
from dc_tools.core.lines import expand_inputs, read_lines
from dc_tools.core.records import Line, Rollout, Status
from dc_tools.curate.reasons import Reason, Refusal


@dataclass
class Tried:
    """The rollouts of a problem that were judged, and how many of them were accepted. IE counts for nothing."""

    accepted: int = 0
    judged: int = 0

    @property
    def rate(self) -> float:
        """The share of the accepted ones."""
        return self.accepted / self.judged

    def to_dict(self) -> dict[str, Any]:
        """For the record."""
        return {"accepted": self.accepted, "judged": self.judged}


@dataclass(frozen=True)
class Difficulty:
    """What earlier rollouts say of each problem, and which rates are wanted."""

    tried: dict[str, Tried]
    lowest: float
    highest: float

    def refusal(self, problem_id: str) -> Refusal | None:
        """A refusal where nobody, or everybody, solves it. A problem that was not tried passes."""
        found = self.tried.get(problem_id)
        if found is None or self.lowest <= found.rate <= self.highest:
            return None
        wanted = f"{self.lowest:.0%} to {self.highest:.0%} are asked for"
        return Refusal(Reason.DIFFICULTY, f"{found.accepted} of {found.judged} rollouts were accepted, {wanted}")


def read_difficulty(file: str, rates: str) -> Difficulty:
    """What the judged lines of `file` say; `rates` is LOW:HIGH. Errors: `UsageError`, `CannotRun`."""
    try:
        lowest, highest = map(float, rates.split(":"))
    except ValueError:
        raise UsageError(f"--keep-rate {rates}: two shares, as 0.05:0.95") from None
    if not 0 <= lowest <= highest <= 1:
        raise UsageError(f"--keep-rate {rates}: shares from 0 to 1, the lower one first")
    return Difficulty(counted(read_lines(expand_inputs([file]))), lowest, highest)


class _Judged(msgspec.Struct):
    id: str
    rollouts: list[Rollout] = []


def counted(lines: Iterable[Line]) -> dict[str, Tried]:
    """The judged rollouts of each problem, over all its lines. Errors: `CannotRun`."""
    found: dict[str, Tried] = {}
    for line in lines:
        try:
            problem = line.decode(_Judged)
        except BadLine as error:
            raise CannotRun(f"{line.file}:{line.number}: {error.error}") from None
        for rollout in problem.rollouts:
            if rollout.verdict is not None and rollout.verdict.status is not Status.IE:
                tried = found.setdefault(problem.id, Tried())
                tried.judged += 1
                tried.accepted += rollout.verdict.status is Status.AC
    return found
