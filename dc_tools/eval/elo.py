"""Codeforces ratings, pure: what a rating expects of a contest, and what a result in it makes of a rating.

CodeElo (Quan et al. 2025, "CodeElo: Benchmarking Competition-level Code Generation of LLMs with Human-comparable Elo
Ratings") asks in each contest at which rating the rank of the model would be the expected one, and takes the mean over
contests. The official change (Mirzayanov, "Open Codeforces Rating System") moves a rating half way to the one whose
expected rank is the geometric mean of the rank and the expected rank.

Shapes: U users of a contest, best first.
"""

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import sqrt, trunc

import numpy as np
from numpy.typing import NDArray

LOWEST, HIGHEST = -500, 6000
"""Ratings that are looked at."""
SCALE = 400.0
"""Points of rating between which the better one wins ten to one."""
WRONG_POINTS, WRONG_PENALTY = 50, 10
"""What each attempt before the accepted one costs: in points, or, where problems have none, in minutes."""
LOWEST_LIFT = -10
"""The best users, as a group, lose no more by inflation."""
TIE = 0.5
"""Of an expected rank: what one adds to it by being in the list already."""
LEAST = 2
"""The least rating that a round aims at."""
BEYOND_BEST = 100
"""Above the best user no rating is looked for."""

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Standings:
    """A contest as its rated users left it."""

    points_U: Floats
    penalties_U: Floats
    ratings_U: Ints
    """Before the contest."""


@dataclass(frozen=True)
class Result:
    """What one made of a contest."""

    points: float = 0.0
    penalty: float = 0.0


def result_of(attempts: Mapping[str, Sequence[bool]], points: Mapping[str, float | None]) -> Result:
    """The result of ordered attempts at the problems of a contest, whose points (None: there are none) are given."""
    total = penalty = 0.0
    for problem, worth in points.items():
        wrong = next((number for number, is_right in enumerate(attempts.get(problem, ())) if is_right), None)
        if wrong is None:
            continue
        total += 1 if worth is None else max(0.0, worth - WRONG_POINTS * wrong)
        penalty += WRONG_PENALTY * wrong if worth is None else 0
    return Result(total, penalty)


def users_ahead(contest: Standings, result: Result) -> int:
    """How many users come before a result; those with the very same one do."""
    worse_U = (contest.points_U < result.points) | (
        (contest.points_U == result.points) & (contest.penalties_U > result.penalty)
    )
    return int(worse_U.argmax()) if worse_U.any() else len(worse_U)


def expected_ranks(ratings_U: Ints) -> Floats:
    """1 + the users that are expected to be ahead of a further one, for each of its ratings LOWEST .. HIGHEST."""
    own = np.arange(LOWEST, HIGHEST + 1, dtype=np.float64)
    values, counts = np.unique(ratings_U, return_counts=True)
    return np.asarray(1 + _loses(own[:, None], values[None, :].astype(np.float64)) @ counts)


def codeelo_rating(contest: Standings, result: Result) -> int:
    """The rating whose expected rank in the contest is the result's, by CodeElo: from 0 to 99 above the best user."""
    ahead, expected = users_ahead(contest, result), expected_ranks(contest.ratings_U)
    reached = np.flatnonzero(expected[-LOWEST : int(contest.ratings_U.max()) + BEYOND_BEST - LOWEST] >= ahead)
    return int(reached[-1]) if len(reached) else 0


def official_changes(contest: Standings) -> Ints:
    """What a round changes in the ratings of its users, changes_U."""
    expected, ratings_U = expected_ranks(contest.ratings_U), contest.ratings_U
    order_U = np.lexsort((contest.penalties_U, -contest.points_U))
    same_U = (np.diff(contest.points_U[order_U]) == 0) & (np.diff(contest.penalties_U[order_U]) == 0)
    ranks_U = np.empty(len(ratings_U), dtype=np.int64)
    ranks_U[order_U] = _last_of_ties(same_U)
    pairs, back_U = np.unique(np.stack([ratings_U, ranks_U]), axis=1, return_inverse=True)
    own, ranks = pairs
    wanted = np.sqrt(ranks * (expected[own - LOWEST] - TIE))
    changes_U = np.trunc((_rating_of(expected, wanted, own) - own) / 2).astype(np.int64)[back_U.reshape(-1)]
    users = len(changes_U)
    changes_U += trunc(-int(changes_U.sum()) / users) - 1
    best_U = np.argsort(-ratings_U, kind="stable")[: min(4 * round(sqrt(users)), users)]
    lift = trunc(-int(changes_U[best_U].sum()) / len(best_U))
    return np.asarray(changes_U + min(max(lift, LOWEST_LIFT), 0))


def official_rating(contests: Sequence[tuple[Standings, Result]], rating: int) -> list[int]:
    """The ratings of one who takes part in contests, one after the other, beginning with `rating`."""
    found = []
    for contest, result in contests:
        joined = Standings(
            np.append(contest.points_U, result.points), np.append(contest.penalties_U, result.penalty),
            np.append(contest.ratings_U, rating),
        )
        rating += int(official_changes(joined)[-1])
        found.append(rating)
    return found


def percentile(rating: float, table: Sequence[int]) -> float:
    """The share of users in a sorted table that are rated lower, in percent."""
    return 100.0 * bisect_left(table, rating) / len(table)


def _loses(own: Floats, other: Floats) -> Floats:
    """The probability that one of rating `own` is behind one of rating `other`."""
    return np.asarray(1 / (1 + 10 ** ((own - other) / SCALE)))


def _last_of_ties(same_U: NDArray[np.bool_]) -> Ints:
    """Ranks, from 1, in order; of those that are the same as the next one, all have the rank of the last. `same_U` is
    one shorter than the ranks."""
    last_U = np.append(np.flatnonzero(~same_U), len(same_U)) + 1
    return np.asarray(np.repeat(last_U, np.diff(last_U, prepend=0)))


def _rating_of(expected: Floats, wanted: Floats, own: Ints) -> Ints:
    """For each user of rating `own` the largest rating whose expected rank, without that user, is at least the wanted
    one: all are looked for at a time, each by halving."""
    low, high = np.full(len(own), LEAST), np.full(len(own), HIGHEST)
    while (low < high).any():
        middle = (low + high) // 2
        ahead = expected[middle - LOWEST] - _loses(middle.astype(np.float64), own.astype(np.float64)) < wanted
        high, low = np.where(ahead, middle, high), np.where(ahead, low, np.minimum(middle + 1, high))
    return low - 1
