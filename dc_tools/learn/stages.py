"""Stages of context length inside one run: how many tokens a response may have from which step on. Pure.

    8192@0,16384@200,32768@400     at fixed steps
    auto                           twice as many whenever too many responses are cut off
"""

import re
from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

import msgspec

from dc_tools.core.errors import UsageError

Auto = Literal["auto"]
AUTO: Auto = "auto"
WINDOW = 5
"""Steps over which the truncated share is averaged, and that a stage of `auto` lasts at least."""
_ENTRY = re.compile(r"(\d+)@(\d+)")


class Stage(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """Settings from a step on; what is not given stays as the recipe has it."""

    at: int
    """Steps that lie behind the run when it begins."""
    max_tokens: int
    token_budget: int | None = None
    batch: int | None = None
    minibatch: int | None = None

    def changes(self) -> dict[str, int]:
        """The settings that it has."""
        return {name: value for name in _SETTINGS if (value := getattr(self, name)) is not None}


_SETTINGS = ("max_tokens", "token_budget", "batch", "minibatch")


def parse_stages(text: str) -> tuple[Stage, ...] | Auto:
    """`TOKENS@STEP,...` or `auto`. Errors: `UsageError`."""
    if text == AUTO:
        return AUTO
    stages = []
    for entry in text.split(","):
        match = _ENTRY.fullmatch(entry.strip())
        if not match:
            raise UsageError(f"--stages {text}: expected TOKENS@STEP,... or {AUTO}, not '{entry}'")
        stages.append(Stage(max_tokens=int(match[1]), at=int(match[2])))
    try:
        check_stages(stages)
    except ValueError as error:
        raise UsageError(f"--stages {text}: {error}") from None
    return tuple(stages)


def check_stages(stages: Sequence[Stage]) -> None:
    """Errors: `ValueError` for stages that no run can go through."""
    if stages and stages[0].at != 0:
        raise ValueError(f"the first stage must begin at step 0, not {stages[0].at}")
    for before, after in pairwise(stages):
        if after.at <= before.at:
            raise ValueError(f"stages must begin one after another: {after.at} comes after {before.at}")
    for stage in stages:
        for name, value in stage.changes().items():
            if value < 1:
                raise ValueError(f"{name} of a stage must be positive, not {value}")


def stage_of(stages: Sequence[Stage], step: int) -> Stage | None:
    """That of a step, counted from 1."""
    return next((stage for stage in reversed(stages) if stage.at < step), None)


def next_length(lengths: Sequence[int], truncated: Sequence[float], limit: float, most: int) -> int:
    """`auto`: the most tokens of the next step's responses, from those of all steps so far and how many were cut off.

    It doubles, up to `most`, when the last `WINDOW` steps had this length and more than `limit` was cut off on average.
    """
    now = lengths[-1]
    recent = list(zip(lengths, truncated, strict=True))[-WINDOW:]
    if len(recent) < WINDOW or any(length != now for length, _ in recent):
        return now
    share = sum(cut for _, cut in recent) / WINDOW
    return min(2 * now, max(most, now)) if share > limit else now
