"""The losses of sampled tokens, as small pure functions of their log-probabilities.

Shapes: S sampled tokens of a row, R responses that these are of.
"""

import torch
from torch import Tensor

from dc_tools.learn.objective import Clip, Correction, Loss, Objective


def token_losses(
    objective: Objective, logprobs_S: Tensor, old_S: Tensor, advantages_S: Tensor, responses_S: Tensor, clip: Clip
) -> tuple[Tensor, Tensor]:
    """Loss of each token, and where the clip binds; loss_S, bool_S. `old_S` is before the first update."""
    log_ratio_S = logprobs_S - old_S
    ratio_S = (by_response(log_ratio_S, responses_S) if objective.of_response else log_ratio_S).exp()
    match objective.loss:
        case Loss.CLIPPED:
            loss_S = clipped(ratio_S, advantages_S, clip)
        case Loss.WEIGHTED:
            loss_S = weighted(ratio_S, logprobs_S, advantages_S, clip)
        case Loss.IMPORTANCE:
            return importance(ratio_S, advantages_S), torch.zeros_like(ratio_S, dtype=torch.bool)
    return loss_S, is_clipped(ratio_S, advantages_S, clip)


def clipped(ratio_S: Tensor, advantages_S: Tensor, clip: Clip) -> Tensor:
    """max(-A rho, -A clip(rho, 1 - low, 1 + high)): PPO's (Schulman et al. 2017); loss_S."""
    low, high = clip
    return -(advantages_S * ratio_S).minimum(advantages_S * ratio_S.clamp(1 - low, 1 + high))


def weighted(ratio_S: Tensor, logprobs_S: Tensor, advantages_S: Tensor, clip: Clip) -> Tensor:
    """-A min(rho, 1 + high) log pi, the ratio without a gradient: no token's gradient is lost; loss_S.

    CISPO, Chen et al. 2025 (MiniMax-M1); as there, the ratio has no lower bound.
    """
    return -(advantages_S * ratio_S.detach().clamp(max=1 + clip[1]) * logprobs_S)


def importance(ratio_S: Tensor, advantages_S: Tensor) -> Tensor:
    """-A rho, without a clip; loss_S."""
    return -(advantages_S * ratio_S)


def is_clipped(ratio_S: Tensor, advantages_S: Tensor, clip: Clip) -> Tensor:
    """Where the clip binds; bool_S."""
    low, high = clip
    return ((ratio_S > 1 + high) & (advantages_S > 0)) | ((ratio_S < 1 - low) & (advantages_S < 0))


def by_response(values_S: Tensor, responses_S: Tensor, *, mean: bool = True) -> Tensor:
    """The mean (or sum) over each response, at each of its tokens; values_S. `responses_S` numbers them from 0."""
    count = int(responses_S.max()) + 1 if len(responses_S) else 0
    sums_R = values_S.new_zeros(count).index_add(0, responses_S, values_S)
    if mean:
        sums_R = sums_R / torch.bincount(responses_S, minlength=count)
    return sums_R[responses_S]


def correction(old_S: Tensor, sampled_S: Tensor, responses_S: Tensor, kind: Correction, cap: float) -> Tensor:
    """min(pi_old / pi_engine, cap) of each token, or of its whole response; weight_S, without a gradient.

    `old_S` are the trainer's log-probabilities before the step's first update, `sampled_S` those of the engine.
    """
    if kind is Correction.NONE:
        return torch.ones_like(old_S)
    log_ratio_S = (old_S - sampled_S).detach()
    if kind is Correction.RESPONSE:
        log_ratio_S = by_response(log_ratio_S, responses_S, mean=False)
    return log_ratio_S.exp().clamp(max=cap)
