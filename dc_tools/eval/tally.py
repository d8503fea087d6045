"""What one problem's rollouts came to, counted once; all scores are made from these counts."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from dc_tools.core.extract import extract_code, never_answers
from dc_tools.core.records import Finish, Problem, Rollout, Status, Verdict
from dc_tools.eval.groups import GroupBy, labels
from dc_tools.eval.timing import Timing

Extract = Callable[[str], str | None]


@dataclass
class Tally:
    """The counts of one problem."""

    id: str
    rollouts: int = 0
    """Rollouts on the line; `n` is what is left of them to score."""
    n: int = 0
    """Rollouts with a verdict other than IE; that of an answer without code is CE."""
    c: int = 0
    """Those of `n` that passed."""
    verdicts: Counter[Status] = field(default_factory=Counter)
    no_code: int = 0
    """Answers in which no program was found: scored as failures."""
    unended: int = 0
    """Answers whose reasoning never ended, and so have none."""
    repeated: int = 0
    """Answers with the text and code of an earlier one of the problem."""
    truncated: int = 0
    """Answers that used up their token budget."""
    engine_errors: int = 0
    """Rollouts that the engine failed to sample: not scored."""
    unjudged: int = 0
    """Rollouts without a verdict (--no-judge): not scored."""
    tokens: int = 0
    """Response tokens of the rollouts for which they are known, how many these are, and the tokens of the prompt."""
    with_tokens: int = 0
    prompt_tokens: int = 0
    timing: Timing | None = None
    """How long sampling took."""
    attempts: list[bool] = field(default_factory=list)
    """Of the `n`, in order, whether each passed."""
    scores: dict[str, float] = field(default_factory=dict)
    """Further scores that the benchmark gives, from 0 to 1."""
    groups: dict[GroupBy, list[str]] = field(default_factory=dict)
    models: set[str] = field(default_factory=set)
    tests: int = 0
    """That the problem has."""
    disputed: int = 0
    """Rollouts that further judges saw otherwise."""
    rewards: list[tuple[float, bool]] = field(default_factory=list)
    """Of rollouts that have a reward and are scored: it, and whether they passed."""

    @property
    def internal(self) -> int:
        """Rollouts that the judge could not judge: never scored against a model."""
        return self.verdicts[Status.IE]


def tally(problem: Problem, extract: Extract = extract_code) -> Tally:
    """Count the rollouts of `problem`; `extract` finds in an answer what is judged."""
    found = Tally(problem.id, groups={by: labels(problem, by) for by in GroupBy}, tests=len(problem.tests))
    for rollout in problem.rollouts:
        _count(found, rollout, extract)
    found.repeated = found.rollouts - len({(rollout.text, rollout.code) for rollout in problem.rollouts})
    return found


def lacks_code(rollout: Rollout, extract: Extract = extract_code) -> bool:
    """Whether nothing to judge was found in the answer; a verdict on a program that is not shown counts as one."""
    ran = rollout.verdict is not None and rollout.verdict.status is not Status.CE
    return not ran and rollout.code is None and extract(rollout.text) is None


def _count(found: Tally, rollout: Rollout, extract: Extract) -> None:
    found.rollouts += 1
    found.models |= {rollout.model} - {""}
    found.unended += never_answers(rollout.text)
    found.truncated += rollout.finish is Finish.LENGTH
    if taken := rollout.taken:
        found.tokens += taken.response
        found.prompt_tokens = max(found.prompt_tokens, taken.prompt)
        found.with_tokens += 1
    if rollout.finish is Finish.ERROR:
        found.engine_errors += 1
        return
    found.no_code += lacks_code(rollout, extract)
    if rollout.verdict is not None:
        found.verdicts[rollout.verdict.status] += 1
        found.disputed += _is_disputed(rollout.verdict)
        if rollout.verdict.status is not Status.IE:
            _score(found, passed=rollout.verdict.status is Status.AC)
            if rollout.reward is not None:
                found.rewards.append((rollout.reward, rollout.verdict.status is Status.AC))
    else:
        found.unjudged += 1


def _is_disputed(verdict: Verdict) -> bool:
    others = verdict.others if isinstance(verdict.others, list) else []
    return any((other.status is Status.AC) != (verdict.status is Status.AC) for other in others)


def _score(found: Tally, *, passed: bool) -> None:
    found.n += 1
    found.c += passed
    found.attempts.append(passed)
