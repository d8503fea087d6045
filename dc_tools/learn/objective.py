"""The objectives: advantages within a group, which loss each token has (losses.py), and what it weighs. Pure.

The loss of an optimizer step is the sum over its sampled tokens of weight x loss. A weight is a share of the whole
step, never of a micro-batch, so however the step is cut up, its gradient is the same.

Shapes: G responses of a group.
"""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

STD_FLOOR = 1e-6
Advantages = Callable[[Sequence[float]], list[float]]
Clip = tuple[float, float]
"""How far below and above 1 a ratio may go."""


def standardised(rewards_G: Sequence[float]) -> list[float]:
    """(r - mean) / (std + 1e-6) over the group, unbiased std; all 0 where every reward is the same."""
    if len(rewards_G) < 2 or min(rewards_G) == max(rewards_G):
        return [0.0] * len(rewards_G)
    mean, std = statistics.fmean(rewards_G), statistics.stdev(rewards_G)
    return [(reward - mean) / (std + STD_FLOOR) for reward in rewards_G]


def centred(rewards_G: Sequence[float]) -> list[float]:
    """r - mean over the group: the deviation would give easy and hard problems more weight."""
    if not rewards_G or min(rewards_G) == max(rewards_G):
        return [0.0] * len(rewards_G)
    mean = statistics.fmean(rewards_G)
    return [reward - mean for reward in rewards_G]


def leave_one_out(rewards_G: Sequence[float]) -> list[float]:
    """r - mean over the others of the group."""
    size = len(rewards_G)
    return [advantage * size / (size - 1) for advantage in centred(rewards_G)] if size > 1 else [0.0] * size


def overlong(advantages_G: Sequence[float], rewards_G: Sequence[float], truncated_G: Sequence[bool]) -> list[float]:
    """No advantage for a response that got no reward because its budget ran out.

    It still counts in the group's mean and std, and its tokens in the denominator of the loss.
    """
    triples = zip(advantages_G, rewards_G, truncated_G, strict=True)
    return [0.0 if reward == 0 and cut else advantage for advantage, reward, cut in triples]


class Loss(StrEnum):
    """What a token's loss is."""

    CLIPPED = "clipped"
    WEIGHTED = "weighted"
    IMPORTANCE = "importance"


class Scale(StrEnum):
    """What a step's loss is a mean over."""

    TOKENS = "tokens"
    """All its sampled tokens: long responses weigh more."""
    RESPONSES = "responses"
    """Its responses, of each the mean over its tokens."""
    SUMS = "sums"
    """Its responses, of each the sum over its tokens."""
    BUDGET = "budget"
    """Its responses, of each the sum over its tokens, divided by the most tokens that it may have."""


@dataclass(frozen=True)
class Size:
    """Of an optimizer step, over all ranks and micro-batches."""

    tokens: int
    responses: int
    budget: int
    """Most tokens of a response."""


def token_weight(scale: Scale, length: int, size: Size) -> float:
    """What each token of a response of `length` weighs."""
    match scale:
        case Scale.TOKENS:
            return 1 / size.tokens
        case Scale.RESPONSES:
            return 1 / (size.responses * length)
        case Scale.SUMS:
            return 1 / size.responses
        case Scale.BUDGET:
            return 1 / (size.responses * size.budget)


@dataclass(frozen=True)
class Objective:
    """One way to learn from groups."""

    advantages: Advantages
    loss: Loss
    scale: Scale
    clip: Clip
    """Below and above 1, where the recipe says nothing else."""
    of_response: bool = False
    """Whether the ratio is that of the whole response, the geometric mean over its tokens."""
    overlong_filter: bool = False
    dynamic_sampling: bool = False
    """Whether groups whose rewards are all equal are replaced by others."""
    soft_overlong: bool = False
    """Whether the last fifth of the token budget is punished."""


OBJECTIVES = {
    # DeepCoder (Agentica 2025): GRPO with DAPO's clip-high and token-level loss, overlong filtering, no KL, no entropy.
    "grpo+": Objective(standardised, Loss.CLIPPED, Scale.TOKENS, (0.2, 0.28), overlong_filter=True),
    # Shao et al. 2024, DeepSeekMath; without its KL term.
    "grpo": Objective(standardised, Loss.CLIPPED, Scale.RESPONSES, (0.2, 0.2)),
    # Yu et al. 2025.
    "dapo": Objective(
        standardised, Loss.CLIPPED, Scale.TOKENS, (0.2, 0.28), dynamic_sampling=True, soft_overlong=True
    ),
    # Liu et al. 2025, "Understanding R1-Zero-Like Training": neither deviation nor length.
    "dr_grpo": Objective(centred, Loss.CLIPPED, Scale.BUDGET, (0.2, 0.2)),
    # Ahmadian et al. 2024, "Back to Basics": REINFORCE, the others of the group as baseline.
    "rloo": Objective(leave_one_out, Loss.IMPORTANCE, Scale.SUMS, (0.0, 0.0)),
    # Zheng et al. 2025: ratio and clip of whole responses, whose logarithm is a mean over the tokens, not a sum.
    "gspo": Objective(standardised, Loss.CLIPPED, Scale.RESPONSES, (3e-4, 4e-4), of_response=True),
    # Chen et al. 2025, MiniMax-M1; the paper tunes the upper bound and does not give it.
    "cispo": Objective(standardised, Loss.WEIGHTED, Scale.TOKENS, (1.0, 0.28)),
}


class Correction(StrEnum):
    """Truncated importance sampling (Yao et al. 2025): the engine's probabilities are not quite the trainer's."""

    NONE = "none"
    TOKEN = "token"
    RESPONSE = "response"
