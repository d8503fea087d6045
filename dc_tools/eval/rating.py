"""A model's rating from its attempts in contests: by contest, their mean with its interval, and a percentile."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from enum import StrEnum
from typing import Any

from dc_tools.eval.contests import Contest, Contests
from dc_tools.eval.elo import Result, codeelo_rating, official_rating, percentile, result_of, users_ahead
from dc_tools.eval.passk import estimate

NEW_USER = 1400
"""What an account without contests begins with."""


class Method(StrEnum):
    """`codeelo`: the mean over contests of the rating whose expected rank is the model's. `official`: what a new
    account would be rated after all contests, one after the other."""

    CODEELO = "codeelo"
    OFFICIAL = "official"


def rated(
    contests: Contests, attempts: Mapping[str, Sequence[bool]], method: Method, users: Sequence[int], seed: int = 0
) -> dict[str, Any]:
    """The rating of ordered `attempts` at problems, by problem; `users` is the sorted table for the percentile (empty:
    there is none).

    Contests none of whose problems were attempted do not count; the interval is by bootstrap over the others.
    """
    found: list[dict[str, Any]] = []
    entered = [each for each in contests.usable.values() if any(name in attempts for name in each.points)]
    results = [result_of(attempts, each.points) for each in entered]
    if method is Method.OFFICIAL:
        pairs = list(zip((each.standings for each in entered), results, strict=True))
        ratings = official_rating(pairs, NEW_USER)
    else:
        ratings = [codeelo_rating(each.standings, result) for each, result in zip(entered, results, strict=True)]
    for contest, result, rating in zip(entered, results, ratings, strict=True):
        found.append(_line(contest, result, rating, attempts))
    spread = asdict(estimate([float(rating) for rating in ratings], seed))
    if method is Method.OFFICIAL:  # the last one holds; they depend on each other
        spread |= {"value": float(ratings[-1]) if ratings else None, "low": None, "high": None, "se": None}
    known = {name for each in contests.usable.values() for name in each.points}
    value = spread["value"]
    return {
        "method": method.value, **spread,
        "percentile": percentile(value, users) if users and value is not None else None,
        "contests": found, "dropped": contests.dropped,
        "problems_without_contest": sorted(name for name in attempts if name not in known),
    }


def _line(contest: Contest, result: Result, rating: int, attempts: Mapping[str, Sequence[bool]]) -> dict[str, Any]:
    standings = contest.standings
    return {
        "contest": contest.id, "name": contest.name, "rating": rating, "points": result.points,
        "penalty": result.penalty, "rank": users_ahead(standings, result) + 1, "users": len(standings.ratings_U),
        "best_user": int(standings.ratings_U.max()), "problems": len(contest.points),
        "attempted": sum(name in attempts for name in contest.points),
        "solved": sum(any(attempts.get(name, ())) for name in contest.points),
    }
