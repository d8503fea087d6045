"""The `openai` engine: chat completions from any server that speaks /v1 (vLLM, SGLang, llama.cpp, a paid service).

Requests run at once, answers come in order of the prompts. What keeps failing becomes a sample with `finish` `error`,
so no prompt is ever lost. A server is asked for all it might do (n samples in one request, going on with a begun
answer, token ids); what it refuses is left out from then on. Where it refuses to go on with a begun answer, the chat
is sent without the prefix and its stop strings.

Samples are only as reproducible as the server makes them from the seed it is sent. Log-probabilities are the server's:
vLLM gives those before temperature and top_p unless it runs with `--logprobs-mode processed_logprobs`.
"""

import asyncio
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

import msgspec

from dc_tools.core.errors import CannotRun, UsageError
from dc_tools.core.exchange import Exchange, Failed, Refused, read_key
from dc_tools.core.parallel import ordered
from dc_tools.core.records import Finish, Usage
from dc_tools.rollout.engine import Prompt, Sample, Sampling, sample_seed

AHEAD = 4
"""Prompts in flight for each concurrent request, so that one long answer does not leave the server idle."""


class Feature(StrEnum):
    """What servers differ in; what a server refuses is left out, tried in this order."""

    TOKEN_IDS = "token_ids"
    PREFILL = "prefill"
    MANY = "many"
    MAX_TOKENS = "max_tokens"


Features = frozenset[Feature]


class Message(msgspec.Struct):
    """An answer's text; reasoning servers give their thoughts apart, under one of two names."""

    content: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None


class TokenLogprob(msgspec.Struct):
    """The log-probability of one token."""

    logprob: float


class Logprobs(msgspec.Struct):
    """Log-probabilities of all tokens of an answer."""

    content: list[TokenLogprob] | None = None


class Choice(msgspec.Struct):
    """One of the answers; `stop_reason` and `token_ids` are vLLM's."""

    message: Message
    finish_reason: str | None = None
    stop_reason: int | str | None = None
    token_ids: list[int] | None = None
    logprobs: Logprobs | None = None


class Counted(msgspec.Struct):
    """The tokens that a server charges for a completion, those of all its choices together."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None


class Completion(msgspec.Struct):
    """What a chat completion answers."""

    choices: list[Choice]
    prompt_token_ids: list[int] | None = None
    usage: Counted | None = None


class Model(msgspec.Struct):
    """An entry of the server's list."""

    id: str


class Models(msgspec.Struct):
    """The models a server lists."""

    data: list[Model]


@dataclass(frozen=True)
class Request:
    """One request for `count` samples, the first of them being sample `index` of the prompt."""

    prompt: Prompt
    sampling: Sampling
    index: int
    count: int
    tokens: bool

    @property
    def seed(self) -> int:
        """The seed that the server is sent; samples of one request share it."""
        return sample_seed(self.sampling.seed, self.prompt.id, self.index)

    @property
    def features(self) -> Features:
        """What the request would like to use."""
        asked = {
            Feature.TOKEN_IDS: self.tokens, Feature.PREFILL: bool(self.prompt.prefix),
            Feature.MANY: self.count > 1, Feature.MAX_TOKENS: True,
        }
        return frozenset(feature for feature, is_asked in asked.items() if is_asked)

    def body(self, model: str, features: Features) -> dict[str, Any]:
        """The request with these of its features."""
        sampling, prefix = self.sampling, self.prompt.prefix
        body: dict[str, Any] = {
            "model": model, "messages": list(self.prompt.messages), "temperature": sampling.temperature,
            "top_p": sampling.top_p, "seed": self.seed,
        }
        body["max_tokens" if Feature.MAX_TOKENS in features else "max_completion_tokens"] = sampling.max_tokens
        if Feature.MANY in features:
            body["n"] = self.count
        if Feature.PREFILL in features:
            body["messages"].append({"role": "assistant", "content": prefix})
            body |= {"continue_final_message": True, "add_generation_prompt": False}
        if self.prompt.stop and (Feature.PREFILL in features or not prefix):
            body["stop"] = list(self.prompt.stop)
        if self.tokens:
            body["logprobs"] = True
        if Feature.TOKEN_IDS in features:
            body["return_token_ids"] = True
        return body


class _Watch:
    """Measures from the last start on."""

    def __init__(self) -> None:
        self.start()

    def start(self) -> None:
        """Begin."""
        self._begun_s = time.monotonic()

    def seconds(self) -> float:
        """Since it began."""
        return time.monotonic() - self._begun_s


