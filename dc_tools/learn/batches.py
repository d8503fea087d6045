"""From judged groups to rows: what one forward pass reads. Pure.

A row is prompts, each followed by some of its responses, side by side: a response sees its prompt and itself. Responses
of a group may be in several rows, each with the prompt. How they are cut up changes no gradient.
"""

from dataclasses import dataclass, field


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
    """Which prompt of the row the token is of, or answers."""
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

    def add(self, piece: "Piece") -> None:
        """Append a prompt and its responses."""
        number, first, length = self.prompts[-1] + 1 if self.prompts else 0, len(self.ids), len(piece.prompt_ids)
        self.ids += piece.prompt_ids
        self.positions += range(length)
        self.segments += [0] * length
        for response in piece.responses:
            start, size = len(self.ids), len(response.ids)
            at = self.responses[-1] + 1 if self.responses else 0
            self.ids += response.ids
            self.positions += range(length, length + size)
            self.segments += [at + 1] * size
            self.predictors += [first + length - 1, *range(start, start + size - 1)]
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
