"""Which responses share a row, and which rows are learned from at the same time. Pure.

All ranks go on to their next row together, so a round lasts as long as its longest row. A search over the number of
rounds and the length of rows finds rows that are nearly even, in which few prompts are read more than once.
"""

import bisect
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from dc_tools.learn.batches import Piece, Row

GROWTH = 1.01
"""From one length of rows that is tried to the next."""
TRIES = 8
"""Lengths that are tried beyond the shortest."""
MORE_ROUNDS = 3
"""How many rounds more than full rows need are tried."""
_Filled = tuple[int, list[int]]
"""A row: its tokens and the numbers of its items."""


@dataclass(frozen=True)
class Lot:
    """The pieces of a row."""

    pieces: list[Piece]
    is_idle: bool = False
    """Whether it is computed without weight, while other ranks have more to do."""

    @property
    def tokens(self) -> int:
        """Of the row at most: what its prompts share is counted with each."""
        return sum(piece.tokens for piece in self.pieces)

    def row(self) -> Row:
        """Of its pieces."""
        row = Row.of(self.pieces)
        return replace(row, weights=[0.0] * len(row.weights)) if self.is_idle else row


@dataclass(frozen=True)
class Plan:
    """How an optimizer step is cut up: rounds of one row for each rank."""

    rounds: list[list[Lot]]
    waste: float
    """Share of the tokens that all ranks together have time for in which nothing new is learned: prompts that are read
    again, ranks that wait for a longer row of another."""

    @property
    def longest(self) -> int:
        """Tokens of the longest row."""
        return max((lot.tokens for lots in self.rounds for lot in lots), default=0)

    def rows(self, rank: int) -> list[Row]:
        """Of one rank."""
        return [lots[rank].row() for lots in self.rounds]


@dataclass(frozen=True)
class _Item:
    """A response that waits for its row."""

    group: int
    number: int
    tokens: int


def planned(groups: Sequence[Piece], token_budget: int, ranks: int = 1) -> Plan:
    """Put responses, with their prompts, into rows of at most `token_budget` tokens, where a single response allows.

    Responses without an advantage have no gradient and are left out.
    """
    items = _in_order(groups)
    if not items:
        return Plan([], 0.0)
    prompts = [len(group.prompt_ids) for group in groups]
    needed = sum(item.tokens for item in items) + sum(prompts[number] for number in {item.group for item in items})
    full = sum(bool(numbers) for _, numbers in _filled(items, prompts, token_budget, len(items)))
    least, found = -(-full // ranks), list[tuple[int, list[list[int]]]]()
    for rounds in range(least, least + 1 + MORE_ROUNDS):
        for rows in _tried(items, prompts, needed, token_budget, rounds * ranks):
            found.append((sum(tokens for tokens, _ in rows[::ranks]), [numbers for _, numbers in rows if numbers]))
    _, best = min(found, key=lambda each: each[0])
    lots = [_lot(groups, [items[number] for number in numbers]) for numbers in best]
    idle = Lot(lots[-1].pieces, is_idle=True)
    lots += [idle] * (-len(lots) % ranks)
    in_rounds = [lots[first : first + ranks] for first in range(0, len(lots), ranks)]
    time = ranks * sum(max(lot.tokens for lot in each) for each in in_rounds)
    return Plan(in_rounds, 1 - needed / time)


def _in_order(groups: Sequence[Piece]) -> list[_Item]:
    """What has something to teach: the groups with most tokens first, of each the longest responses."""
    found = []
    for number, group in enumerate(groups):
        lengths = [(len(r.ids), n) for n, r in enumerate(group.responses) if r.advantage and r.ids]
        total = sum(length for length, _ in lengths)
        found += [(-total, number, -length, n) for length, n in lengths]
    return [_Item(group, n, -length) for _, group, length, n in sorted(found)]


def _tried(
    items: Sequence[_Item], prompts: Sequence[int], needed: int, most: int, rows: int
) -> Iterator[list[_Filled]]:
    """So many rows of several lengths: the shortest that all fits into, about, and longer ones up to `most`."""
    lengths = [most]
    while (length := int(lengths[-1] / GROWTH)) * rows > needed:
        lengths.append(length)
    low, high = 0, len(lengths)  # all fits into rows of the first
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if _filled(items, prompts, lengths[middle], rows) else (low, middle)
    for length in lengths[max(low - TRIES, 0) : low + 1]:
        if found := _filled(items, prompts, length, rows):
            yield found


def _filled(items: Sequence[_Item], prompts: Sequence[int], length: int, rows: int) -> list[_Filled]:
    """Rows, the longest first: tokens and numbers of items. None at all where these do not fit into so many rows.

    A response joins others of its group where there is room, else the row that it leaves least room in; one that is
    longer than a row should be has a row of its own.
    """
    room, held = [length] * rows, [list[int]() for _ in range(rows)]
    by_room = [(length, row) for row in range(rows)]
    group, of_group = -1, list[int]()
    for number, item in enumerate(items):
        if item.group != group:
            group, of_group = item.group, []
        fitting = [(room[row], row) for row in of_group if room[row] >= item.tokens]
        if fitting:
            row, tokens = min(fitting)[1], item.tokens
        else:
            tokens = prompts[group] + item.tokens
            at = bisect.bisect_left(by_room, (min(tokens, length), -1))
            if at == rows:
                return []
            row = by_room[at][1]
            of_group.append(row)
        del by_room[bisect.bisect_left(by_room, (room[row], row))]
        room[row] -= tokens
        held[row].append(number)
        bisect.insort(by_room, (room[row], row))
    return [(length - room[row], held[row]) for _, row in by_room]


def _lot(groups: Sequence[Piece], items: Sequence[_Item]) -> Lot:
    """The row of these items, which are in order of their groups."""
    pieces: list[Piece] = []
    for item in items:
        group = groups[item.group]
        if not pieces or pieces[-1].group != group.group:
            pieces.append(Piece(group.group, group.prompt_ids, []))
        pieces[-1].responses.append(group.responses[item.number])
    return Lot(pieces)
