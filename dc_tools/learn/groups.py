"""A step's groups as lines: what is written ahead of learning, and read back by a resumed run."""

from collections.abc import Sequence
from pathlib import Path

import msgspec
import zstandard

from dc_tools.core.lines import read_lines
from dc_tools.core.manifest import sync, write_atomic
from dc_tools.core.records import Fields, Finish, Line, Problem, Rollout, Status
from dc_tools.learn.batches import Group, Response
from dc_tools.learn.disk import writing
from dc_tools.learn.rewards import Term, scores, total


def group_line(line: bytes, rollouts: Sequence[Rollout], step: int, terms: Sequence[Term], budget: int) -> bytes:
    """The problem's line with this step's rollouts, each with its reward, in place of any others."""
    problem, fields = Line(line).decode(Problem), Fields.parse(line)
    fields.put("rollouts", [msgspec.to_builtins(rewarded(r, problem, terms, budget)) for r in rollouts])
    fields.put("step", step)
    return fields.to_bytes()


def rewarded(rollout: Rollout, problem: Problem, terms: Sequence[Term], budget: int) -> Rollout:
    """The rollout with what the terms say of it; without a reward where nobody can tell."""
    found = scores(terms, problem, rollout, budget)
    if found is None:
        return msgspec.structs.replace(rollout, reward=None, rewards={})
    return msgspec.structs.replace(rollout, reward=total(terms, found), rewards=found)


def group_of(line: bytes) -> Group | None:
    """What the learner needs of a line; None where a rollout has no reward, since its group cannot be compared."""
    problem = Line(line).decode(Problem)
    responses = []
    for rollout in problem.rollouts:
        tokens = rollout.tokens
        if rollout.reward is None or tokens is None:
            return None
        solved = rollout.verdict is not None and rollout.verdict.status is Status.AC
        cut = rollout.finish is Finish.LENGTH
        version = int(rollout.model.rpartition("@step-")[2] or 0) if "@step-" in rollout.model else 0
        found = Response(tokens.ids, tokens.logprobs, rollout.reward, cut, solved, rollout.rewards, version)
        responses.append(found)
    prompt = problem.rollouts[0].tokens
    return Group(problem.id, prompt.prompt_ids if prompt else [], responses)


def write_ahead(path: Path, lines: Sequence[bytes]) -> None:
    """Write a step's lines durably, whole or not at all: learning from them starts only then. Errors: as `writing`."""
    with writing(path, path.with_name(f"{path.name}.partial")):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(path, zstandard.ZstdCompressor().compress(b"".join(line + b"\n" for line in lines)))
        sync(path.parent)


def read_ahead(path: Path) -> list[bytes] | None:
    """The lines that an earlier start of this run wrote for the step; None where it did not come to it."""
    return [line.raw for line in read_lines([str(path)])] if path.exists() else None
