"""Which engine is meant, and how it is opened and closed. What an engine needs is imported only when it is opened."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from dc_tools.core.errors import UsageError, missing_extra
from dc_tools.core.streams import keep_stdout_for_records
from dc_tools.rollout.engine import Engine, model_folder


class EngineName(StrEnum):
    """Where samples come from."""

    TRANSFORMERS = "transformers"
    VLLM = "vllm"
    OPENAI = "openai"


@dataclass(frozen=True)
class Source:
    """An engine and all that it takes; what another engine takes is not looked at."""

    engine: EngineName
    model: str | None
    """A folder, or with `openai` the name that the server knows (None: its only model)."""
    base_url: str | None = None
    api_key_file: Path | None = None
    concurrency: int = 16
    """Requests at a time."""
    timeout_s: float = 600.0
    tokens: bool = True
    """Whether a server is asked for token ids and log-probabilities."""
    tp: int = 1
    """GPUs that share the weights of an engine, and engines, of vLLM."""
    dp: int = 1
    context: int | None = None
    ray_address: str | None = None
    device: str = "auto"
    batch_prompts: int = 16
    rows: int = 32
    """Samples that grow at a time, of transformers."""

    @property
    def piece(self) -> int:
        """Prompts that the engine begins together: a run that is resumed in between would not meet the same batches."""
        return self.batch_prompts if self.engine is EngineName.TRANSFORMERS else 1


@contextlib.contextmanager
def opened(source: Source) -> Iterator[Engine]:
    """The engine, until the end of the block. Errors: `UsageError`, `CannotRun`."""
    if source.engine is EngineName.OPENAI:
        with _server(source) as server:
            yield server
        return
    if source.model is None:
        raise UsageError(f"--engine {source.engine} needs --model FOLDER")
    model_folder(source.model)
    with (_vllm if source.engine is EngineName.VLLM else _transformers)(source, source.model) as engine:
        yield engine


@contextlib.contextmanager
def _server(source: Source) -> Iterator[Engine]:
    from dc_tools.rollout.openai import connect

    if source.base_url is None:
        raise UsageError("--engine openai needs --base-url, as http://localhost:8000/v1")
    server = connect(
        source.base_url, source.model, source.api_key_file, concurrency=source.concurrency, tokens=source.tokens,
        timeout_s=source.timeout_s,
    )
    with contextlib.closing(server):
        yield server


@contextlib.contextmanager
def _transformers(source: Source, model: str) -> Iterator[Engine]:
    try:
        from dc_tools.rollout.transformers import TransformersEngine
    except ImportError as error:
        raise missing_extra(error.name or "transformers", "train") from None
    yield TransformersEngine.load(
        model, device=source.device, batch_prompts=source.batch_prompts, rows=source.rows
    )


@contextlib.contextmanager
def _vllm(source: Source, model: str) -> Iterator[Engine]:
    """vLLM in this process, or several of them over Ray."""
    keep_stdout_for_records()
    if source.dp > 1 or source.ray_address:
        from dc_tools.rollout.replicas import replicated

        with replicated(
            model, source.dp, tp=source.tp, context=source.context, address=source.ray_address
        ) as engines:
            yield engines
        return
    from dc_tools.rollout.vllm import VllmEngine

    with contextlib.closing(VllmEngine.load(model, source.tp, source.context)) as engine:
        yield engine
