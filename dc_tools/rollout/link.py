"""The way of new weights from a trainer to all samplers at once: tensor by tensor, over NCCL between GPUs, over gloo
elsewhere.

Its process group is one of its own, since trainers, and the workers of an engine, have theirs. Nothing is sent before
all are there: who waits for the others does so on a CPU, however long they still sample.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta

import torch
import torch.distributed as dist
from torch import Tensor

Spec = tuple[str, Sequence[int], str]
"""Of a weight: its name in a Hugging Face folder, its shape, and its number type as torch names it."""


class Link:
    """One end. Seat 0 sends, the others receive; whoever has no seat can only wait until all are there."""

    def __init__(self, address: str, seat: int | None, seats: int, device: torch.device, timeout_s: float) -> None:
        """Meet the others at `address`, HOST:PORT of seat 0."""
        host, _, port = address.rpartition(":")
        timeout = timedelta(seconds=timeout_s)
        self._store = dist.TCPStore(host, int(port), None, seat == 0, timeout, wait_for_workers=False)
        self._seat, self._seats, self._device, self._turn = seat, seats, device, 0
        if seat is not None:
            group = dist.ProcessGroupNCCL if device.type == "cuda" else dist.ProcessGroupGloo
            self._group = group(dist.PrefixStore("link", self._store), seat, seats, timeout)

    def wait(self) -> None:
        """Until all receivers are there for the next weights."""
        self._turn += 1
        self._wait()

    def send(self, weights: Iterable[Tensor]) -> None:
        """Send tensors, after `wait`."""
        for tensor in weights:
            self._group.broadcast(tensor.contiguous(), 0).wait()

    def receive(self, specs: Iterable[Spec]) -> Iterator[tuple[str, Tensor]]:
        """The weights that are sent, by name."""
        self._turn += 1
        self._store.set(self._key(self._seat), "")
        self._wait()
        for name, shape, dtype in specs:
            tensor = torch.empty(tuple(shape), dtype=getattr(torch, dtype), device=self._device)
            self._group.broadcast(tensor, 0).wait()
            yield name, tensor

    def _wait(self) -> None:
        self._store.wait([self._key(seat) for seat in range(1, self._seats)])

    def _key(self, seat: int | None) -> str:
        return f"{self._turn}/{seat}"
