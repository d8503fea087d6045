"""The numbers of the objectives and of how a step is cut up, worked by hand."""


import pytest
import torch

from dc_tools.learn.batches import SHARED, Piece, Row, Weighed
from dc_tools.learn.losses import clipped, correction, is_clipped, token_losses, weighted
from dc_tools.learn.objective import (
    OBJECTIVES,
    Correction,
    Scale,
    Size,
    centred,
    leave_one_out,
    overlong,
    standardised,
    token_weight,
)


def test_an_advantage_is_the_distance_from_the_mean_in_unbiased_deviations():
    # mean 1/4; deviations 3/4, -1/4, -1/4, -1/4; variance (9 + 1 + 1 + 1) / 16 / 3 = 1/4
    found = standardised([1, 0, 0, 0])
    assert found == pytest.approx([0.75 / (0.5 + 1e-6)] + [-0.25 / (0.5 + 1e-6)] * 3, rel=1e-12)


def test_equal_rewards_give_no_advantage():
    assert standardised([1.0, 1.0, 1.0]) == [0.0, 0.0, 0.0]
    assert standardised([0.0]) == [0.0]


def test_a_truncated_failure_has_no_advantage_but_counts_in_mean_and_deviation():
    rewards, truncated = [1.0, 0.0, 0.0, 0.0], [False, True, False, False]
    plain = standardised(rewards)
    assert overlong(plain, rewards, truncated) == [plain[0], 0.0, plain[2], plain[3]]


def test_a_truncated_success_keeps_its_advantage():
    plain = standardised([1.0, 0.0])
    assert overlong(plain, [1.0, 0.0], [True, False]) == plain


def test_centred_and_leave_one_out_advantages_by_hand():
    assert centred([1, 0, 0, 0]) == [0.75, -0.25, -0.25, -0.25]
    # minus the mean of the others: 1 - 0, 0 - 1/3
    assert leave_one_out([1, 0, 0, 0]) == pytest.approx([1, -1 / 3, -1 / 3, -1 / 3], rel=1e-12)
    assert leave_one_out([1.0]) == [0.0]


RATIOS, SIGNED = torch.tensor([1.5, 1.5, 0.5, 0.5, 1.1]), torch.tensor([2.0, -2.0, 2.0, -2.0, 1.0])


def test_the_loss_is_clipped_above_for_good_and_below_for_bad_tokens():
    # min(2*1.5, 2*1.28)=2.56; min(-3, -2.56)=-3; min(1, 1.6)=1; min(-1, -1.6)=-1.6; 1.1
    assert clipped(RATIOS, SIGNED, (0.2, 0.28)).tolist() == pytest.approx([-2.56, 3.0, -1.0, 1.6, -1.1], rel=1e-6)
    assert is_clipped(RATIOS, SIGNED, (0.2, 0.28)).tolist() == [True, False, False, True, False]


def test_a_weighted_loss_keeps_the_gradient_of_a_token_whose_ratio_is_cut():
    logprobs = torch.tensor([-1.0, -2.0], requires_grad=True)
    # ratios e^1 and e^-1: the first is cut to 1.28, the second has no lower bound
    loss = weighted((logprobs - torch.tensor([-2.0, -1.0])).exp(), logprobs, torch.tensor([3.0, 1.0]), (1.0, 0.28))
    loss.sum().backward()
    assert loss.tolist() == pytest.approx([3 * 1.28, 2 * 0.36787944], rel=1e-6)
    assert logprobs.grad.tolist() == pytest.approx([-3 * 1.28, -0.36787944], rel=1e-6)


