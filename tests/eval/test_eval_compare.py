"""Two runs compared, against numbers worked by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest, norm

from dc_tools.core.errors import UsageError
from dc_tools.eval.compare import BOOTSTRAP, MCNEMAR, bootstrap_p, compare, mcnemar
from dc_tools.eval.tally import Tally


def tallies(**counts: tuple[int, int]) -> list[Tally]:
    """Problems by name, with passed and scored rollouts."""
    return [Tally(name, n, n, c) for name, (c, n) in counts.items()]


def test_mcnemar_by_hand() -> None:
    assert mcnemar(10, 2) == mcnemar(2, 10) == 2 * (1 + 12 + 66) / 4096
    assert mcnemar(0, 0) == mcnemar(3, 3) == 1.0
    assert mcnemar(6, 0) == 2 / 64


@given(st.integers(0, 40), st.integers(0, 40))
def test_mcnemar_is_the_binomial_test(gained: int, lost: int) -> None:
    if gained + lost:
        assert mcnemar(gained, lost) == pytest.approx(binomtest(gained, gained + lost, 0.5).pvalue)


def test_one_rollout_a_problem_is_compared_by_what_flipped() -> None:
    first = tallies(a=(1, 1), b=(0, 1), c=(0, 1), d=(1, 1), e=(1, 1))
    second = tallies(d=(0, 1), c=(1, 1), b=(1, 1), a=(1, 1), f=(1, 1))
    found = compare(first, second)
    assert (found.problems, found.first, found.second, found.test) == (4, 0.5, 0.75, MCNEMAR)
    assert found.p == mcnemar(2, 1) == 1.0
    assert [change.id for change in found.better] == ["b", "c"]
    assert [(change.id, change.first, change.second) for change in found.worse] == [("d", 1.0, 0.0)]
    assert (found.only_first, found.only_second) == (["e"], ["f"])
    assert found.difference.value == 0.25


def test_several_rollouts_are_compared_by_a_paired_bootstrap_and_large_changes_come_first() -> None:
    first = tallies(**{f"p{i}": (i % 3, 4) for i in range(60)})
    second = tallies(**{f"p{i}": (i % 3 + 1 + (i == 7), 4) for i in range(60)})
    found = compare(first, second, seed=3)
    assert found.test == BOOTSTRAP
    assert found.p == pytest.approx(2 / 4001)
    assert found.difference.low is not None and found.difference.low > 0.24
    assert found.better[0].id == "p7" and len(found.better) == 60 and not found.worse


def test_a_bootstrap_says_of_no_difference_that_it_is_chance() -> None:
    assert bootstrap_p(np.zeros(20), 0) == 1.0
    assert bootstrap_p(np.array([0.5, -0.5] * 30), 0) > 0.8


def test_the_bootstrap_of_many_problems_is_the_test_of_a_mean() -> None:
    for shift in (0.1, 0.2, 0.3):
        values = np.random.default_rng(1).normal(shift, 1.0, 100)
        expected = 2 * norm.sf(abs(values.mean()) / (values.std() / 10))
        assert bootstrap_p(values, 0) == pytest.approx(expected, abs=0.02)


def test_what_was_not_scored_is_not_compared() -> None:
    found = compare(tallies(a=(1, 1), b=(0, 0)), tallies(a=(1, 1), b=(1, 1)))
    assert (found.problems, found.only_second) == (1, ["b"])
    with pytest.raises(UsageError, match="no scored problem in common"):
        compare(tallies(a=(1, 1)), tallies(b=(1, 1)))
