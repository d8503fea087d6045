"""From judged groups to rows: what one forward pass reads, on which rank. Pure.

A row is prompts, each followed by some of its responses, side by side: a response sees its prompt and itself. A group
whose responses exceed the token budget is cut into several pieces, each with the prompt. How it is cut changes no
gradient.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from random import Random

TOKEN_COST = 6 * 1536
"""Of a model 1,536 wide: 24 width^2 operations a token, 4 width a pair that attends."""


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

    def idle(self) -> "Row":
        """The same without weight: what a rank computes while the others have more to do."""
        return replace(self, weights=[0.0] * len(self.weights))


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

    @property
    def pairs(self) -> int:
        """Pairs of a token and one that it sees, about."""
        prompt = len(self.prompt_ids)
        return prompt * prompt // 2 + sum(len(r.ids) * (prompt + len(r.ids) // 2) for r in self.responses)


@dataclass(frozen=True)
class Plan:
    """How an optimizer step is cut up: for each rank its rows, as many for all."""

    rows: list[list[Row]]
    waste: float
    """Share of the tokens that all ranks together have time for in which nothing new is learned: prompts that are read
    again, ranks that wait for a longer row of another."""


def pieces(group: int, prompt_ids: list[int], responses: Sequence[Weighed], token_budget: int) -> list[Piece]:
    """The responses with their prompt, in pieces of at most `token_budget` tokens where a single response allows.

    Responses without an advantage have no gradient and are left out.
    """
    found: list[Piece] = []
    for response in responses:
        if response.advantage == 0 or not response.ids:
            continue
        if not found or found[-1].tokens + len(response.ids) > token_budget:
            found.append(Piece(group, prompt_ids, []))
        found[-1].responses.append(response)
    return found


def planned(found: Sequence[Piece], token_budget: int, ranks: int = 1, token_cost: int = TOKEN_COST) -> Plan:
    """Put pieces together to rows of at most `token_budget` tokens, and rows to ranks by what they cost.

    `token_cost` is what a token costs beside attention, in pairs of tokens that see each other.
    """
    lots: list[list[Piece]] = []
    for piece in sorted(found, key=lambda piece: -piece.tokens):  # the first that it fits into, the longest first
        room = (lot for lot in lots if sum(each.tokens for each in lot) + piece.tokens <= token_budget)
        lot = next(room, None)
        lots.append([piece]) if lot is None else lot.append(piece)
    costs = [sum(piece.pairs + token_cost * piece.tokens for piece in lot) for lot in lots]
    shares: list[list[int]] = [[] for _ in range(ranks)]
    for number in sorted(range(len(lots)), key=lambda number: -costs[number]):
        min(shares, key=lambda share: sum(costs[each] for each in share)).append(number)
    rows = [[_row(lots[number]) for number in share] for share in shares]
    most = max(map(len, rows))
    shortest = min((row for share in rows for row in share), key=lambda row: len(row.ids), default=None)
    if shortest:
        for share in rows:
            share += [shortest.idle()] * (most - len(share))
    time = ranks * sum(max(len(row.ids) for row in at_once) for at_once in zip(*rows, strict=True))
    prompts = {piece.group: len(piece.prompt_ids) for piece in found}
    needed = sum(prompts.values()) + sum(piece.tokens - len(piece.prompt_ids) for piece in found)
    return Plan(rows, 1 - needed / time if time else 0.0)


def _row(lot: Sequence[Piece]) -> Row:
    row = Row()
    for piece in lot:
        row.add(piece)
    return row


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
