"""The moving average of the trained weights (Polyak and Juditsky 1992), which can be exported in their place."""

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.distributed.tensor import DTensor, distribute_tensor


class Average:
    """Of parameters by name, each rank of its slices: with every update `decay` of what was, the rest of what is."""

    def __init__(self, parameters: Mapping[str, Tensor], decay: float) -> None:
        self._parameters, self.decay = parameters, decay
        self._values = {name: p.detach().clone() for name, p in parameters.items()}

    def update(self) -> None:
        """Take in the weights as they are now."""
        for name, parameter in self._parameters.items():
            self._values[name].lerp_(parameter.detach(), 1 - self.decay)

    @contextlib.contextmanager
    def in_place(self) -> Iterator[None]:
        """The average in the place of the weights, which come back at the end."""
        self._exchange()
        try:
            yield
        finally:
            self._exchange()

    def _exchange(self) -> None:
        with torch.no_grad():
            for name, parameter in self._parameters.items():
                current = parameter.detach().clone()
                parameter.copy_(self._values[name])
                self._values[name] = current

    def state(self) -> dict[str, Tensor]:
        """Whole, on the CPU; every rank must ask."""
        return {name: _whole(value).cpu() for name, value in self._values.items()}

    def load(self, state: Mapping[str, Any]) -> None:
        """Take on what `state` gave."""
        for name, value in self._values.items():
            given = state[name].to(value.device)
            if isinstance(value, DTensor):
                given = distribute_tensor(given, value.device_mesh, value.placements)
            self._values[name] = given.clone()


def _whole(value: Tensor) -> Tensor:
    return value.full_tensor() if isinstance(value, DTensor) else value
