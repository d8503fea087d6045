"""From judged groups to rows: what one forward pass reads, on which rank. Pure.

A row is prompts, each followed by some of its responses, side by side: a response sees its prompt and itself. A group
whose responses exceed the token budget is cut into several pieces, each with the prompt. How it is cut changes no
gradient.
"""

import bisect
import heapq
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

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
class Lot:
    """The pieces of a row."""

    pieces: list[Piece]
    is_idle: bool = False
    """Whether it is computed without weight, while other ranks have more to do."""

    @property
    def tokens(self) -> int:
        """Of the row."""
        return sum(piece.tokens for piece in self.pieces)

    def row(self) -> Row:
        """Of its pieces."""
        row = Row()
        for piece in self.pieces:
            row.add(piece)
        return replace(row, weights=[0.0] * len(row.weights)) if self.is_idle else row


@dataclass(frozen=True)
class Plan:
    """How an optimizer step is cut up: for each rank what its rows are made of, as many for all."""

    shares: list[list[Lot]]
    waste: float
    """Share of the tokens that all ranks together have time for in which nothing new is learned: prompts that are read
    again, ranks that wait for a longer row of another."""

    def rows(self, rank: int) -> list[Row]:
        """Of one rank."""
        return [lot.row() for lot in self.shares[rank]]


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
    lots: list[Lot] = []
    rooms: list[tuple[int, int]] = []  # of each lot, in order of the room
    for piece in sorted(found, key=lambda piece: -piece.tokens):  # the longest first, each where it leaves least room
        at = bisect.bisect_left(rooms, (piece.tokens, 0))
        if at == len(rooms):
            lots.append(Lot([piece]))
            bisect.insort(rooms, (token_budget - piece.tokens, len(lots) - 1))
        else:
            room, number = rooms.pop(at)
            lots[number].pieces.append(piece)
            bisect.insort(rooms, (room - piece.tokens, number))
    shares: list[list[Lot]] = [[] for _ in range(ranks)]
    loads = [(0, rank) for rank in range(ranks)]
    costs = [sum(piece.pairs + token_cost * piece.tokens for piece in lot.pieces) for lot in lots]
    for number in sorted(range(len(lots)), key=lambda number: -costs[number]):  # each to who has least to do
        load, rank = loads[0]
        shares[rank].append(lots[number])
        heapq.heapreplace(loads, (load + costs[number], rank))
    most = max(map(len, shares))
    if lots:
        idle = Lot(min(lots, key=lambda lot: lot.tokens).pieces, is_idle=True)
        for share in shares:
            share += [idle] * (most - len(share))
    time = ranks * sum(max(lot.tokens for lot in at_once) for at_once in zip(*shares, strict=True))
    prompts = {piece.group: len(piece.prompt_ids) for piece in found}
    needed = sum(prompts.values()) + sum(piece.tokens - len(piece.prompt_ids) for piece in found)
    return Plan(shares, 1 - needed / time if time else 0.0)
