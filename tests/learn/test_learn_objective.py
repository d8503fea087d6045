"""The numbers of GRPO+, worked by hand."""

import pytest
import torch

from dc_tools.learn.batches import Group, Response, batch_at, packs
from dc_tools.learn.objective import clipped_loss, group_advantages, is_clipped, overlong


def test_an_advantage_is_the_distance_from_the_mean_in_unbiased_deviations():
    # mean 1/4; deviations 3/4, -1/4, -1/4, -1/4; variance (9 + 1 + 1 + 1) / 16 / 3 = 1/4
    found = group_advantages([1, 0, 0, 0])
    assert found == pytest.approx([0.75 / (0.5 + 1e-6)] + [-0.25 / (0.5 + 1e-6)] * 3, rel=1e-12)


def test_equal_rewards_give_no_advantage():
    assert group_advantages([1.0, 1.0, 1.0]) == [0.0, 0.0, 0.0]
    assert group_advantages([0.0]) == [0.0]


def test_a_truncated_failure_has_no_advantage_but_counts_in_mean_and_deviation():
    rewards, truncated = [1.0, 0.0, 0.0, 0.0], [False, True, False, False]
    plain = group_advantages(rewards)
    assert overlong(plain, rewards, truncated) == [plain[0], 0.0, plain[2], plain[3]]


def test_a_truncated_success_keeps_its_advantage():
    plain = group_advantages([1.0, 0.0])
    assert overlong(plain, [1.0, 0.0], [True, False]) == plain


def test_the_loss_is_clipped_above_for_good_and_below_for_bad_tokens():
    ratios = torch.tensor([1.5, 1.5, 0.5, 0.5, 1.1])
    advantages = torch.tensor([2.0, -2.0, 2.0, -2.0, 1.0])
    old = torch.full((5,), -1.0)
    loss = clipped_loss(old + ratios.log(), old, advantages, 0.2, 0.28)
    # min(2*1.5, 2*1.28)=2.56; min(-3, -2.56)=-3; min(1, 1.6)=1; min(-1, -1.6)=-1.6; 1.1
    assert loss.tolist() == pytest.approx([-2.56, 3.0, -1.0, 1.6, -1.1], rel=1e-6)
    clipped = is_clipped(old + ratios.log(), old, advantages, 0.2, 0.28)
    assert clipped.tolist() == [True, False, False, True, False]


def test_a_pack_lays_responses_side_by_side_after_one_prompt():
    group = Group("p", [7, 8], [Response([1, 2], [-0.1, -0.2], 1, False), Response([3], [-0.3], 0, False)])
    (pack,) = packs(group, [0.5, -0.5], 100)
    assert pack.ids == [7, 8, 1, 2, 3]
    assert pack.positions == [0, 1, 2, 3, 2]
    assert pack.segments == [0, 0, 1, 1, 2]
    assert pack.predictors == [1, 2, 1]
    assert pack.targets == [1, 2, 3]
    assert pack.old_logprobs == [-0.1, -0.2, -0.3]
    assert pack.advantages == [0.5, 0.5, -0.5]


def test_a_group_beyond_the_budget_is_cut_and_every_token_stays():
    group = Group("p", [7, 8], [Response([i] * 3, [-1.0] * 3, 0, False) for i in range(5)])
    cut = packs(group, [1.0] * 5, 8)
    assert [len(pack.ids) for pack in cut] == [8, 8, 5]
    assert [t for pack in cut for t in pack.targets] == [0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4]


def test_responses_without_advantage_are_not_read():
    group = Group("p", [7], [Response([1], [-1.0], 0, True), Response([2], [-1.0], 1, False)])
    (pack,) = packs(group, [0.0, 0.7], 100)
    assert pack.targets == [2]
    assert packs(group, [0.0, 0.0], 100) == []


def test_the_walk_over_problems_is_a_permutation_each_time_round():
    first, second = batch_at(7, 0, 7, 5), batch_at(7, 7, 7, 5)
    assert sorted(first) == sorted(second) == list(range(7))
    assert first != second
    assert batch_at(7, 3, 8, 5) == (first + second)[3:11]
    assert batch_at(3, 2, 3, None) == [2, 0, 1]