class OpenAIEngine:
    """Samples from the server behind `exchange`; with `tokens` it is asked for token ids and log-probabilities."""

    def __init__(self, exchange: Exchange, model: str, *, concurrency: int = 16, tokens: bool = False) -> None:
        self.exchange = exchange
        self.name = model
        self.concurrency = concurrency
        self.tokens = tokens
        self._refused: Features = frozenset()
        self._accepted: set[Features] = set()

    def generate(self, prompts: Iterable[Prompt], sampling: Sampling) -> Iterator[list[Sample]]:
        """For each prompt its samples; prompts are taken some way ahead of the answers."""
        unfinished: set[Future[list[Sample]]] = set()

        def ask(prompt: Prompt) -> "Future[list[Sample]]":
            future = self.exchange.submit(self._answer(prompt, sampling))
            unfinished.add(future)
            future.add_done_callback(unfinished.discard)
            return future

        try:
            yield from ordered(map(ask, prompts), AHEAD * self.concurrency)
        finally:
            for future in list(unfinished):
                future.cancel()

    def close(self) -> None:
        """Drop what is under way and close all connections."""
        self.exchange.close()

    async def _answer(self, prompt: Prompt, sampling: Sampling) -> list[Sample]:
        samples: list[Sample] = []
        if sampling.n > 1 and Feature.MANY not in self._refused:
            samples = await self._samples(Request(prompt, sampling, 0, sampling.n, self.tokens))
            if len(samples) < sampling.n:
                self._refused |= {Feature.MANY}
        rest = [Request(prompt, sampling, i, 1, self.tokens) for i in range(len(samples), sampling.n)]
        for more in await asyncio.gather(*map(self._samples, rest)):
            samples += more
        return samples

    async def _samples(self, request: Request) -> list[Sample]:
        """`request.count` samples, or fewer from a server that cannot make many at once; all `error` if it fails."""
        watch = _Watch()
        try:
            features, completion = await self._negotiated(request, watch.start)
        except (Refused, Failed) as error:
            failed = Sample("", Finish.ERROR, seed=request.seed, error=str(error))
            return [replace(failed) for _ in range(request.count)]
        samples = [_sample(request, completion, each, features) for each in completion.choices[: request.count]]
        for sample in samples:
            sample.latency_s = watch.seconds()
        return samples

    async def _negotiated(self, request: Request, begins: Callable[[], object]) -> tuple[Features, Completion]:
        """The completion, and the features that it was got with; what the server refuses is remembered."""
        wanted = request.features - self._refused
        refusal: Refused | None = None
        for left_out in _ladder(wanted):
            features = wanted - left_out
            try:
                body = request.body(self.name, features)
                completion = await self.exchange.post("/chat/completions", body, Completion, begins=begins)
            except Refused as error:
                refusal = refusal or error
                if error.status not in (400, 422) or wanted in self._accepted:
                    break
                continue
            if not completion.choices:
                raise Failed("an answer without choices", True)
            self._refused |= left_out
            self._accepted.add(features)
            return features, completion
        raise refusal or Failed("nothing was asked", True)


def connect(
    base_url: str, model: str | None, api_key_file: Path | None = None, *, concurrency: int = 16, tokens: bool = False,
    timeout_s: float = 600.0, pause_s: float = 1.0,
) -> OpenAIEngine:
    """An engine whose server answers, with its only model if none is named. Errors: `CannotRun`, `UsageError`."""
    if not base_url.startswith(("http://", "https://")):
        raise UsageError(f"--base-url {base_url}: begins with neither http:// nor https://")
    key = read_key("OPENAI_API_KEY", api_key_file)
    exchange = Exchange(base_url, api_key=key, concurrency=concurrency, timeout_s=timeout_s, pause_s=pause_s)
    try:
        names = _model_names(exchange)
        if not model and len(names) != 1:
            raise CannotRun(f"{base_url}: --model must name one of {', '.join(names) or 'its models'}")
    except BaseException:
        exchange.close()
        raise
    return OpenAIEngine(exchange, model or names[0], concurrency=concurrency, tokens=tokens)


def _model_names(exchange: Exchange) -> list[str]:
    """What the server lists, nothing if its list is broken. Errors: `CannotRun` where it is silent or wants a key."""
    try:
        found = exchange.submit(exchange.get("/models", Models)).result()
    except Failed as error:
        if not error.is_up:
            raise CannotRun(f"{exchange.base_url}: no answer ({error}): is the server up?") from None
        return []
    except Refused as error:
        if error.status in (401, 403):
            raise CannotRun(f"{exchange.base_url}: {error}; set OPENAI_API_KEY or --api-key-file") from None
        return []
    return [each.id for each in found.data]


def _sample(request: Request, completion: Completion, choice: Choice, features: Features) -> Sample:
    message, prompt = choice.message, request.prompt
    text = message.content or ""
    ended_by = choice.stop_reason
    if isinstance(ended_by, str) and ended_by in prompt.stop and not text.endswith(ended_by):
        text += ended_by
    if Feature.PREFILL in features and not text.startswith(prompt.prefix):
        text = prompt.prefix + text
    if reasoning := message.reasoning_content or message.reasoning:
        text = f"<think>\n{reasoning}\n</think>\n\n{text}"
    reason = choice.finish_reason or "stop"
    finish = {"stop": Finish.STOP, "length": Finish.LENGTH}.get(reason, Finish.ERROR)
    entries = choice.logprobs.content or [] if choice.logprobs else []
    return Sample(
        text, finish, prompt_ids=completion.prompt_token_ids or [], token_ids=choice.token_ids or [],
        logprobs=[entry.logprob for entry in entries], seed=request.seed, counted=_counted(completion, entries),
        error=f"finish_reason {reason}" if finish is Finish.ERROR else None,
    )


def _counted(completion: Completion, entries: list[TokenLogprob]) -> Usage | None:
    """The tokens of a choice: those with log-probabilities, or all of the only choice there is."""
    counted = completion.usage or Counted()
    alone = counted.completion_tokens if len(completion.choices) == 1 else None
    response = len(entries) or alone
    return None if counted.prompt_tokens is None or response is None else Usage(counted.prompt_tokens, response)


def _ladder(features: Features) -> Iterator[Features]:
    """What to leave out, try by try: nothing, each feature alone, then more and more of them."""
    used = [feature for feature in Feature if feature in features]
    yield frozenset()
    for feature in used:
        yield frozenset({feature})
    for count in range(2, len(used) + 1):
        yield frozenset(used[:count])
