"""How an optimizer step is cut up into rows: nothing lost, nothing twice, little waste."""

import random
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dc_tools.learn import packing
from dc_tools.learn.batches import Piece, Weighed
from dc_tools.learn.packing import planned


def group(number: int, *lengths: int, prompt: int = 3, advantage: float = 1.0) -> Piece:
    ids = [[1000 * number + n] * length for n, length in enumerate(lengths)]
    return Piece(number, [-1] * prompt, [Weighed(each, [-0.5] * len(each), advantage, 0.25) for each in ids])


@settings(deadline=None)
@given(
    st.lists(st.lists(st.integers(1, 40), min_size=1, max_size=6), min_size=1, max_size=8),
    st.integers(1, 4), st.integers(20, 90),
)
def test_every_response_is_read_once_and_all_ranks_have_as_many_rows(lengths, ranks, budget):
    plan = planned([group(n, *each) for n, each in enumerate(lengths)], budget, ranks)
    rows = [plan.rows(rank) for rank in range(ranks)]
    assert len({len(each) for each in rows}) == 1
    heavy = [row for each in rows for row in each if any(row.weights)]
    expected = Counter({1000 * n + m: size for n, each in enumerate(lengths) for m, size in enumerate(each)})
    assert Counter(target for row in heavy for target in row.targets) == expected
    longest = max(map(max, lengths)) + 3
    assert max(len(row.ids) for row in heavy) == plan.longest <= max(budget, longest)
    for row in heavy:  # a prompt is in a row once
        assert row.ids.count(-1) == 3 * len({target // 1000 for target in row.targets})
    read = sum(max(len(each[at].ids) for each in rows) for at in range(len(rows[0]))) * ranks
    assert plan.waste == pytest.approx(1 - (expected.total() + 3 * len(lengths)) / read)


def test_rows_of_equal_length_waste_nothing():
    plan = planned([group(n, 16, 20) for n in range(8)], 80, 4)
    assert [[len(row.ids) for row in plan.rows(rank)] for rank in range(4)] == [[78]] * 4
    assert plan.waste == 0.0


def test_a_rank_without_a_row_reads_one_that_weighs_nothing():
    plan = planned([group(0, 10)], 40, 2)
    (mine,), (idle,) = plan.rows(0), plan.rows(1)
    assert any(mine.weights) and not any(idle.weights) and idle.ids == mine.ids
    assert plan.waste == 0.5


def test_a_group_stays_together_where_it_fits():
    plan = planned([group(n, 10, 10, 10, prompt=20) for n in range(6)], 100)
    assert all(len(set(target // 1000 for target in row.targets)) == 2 for row in plan.rows(0))
    assert plan.waste == 0.0


def test_what_has_no_advantage_or_no_token_is_not_read():
    assert planned([group(0, 5, advantage=0.0), group(1, 0)], 100, 2).rows(1) == []
    (row,) = planned([group(0, 5, advantage=0.0), group(1, 2)], 100).rows(0)
    assert set(row.targets) == {1000}


def test_responses_of_half_a_row_are_planned_in_few_tries(monkeypatch):
    filled, tries = packing._filled, []
    monkeypatch.setattr(packing, "_filled", lambda *given: tries.append(given) or filled(*given))
    plan = planned([group(n, *[130] * 8, prompt=5) for n in range(64)], 256)
    assert len(plan.rounds) == 512 and plan.longest == 135
    assert len(tries) < 80


@pytest.mark.parametrize("ranks", [1, 2, 4, 8])
def test_of_long_tailed_responses_little_is_wasted(ranks):
    draw = random.Random(1)
    lengths = [[int(min(draw.lognormvariate(5.6, 0.7), 1600)) for _ in range(8)] for _ in range(64)]
    groups = [group(n, *each, prompt=20) for n, each in enumerate(lengths)]
    assert planned(groups, 2000, ranks).waste < 0.05
