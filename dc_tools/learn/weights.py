"""The weights of a policy as others read them: whole, by the names of a Hugging Face folder, adapter merged."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from dc_tools.learn.policy import Scorer
from dc_tools.learn.ranks import in_slices
from dc_tools.rollout.link import Spec

PREFIX = "causal_lm."
"""Of the names of the model's weights in a `Scorer`."""
_BASE = ".base_layer."


@dataclass(frozen=True)
class Weight:
    """One weight, of which each rank may have a part."""

    name: str
    parameter: Tensor
    adapter: Any = None
    """The peft layer that adds to it."""

    @property
    def spec(self) -> Spec:
        """What a receiver has to know."""
        return self.name, list(self.parameter.shape), str(self.parameter.dtype).removeprefix("torch.")

    def whole(self) -> Tensor:
        """Its value; every rank must ask."""
        found = _gathered(self.parameter)
        if self.adapter is None:
            return found
        low, high = (_gathered(part["default"].weight) for part in (self.adapter.lora_A, self.adapter.lora_B))
        added = self.adapter.scaling["default"] * (high @ low)
        return found + (added.T if self.adapter.fan_in_fan_out else added).to(found.dtype)


def weights_of(scorer: Scorer) -> Iterator[Weight]:
    """All of a model's, tied ones once, always in the same order."""
    in_slices(scorer)
    for name, parameter in scorer.named_parameters():
        own, _, kind = name.removeprefix(PREFIX).rpartition(_BASE)
        if own:
            adapter = scorer.get_submodule(PREFIX + own) if kind == "weight" else None
            yield Weight(f"{own}.{kind}", parameter, adapter)
        elif ".lora_" not in name:
            yield Weight(name.removeprefix(PREFIX), parameter)


def whole_model(scorer: Scorer, dtype: torch.dtype, *, keep: bool) -> dict[str, Tensor]:
    """The model as a Hugging Face folder holds it, on the CPU, or, without `keep`, nothing; every rank must ask."""
    found = {}
    for weight in weights_of(scorer):
        value = weight.whole()
        if keep:
            found[weight.name] = value.to("cpu", dtype)
    if keep:
        kept = scorer.causal_lm.state_dict().keys()
        found |= {name: buffer.cpu() for name, buffer in scorer.causal_lm.named_buffers() if name in kept}
    return found


def _gathered(parameter: Any) -> Tensor:
    with torch.no_grad():
        value: Tensor = parameter.detach()
        return value.full_tensor() if hasattr(value, "full_tensor") else value
