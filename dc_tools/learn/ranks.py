"""Trainers that share one policy: each rank holds a slice of the weights (FSDP2) and works at its rows of a step."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import torch
import torch.distributed as dist
from torch.distributed.checkpoint.state_dict import (
    StateDictOptions,
    get_model_state_dict,
    get_optimizer_state_dict,
    set_model_state_dict,
    set_optimizer_state_dict,
)
from torch.distributed.fsdp import FSDPModule, fully_shard

from dc_tools.core.errors import CannotRun
from dc_tools.learn.policy import Scorer

_TRAINED = StateDictOptions(full_state_dict=True, cpu_offload=True, ignore_frozen_params=True)


class Mergeable(Protocol):
    """What ranks add up."""

    def merged(self, others: Any) -> Any:
        """With those of the others."""


M = TypeVar("M", bound=Mergeable)


@dataclass(frozen=True)
class Ranks:
    """One of `world` trainers; alone it needs no process group."""

    rank: int = 0
    world: int = 1

    @staticmethod
    def join(rank: int, world: int, address: str, device: str) -> "Ranks":
        """Meet the others at `address`, HOST:PORT of rank 0."""
        if world > 1:
            backend = "gloo" if device == "cpu" or not torch.cuda.is_available() else "nccl"
            dist.init_process_group(backend, init_method=f"tcp://{address}", rank=rank, world_size=world)
        return Ranks(rank, world)

    def shard(self, scorer: Scorer) -> Scorer:
        """Keep a slice of the weights; each layer is gathered when it is needed."""
        if self.world > 1:
            for layer in scorer.causal_lm.get_decoder().layers:
                fully_shard(layer)
            fully_shard(scorer)
        return scorer

    def largest(self, value: float) -> float:
        """Of all ranks."""
        if self.world == 1:
            return value
        found: list[Any] = [None] * self.world
        dist.all_gather_object(found, value)
        return float(max(found))

    def largest_known(self, value: float | None) -> float | None:
        """Of all ranks, where all know."""
        if value is None or self.world == 1:
            return value
        return self.largest(value)

    def merged(self, mine: M) -> M:
        """What all ranks did together, in the order of the ranks."""
        if self.world == 1:
            return mine
        found: list[Any] = [None] * self.world
        dist.all_gather_object(found, mine)
        together: M = found[0].merged(found[1:])
        return together

    @staticmethod
    def whole(value: Any) -> float:
        """A number of which every rank has a part."""
        return float(value.full_tensor() if hasattr(value, "full_tensor") else value)


def whole_state(scorer: Scorer, optimizer: torch.optim.Optimizer) -> tuple[dict[str, Any], dict[str, Any]]:
    """What is trained, and the optimizer's state, by name, on the CPU of rank 0; every rank must ask."""
    names = {name for name, p in scorer.named_parameters() if p.requires_grad}  # of tied weights one
    policy = {k: v for k, v in get_model_state_dict(scorer, options=_TRAINED).items() if k in names}
    return policy, get_optimizer_state_dict(scorer, optimizer, options=_TRAINED)


def load_whole_state(
    scorer: Scorer, optimizer: torch.optim.Optimizer, policy: Mapping[str, Any], state: Mapping[str, Any]
) -> None:
    """Take on what `whole_state` gave. Errors: `CannotRun` where it is of another model."""
    own = {name: p.shape for name, p in scorer.named_parameters() if p.requires_grad}
    if own != {name: tensor.shape for name, tensor in policy.items()}:
        raise CannotRun("the checkpoint is of another model, or of another choice of what to train")
    options = StateDictOptions(full_state_dict=True, cpu_offload=True, strict=False)
    set_model_state_dict(scorer, dict(policy), options=options)
    set_optimizer_state_dict(scorer, optimizer, dict(state), options=options)


def in_slices(scorer: Scorer) -> None:
    """Give back what a forward pass has gathered, so that each rank has its slices alone."""
    for module in scorer.modules():
        if isinstance(module, FSDPModule):
            module.reshard()
