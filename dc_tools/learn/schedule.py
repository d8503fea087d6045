"""How the learning rate changes over a run. Pure."""

import math
from enum import StrEnum


class Schedule(StrEnum):
    """What the rate does after it has risen."""

    CONSTANT = "constant"
    LINEAR = "linear"
    COSINE = "cosine"


def rate(schedule: Schedule, lr: float, floor: float, warmup: int, updates: int, progress: float) -> float:
    """The learning rate of an optimizer step that has `updates` before it, in a run of which `progress` (0 to 1) is
    done. It rises to `lr` over `warmup` optimizer steps, and falls to `floor` x `lr` at the end of the run."""
    risen = lr * min(1.0, (updates + 1) / max(warmup, 1))
    match schedule:
        case Schedule.CONSTANT:
            return risen
        case Schedule.LINEAR:
            left = 1 - progress
        case Schedule.COSINE:
            left = (1 + math.cos(math.pi * progress)) / 2
    return risen * (floor + (1 - floor) * left)
