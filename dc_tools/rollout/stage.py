"""The stage: problems in, the same lines with rollouts added out."""

from collections import deque
from collections.abc import Iterator
from itertools import islice

import msgspec

from dc_tools.core.errors import BadLine
from dc_tools.core.extract import extract_block
from dc_tools.core.languages import PYTHON
from dc_tools.core.records import Finish, Line, Problem, Rollout, Tokens, encode
from dc_tools.core.run import Kept, Outcome, Run
from dc_tools.rollout.engine import Engine, Prompt, Sample, Sampling
from dc_tools.rollout.prompts import PromptStyle, render


def sampled(
    run: Run, engine: Engine, sampling: Sampling, style: PromptStyle, *, piece: int, tokens: bool
) -> Iterator[list[Outcome]]:
    """The lines of `run` with their rollouts, `piece` lines at a time; lines that ask nothing are rejected.

    Where the engine works in batches, `piece` must be its batch size: a resumed run then meets the same batches.
    """
    waiting: deque[Line] = deque()

    def ask() -> Iterator[Prompt]:
        for line, problem in run.read(Problem):
            try:
                prompt = render(problem, style)
            except BadLine as error:
                run.reject(line, error.error)
                continue
            waiting.append(line)
            yield prompt

    answers = engine.generate(ask(), sampling)
    while batch := list(islice(answers, piece)):
        yield [_answered(waiting.popleft(), samples, engine.name, tokens) for samples in batch]
    run.facts["model"] = engine.name
    if run.counts.faults:
        run.say(f"{run.counts.faults} samples failed: their rollouts have finish 'error' and say why")


def rollout_of(sample: Sample, model: str, *, tokens: bool) -> Rollout:
    """The record of a sample; `tokens` keeps the ids and log-probabilities where the engine gave both."""
    whole = bool(sample.token_ids) and len(sample.token_ids) == len(sample.logprobs)
    kept = Tokens(sample.prompt_ids, sample.token_ids, sample.logprobs) if tokens and whole else None
    block = extract_block(sample.text)
    code, lang = block or (None, PYTHON)
    return Rollout(
        text=sample.text, finish=sample.finish, model=model, seed=sample.seed, tokens=kept, usage=sample.usage,
        code=code, lang=lang, error=sample.error,
    )


def _answered(line: Line, samples: list[Sample], model: str, tokens: bool) -> Kept:
    """`line` with a rollout for each sample behind those it has, which stay as they came."""
    found = [bytes(raw) for raw in line.fields.get_as("rollouts", list[msgspec.Raw], [])]
    found += [encode(rollout_of(sample, model, tokens=tokens)) for sample in samples]
    line.fields.put_raw("rollouts", b"[" + b",".join(found) + b"]")
    return Kept(line, faults=sum(sample.finish is Finish.ERROR for sample in samples))
