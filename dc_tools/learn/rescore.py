"""What other rewards would have taught: the advantages of given rollouts, as they were and as they would be."""

import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from dc_tools.core.errors import BadLine, CannotRun, UsageError
from dc_tools.core.lines import expand_inputs, read_lines
from dc_tools.core.records import Line, Problem, Rollout, Struct
from dc_tools.core.run import Run
from dc_tools.learn.groups import rewarded
from dc_tools.learn.objective import OBJECTIVES, overlong
from dc_tools.learn.recipe import Recipe


class _Step(Struct):
    step: int | None = None


@dataclass
class Summary:
    """Of all groups."""

    groups: int = 0
    left_out: int = 0
    """Groups with a rollout that has no reward."""
    taught: list[int] = field(default_factory=lambda: [0, 0])
    """Groups with something to learn, as it was and as it would be."""
    rewards: list[float] = field(default_factory=lambda: [0.0, 0.0])
    turned: int = 0
    """Rollouts whose advantage changes its sign."""
    rollouts: int = 0

    def said(self) -> str:
        """For people."""
        size = max(self.rollouts, 1)
        return (
            f"groups {self.groups}, left out {self.left_out}; mean reward {self.rewards[0] / size:.3f} -> "
            f"{self.rewards[1] / size:.3f}; groups that teach {self.taught[0]} -> {self.taught[1]}; "
            f"advantages that turn {self.turned} of {self.rollouts}"
        )


def say_again(run: Run, names: Sequence[str], recipe: Recipe) -> None:
    """Write the accounts to stdout and the summary for people. Errors: `CannotRun`, `UsageError`."""
    if run.options.output != "-":
        raise UsageError("--rescore writes to stdout and takes no -o")
    summary = Summary()
    for account in rescored(names, recipe, summary):
        sys.stdout.buffer.write(orjson.dumps(account) + b"\n")
    sys.stdout.buffer.flush()
    run.say(summary.said())


def rescored(names: Sequence[str], recipe: Recipe, summary: Summary) -> Iterator[dict[str, Any]]:
    """One account for each group in the files or folders of rollouts `names`. Errors: `CannotRun`."""
    for line in _lines(names):
        try:
            problem, step = line.decode(Problem), line.decode(_Step).step
        except BadLine as error:
            raise CannotRun(f"--rescore {line.file}:{line.number}: {error.error}") from None
        before = problem.rollouts
        after = [rewarded(each, problem, recipe.terms, recipe.max_tokens) for each in before]
        if not before or any(each.reward is None for each in [*before, *after]):
            summary.left_out += 1
            continue
        account = {"id": problem.id} | ({} if step is None else {"step": step})
        was, now = _account(before, recipe), _account(after, recipe)
        _count(summary, was, now)
        terms = [each.rewards for each in after]
        yield account | {"terms": terms, "was": was, "now": now}


def _account(rollouts: Sequence[Rollout], recipe: Recipe) -> dict[str, list[float]]:
    rewards = [each.reward or 0.0 for each in rollouts]
    advantages = OBJECTIVES[recipe.objective].advantages(rewards)
    if recipe.filters_overlong:
        solved = [float(each.verdict is not None and each.verdict.status == "AC") for each in rollouts]
        advantages = overlong(advantages, solved, [each.finish == "length" for each in rollouts])
    return {"rewards": rewards, "advantages": advantages}


def _count(summary: Summary, was: dict[str, list[float]], now: dict[str, list[float]]) -> None:
    summary.groups += 1
    summary.rollouts += len(was["rewards"])
    for place, account in enumerate((was, now)):
        summary.rewards[place] += sum(account["rewards"])
        summary.taught[place] += any(account["advantages"])
    summary.turned += sum(a * b < 0 for a, b in zip(was["advantages"], now["advantages"], strict=True))


def _lines(names: Sequence[str]) -> Iterable[Line]:
    files: list[str] = []
    for name in names:
        inside = sorted(map(str, Path(name).glob("*.jsonl*"))) if Path(name).is_dir() else [name]
        if not inside:
            raise CannotRun(f"--rescore {name}: there are no rollouts in it")
        files += inside
    return read_lines(expand_inputs(files))
