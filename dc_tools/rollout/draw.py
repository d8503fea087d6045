"""Drawing the next token from logits: temperature, nucleus, inverse CDF. Shapes: B rows, V vocabulary, K top tokens."""

from collections.abc import Sequence

import torch
from torch import Tensor

NUCLEUS_START = 256
"""Top tokens looked at first for top-p: most distributions need no more, and a full sort is slow."""


def draw(logits_BV: Tensor, uniform_B: Sequence[float], temperature: float, top_p: float) -> tuple[Tensor, Tensor]:
    """One token a row by inverse CDF in order of the vocabulary; returns ids_B and their log-probabilities_B.

    `uniform_B` lies in [0, 1). Temperature 0 takes the likeliest token, with its log-probability at temperature 1.
    """
    logprobs_BV = (logits_BV.float() / (temperature or 1.0)).log_softmax(-1)
    if temperature == 0:
        ids_B1 = logprobs_BV.argmax(-1, keepdim=True)
    else:
        if top_p < 1:
            logprobs_BV = nucleus(logprobs_BV, top_p)
        cdf_BV = logprobs_BV.exp().cumsum(-1, dtype=torch.float64)
        at_B1 = torch.tensor(uniform_B, dtype=torch.float64, device=cdf_BV.device)[:, None] * cdf_BV[:, -1:]
        ids_B1 = torch.searchsorted(cdf_BV, at_B1, right=True)
    return ids_B1[:, 0], logprobs_BV.gather(1, ids_B1)[:, 0]


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
