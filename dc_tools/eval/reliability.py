"""How far the verdicts of a run can be trusted: on how many tests they rest, where judges differed, and whether the
rewards that were learned from follow them."""

from collections.abc import Sequence
from statistics import fmean, median
from typing import Any

from dc_tools.eval.tally import Tally

BOUNDS = ((1, "1"), (4, "2 to 4"), (19, "5 to 19"))
MORE = "20 or more"


def reliability(tallies: Sequence[Tally]) -> dict[str, Any]:
    """Tests per problem, passes by the number of tests they rest on, disputed verdicts, and rewards by verdict."""
    tests = [each.tests for each in tallies]
    passes = dict.fromkeys((*(name for _, name in BOUNDS), MORE), 0)
    for each in tallies:
        passes[_bin(each.tests)] += each.c
    return {
        "tests_per_problem": {"least": min(tests), "median": median(tests)} if tests else None,
        "passes_by_tests": passes,
        "disputed": sum(each.disputed for each in tallies),
        "rewards": _rewards([pair for each in tallies for pair in each.rewards]),
    }


def _bin(tests: int) -> str:
    return next((name for most, name in BOUNDS if tests <= most), MORE)


def _rewards(pairs: Sequence[tuple[float, bool]]) -> dict[str, Any] | None:
    """Mean rewards, and how many rollouts failed, but have the reward of one that passed."""
    passing, failing = ([reward for reward, passed in pairs if passed is wanted] for wanted in (True, False))
    if not pairs:
        return None
    return {
        "rollouts": len(pairs),
        "passing": fmean(passing) if passing else None,
        "failing": fmean(failing) if failing else None,
        "as_high_but_failing": sum(reward >= min(passing) for reward in failing) if passing else 0,
    }
