"""How many processes of each kind a run has."""

from dataclasses import dataclass
from enum import StrEnum

from dc_tools.core.errors import UsageError
from dc_tools.learn.recipe import Recipe


class SamplerEngine(StrEnum):
    """What samplers sample by."""

    TRANSFORMERS = "transformers"
    VLLM = "vllm"


@dataclass(frozen=True)
class Shape:
    """Actors by kind. Without samplers of their own the one trainer samples, on its device, with its weights."""

    trainers: int = 1
    samplers: int = 0
    judges: int = 1
    judge_workers: int = 1
    """Sandboxes of each judge."""
    engine: SamplerEngine = SamplerEngine.TRANSFORMERS
    tp: int = 1
    """GPUs of each sampler, where it is vLLM."""

    def check(self, recipe: Recipe) -> None:
        """Errors: `UsageError` where this cannot be."""
        if self.trainers > 1 and not self.samplers:
            raise UsageError("each of several trainers has a slice of the weights: --samplers must be at least 1")
        if recipe.staleness and not self.samplers:
            raise UsageError("with --staleness samplers work beside the trainer: --samplers must be at least 1")
        if self.engine is SamplerEngine.VLLM and not self.samplers:
            raise UsageError("vLLM samples beside the trainer: --samplers must be at least 1")
        if self.tp > 1 and self.engine is not SamplerEngine.VLLM:
            raise UsageError("--tp is for samplers that are vLLM: --engine vllm")
