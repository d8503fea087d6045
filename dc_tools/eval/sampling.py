"""Rollouts sampled for an evaluation: each line's rollouts are replaced by `n` new ones of one model."""

import contextlib
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Set
from dataclasses import dataclass, replace
from functools import cached_property

from dc_tools.core.errors import BadLine, CannotRun
from dc_tools.core.records import Finish, Line, Problem
from dc_tools.core.run import Run
from dc_tools.eval.judging import Item, read_answer
from dc_tools.eval.timing import Timing
from dc_tools.rollout.connect import EngineName, Source, opened
from dc_tools.rollout.engine import Engine, Prompt, Sample, Sampling
from dc_tools.rollout.prompts import PromptStyle
from dc_tools.rollout.stage import rollout_of


@dataclass(frozen=True)
class Asked:
    """The model to sample, and how."""

    source: Source
    style: PromptStyle
    sampling: Sampling


def asked(engine: EngineName | None, source: Source, style: PromptStyle, sampling: Sampling) -> Asked | None:
    """What the flags ask for, None without a model. A URL as the model is a server's only one; where no engine is
    named, a server is asked, several GPUs are vLLM's, and all else is sampled by transformers."""
    if source.model is not None and source.base_url is None and source.model.startswith(("http://", "https://")):
        source = replace(source, model=None, base_url=source.model)
    if source.model is None and source.base_url is None:
        return None
    shared = source.tp > 1 or source.dp > 1
    usual = EngineName.OPENAI if source.base_url else EngineName.VLLM if shared else EngineName.TRANSFORMERS
    return Asked(replace(source, engine=engine or usual), style, sampling)


class Asking:
    """Asks the model, which is loaded for the first problem that there is to ask; closed with `stack`."""

    def __init__(self, run: Run, want: Asked, stack: contextlib.ExitStack, models: Set[str] = frozenset()) -> None:
        """`models` have answered in an earlier part of the run: it must be the same one."""
        self._run, self._want, self._stack, self._models = run, want, stack, models
        self.timings: dict[tuple[str, str], Timing] = {}
        """By row and problem, until they are taken."""

    @property
    def piece(self) -> int:
        """Problems that are begun together."""
        return self._want.source.piece

    @cached_property
    def _engine(self) -> Engine:
        engine = self._stack.enter_context(opened(self._want.source))
        if others := sorted(self._models - {engine.name}):
            raise CannotRun(f"--resume: {', '.join(others)} answered before, not {engine.name}; --force starts over")
        return engine

    def sampled(
        self, items: Iterator[Item], ask: Callable[[Problem, PromptStyle], Prompt], rows: Mapping[str, str],
        extract: Callable[[str], str | None] | None = None,
    ) -> Iterator[tuple[Line, Problem, Timing]]:
        """Each line with new rollouts, in order; a line without a statement is rejected. `rows` are those of files;
        `extract` finds what is judged in an answer, where that is not what the engine's stage finds."""
        waiting: deque[Item] = deque()

        def found() -> Iterator[Prompt]:
            for line, problem in items:
                try:
                    prompt = ask(problem, self._want.style)
                except BadLine as error:
                    self._run.reject(line, error.error)
                    continue
                waiting.append((line, problem))
                yield prompt

        asking = found()
        first = next(asking, None)
        if first is None:
            return
        engine, before = self._engine, time.monotonic()
        for samples in engine.generate(_chained(first, asking), self._want.sampling):
            line, problem = waiting.popleft()
            now = time.monotonic()
            self._run.add_faults(sum(sample.finish is Finish.ERROR for sample in samples))
            latency_s = [round(s.latency_s, 4) for s in samples if s.latency_s is not None]
            timing = Timing(rows[line.file], problem.id, round(now - before, 4), latency_s)
            self.timings[timing.row, timing.id] = timing
            yield *_answered(line, problem, samples, engine.name, extract), timing
            before = time.monotonic()


def _chained(first: Prompt, rest: Iterator[Prompt]) -> Iterator[Prompt]:
    yield first
    yield from rest


def _answered(
    line: Line, problem: Problem, samples: list[Sample], model: str, extract: Callable[[str], str | None] | None
) -> Item:
    problem.rollouts = [rollout_of(sample, model, tokens=False) for sample in samples]
    if extract:
        for rollout in problem.rollouts:
            read_answer(rollout, extract)
    line.fields.put("rollouts", problem.rollouts)
    return line, problem
