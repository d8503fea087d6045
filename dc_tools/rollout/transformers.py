"""The `transformers` engine: batched sampling from a causal language model on this machine.

Samples grow in a number of rows; one that ends gives its row to the next (continuous batching). A prompt is read once
for all its samples, and what several prompts begin with once for all of them. Prompts come in batches, at the end of
which all rows are empty: what a batch gives depends on nothing before it, so a run that is resumed between two gives
the same bytes. Each sample draws from its own generator, so what it becomes does not depend on its neighbours, up to
the rounding of the sums in the model. Models whose layers keep no key-value cache (linear attention) are not supported.

Shapes: B rows, K of them that take a token, V vocabulary.
"""

import contextlib
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any

import torch
from torch import Tensor
from transformers import AutoModelForCausalLM, AutoTokenizer
from transformers.utils import logging as transformers_logging

from dc_tools.core.errors import CannotRun
from dc_tools.core.records import Finish
from dc_tools.rollout.chat import encode, end_ids
from dc_tools.rollout.decode import Batch, Prefix, read, sampling_from
from dc_tools.rollout.draw import draw
from dc_tools.rollout.engine import Prompt, Sample, Sampling, model_folder, model_name, sample_seed

COMPACT_BELOW = 0.8
"""With nothing left to begin, empty rows are cut out once at most this share still grows: a cut copies the cache."""


class TransformersEngine:
    """Samples from `model`, which it shares and never copies; `version` is what its owner says the weights are."""

    def __init__(self, model: Any, tokenizer: Any, name: str, batch_prompts: int = 16, rows: int = 32) -> None:
        self.model = model
        self.tokenizer = tokenizer
        self.name = name
        self.batch_prompts = batch_prompts
        self.rows = rows
        self.version = ""
        self.end_ids = end_ids(getattr(model.generation_config, "eos_token_id", None), tokenizer)
        self.positions: int | None = getattr(model.config.get_text_config(), "max_position_embeddings", None)

    @classmethod
    def load(
        cls, directory: str | Path, *, device: str = "auto", batch_prompts: int = 16, rows: int = 32
    ) -> "TransformersEngine":
        """The model saved in `directory`, named after it. Errors: `CannotRun`."""
        model, tokenizer = load_model(directory, device)
        return cls(model, tokenizer, model_name(directory), batch_prompts, rows)

    def encode(self, prompt: Prompt) -> list[int]:
        """Ids of the chat. Errors: `CannotRun`."""
        return encode(self.tokenizer, prompt, self.name)

    def generate(self, prompts: Iterable[Prompt], sampling: Sampling) -> Iterator[list[Sample]]:
        """For each prompt its samples; prompts are taken `batch_prompts` at a time, when they are needed.

        At temperature 0 the log-probabilities are those of temperature 1. A prompt beyond the model's positions gets
        `error` samples; an answer that reaches them ends with `length`. Errors: `CannotRun` when memory runs out.
        """
        waiting = iter(prompts)
        while batch := list(islice(waiting, self.batch_prompts)):
            yield from self._samples(batch, sampling)

    def close(self) -> None:
        """Nothing to give back: the weights belong to whoever loaded them."""

    def _samples(self, prompts: list[Prompt], sampling: Sampling) -> list[list[Sample]]:
        groups = [self._group(prompt, sampling) for prompt in prompts]
        fitting = [group for group in groups if group and group[0].budget > 0]
        if fitting:
            rows = min(self.rows, sum(map(len, fitting)))
            with sampling_from(self.model), memory_errors(rows):
                self._grow(fitting, rows, sampling)
        return [[self._finished(sample) for sample in group] for group in groups]

    def _group(self, prompt: Prompt, sampling: Sampling) -> list["_Growing"]:
        ids = self.encode(prompt)
        room = sampling.max_tokens if self.positions is None else self.positions - len(ids)
        budget = min(sampling.max_tokens, room)
        return [_Growing(prompt, ids, budget, sampling.seed, i) for i in range(sampling.n)]

    def _grow(self, groups: list[list["_Growing"]], rows: int, sampling: Sampling) -> None:
        """Sample until each sample of each group has its `finish`, `rows` of them at a time."""
        waiting = deque(sample for group in groups for sample in group)
        growing: list[_Growing | None] = [None] * rows
        prompts = _Prompts(self.model, self.tokenizer.pad_token_id or 0)
        batch = Batch(self.model, rows, prompts.read(list(islice(waiting, rows)))[0])
        while True:
            while waiting and (free := [row for row, sample in enumerate(growing) if not sample]):
                taken = free[: len(waiting)]
                samples = [waiting.popleft() for _ in taken]
                for sample in samples:
                    sample.begun_s = time.monotonic()
                prefixes = prompts.read(samples)
                for row, sample, prefix in zip(taken, samples, prefixes, strict=True):
                    growing[row] = sample
                    batch.place(row, prefix)
                self._take(growing, taken, torch.stack([prefix.logits_V for prefix in prefixes]), sampling)
            alive = [row for row, sample in enumerate(growing) if sample]
            if not alive:
                return
            if len(alive) <= COMPACT_BELOW * len(growing):
                batch.keep(alive)
                growing = [growing[row] for row in alive]
                alive = list(range(len(alive)))
            logits_BV = batch.advanced([sample.ids[-1] if sample else 0 for sample in growing], alive)
            self._take(growing, range(len(growing)), logits_BV, sampling)

    def _take(
        self, growing: list["_Growing | None"], rows: Sequence[int], logits_KV: Tensor, sampling: Sampling
    ) -> None:
        """Draw the next token of these rows; a sample that ends leaves its row."""
        samples = [growing[row] for row in rows]
        uniform_K = [sample.rng.random() if sample else 0.0 for sample in samples]
        ids_K, logprobs_K = draw(logits_KV, uniform_K, sampling.temperature, sampling.top_p)
        for row, sample, token, logprob in zip(rows, samples, ids_K.tolist(), logprobs_K.tolist(), strict=True):
            if sample and self._ends(sample, token, logprob):
                growing[row] = None

    def _ends(self, sample: "_Growing", token: int, logprob: float) -> bool:
        """Add a token to `sample` and set its `finish` if it was the last."""
        sample.ids.append(token)
        sample.logprobs.append(logprob)
        if token in self.end_ids or self._meets_stop(sample):
            sample.finish = Finish.STOP
        elif len(sample.ids) == sample.budget:
            sample.finish = Finish.LENGTH
        if sample.finish:
            sample.ended_s = time.monotonic()
        return sample.finish is not None

    def _meets_stop(self, sample: "_Growing") -> bool:
        """Whether the last token completed a stop string: a token is at least a byte, so a short tail will tell."""
        stops = sample.prompt.stop
        if not stops:
            return False
        tail = self._decoded(sample.ids[-max(len(stop.encode()) for stop in stops) - 4 :])
        return any(stop in tail for stop in stops)

    def _decoded(self, ids: list[int]) -> str:
        return str(self.tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False))

    def _finished(self, sample: "_Growing") -> Sample:
        """The sample as it goes out, its text cut after the stop string that ended it."""
        account: dict[str, Any] = {
            "prompt_ids": sample.prompt_ids, "seed": sample.seed, "version": self.version,
            "latency_s": sample.ended_s - sample.begun_s,
        }
        if sample.finish is None:
            error = f"the prompt has {len(sample.prompt_ids)} tokens, the model only {self.positions} positions"
            return Sample("", Finish.ERROR, error=error, **account)
        text = self._decoded(sample.ids)
        ends = [text.index(stop) + len(stop) for stop in sample.prompt.stop if stop in text]
        text = sample.prompt.prefix + text[: min(ends, default=None)]
        return Sample(text, sample.finish, token_ids=sample.ids, logprobs=sample.logprobs, **account)


