"""From judged groups to rows: what one forward pass reads. Pure.

A row is prompts, each followed by some of its responses, side by side: a response sees its prompt and itself. What all
prompts begin with comes once, before them. Responses of a group may be in several rows, each with the prompt. How they
are cut up changes no gradient.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from dc_tools.rollout.prefix import common_prefix

SHARED = -1
"""In place of the number of a prompt, of what all begin with."""


@dataclass(frozen=True)
class Response:
    """One sampled answer as the learner sees it."""

    ids: list[int]
    logprobs: list[float]
    """Of the policy that sampled it."""
    reward: float
    truncated: bool
    """Ended by the token budget, not by itself."""
    solved: bool = False
    """Passed every test."""
    rewards: dict[str, float] = field(default_factory=dict)
    """The reward's terms."""
    version: int = 0
    """Steps that lay behind the policy that sampled it."""


@dataclass(frozen=True)
class Group:
    """One prompt with its responses, whose rewards are compared with each other."""

    id: str
    prompt_ids: list[int]
    responses: list[Response]

    @property
    def teaches(self) -> bool:
        """Whether its rewards differ."""
        return len({response.reward for response in self.responses}) > 1


@dataclass
class Row:
    """One sequence for the model. Lists over its T tokens and, from `predictors` on, over its S sampled tokens."""

    ids: list[int] = field(default_factory=list)
    positions: list[int] = field(default_factory=list)
    prompts: list[int] = field(default_factory=list)
    """Which prompt of the row the token is of, or answers; `SHARED` for the beginning of all."""
    segments: list[int] = field(default_factory=list)
    """0 for a prompt, 1.. for each response of the row."""
    predictors: list[int] = field(default_factory=list)
    """Index of the token whose logits predict the sampled one."""
    targets: list[int] = field(default_factory=list)
    sampled_logprobs: list[float] = field(default_factory=list)
    """Of the engine."""
    advantages: list[float] = field(default_factory=list)
    weights: list[float] = field(default_factory=list)
    """What the token's loss weighs in that of the whole step."""
    responses: list[int] = field(default_factory=list)
    """Number of the response in the row, from 0."""

    @staticmethod
    def of(pieces: "Sequence[Piece]") -> "Row":
        """Of these pieces; what all prompts begin with is there once."""
        row, shared = Row(), common_prefix([piece.prompt_ids for piece in pieces])
        row.ids += shared
        row.positions += range(len(shared))
        row.prompts += [SHARED] * len(shared)
        row.segments += [0] * len(shared)
        for piece in pieces:
            row.add(piece, len(shared))
        return row

    def add(self, piece: "Piece", shared: int = 0) -> None:
        """Append a prompt, but for so many tokens that are there, and its responses."""
        number, first, length = self.prompts[-1] + 1 if self.prompts else 0, len(self.ids), len(piece.prompt_ids)
        self.ids += piece.prompt_ids[shared:]
        self.positions += range(shared, length)
        self.segments += [0] * (length - shared)
        last = len(self.ids) - 1
        for response in piece.responses:
            start, size = len(self.ids), len(response.ids)
            at = self.responses[-1] + 1 if self.responses else 0
            self.ids += response.ids
            self.positions += range(length, length + size)
            self.segments += [at + 1] * size
            self.predictors += [last, *range(start, start + size - 1)]
            self.targets += response.ids
            self.sampled_logprobs += response.logprobs
            self.advantages += [response.advantage] * size
            self.weights += [response.weight] * size
            self.responses += [at] * size
        self.prompts += [number] * (len(self.ids) - first)


@dataclass(frozen=True)
class Weighed:
    """A response that has something to teach."""

    ids: list[int]
    logprobs: list[float]
    advantage: float
    weight: float


@dataclass(frozen=True)
class Piece:
    """A prompt with some of its responses, which are read together."""

    group: int
    prompt_ids: list[int]
    responses: list[Weighed]

    @property
    def tokens(self) -> int:
        """Of the prompt and the responses."""
        return len(self.prompt_ids) + sum(len(response.ids) for response in self.responses)
