"""A sampler that is vLLM, with weights of its own that it is sent."""

from collections.abc import Iterator, Sequence

from dc_tools.core.records import Rollout
from dc_tools.learn.recipe import Recipe
from dc_tools.learn.sampler import probe_ids, rollout_of
from dc_tools.rollout.engine import Prompt, Sampling
from dc_tools.rollout.link import Spec
from dc_tools.rollout.vllm import VllmEngine


class VllmSampler:
    """Samples by vLLM, whose scheduler decides how many rollouts grow at a time."""

    def __init__(self, directory: str, recipe: Recipe, tp: int) -> None:
        """Load the model, over `tp` GPUs. Errors: `CannotRun`."""
        self.engine = VllmEngine.load(directory, tp, recipe.context)

    def take(self, recipe: Recipe) -> None:
        """From now on another recipe holds; the context was chosen for its longest stage."""

    def join(self, address: str, seat: int, seats: int, timeout_s: float) -> None:
        """Meet the trainers; vLLM's workers have this seat of a link and those after it."""
        self.engine.join(address, seat, seats, timeout_s)

    def receive(self, specs: Sequence[Spec]) -> None:
        """Take on the trainers' weights, when they are sent."""
        self.engine.receive(specs)

    def probe(self) -> list[float]:
        """Log-probabilities of a fixed text's tokens."""
        return self.engine.score(probe_ids(self.engine.tokenizer))

    def sample(
        self, prompts: Sequence[Prompt], sampling: Sampling, version: str
    ) -> Iterator[tuple[int, list[Rollout]]]:
        """The place of each prompt and its group of rollouts, with tokens and log-probabilities, as they are done."""
        self.engine.version = version
        for place, samples in self.engine.generate_as_done(prompts, sampling):
            yield place, [rollout_of(sample, f"{self.engine.name}@{version}") for sample in samples]
