"""Drawing the next token from logits: temperature, nucleus, inverse CDF.

Shapes: B rows, V vocabulary, K top tokens, or those of a block; N blocks.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

NUCLEUS_START = 256
"""Top tokens looked at first for top-p: most distributions need no more, and a full sort is slow."""
BLOCK = 128
"""Tokens that are summed as one."""


def draw(logits_BV: Tensor, uniform_B: Sequence[float], temperature: float, top_p: float) -> tuple[Tensor, Tensor]:
    """One token a row by inverse CDF in order of the vocabulary; returns ids_B and their log-probabilities_B.

    `uniform_B` lies in [0, 1). Temperature 0 takes the likeliest token, with its log-probability at temperature 1.
    """
    scaled_BV = logits_BV.float() / (temperature or 1.0)
    if temperature == 0:
        ids_B1 = scaled_BV.argmax(-1, keepdim=True)
        return ids_B1[:, 0], scaled_BV.log_softmax(-1).gather(1, ids_B1)[:, 0]
    if top_p < 1:
        scaled_BV = nucleus(scaled_BV.log_softmax(-1), top_p)
    weights_BV = scaled_BV.sub_(scaled_BV.amax(-1, keepdim=True)).exp_()  # in place: large new tensors cost page faults
    uniform_B1 = torch.tensor(uniform_B, dtype=torch.float64, device=weights_BV.device)[:, None]
    ids_B1 = inverse_cdf(weights_BV, uniform_B1)
    chosen_B1 = weights_BV.gather(1, ids_B1) / weights_BV.sum(-1, keepdim=True, dtype=torch.float64)
    return ids_B1[:, 0], chosen_B1.log().float()[:, 0]


def inverse_cdf(weights_BV: Tensor, uniform_B1: Tensor) -> Tensor:
    """The first token at which the sum of the weights so far exceeds its share of their total; ids_B1.

    Sums over blocks first, then over the tokens of one block: a running sum over a vocabulary takes ten times as long.
    """
    rest = -weights_BV.shape[-1] % BLOCK
    blocks_BNK = torch.nn.functional.pad(weights_BV, (0, rest)).unflatten(-1, (-1, BLOCK))
    before_BN = blocks_BNK.sum(-1, dtype=torch.float64).cumsum(-1)
    at_B1 = _below(uniform_B1 * before_BN[:, -1:], before_BN[:, -1:])
    block_B1 = torch.searchsorted(before_BN, at_B1, right=True)
    own_BK = blocks_BNK.gather(1, block_B1[:, :, None].expand(-1, -1, BLOCK))[:, 0].cumsum(-1, dtype=torch.float64)
    skipped_B1 = torch.nn.functional.pad(before_BN, (1, 0)).gather(1, block_B1)
    return block_B1 * BLOCK + torch.searchsorted(own_BK, _below(at_B1 - skipped_B1, own_BK[:, -1:]), right=True)


def _below(values: Tensor, limits: Tensor) -> Tensor:
    """Values that rounding brought up to their limit, just below it."""
    return values.minimum(torch.nextafter(limits, torch.zeros_like(limits)))


def nucleus(logprobs_BV: Tensor, top_p: float) -> Tensor:
    """The log-probabilities of the fewest likeliest tokens that hold `top_p` together, renormalised; -inf elsewhere.

    Tokens that tie with the last one are kept. Holtzman et al. 2020, "The Curious Case of Neural Text Degeneration".
    """
    size = logprobs_BV.shape[-1]
    count = min(NUCLEUS_START, size)
    while True:
        top_BK = logprobs_BV.topk(count, -1).values
        mass_BK = top_BK.exp().cumsum(-1, dtype=torch.float64)
        if count == size or bool((mass_BK[:, -1] >= top_p).all()):
            break
        count = min(8 * count, size)
    within_BK = mass_BK - top_BK.exp() < top_p
    within_BK[:, 0] = True
    least_B1 = top_BK.masked_fill(~within_BK, torch.inf).min(-1, keepdim=True).values
    return logprobs_BV.masked_fill(logprobs_BV < least_B1, -torch.inf).log_softmax(-1)
