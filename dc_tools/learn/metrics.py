"""What the rollouts of a step alone tell. Pure."""

from collections import Counter
from collections.abc import Sequence
from statistics import fmean
from typing import Any

from dc_tools.learn.batches import Group


def of_groups(groups: Sequence[Group], asked: int, step: int) -> dict[str, Any]:
    """The metrics that the rollouts alone give."""
    responses = [response for group in groups for response in group.responses]
    solved = [fmean(r.solved for r in group.responses) for group in groups]
    terms = sorted({name for r in responses for name in r.rewards})
    tokens = sum(len(r.ids) for r in responses)
    ages = Counter(step - 1 - r.version for r in responses)
    return {
        "reward": fmean(r.reward for r in responses),
        **{f"reward/{name}": fmean(r.rewards[name] for r in responses if name in r.rewards) for name in terms},
        "staleness": fmean(step - 1 - r.version for r in responses), "staleness_max": max(ages),
        **{f"staleness/{age}": ages[age] for age in sorted(ages)},
        "solved": fmean(r.solved for r in responses), "solved_responses": sum(r.solved for r in responses),
        "solved_all": solved.count(1.0), "solved_none": solved.count(0.0),
        "partial": len(solved) - solved.count(1.0) - solved.count(0.0), "lost_groups": asked - len(groups),
        "truncated": fmean(r.truncated for r in responses), "response_tokens": tokens / len(responses),
        "entropy": -sum(sum(r.logprobs) for r in responses) / max(tokens, 1), "sampled_tokens": tokens,
    }


def of_evaluation(groups: Sequence[Group]) -> dict[str, Any]:
    """The share of problems solved, a problem counting as the share of its answers that pass."""
    responses = [response for group in groups for response in group.responses]
    return {
        "eval_solved": fmean(fmean(r.solved for r in group.responses) for group in groups) if groups else 0.0,
        "eval_truncated": fmean(r.truncated for r in responses) if responses else 0.0, "eval_problems": len(groups),
    }
