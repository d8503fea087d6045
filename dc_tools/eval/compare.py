"""Two runs on the same problems: by how much they differ, whether that may be chance, and which problems changed.

The problem is the unit, as everywhere: a problem is compared with itself, and only problems that both runs have count.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import comb

import numpy as np
from numpy.typing import NDArray

from dc_tools.core.errors import UsageError
from dc_tools.eval.passk import Estimate, estimate, resampled_means
from dc_tools.eval.tally import Tally

MCNEMAR, BOOTSTRAP = "exact McNemar", "paired bootstrap"


@dataclass(frozen=True)
class Change:
    """A problem that the two runs solve unequally often; shares of its scored rollouts."""

    id: str
    first: float
    second: float


@dataclass(frozen=True)
class Comparison:
    """The second run against the first."""

    problems: int
    """That both have scored rollouts of."""
    first: float
    second: float
    """pass@1 over these problems."""
    difference: Estimate
    """second - first, and its interval over problems."""
    test: str
    p: float
    """How likely a difference as large would be, in either direction, if the runs were equally good."""
    better: list[Change]
    worse: list[Change]
    """The largest changes first."""
    only_first: list[str]
    only_second: list[str]
    """Problems that are not compared."""


def compare(first: Sequence[Tally], second: Sequence[Tally], seed: int = 0) -> Comparison:
    """Compare two runs: by McNemar's test where each problem has one rollout in both, else by a paired bootstrap.

    Errors: `UsageError` where they have no problem in common.
    """
    one, two = ({each.id: each for each in tallies if each.n} for tallies in (first, second))
    both = [name for name in one if name in two]
    if not both:
        raise UsageError("--compare: the runs have no scored problem in common")
    changes = [Change(name, one[name].c / one[name].n, two[name].c / two[name].n) for name in both]
    differences = np.array([change.second - change.first for change in changes])
    better = sorted((c for c in changes if c.second > c.first), key=lambda c: c.first - c.second)
    worse = sorted((c for c in changes if c.second < c.first), key=lambda c: c.second - c.first)
    is_single = all(one[name].n == two[name].n == 1 for name in both)
    return Comparison(
        problems=len(both),
        first=float(np.mean([change.first for change in changes])),
        second=float(np.mean([change.second for change in changes])),
        difference=estimate(differences.tolist(), seed),
        test=MCNEMAR if is_single else BOOTSTRAP,
        p=mcnemar(len(better), len(worse)) if is_single else bootstrap_p(differences, seed),
        better=better, worse=worse,
        only_first=[name for name in one if name not in two], only_second=[name for name in two if name not in one],
    )


def mcnemar(gained: int, lost: int) -> float:
    """The exact two-sided p of `gained` problems solved by the second run alone and `lost` by the first alone.

    McNemar 1947; the binomial form: of the problems that differ, as many should go either way.
    """
    differ, fewer = gained + lost, min(gained, lost)
    tail = sum(comb(differ, k) for k in range(fewer + 1))
    return min(1.0, 2 * tail / (1 << differ))


def bootstrap_p(differences: NDArray[np.float64], seed: int) -> float:
    """Twice the share of resampled means that lie on the other side of 0; 1 where nothing differs.

    At least one resample counts as lying there, so that no p is 0.
    """
    if not differences.any():
        return 1.0
    means = resampled_means(differences, seed)
    tail = min(int((means <= 0).sum()), int((means >= 0).sum()))
    return min(1.0, 2 * (tail + 1) / (len(means) + 1))
