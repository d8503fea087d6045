"""pass@k without bias, and how sure one can be of its mean.

The problem is the unit: its rollouts are not independent of one another, so errors and intervals are taken over
per-problem values. Where all problems pass, or none does, resampling has nothing to show, and the exact interval of a
binomial (Clopper and Pearson 1934) says what else is likely.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
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


def share_estimate(values: Sequence[float], seed: int = 0) -> Estimate:
    """`estimate` of values from 0 to 1, whose interval has a width even where all of them are 0, or all are 1."""
    found = estimate(values, seed)
    if found.n_problems < 2 or found.low != found.high or found.value not in (0.0, 1.0):
        return found
    width = 1 - ((1 - LEVEL) / 2) ** (1 / found.n_problems)
    return replace(found, low=found.value and 1 - width, high=found.value or width)


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
