"""Rollouts sampled for an evaluation: each line's rollouts are replaced by `n` new ones of one model."""

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dc_tools.core.errors import BadLine, missing_extra
from dc_tools.core.records import Finish, Line, Problem, Tokens
from dc_tools.core.run import Run
from dc_tools.eval.judging import Item
from dc_tools.rollout.engine import Prompt, Sample, Sampling
from dc_tools.rollout.prompts import PromptStyle
from dc_tools.rollout.stage import rollout_of

if TYPE_CHECKING:
    from dc_tools.rollout.openai import OpenAIEngine
    from dc_tools.rollout.transformers import TransformersEngine


@dataclass(frozen=True)
class Asked:
    """The model to sample, and how."""

    model: str | None
    """A folder of weights, or with `base_url` the name the server knows (None: its only model)."""
    base_url: str | None
    style: PromptStyle
    sampling: Sampling


def asked(model: str | None, base_url: str | None, style: PromptStyle, sampling: Sampling) -> Asked | None:
    """What the flags ask for, None without a model; a URL means that server's only model."""
    if model is not None and base_url is None and model.startswith(("http://", "https://")):
        model, base_url = None, model
    if model is None and base_url is None:
        return None
    return Asked(model, base_url, style, sampling)


def sampled(
    run: Run, items: Iterator[Item], want: Asked, ask: Callable[[Problem, PromptStyle], Prompt]
) -> Iterator[Item]:
    """Each line with new rollouts, in order; a line without a statement is rejected."""
    asking: deque[Item] = deque()

    def prompts() -> Iterator[Prompt]:
        for line, problem in items:
            try:
                prompt = ask(problem, want.style)
            except BadLine as error:
                run.reject(line, error.error)
                continue
            asking.append((line, problem))
            yield prompt

    engine = _engine(want)
    try:
        for samples in engine.generate(prompts(), want.sampling):
            line, problem = asking.popleft()
            run.add_faults(sum(sample.finish is Finish.ERROR for sample in samples))
            yield _answered(line, problem, samples, engine.name)
    finally:
        engine.close()


def _engine(want: Asked) -> "TransformersEngine | OpenAIEngine":
    if want.base_url is not None:
        from dc_tools.rollout.openai import connect

        return connect(want.base_url, want.model, tokens=True)
    try:
        from dc_tools.rollout.transformers import TransformersEngine
    except ImportError as error:
        raise missing_extra(error.name or "transformers", "train") from None
    return TransformersEngine.load(want.model or "")


def _answered(line: Line, problem: Problem, samples: list[Sample], model: str) -> Item:
    """The line with its samples; their tokens are known to the scores but not written."""
    problem.rollouts = [rollout_of(sample, model, tokens=False) for sample in samples]
    line.fields.put("rollouts", problem.rollouts)
    for rollout, sample in zip(problem.rollouts, samples, strict=True):
        if sample.token_ids:
            rollout.tokens = Tokens(sample.prompt_ids, sample.token_ids, sample.logprobs)
    return line, problem
