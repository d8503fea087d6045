"""GRPO+ as small pure functions: advantages within a group, the overlong rule, the clipped loss.

GRPO is from Shao et al. 2024 (DeepSeekMath); clip-high, token-level loss and overlong filtering from Yu et al. 2025
(DAPO); GRPO+ is DeepCoder's choice of them: no KL term, no entropy term.
Shapes: G responses of a group, S sampled tokens.
"""

import statistics
from collections.abc import Sequence

from torch import Tensor

STD_FLOOR = 1e-6


def group_advantages(rewards_G: Sequence[float]) -> list[float]:
    """(r - mean) / (std + 1e-6) over the group, unbiased std; all 0 where every reward is the same."""
    if len(rewards_G) < 2 or min(rewards_G) == max(rewards_G):
        return [0.0] * len(rewards_G)
    mean, std = statistics.fmean(rewards_G), statistics.stdev(rewards_G)
    return [(reward - mean) / (std + STD_FLOOR) for reward in rewards_G]


def overlong(advantages_G: Sequence[float], rewards_G: Sequence[float], truncated_G: Sequence[bool]) -> list[float]:
    """No advantage for a response that got no reward because its budget ran out.

    It still counts in the group's mean and std, and its tokens in the denominator of the loss.
    """
    triples = zip(advantages_G, rewards_G, truncated_G, strict=True)
    return [0.0 if reward == 0 and cut else advantage for advantage, reward, cut in triples]


def clipped_loss(logprobs_S: Tensor, old_S: Tensor, advantages_S: Tensor, low: float, high: float) -> Tensor:
    """Loss of each token: max(-A rho, -A clip(rho, 1 - low, 1 + high)), rho = exp(logprob - old); loss_S.

    Its sum over an optimizer step is divided by the step's number of sampled tokens, by whoever adds it up.
    """
    ratio_S = (logprobs_S - old_S).exp()
    clipped_S = ratio_S.clamp(1 - low, 1 + high)
    return -(advantages_S * ratio_S).minimum(advantages_S * clipped_S)


def is_clipped(logprobs_S: Tensor, old_S: Tensor, advantages_S: Tensor, low: float, high: float) -> Tensor:
    """Where the clip takes the gradient away; bool_S."""
    ratio_S = (logprobs_S - old_S).exp()
    return ((ratio_S > 1 + high) & (advantages_S > 0)) | ((ratio_S < 1 - low) & (advantages_S < 0))
