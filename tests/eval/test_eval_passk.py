"""pass@k and its interval, against numbers worked by hand and against the published estimator's table."""

from math import comb
from pathlib import Path

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dc_tools.core.errors import UsageError
from dc_tools.eval.passk import bootstrap_interval, estimate, pass_at_k, share_estimate

TABLE = Path(__file__).parents[2].parent / "shared" / "data" / "eval" / "passk_table.jsonl"


def test_hand_worked_values() -> None:
    assert pass_at_k(4, 1, 2) == 0.5  # 1 - C(3,2)/C(4,2) = 1 - 3/6
    assert pass_at_k(5, 2, 3) == 0.9  # 1 - C(3,3)/C(5,3) = 1 - 1/10
    assert pass_at_k(10, 3, 1) == 0.3
    assert pass_at_k(5, 4, 2) == 1.0  # no two of five fail
    assert pass_at_k(7, 0, 7) == 0.0


def test_the_published_table_is_reproduced() -> None:
    if not TABLE.exists():
        pytest.skip(f"{TABLE} is not here")
    rows = [orjson.loads(line) for line in TABLE.read_bytes().splitlines()]
    assert len(rows) == 431
    assert max(abs(pass_at_k(r["n"], r["c"], r["k"]) - r["pass_at_k"]) for r in rows) < 1e-9


def test_fewer_samples_than_k_are_refused() -> None:
    with pytest.raises(UsageError, match="pass@5 needs n >= k samples of each problem, and one has n = 1"):
        pass_at_k(1, 1, 5)


@given(st.integers(1, 12).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n), st.integers(1, n))))
def test_it_is_the_share_of_subsets_with_a_pass(nck: tuple[int, int, int]) -> None:
    from itertools import combinations

    n, c, k = nck
    hits = sum(min(subset) < c for subset in combinations(range(n), k))
    assert pass_at_k(n, c, k) == pytest.approx(hits / comb(n, k), abs=1e-12)


def test_samples_in_the_thousands_stay_exact() -> None:
    assert pass_at_k(5000, 1, 2500) == 0.5


def test_mean_and_standard_error_by_hand() -> None:
    found = estimate([1.0, 0.0, 0.0, 1.0, 1.0])
    assert found.value == 0.6
    assert found.se == pytest.approx((0.3 / 5) ** 0.5)  # variance 1.2/4 over five problems
    assert found.n_problems == 5


def test_the_interval_is_that_of_the_binomial() -> None:
    values = np.array([1.0] * 30 + [0.0] * 70)
    low, high = bootstrap_interval(values, seed=1, resamples=20_000)
    assert (low, high) == (pytest.approx(0.21, abs=0.011), pytest.approx(0.39, abs=0.011))


def test_the_interval_equals_that_of_plain_resampling() -> None:
    values = np.array([0.0, 0.25, 0.25, 0.5, 1.0, 1.0, 0.75, 0.0, 0.125, 0.25])
    rng = np.random.default_rng(3)
    means = values[rng.integers(0, len(values), (20_000, len(values)))].mean(axis=1)
    low, high = bootstrap_interval(values, seed=4, resamples=20_000)
    assert np.quantile(means, [0.025, 0.975]) == pytest.approx([low, high], abs=0.013)


def test_the_seed_settles_the_interval() -> None:
    values = [i / 37 for i in range(38)]
    assert estimate(values, seed=5) == estimate(values, seed=5)
    assert estimate(values, seed=5) != estimate(values, seed=6)


def test_too_little_to_say_is_said() -> None:
    assert estimate([]).value is None
    one = estimate([0.5])
    assert (one.value, one.low, one.high, one.se) == (0.5, None, None, None)


def test_where_all_problems_agree_the_interval_is_that_of_a_binomial() -> None:
    none, every = share_estimate([0.0] * 10), share_estimate([1.0] * 10)
    assert (none.low, none.high) == (0.0, pytest.approx(0.308497, abs=1e-6))  # 1 - 0.025 ** (1 / 10)
    assert (every.low, every.high) == (pytest.approx(0.691503, abs=1e-6), 1.0)
    assert share_estimate([0.0, 1.0] * 5, 3) == estimate([0.0, 1.0] * 5, 3)
    assert share_estimate([1.0]).low is None
