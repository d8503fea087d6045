"""Benchmark of the transformers engine against plain `model.generate` and vLLM, on one model, in one run.

    python tests/bench/rollout.py MODEL [--rows 8 32 64] [--n 8] [--tokens 64] [--vllm .venv-vllm/bin/python]

A batch: rows / n prompts, n samples each, of exactly `--tokens` tokens: no end token counts, so all do the same work. A
stream: four times as many samples, whose answers end as in use; the engine gives an ended sample's row to the next,
generate pads it until its batch has ended, vLLM does as it likes. Tokens/s count only tokens up to an end. Order:
engine, generate, engine, generate; the better of two, by wall and by CPU time: wall time matters on an idle machine,
CPU time on a busy one. vLLM runs in a process of its own (another environment), twice as well.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

sys.path.insert(0, str(Path(__file__).parents[1]))
from tiny_model import examples, messages_of

from dc_tools.rollout.engine import Engine, Prompt, Sampling
from dc_tools.rollout.transformers import TransformersEngine

FENCE = "```python\n"
STREAM = 4
"""Times as many samples in a stream as rows."""


@dataclass(frozen=True)
class Load:
    """What is sampled."""

    rows: int
    n: int
    tokens: int
    is_stream: bool

    @property
    def sampling(self) -> Sampling:
        """How."""
        return Sampling(n=self.n, max_tokens=self.tokens, temperature=0.8)

    @property
    def prompts(self) -> list[Prompt]:
        """From what."""
        count = max(1, self.rows * (STREAM if self.is_stream else 1) // self.n)
        stop = ("```",) if self.is_stream else ()
        return [
            Prompt(str(i), tuple(messages_of(statement)), FENCE, stop)
            for i, (statement, _) in enumerate(examples(3, count))
        ]


def by_engine(engine: Engine, load: Load) -> int:
    """Tokens that an engine sampled."""
    return sum(len(sample.token_ids) for group in engine.generate(load.prompts, load.sampling) for sample in group)


def by_generate(engine: TransformersEngine, load: Load) -> int:
    """Tokens up to each end that `model.generate` sampled, `rows` at a time, left-padded."""
    tokenizer, model, prompts, found = engine.tokenizer, engine.model, load.prompts, 0
    ids = [engine.encode(prompt) for prompt in prompts for _ in range(load.n)]
    ends: dict[str, Any] = {"eos_token_id": None, "min_new_tokens": load.tokens}
    if load.is_stream:
        ends = {"eos_token_id": sorted(engine.end_ids), "stop_strings": list(prompts[0].stop), "tokenizer": tokenizer}
    for first in range(0, len(ids), load.rows):
        batch = tokenizer.pad({"input_ids": ids[first : first + load.rows]}, return_tensors="pt", padding_side="left")
        out = model.generate(
            **batch, do_sample=True, temperature=0.8, top_k=0, top_p=1.0, max_new_tokens=load.tokens,
            pad_token_id=tokenizer.pad_token_id, **ends,
        )
        found += int((out[:, batch["input_ids"].shape[1] :] != tokenizer.pad_token_id).sum())
    return found


def measured(work: Callable[[], int]) -> tuple[float, float]:
    """Tokens per second of wall and of CPU time."""
    wall, cpu = time.perf_counter(), time.process_time()
    count = work()
    return count / (time.perf_counter() - wall), count / (time.process_time() - cpu)


def compared(engine: TransformersEngine, load: Load) -> dict[str, tuple[float, float]]:
    """Of engine and generate the better of two rates, by wall and by CPU time."""
    ends, engine.end_ids = engine.end_ids, engine.end_ids if load.is_stream else frozenset()
    engine.rows, engine.batch_prompts = load.rows, len(load.prompts)
    best = {"engine": (0.0, 0.0), "generate": (0.0, 0.0)}
    for _ in range(2):
        for name, side in (("engine", by_engine), ("generate", by_generate)):
            rate = measured(lambda side=side: side(engine, load))
            best[name] = max(best[name][0], rate[0]), max(best[name][1], rate[1])
    engine.end_ids = ends
    return best


def by_vllm(model: Path, loads: Sequence[Load]) -> None:
    """What vLLM makes of the loads, as JSON: the better of two rates each, by wall and by CPU time."""
    from dc_tools.rollout.vllm import VllmEngine

    engine = VllmEngine.load(model, context=1024)
    ends, rates = engine.end_ids, []
    for load in loads:
        engine.end_ids = ends if load.is_stream else frozenset()
        two = [measured(lambda load=load: by_engine(engine, load)) for _ in range(2)]
        rates.append([max(rate[0] for rate in two), max(rate[1] for rate in two)])
    engine.close()
    print("rates", json.dumps(rates))


def from_vllm(python: Path, model: Path, loads: Sequence[Load], threads: int) -> list[tuple[float, float]]:
    """The same from another environment's process."""
    argv = [str(python), __file__, str(model), "--loads", json.dumps([asdict(load) for load in loads])]
    environment = os.environ | {"VLLM_CPU_OMP_THREADS_BIND": f"0-{threads - 1}", "VLLM_CPU_KVCACHE_SPACE": "2"}
    done = subprocess.run(argv, capture_output=True, text=True, check=False, env=environment)
    lines = [line for line in done.stdout.splitlines() if line.startswith("rates ")]
    if not lines:
        raise SystemExit(f"vLLM failed: {done.stderr[-2000:]}")
    return [(wall, cpu) for wall, cpu in json.loads(lines[0].removeprefix("rates "))]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("--rows", type=int, nargs="+", default=[8, 32, 64])
    parser.add_argument("--n", type=int, default=8)
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--vllm", type=Path, help="a Python that has vLLM")
    parser.add_argument("--loads", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.loads:
        by_vllm(given.model, [Load(**each) for each in json.loads(given.loads)])
        return
    torch.set_num_threads(given.threads)
    engine = TransformersEngine.load(given.model, device="cpu")
    loads = [Load(rows, given.n, given.tokens, is_stream) for rows in given.rows for is_stream in (False, True)]
    theirs = from_vllm(given.vllm, given.model, loads, given.threads) if given.vllm else [None] * len(loads)
    print(f"{engine.name}, {given.threads} threads, {given.n} samples a prompt, {given.tokens} tokens")
    print("| rows | load | engine, tokens/s | generate | vLLM | engine / generate, wall (CPU) | engine / vLLM |")
    print("|---|---|---|---|---|---|---|")
    for load, other in zip(loads, theirs, strict=True):
        best = compared(engine, load)
        (wall, cpu), (other_wall, other_cpu) = best["engine"], best["generate"]
        cells = [
            str(load.rows), "stream" if load.is_stream else "batch", f"{wall:.0f}", f"{other_wall:.0f}",
            f"{other[0]:.0f}" if other else "-", f"{wall / other_wall:.2f}x ({cpu / other_cpu:.2f}x)",
            f"{wall / other[0]:.2f}x ({cpu / other[1]:.2f}x)" if other else "-",
        ]
        print(f"| {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
