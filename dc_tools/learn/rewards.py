"""From verdicts to rewards: sparse, 1 where every test passed. Pure."""

from dc_tools.core.records import Finish, Rollout, Status


def reward(rollout: Rollout) -> float | None:
    """1 for an accepted rollout, 0 for any other; None where judge or engine failed, which is no answer's fault."""
    if rollout.finish is Finish.ERROR or rollout.verdict is None or rollout.verdict.status is Status.IE:
        return None
    return 1.0 if rollout.verdict.status is Status.AC else 0.0