class _Prompts:
    """Prompts that were read, each once, until its last sample has begun."""

    def __init__(self, model: Any, pad: int) -> None:
        self._model, self._pad = model, pad
        self._read: dict[int, Prefix] = {}

    def read(self, samples: "Sequence[_Growing]") -> list[Prefix]:
        """The prompt of each sample; those not known yet are read together. Samples of one prompt share the list of
        its ids. Any prompt that none of these has is forgotten: samples begin in order."""
        wanted = {id(sample.prompt_ids): sample.prompt_ids for sample in samples}
        missing = [ids for key, ids in wanted.items() if key not in self._read]
        found = read(self._model, missing, self._pad) if missing else []
        new = {id(ids): prefix for ids, prefix in zip(missing, found, strict=True)}
        self._read = {key: self._read.get(key) or new[key] for key in wanted}
        return [self._read[id(sample.prompt_ids)] for sample in samples]


class _Growing:
    """A sample while it grows; `budget` is the most tokens it may get."""

    def __init__(self, prompt: Prompt, prompt_ids: list[int], budget: int, seed: int, index: int) -> None:
        self.prompt = prompt
        self.prompt_ids = prompt_ids
        self.budget = budget
        self.seed = sample_seed(seed, prompt.id, index)
        self.rng = Random(self.seed)
        self.ids: list[int] = []
        self.logprobs: list[float] = []
        self.finish: Finish | None = None
        self.begun_s = self.ended_s = 0.0


def load_model(directory: str | Path, device: str = "auto") -> tuple[Any, Any]:
    """Model in evaluation mode, float32 on a CPU and bfloat16 elsewhere, and tokenizer. Errors: `CannotRun`."""
    path = model_folder(directory)
    where = pick_device(device)
    dtype = torch.float32 if where.type == "cpu" else torch.bfloat16
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    try:
        tokenizer = AutoTokenizer.from_pretrained(path)
        model, info = AutoModelForCausalLM.from_pretrained(path, dtype=dtype, output_loading_info=True)
        model = model.to(where)
    except (torch.OutOfMemoryError, MemoryError):
        hint = "take a smaller one, or more memory"
        raise CannotRun(f"{directory}: the model does not fit into the memory of {where}: {hint}") from None
    except Exception as error:  # each library below has its own errors for a broken file
        first = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise CannotRun(f"{directory}: the model cannot be loaded: {first}") from error
    if missing := sorted(info["missing_keys"]):
        raise CannotRun(f"{directory}: {len(missing)} weights are missing, among them {missing[0]}")
    return model.eval(), tokenizer


def pick_device(name: str) -> torch.device:
    """`auto` is the first GPU, or the CPU where there is none. Errors: `CannotRun` for what torch does not know."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise CannotRun(f"--device {name}: {str(error).splitlines()[0]}") from None
    return device


@contextlib.contextmanager
def memory_errors(rows: int) -> Iterator[None]:
    """Turn running out of memory into a `CannotRun` that says what to lower."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not isinstance(error, MemoryError | torch.OutOfMemoryError) and "can't allocate memory" not in str(error):
            raise
        raise CannotRun(f"out of memory with {rows} samples at a time: lower --rows or --max-tokens") from error
