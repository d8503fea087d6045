"""Which examples a step sees, how they are cut for the machine, and how fast it learns: pure functions of numbers."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from hashlib import blake2b
from random import Random


class Schedule(StrEnum):
    """How the learning rate goes on after the warm-up: it stays, or falls to a tenth along half a cosine."""

    COSINE = "cosine"
    CONSTANT = "constant"


@dataclass(frozen=True)
class Recipe:
    """What makes a training run, besides the model and the examples."""

    lr: float
    epochs: int
    batch_size: int
    schedule: Schedule
    warmup: float
    micro_tokens: int
    seed: int


FINAL_SHARE = 0.1
"""The share of the peak learning rate at the end of a cosine."""


def steps_of(examples: int, epochs: int, batch_size: int) -> int:
    """How many optimizer steps all epochs take; only the last step may be short."""
    return math.ceil(examples * epochs / batch_size)


def batch_of(step: int, examples: int, epochs: int, batch_size: int, seed: int) -> list[int]:
    """The examples of step `step` (from 0): the next `batch_size` of one permutation after another."""
    places = range(step * batch_size, min((step + 1) * batch_size, examples * epochs))
    orders: dict[int, list[int]] = {}
    found = []
    for place in places:
        epoch, within = divmod(place, examples)
        if epoch not in orders:
            orders[epoch] = permutation(examples, seed, epoch)
        found.append(orders[epoch][within])
    return found


def permutation(examples: int, seed: int, epoch: int) -> list[int]:
    """The order of one epoch."""
    order = list(range(examples))
    Random(seed_for(seed, "epoch", epoch)).shuffle(order)
    return order


def seed_for(seed: int, what: str, index: int) -> int:
    """A seed of 63 bits for one thing that is random."""
    digest = blake2b(f"{seed}\0{what}\0{index}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1


def micro_batches(lengths: Sequence[int], most_tokens: int) -> Iterator[list[int]]:
    """Indices of `lengths` in pieces, alike in length, of at most `most_tokens` after padding (one may be larger)."""
    piece: list[int] = []
    for index in sorted(range(len(lengths)), key=lambda i: (-lengths[i], i)):
        if piece and lengths[piece[0]] * (len(piece) + 1) > most_tokens:
            yield piece
            piece = []
        piece.append(index)
    if piece:
        yield piece


def learning_rate(step: int, steps: int, peak: float, warmup: float, schedule: Schedule) -> float:
    """The rate of step `step` (from 0); `warmup` is the share of all steps over which it rises to `peak`."""
    rising = math.ceil(warmup * steps)
    if step < rising:
        return peak * (step + 1) / rising
    if schedule is Schedule.CONSTANT:
        return peak
    done = (step - rising) / max(1, steps - rising)
    return peak * (FINAL_SHARE + (1 - FINAL_SHARE) * (1 + math.cos(math.pi * done)) / 2)
