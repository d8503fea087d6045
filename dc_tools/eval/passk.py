"""pass@k without bias, and how sure one can be of its mean.

The problem is the unit: its rollouts are not independent of one another, so errors and intervals are taken over
per-problem values. An interval has no width where all problems agree; that says nothing about other problems.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import comb

import numpy as np
from numpy.typing import NDArray

from dc_tools.core.errors import UsageError

RESAMPLES = 4000
LEVEL = 0.95


@dataclass(frozen=True)
class Estimate:
    """A mean over problems with its 95 % interval and standard error; None where there is too little to say."""

    value: float | None
    low: float | None
    high: float | None
    se: float | None
    n_problems: int


@lru_cache(maxsize=4096)
def pass_at_k(n: int, c: int, k: int) -> float:
    """The probability that k of n samples, c of which pass, hold one that passes: 1 - C(n-c, k) / C(n, k).

    Chen et al. 2021, equation 1. Errors: `UsageError` where n < k, since there the estimate would be biased.
    """
    if k < 1:
        raise UsageError(f"pass@{k}: k must be at least 1")
    if not 0 <= c <= n:
        raise UsageError(f"{c} of {n} samples cannot pass")
    if n < k:
        raise UsageError(f"pass@{k} needs n >= k samples of each problem, and one has n = {n}")
    return (comb(n, k) - comb(n - c, k)) / comb(n, k)


def named_pass_at(name: str, passed: Sequence[bool], ks: Sequence[int]) -> dict[str, float]:
    """`name`/pass@k of one problem, for each k that it has enough samples for; of each is said whether it passed."""
    return {f"{name}/pass@{k}": pass_at_k(len(passed), sum(passed), k) for k in ks if len(passed) >= k}


def estimate(values: Sequence[float], seed: int = 0, resamples: int = RESAMPLES) -> Estimate:
    """The mean of per-problem `values`, its standard error and its percentile-bootstrap interval over problems."""
    problems = len(values)
    if problems == 0:
        return Estimate(None, None, None, None, 0)
    array = np.asarray(values, dtype=np.float64)
    mean = float(array.mean())
    if problems == 1:
        return Estimate(mean, None, None, None, 1)
    low, high = bootstrap_interval(array, seed, resamples)
    return Estimate(mean, low, high, float(array.std(ddof=1) / problems**0.5), problems)


def bootstrap_interval(values: NDArray[np.float64], seed: int, resamples: int = RESAMPLES) -> tuple[float, float]:
    """The 95 % percentile interval of the mean of `values` under resampling with replacement."""
    means = resampled_means(values, seed, resamples)
    low, high = np.quantile(means, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def resampled_means(values: NDArray[np.float64], seed: int, resamples: int = RESAMPLES) -> NDArray[np.float64]:
    """Means of as many values drawn with replacement.

    A resample is drawn as counts of the distinct values, which is the same distribution at a fraction of the work.
    """
    distinct, counts = np.unique(values, return_counts=True)
    size = len(values)
    drawn = np.random.default_rng(seed).multinomial(size, counts / size, size=resamples)
    return np.asarray(drawn @ distinct / size)
