"""Benchmark of learning from long responses, on one GPU (or, to try it, a CPU): a model of 1.5B random weights.

    python tests/bench/learn_gpu.py [--tokens 16384 32768] [--steps 3] [--device cuda] [--layers 28 --width 1536]

Rows of that many tokens, a prompt of 512 and one response, are learned from with a layer's input kept alone (gradient
checkpointing), float32 masters and bfloat16 arithmetic. The first step is left out. Energy needs the extra `energy`;
utilisation, a device whose peak is known. With two GPUs, the time to send all weights from one to the other as well.
"""

import argparse
import math
import multiprocessing
import random
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

sys.path.insert(0, str(Path(__file__).parents[1]))

from tiny_model import make_tiny_model

from dc_tools.learn.batches import Group, Response
from dc_tools.learn.energy import readings, spent
from dc_tools.learn.recipe import Recipe
from dc_tools.learn.trainer import Trainer
from dc_tools.rollout.link import Link

PROMPT = 512


@dataclass(frozen=True)
class Shape:
    """Of a Qwen2 model, its heads 128 wide: DeepSeek-R1-Distill-Qwen-1.5B's, where nothing else is said."""

    layers: int = 28
    width: int = 1536
    vocabulary: int = 151_936


@dataclass(frozen=True)
class Found:
    """Of one step, on average."""

    seconds: float
    tokens_per_s: float
    mfu: float | None
    peak_gb: float
    joules_per_token: float | None
    loss: float


def random_model(folder: Path, shape: Shape, device: str) -> Path:
    """A folder of random weights, with a tokenizer of few words."""
    from transformers import Qwen2Config, Qwen2ForCausalLM

    make_tiny_model(folder)
    config = Qwen2Config(
        vocab_size=shape.vocabulary, hidden_size=shape.width, intermediate_size=35 * shape.width // 6,
        num_hidden_layers=shape.layers, num_attention_heads=max(shape.width // 128, 1),
        num_key_value_heads=max(shape.width // 768, 1), max_position_embeddings=131_072, tie_word_embeddings=True,
    )
    torch.manual_seed(0)
    with torch.device(device):
        Qwen2ForCausalLM(config).to(torch.bfloat16).save_pretrained(folder)
    return folder


def learned(model: Path, shape: Shape, tokens: int, steps: int, device: str) -> Found:
    """Learn from two rows of so many tokens, step after step."""
    recipe = Recipe(
        batch=1, minibatch=1, group=2, max_prompt=PROMPT, max_tokens=tokens, token_budget=tokens, staleness=1,
        gradient_checkpointing=True, overlong_filter=False, max_logprob_gap=100.0,
    )
    trainer, draw = Trainer(str(model), recipe, device), random.Random(0)
    is_gpu = trainer.policy.device.type == "cuda"

    def response(reward: float) -> Response:
        ids = [draw.randrange(shape.vocabulary) for _ in range(tokens - PROMPT)]
        return Response(ids, [-math.log(shape.vocabulary)] * len(ids), reward, truncated=False)

    group = Group("long", [draw.randrange(shape.vocabulary) for _ in range(PROMPT)], [response(0.0), response(1.0)])
    trainer.learn([group])
    if is_gpu:
        torch.cuda.reset_peak_memory_stats()
    before, started, metrics = readings(), time.monotonic(), []
    for _ in range(steps):
        metrics.append(trainer.learn([group]))
    seconds, joules = (time.monotonic() - started) / steps, spent(before, readings())
    known = [each["mfu"] for each in metrics if each["mfu"]]
    return Found(
        seconds, 2 * tokens / seconds, sum(known) / len(known) if known else None,
        torch.cuda.max_memory_allocated() / 1e9 if is_gpu else math.nan,
        None if joules is None else joules / steps / (2 * tokens), metrics[-1]["loss"],
    )


def sent(model: Path, device: str, address: str) -> tuple[float, float]:
    """Seconds to send all weights to another process, the second time, and their gigabytes."""
    other = "cuda:1" if device == "cuda" else device
    context = multiprocessing.get_context("spawn")
    trainer = Trainer(str(model), Recipe(), f"{device}:0" if device == "cuda" else device)
    joined = context.Queue()
    receiver = context.Process(target=_receive, args=(address, other, joined))
    receiver.start()
    specs = trainer.join(address, 2, 300.0)
    joined.put(specs)
    for _ in range(2):
        started = time.monotonic()
        trainer.send()
        if device == "cuda":
            torch.cuda.synchronize()
        seconds = time.monotonic() - started
    receiver.join(300)
    if receiver.exitcode:
        raise SystemExit("the receiver failed")
    return seconds, sum(math.prod(shape) * getattr(torch, dtype).itemsize for _, shape, dtype in specs) / 1e9


def _receive(address: str, device: str, joined: Any) -> None:
    if device.startswith("cuda"):
        torch.cuda.set_device(device)
    link, specs = Link(address, 1, 2, torch.device(device), 300.0), joined.get()
    for _ in range(2):
        for _, weight in link.receive(specs):
            assert torch.isfinite(weight.flatten()[:100]).all()


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tokens", type=int, nargs="+", default=[16_384, 32_768])
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--layers", type=int, default=Shape.layers)
    parser.add_argument("--width", type=int, default=Shape.width)
    given = parser.parse_args()
    shape = Shape(given.layers, given.width)
    with tempfile.TemporaryDirectory() as folder:
        model = random_model(Path(folder), shape, given.device)
        print("| tokens of a row | s a row | tokens/s | MFU | peak GB | J/token |\n|---|---|---|---|---|---|")
        for tokens in given.tokens:
            found = learned(model, shape, tokens, given.steps, given.device)
            mfu = "" if found.mfu is None else f"{100 * found.mfu:.1f} %"
            joules = "not measured" if found.joules_per_token is None else f"{found.joules_per_token:.4f}"
            print(
                f"| {tokens} | {found.seconds / 2:.2f} | {found.tokens_per_s:.0f} | {mfu} | {found.peak_gb:.1f} | "
                f"{joules} |", flush=True,
            )
        if given.device != "cuda" or torch.cuda.device_count() > 1:
            seconds, size = sent(model, given.device, "localhost:29417")
            print(f"\n{size:.1f} GB of weights sent in {seconds:.2f} s: {size / seconds:.1f} GB/s")
        else:
            print("\nsending weights was not measured: it needs two GPUs")


if __name__ == "__main__":
    main()
