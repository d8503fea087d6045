"""What a run would be: sizes, tokens, memory of a device by part, and whether it can be.

Memory is an estimate: weights, gradients and optimizer are counted, activations follow Korthikanti et al. 2022 (34
bytes a token, layer and unit of width at 16 bits), the key-value cache is that of the samples which grow at once.
"""

import contextlib
import json
import os
import shutil
import struct
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from dc_tools.core.errors import CannotRun
from dc_tools.core.run import Run
from dc_tools.learn.budget import START
from dc_tools.learn.recipe import Recipe
from dc_tools.learn.shape import Shape
from dc_tools.learn.stages import Stage

GB = 1e9
CHUNK_TOKENS = 2048
"""Tokens whose logits exist at once."""


@dataclass(frozen=True)
class ModelSize:
    """What of a model takes memory."""

    parameters: int
    embeddings: int
    layers: int
    width: int
    vocabulary: int
    cache_units: int
    """Numbers that the key-value cache has for each token and layer."""


def size_of(folder: Path) -> ModelSize:
    """From config.json and the heads of the weights' files. Errors: `CannotRun`."""
    try:
        config: dict[str, Any] = json.loads((folder / "config.json").read_bytes())
        config = config.get("text_config", config)
        width, heads = int(config["hidden_size"]), int(config["num_attention_heads"])
        cached = int(config.get("num_key_value_heads", heads)) * int(config.get("head_dim") or width // heads)
        vocabulary = int(config["vocab_size"])
        counts = [count for file in sorted(folder.glob("*.safetensors")) for count in _counts(file)]
        layers = int(config["num_hidden_layers"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CannotRun(f"{folder}: its size cannot be read: {error!r}") from error
    if not counts:
        raise CannotRun(f"{folder}: there are no .safetensors weights to size it by")
    return ModelSize(sum(counts), vocabulary * width, layers, width, vocabulary, 2 * cached)


def _counts(file: Path) -> list[int]:
    """Numbers in each tensor of a safetensors file."""
    with file.open("rb") as stream:
        (length,) = struct.unpack("<Q", stream.read(8))
        head = json.loads(stream.read(length))
    found = []
    for name, tensor in head.items():
        if name != "__metadata__":
            count = 1
            for extent in tensor["shape"]:
                count *= extent
            found.append(count)
    return found


def planned_run(
    recipe: Recipe, shape: Shape, size: ModelSize, problems: int, steps: int, *, gpu: bool
) -> dict[str, Any]:
    """The run's sizes, of the stage that needs most; memory in GB."""
    stages: Sequence[Stage] = () if isinstance(recipe.stages, str) else recipe.stages
    longest = recipe.stage_most_tokens if recipe.stages == "auto" else recipe.max_tokens
    longest = max([longest, *(stage.max_tokens for stage in stages)])
    budget = max([recipe.token_budget or START, *(stage.token_budget or 0 for stage in stages)])
    batch = max([recipe.batch, *(stage.batch or 0 for stage in stages)])
    row = max(budget, longest + recipe.max_prompt)
    trained = size.parameters - (size.embeddings if recipe.freeze_embeddings else 0)
    if recipe.lora_rank:
        trained = 2 * recipe.lora_rank * size.width * 7 * size.layers
    trainer: dict[str, float] = {
        "weights": 4 * size.parameters / shape.trainers,
        "gradients": 4 * trained / shape.trainers,
        "optimizer": 8 * trained / shape.trainers,
        "activations": (2 if gpu else 4) * row * size.width * held_units(recipe, size.layers),
        "logits": 3 * 4 * min(CHUNK_TOKENS, row) * size.vocabulary,
    }
    if recipe.ema:
        trainer["average"] = 4 * trained / shape.trainers
    if shape.trainers > 1:
        trainer["gathered_layer"] = 2 * 4 * (size.parameters - size.embeddings) / size.layers + 4 * size.embeddings
    number = 2 if gpu else 4
    rows = min(recipe.sample_rows, recipe.sample_batch * recipe.group)
    cached = rows * (longest + recipe.max_prompt)
    sampler: dict[str, float] = {"cache": number * cached * size.layers * size.cache_units}
    if shape.samplers:
        sampler["weights"] = number * size.parameters
    else:
        trainer |= sampler
    memory = {"trainer": _in_gb(trainer)} | ({"sampler": _in_gb(sampler)} if shape.samplers else {})
    return {
        "problems": problems, "steps": steps, "batch": batch, "group": recipe.group,
        "updates_a_step": recipe.batch // recipe.minibatch,
        "rollouts_a_step": batch * recipe.group, "most_tokens_a_step": batch * recipe.group * longest,
        "longest_row": row, "parameters": size.parameters, "trained": trained,
        "trainers": shape.trainers, "samplers": shape.samplers, "judges": shape.judges,
        "overlapped": "sampling with learning" if recipe.staleness else "judging with sampling",
        "checkpoint_gb": round(12 * trained / GB, 2), "checkpoints_kept": recipe.keep, "memory_gb": memory,
    }


def held_units(recipe: Recipe, layers: int) -> int:
    """Numbers of the width that are held for each token: 17 a layer, or one a layer and those of one."""
    return layers + 17 if recipe.gradient_checkpointing else 17 * layers


def _in_gb(parts: dict[str, float]) -> dict[str, float]:
    found = {name: round(value / GB, 2) for name, value in parts.items()}
    return found | {"total": round(sum(parts.values()) / GB, 2)}


def device_memory_gb(device: str) -> float:
    """Of the smallest GPU of this machine, or, where it has none or is not to use it, all that it has."""
    if device != "cpu" and has_gpu():
        asked = ["nvidia-smi", "--query-gpu=memory.total", "--format=csv,noheader,nounits"]
        with contextlib.suppress(OSError, subprocess.SubprocessError, ValueError):
            found = subprocess.run(asked, capture_output=True, check=True, timeout=30).stdout.split()
            return min(map(float, found)) * (1 << 20) / GB
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / GB


def dry_run(
    run: Run, model: Path, recipe: Recipe, shape: Shape, problems: int, steps: int, device: str, memory_gb: float | None
) -> None:
    """Write the plan, as one line to stdout and for people to stderr. Errors: `CannotRun` where it cannot be."""
    run.leaves_nothing = True
    plan = planned_run(recipe, shape, size_of(model), problems, steps, gpu=device != "cpu" and has_gpu())
    device_gb = memory_gb or device_memory_gb(device)
    sys.stdout.buffer.write(orjson.dumps(plan | {"device_gb": round(device_gb, 1)}) + b"\n")
    sys.stdout.buffer.flush()
    for name, value in plan.items():
        run.say(f"{name.replace('_', ' '):>20}  {_shown(value)}")
    check_room(plan, device_gb)


def has_gpu() -> bool:
    """Whether this machine has one of NVIDIA's."""
    return shutil.which("nvidia-smi") is not None


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {_shown(each)}" for name, each in value.items())
    return f"{value:,}" if isinstance(value, int) else str(value)


def check_room(plan: dict[str, Any], device_gb: float) -> None:
    """Errors: `CannotRun` for what does not fit into a device's memory, with what would help."""
    for kind, parts in plan["memory_gb"].items():
        if parts["total"] > device_gb:
            largest = max((name for name in parts if name != "total"), key=lambda name: parts[name])
            raise CannotRun(
                f"a {kind} needs about {parts['total']:.3g} GB and its device has {device_gb:.3g}: most are "
                f"{largest} ({parts[largest]:.3g}); {_HELP.get(largest, _HELP['weights'])}"
            )


_HELP = {
    "weights": "take more --trainers, or an adapter (lora_rank)",
    "activations": "set gradient_checkpointing, lower max_tokens or token_budget",
    "cache": "lower sample_rows or max_tokens",
}
