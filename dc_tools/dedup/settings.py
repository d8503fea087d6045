"""What counts as a duplicate and which one stays: the choices of one run, free of heavy imports."""

from dataclasses import dataclass
from enum import StrEnum


class Metric(StrEnum):
    """When two bodies are near-duplicates. Jaccard never exceeds containment, so `either` finds containment's pairs."""

    JACCARD = "jaccard"
    CONTAINMENT = "containment"
    EITHER = "either"


class Unit(StrEnum):
    """What a shingle is made of."""

    WORD = "word"
    CHAR = "char"


class Keep(StrEnum):
    """Which member of a cluster stays; among equals the first."""

    FIRST = "first"
    MOST_TESTS = "most-tests"
    LONGEST = "longest"
    BEST_VERIFIED = "best-verified"
    """Whose reference passed most tests; of equals the one whose tests cover more of it (dc-curate's account)."""


class Twins(StrEnum):
    """What becomes of problems whose texts match and whose tests contradict each other, as `House Robber II` does."""

    KEEP = "keep"
    DROP = "drop"


DEFAULT_SHINGLE = {Unit.WORD: 3, Unit.CHAR: 12}


@dataclass(frozen=True)
class Settings:
    """The choices of one run."""

    metric: Metric = Metric.EITHER
    unit: Unit = Unit.WORD
    shingle: int = DEFAULT_SHINGLE[Unit.WORD]
    threshold: float = 0.95
    keep: Keep = Keep.FIRST
    twins: Twins = Twins.KEEP
    workers: int = 1
    batch: int = 2048
    """Statements that are shingled together, at most 4096."""
