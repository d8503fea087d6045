"""Scores of one run over problems, made from tallies: the object that dc-eval prints.

Names in it are stable: `pass@K`, `scores`, `groups`, `verdicts` and the counts below may be read by scripts.
"""

import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from dc_tools.core.errors import UsageError
from dc_tools.core.records import Status
from dc_tools.eval.groups import GroupBy, easy_first
from dc_tools.eval.passk import Estimate, pass_at_k, share_estimate
from dc_tools.eval.reliability import reliability
from dc_tools.eval.tally import Tally

SHOWN_IDS = 20
Summary = dict[str, Any]


def parse_ks(text: str) -> list[int]:
    """`1,5` as a list of distinct positive numbers, in order. Errors: `UsageError`."""
    try:
        ks = sorted({int(part) for part in text.split(",")})
    except ValueError:
        raise UsageError(f"--k {text}: numbers with commas between, as 1,5") from None
    if ks[0] < 1:
        raise UsageError(f"--k {text}: k must be at least 1")
    return ks


def summarize(tallies: Sequence[Tally], ks: Sequence[int], group_by: Sequence[GroupBy], seed: int = 0) -> Summary:
    """The summary of `tallies`: pass@k over the problems that have k rollouts left to score."""
    total = _scores(tallies, ks, seed)
    groups = {by.value: _group(tallies, by, ks, seed) for by in group_by}
    return {**total, "scores": _further(tallies, seed), "groups": groups, **_counts(tallies)}


def _further(tallies: Sequence[Tally], seed: int) -> Summary:
    names = dict.fromkeys(name for each in tallies for name in each.scores)
    values = {name: [each.scores[name] for each in tallies if name in each.scores] for name in names}
    return {name: asdict(share_estimate(some, seed)) for name, some in values.items()}


def _scores(tallies: Sequence[Tally], ks: Sequence[int], seed: int) -> Summary:
    return {f"pass@{k}": asdict(_pass_at(tallies, k, seed)) for k in ks}


def _pass_at(tallies: Sequence[Tally], k: int, seed: int) -> Estimate:
    return share_estimate([pass_at_k(t.n, t.c, k) for t in tallies if t.n >= k], seed)


def _group(tallies: Sequence[Tally], by: GroupBy, ks: Sequence[int], seed: int) -> Summary:
    members: dict[str, list[Tally]] = {}
    for each in tallies:
        for label in each.groups[by]:
            members.setdefault(label, []).append(each)
    return {
        label: {"problems": len(some), "rollouts": sum(t.rollouts for t in some), **_scores(some, ks, seed)}
        for label, some in sorted(members.items(), key=lambda item: easy_first(item[0]))
    }


def _counts(tallies: Sequence[Tally]) -> Summary:
    def total(name: str) -> int:
        return sum(getattr(t, name) for t in tallies)

    rollouts, known = total("rollouts"), total("with_tokens")
    bare = [t.id for t in tallies if not t.rollouts]
    return {
        "problems": len(tallies),
        "rollouts": rollouts,
        "scored": total("n"),
        "passed": total("c"),
        "verdicts": {s.value: count for s in Status if (count := sum(t.verdicts[s] for t in tallies))},
        "truncated": _share(total("truncated"), rollouts),
        "unended_thinking": _share(total("unended"), rollouts),
        "repeated": _share(total("repeated"), rollouts),
        "no_code": _share(total("no_code"), rollouts),
        "internal_errors": total("internal"),
        "engine_errors": total("engine_errors"),
        "unjudged": total("unjudged"),
        "response_tokens": {"mean": total("tokens") / known if known else None, "rollouts": known},
        "judged": "programs",
        "models": sorted({model for each in tallies for model in each.models}),
        "cost": _cost(tallies),
        "reliability": reliability(tallies),
        "without_rollouts": {"count": len(bare), "ids": bare[:SHOWN_IDS]},
    }


def _cost(tallies: Sequence[Tally]) -> Summary:
    """Tokens (of a prompt once a problem), and the seconds of sampling; None where nothing is known."""
    known = [each for each in tallies if each.with_tokens]
    timings = [each.timing for each in tallies if each.timing]
    wall_s = sum(each.wall_s for each in timings) if timings else None
    timed = sum(each.tokens for each in known if each.timing)
    latencies = sorted(latency for each in timings for latency in each.latency_s)
    return {
        "prompt_tokens": sum(each.prompt_tokens for each in known) if known else None,
        "response_tokens": sum(each.tokens for each in known) if known else None,
        "sampling_s": wall_s,
        "tokens_per_s": timed / wall_s if wall_s and timed else None,
        "latency_s": {"median": _quantile(latencies, 0.5), "p95": _quantile(latencies, 0.95)},
    }


def _quantile(ordered: Sequence[float], share: float) -> float | None:
    """The least value that so large a share does not exceed."""
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else None


def _share(count: int, of: int) -> Summary:
    return {"count": count, "rate": count / of if of else None}
