"""How many processes of each kind a run has."""

from dataclasses import dataclass

from dc_tools.core.errors import UsageError
from dc_tools.learn.recipe import Recipe


@dataclass(frozen=True)
class Shape:
    """Actors by kind. Without samplers of their own the one trainer samples, on its device, with its weights."""

    trainers: int = 1
    samplers: int = 0
    judges: int = 1
    judge_workers: int = 1
    """Sandboxes of each judge."""

    def check(self, recipe: Recipe) -> None:
        """Errors: `UsageError` where this cannot be."""
        if self.trainers > 1 and not self.samplers:
            raise UsageError("each of several trainers has a slice of the weights: --samplers must be at least 1")
        if recipe.staleness and not self.samplers:
            raise UsageError("with --staleness samplers work beside the trainer: --samplers must be at least 1")
        if self.trainers > 1 and recipe.lora_rank:
            raise UsageError("an adapter (lora_rank) is trained by one trainer")
