"""What an engine is: it takes prompts and gives, for each, n samples with their token ids and log-probabilities."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import Protocol

from dc_tools.core.errors import CannotRun
from dc_tools.core.hub import is_model
from dc_tools.core.hub import model_folder as model_on_the_hub
from dc_tools.core.records import Finish, Usage


def model_folder(name: str | Path) -> Path:
    """The folder of a Hugging Face model, looked at before libraries that take seconds to load; `owner/name[@revision]`
    that is no folder here is downloaded from the hub. Errors: `CannotRun`."""
    path = Path(name)
    if not path.exists() and is_model(str(name)):
        path = model_on_the_hub(str(name))
    if not (path / "config.json").is_file():
        hint = "an adapter: merge it into its model" if (path / "adapter_config.json").is_file() else "no config.json"
        raise CannotRun(f"{name}: not a model folder ({hint}); --model takes what save_pretrained wrote")
    return path


def model_name(name: str | Path) -> str:
    """What a model is called in records: the last part of its folder's or hub name, without a revision."""
    path = Path(name)
    return path.resolve().name if path.exists() else path.name.partition("@")[0]


@dataclass(frozen=True)
class Prompt:
    """One prompt: chat messages, and the beginning of the answer that is given to the model (may be empty)."""

    id: str
    messages: tuple[dict[str, str], ...]
    prefix: str = ""
    """The answer's opening, as "```python\\n"; part of the rollout's text, not of its sampled tokens."""
    stop: tuple[str, ...] = ()
    """Strings that end the answer besides the model's own end tokens."""


@dataclass(frozen=True)
class Sampling:
    """How to sample. `temperature` 0 is greedy; `top_p` 1 leaves the distribution whole."""

    n: int = 1
    temperature: float = 1.0
    top_p: float = 1.0
    max_tokens: int = 1024
    """Most sampled tokens of one answer."""
    seed: int = 0


@dataclass
class Sample:
    """One sampled answer. `logprobs[i]` is log p(token_ids[i]) under the sampling distribution at T and top_p."""

    text: str
    """The prompt's prefix and what was sampled, without special tokens; a stop string that ended it is kept."""
    finish: Finish
    prompt_ids: list[int] = field(default_factory=list)
    token_ids: list[int] = field(default_factory=list)
    """Sampled ids, the ending token included."""
    logprobs: list[float] = field(default_factory=list)
    seed: int = 0
    version: str = ""
    """The policy version that sampled it, where the engine knows."""
    error: str | None = None
    """Why an engine failed (`finish` is then `error`)."""
    counted: Usage | None = None
    """What the engine says of tokens that it does not give."""
    latency_s: float | None = field(default=None, compare=False)
    """Seconds of wall time from when the engine began with it to its end."""

    @property
    def usage(self) -> Usage | None:
        """Its tokens; None where nothing is known of them."""
        return Usage(len(self.prompt_ids), len(self.token_ids)) if self.token_ids else self.counted


class Engine(Protocol):
    """A source of samples."""

    name: str
    """The model, as written into `rollouts[].model`."""

    def generate(self, prompts: Iterable[Prompt], sampling: Sampling) -> Iterator[list[Sample]]:
        """For each prompt in order its `sampling.n` samples. Same prompts, sampling and weights: same samples."""
        ...

    def close(self) -> None:
        """Give back what the engine holds."""
        ...


def sample_seed(seed: int, prompt_id: str, index: int) -> int:
    """The seed of sample `index` of a prompt: 63 bits that depend on nothing else."""
    digest = blake2b(f"{seed}\0{prompt_id}\0{index}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1
