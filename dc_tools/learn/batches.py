"""From judged groups to packs: what one forward pass reads. Pure.

A pack is one prompt followed by some of its responses, side by side; a group whose responses exceed the token budget
is cut into several packs, each with the prompt. How it is cut changes no gradient.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random


@dataclass(frozen=True)
class Response:
    """One sampled answer as the learner sees it."""

    ids: list[int]
    logprobs: list[float]
    """Of the policy that sampled it."""
    reward: float
    truncated: bool
    """Ended by the token budget, not by itself."""


@dataclass(frozen=True)
class Group:
    """One prompt with its responses, whose rewards are compared with each other."""

    id: str
    prompt_ids: list[int]
    responses: list[Response]

    @property
    def tokens(self) -> int:
        """Sampled tokens of all responses."""
        return sum(len(response.ids) for response in self.responses)


@dataclass
class Pack:
    """One sequence for the model. Lists over its T tokens and, from `predictors` on, over its S sampled tokens."""

    ids: list[int]
    positions: list[int]
    segments: list[int]
    """0 for the prompt, 1.. for each response."""
    predictors: list[int] = field(default_factory=list)
    """Index of the token whose logits predict the sampled one."""
    targets: list[int] = field(default_factory=list)
    old_logprobs: list[float] = field(default_factory=list)
    advantages: list[float] = field(default_factory=list)


def packs(group: Group, advantages: Sequence[float], token_budget: int) -> list[Pack]:
    """The packs of a group, at most `token_budget` tokens each where a single response allows.

    Responses without an advantage have no gradient and are left out.
    """
    found: list[Pack] = []
    pairs = [(r, a) for r, a in zip(group.responses, advantages, strict=True) if a != 0 and r.ids]
    for response, advantage in pairs:
        if not found or len(found[-1].ids) + len(response.ids) > token_budget:
            length = len(group.prompt_ids)
            found.append(Pack(list(group.prompt_ids), list(range(length)), [0] * length))
        _append(found[-1], response, advantage, len(group.prompt_ids))
    return found


def _append(pack: Pack, response: Response, advantage: float, prompt_length: int) -> None:
    start, length = len(pack.ids), len(response.ids)
    pack.ids += response.ids
    pack.positions += range(prompt_length, prompt_length + length)
    pack.segments += [pack.segments[-1] + 1] * length
    pack.predictors += [prompt_length - 1, *range(start, start + length - 1)]
    pack.targets += response.ids
    pack.old_logprobs += response.logprobs
    pack.advantages += [advantage] * length


def batch_at(size: int, cursor: int, count: int, seed: int | None) -> list[int]:
    """`count` of `size` items from `cursor` on, in an endless walk whose every round is a new seeded permutation.

    `seed` None walks in order. The whole state of the data is one integer.
    """
    first = cursor // size
    rounds = [
        list(range(size)) if seed is None else Random(f"{seed}/{epoch}").sample(range(size), size)
        for epoch in range(first, (cursor + count - 1) // size + 1)
    ]
    return [rounds[position // size - first][position % size] for position in range(cursor, cursor + count)]
