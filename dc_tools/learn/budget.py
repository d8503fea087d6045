"""How many tokens of a forward pass fit into a device: given, or found while training. Pure."""

from dataclasses import dataclass

from dc_tools.core.errors import CannotRun

START = 4096
"""Tokens that a search begins with."""
GROWTH = 1.5
FULL = 0.9
"""Share of a device's memory that is to be used."""


@dataclass
class Budget:
    """Most tokens of a row; with `grows` it is raised step by step while there is memory."""

    tokens: int = START
    grows: bool = False
    too_many: int | None = None
    """Tokens that memory ran out with."""

    def halve(self) -> bool:
        """Memory ran out; whether anything smaller is left to try."""
        self.too_many = self.tokens
        self.tokens = max(1, self.tokens // 2)
        return self.tokens < self.too_many

    def lower(self, other: "Budget") -> None:
        """As low as another one, that memory ran out with."""
        self.tokens = min(self.tokens, other.tokens)
        known = [each for each in (self.too_many, other.too_many) if each is not None]
        self.too_many = min(known, default=None)

    def after_step(self, used: float | None, longest: int) -> None:
        """A step went well whose longest row had so many tokens, and that took the share `used` of the memory at most;
        None where nobody knows."""
        larger = int(self.tokens * GROWTH)
        fits = self.too_many is None or larger < self.too_many
        if self.grows and used is not None and longest and fits and used * max(larger / longest, 1) <= FULL:
            self.tokens = larger


class OutOfMemory(CannotRun):
    """Memory ran out in the middle of a step, which can be done by rows of another budget, but not from here."""

    def __init__(self, budget: Budget) -> None:
        super().__init__(budget)
        self.budget = budget

    def __str__(self) -> str:
        return f"out of memory while learning: rows have {self.budget.tokens} tokens at most from now on"
