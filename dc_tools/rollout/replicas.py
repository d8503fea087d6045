"""Engines on several GPUs or nodes, each with the whole model: data parallel, over Ray."""

import contextlib
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any

from dc_tools.core import cluster
from dc_tools.rollout.engine import Prompt, Sample, Sampling, model_name
from dc_tools.rollout.vllm import AHEAD, VllmEngine


class ReplicatedVllm:
    """vLLM engines that take the prompts in turn."""

    def __init__(self, directory: str, replicas: cluster.Replicas, count: int) -> None:
        self.name = model_name(directory)
        self._replicas, self._ahead = replicas, AHEAD * count

    def generate(self, prompts: Iterable[Prompt], sampling: Sampling) -> Iterator[list[Sample]]:
        """For each prompt in order its samples. Errors: `CannotRun`."""
        waiting: deque[Any] = deque()
        for prompt in prompts:
            waiting.append(self._replicas.ask("samples", prompt, sampling))
            if len(waiting) >= self._ahead:
                yield cluster.fetch(waiting.popleft())
        while waiting:
            yield cluster.fetch(waiting.popleft())

    def close(self) -> None:
        """They end with the connection to the cluster."""


@contextlib.contextmanager
def replicated(
    directory: str, count: int, *, tp: int, context: int | None, address: str | None
) -> Iterator[ReplicatedVllm]:
    """`count` engines of `tp` GPUs each, or of a CPU, on the cluster at `address`, else on one of our own. Errors:
    `CannotRun`."""
    with cluster.connected(address, count):
        gpus = tp if cluster.gpus() else 0
        replicas = cluster.Replicas(count, VllmEngine.load, directory, tp, context, gpus=gpus, at_once=AHEAD)
        yield ReplicatedVllm(directory, replicas, count)