def test_the_ratio_of_a_response_is_the_geometric_mean_of_its_tokens():
    logprobs = torch.tensor([0.1, 0.3, -0.4], requires_grad=True)
    advantages, of = torch.tensor([1.0, 1.0, -1.0]), torch.tensor([0, 0, 1])
    loss, bound = token_losses(OBJECTIVES["gspo"], logprobs, torch.zeros(3), advantages, of, (0.3, 0.3))
    # e^((0.1 + 0.3) / 2) = 1.2214; e^-0.4 = 0.6703, below 1 - 0.3 and bad: cut to 0.7
    assert loss.tolist() == pytest.approx([-1.2214028, -1.2214028, 0.7], rel=1e-6)
    assert bound.tolist() == [False, False, True]
    (loss * torch.tensor([0.5, 0.5, 1.0])).sum().backward()
    assert logprobs.grad.tolist() == pytest.approx([-1.2214028 / 2, -1.2214028 / 2, 0.0], rel=1e-6)


def test_the_engine_is_corrected_by_token_or_by_response_up_to_a_cap():
    old, sampled, of = torch.tensor([-1.0, -1.0, -1.0]), torch.tensor([-1.5, -0.5, -3.0]), torch.tensor([0, 0, 1])
    assert correction(old, sampled, of, Correction.NONE, 2.0).tolist() == [1.0, 1.0, 1.0]
    assert correction(old, sampled, of, Correction.TOKEN, 2.0).tolist() == pytest.approx(
        [1.6487213, 0.6065307, 2.0], rel=1e-6
    )
    assert correction(old, sampled, of, Correction.RESPONSE, 2.0).tolist() == pytest.approx([1.0, 1.0, 2.0], rel=1e-6)


@pytest.mark.parametrize(
    ("scale", "weights"),
    [(Scale.TOKENS, (1 / 6, 1 / 6)), (Scale.RESPONSES, (1 / 4, 1 / 8)), (Scale.SUMS, (1 / 2, 1 / 2)),
     (Scale.BUDGET, (1 / 20, 1 / 20))],
)
def test_a_token_weighs_its_share_of_the_step(scale, weights):
    """Two responses, of 2 and 4 tokens, of at most 10."""
    size = Size(6, 2, 10)
    assert (token_weight(scale, 2, size), token_weight(scale, 4, size)) == weights


def weighed(*ids: list[int], advantage: float = 1.0) -> list[Weighed]:
    return [Weighed(each, [-0.1 * i for i in each], advantage, 0.25) for each in ids]


def test_a_row_lays_responses_side_by_side_after_their_prompts():
    row = Row()
    row.add(Piece(0, [7, 8], weighed([1, 2], [3])))
    row.add(Piece(1, [9], weighed([4, 5], advantage=-1.0)))
    assert row.ids == [7, 8, 1, 2, 3, 9, 4, 5]
    assert row.positions == [0, 1, 2, 3, 2, 0, 1, 2]
    assert row.prompts == [0, 0, 0, 0, 0, 1, 1, 1]
    assert row.segments == [0, 0, 1, 1, 2, 0, 3, 3]
    assert row.predictors == [1, 2, 1, 5, 6]
    assert row.targets == [1, 2, 3, 4, 5]
    assert row.responses == [0, 0, 1, 2, 2]
    assert row.advantages == [1.0, 1.0, 1.0, -1.0, -1.0]
    assert row.sampled_logprobs == pytest.approx([-0.1, -0.2, -0.3, -0.4, -0.5])
    assert row.weights == [0.25] * 5


def test_what_all_prompts_of_a_row_begin_with_is_in_it_once():
    begin = list(range(100, 120))
    pieces = [Piece(0, [*begin, 7, 8], weighed([1, 2], [3])), Piece(1, [*begin, 9], weighed([4, 5]))]
    row = Row.of(pieces)
    assert row.ids == [*begin, 7, 8, 1, 2, 3, 9, 4, 5]
    assert row.positions == [*range(20), 20, 21, 22, 23, 22, 20, 21, 22]
    assert row.prompts == [SHARED] * 20 + [0] * 5 + [1] * 3
    assert row.segments == [0] * 20 + [0, 0, 1, 1, 2, 0, 3, 3]
    assert row.predictors == [21, 22, 21, 25, 26]
    assert Row.of(pieces[:1]).prompts == [0] * 25
    short = [Piece(n, [1, 2, 3 + n], weighed([4])) for n in range(2)]
    assert Row.of(short).ids == [1, 2, 3, 4, 1, 2, 4, 4]
