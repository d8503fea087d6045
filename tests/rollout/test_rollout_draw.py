"""Drawing a token: the inverse CDF and the nucleus, against numbers worked by hand."""

import numpy as np
import pytest
import torch

from dc_tools.rollout.draw import draw, nucleus


def logits_of(*probabilities: float) -> torch.Tensor:
    return torch.tensor([probabilities]).log()


def test_uniform_numbers_spread_evenly_give_each_token_its_share() -> None:
    logits = logits_of(0.5, 0.2, 0.0, 0.3).expand(1000, 4)
    uniform = [(i + 0.5) / 1000 for i in range(1000)]
    ids, logprobs = draw(logits, uniform, 1.0, 1.0)
    assert torch.bincount(ids, minlength=4).tolist() == [500, 200, 0, 300]
    assert logprobs[0].item() == pytest.approx(np.log(0.5), abs=1e-6)
    assert logprobs[-1].item() == pytest.approx(np.log(0.3), abs=1e-6)


def test_the_ends_of_the_unit_interval_never_meet_an_impossible_token() -> None:
    logits = logits_of(0.0, 0.4, 0.6, 0.0).expand(2, 4)
    ids, logprobs = draw(logits, [0.0, 1 - 2**-53], 1.0, 1.0)
    assert ids.tolist() == [1, 2]
    assert torch.isfinite(logprobs).all()


def test_temperature_sharpens_the_distribution() -> None:
    ids, logprobs = draw(logits_of(0.2, 0.8), [0.1], 0.5, 1.0)
    assert ids.tolist() == [1]
    assert logprobs.exp().item() == pytest.approx(0.64 / 0.68, abs=1e-6)


def test_temperature_zero_takes_the_likeliest_at_its_own_probability() -> None:
    ids, logprobs = draw(logits_of(0.3, 0.6, 0.1), [0.0], 0.0, 0.5)
    assert ids.tolist() == [1]
    assert logprobs.exp().item() == pytest.approx(0.6, abs=1e-6)


@pytest.mark.parametrize(
    ("top_p", "kept"),
    [(0.1, [1.0, 0, 0, 0]), (0.79, [0.625, 0.375, 0, 0]), (0.85, [0.5 / 0.95, 0.3 / 0.95, 0.15 / 0.95, 0])],
)
def test_the_nucleus_is_the_fewest_tokens_that_hold_top_p(top_p: float, kept: list[float]) -> None:
    found = nucleus(logits_of(0.5, 0.3, 0.15, 0.05), top_p).exp()
    assert found[0].tolist() == pytest.approx(kept, abs=1e-6)


def test_a_nucleus_wider_than_the_first_look_equals_a_full_sort() -> None:
    logprobs = torch.randn(3, 5000, generator=torch.Generator().manual_seed(0)).log_softmax(-1)
    found = nucleus(logprobs, 0.9)
    for row, mine in zip(logprobs.exp().double().numpy(), found, strict=True):
        order = np.argsort(-row)
        count = int(np.searchsorted(np.cumsum(row[order]), 0.9)) + 1
        assert set(torch.isfinite(mine).nonzero()[:, 0].tolist()) == set(order[:count].tolist())
        assert mine.exp().sum().item() == pytest.approx(1.0, abs=1e-5)
        assert count > 2048
