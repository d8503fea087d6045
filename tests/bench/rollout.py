"""Benchmark of the transformers engine against plain `model.generate`, on one model, in one run.

    python tests/bench/rollout.py MODEL [--rows 8 32] [--prompts 4] [--tokens 64] [--threads 2]

Both sample the same prompts (each n = rows / prompts times) for exactly `--tokens` tokens a row: no end token counts,
so both do the same work. The third column lets answers end, as in use: there rows leave the engine's batch, while
generate pads them; its tokens/s count only tokens up to the end. Order: engine, generate, engine, generate; the better
of two. Wall time matters on an idle machine, CPU time on a busy one.
"""

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

sys.path.insert(0, str(Path(__file__).parents[1]))
from tiny_model import examples, messages_of

from dc_tools.rollout.engine import Prompt, Sampling
from dc_tools.rollout.transformers import TransformersEngine

FENCE = "```python\n"


def by_engine(engine: TransformersEngine, prompts: list[Prompt], n: int, tokens: int) -> int:
    """Tokens that the engine sampled."""
    groups = engine.generate(prompts, Sampling(n=n, max_tokens=tokens, temperature=0.8))
    return sum(len(sample.token_ids) for group in groups for sample in group)


def by_generate(engine: TransformersEngine, prompts: list[Prompt], n: int, tokens: int) -> int:
    """Tokens up to each end that `model.generate` sampled from the same prompts, left-padded."""
    tokenizer, model = engine.tokenizer, engine.model
    ids = [engine.encode(prompt) for prompt in prompts for _ in range(n)]
    batch = tokenizer.pad({"input_ids": ids}, return_tensors="pt", padding_side="left").to(model.device)
    ends: dict[str, Any] = {"eos_token_id": sorted(engine.end_ids) or None}
    if prompts[0].stop:
        ends |= {"stop_strings": list(prompts[0].stop), "tokenizer": tokenizer}
    if not engine.end_ids:
        ends = {"eos_token_id": None, "min_new_tokens": tokens}
    out = model.generate(
        **batch, do_sample=True, temperature=0.8, top_k=0, top_p=1.0, max_new_tokens=tokens,
        pad_token_id=tokenizer.pad_token_id, **ends,
    )
    answers = out[:, batch["input_ids"].shape[1] :]
    return int((answers != tokenizer.pad_token_id).sum())


def measured(work: Callable[[], int]) -> tuple[float, float]:
    """Tokens per second of wall and of CPU time."""
    wall, cpu = time.perf_counter(), time.process_time()
    count = work()
    return count / (time.perf_counter() - wall), count / (time.process_time() - cpu)


def compared(engine: TransformersEngine, prompts: list[Prompt], n: int, tokens: int) -> str:
    """One table cell: both rates and their ratio, wall and CPU."""
    best = {"engine": (0.0, 0.0), "generate": (0.0, 0.0)}
    for _ in range(2):
        for name, side in (("engine", by_engine), ("generate", by_generate)):
            rate = measured(lambda side=side: side(engine, prompts, n, tokens))
            best[name] = tuple(map(max, best[name], rate))
    (wall, cpu), (other_wall, other_cpu) = best["engine"], best["generate"]
    return f"{wall:7.0f} {other_wall:7.0f} {wall / other_wall:5.2f}x {cpu / other_cpu:5.2f}x"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("--rows", type=int, nargs="+", default=[8, 32])
    parser.add_argument("--prompts", type=int, default=4)
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    engine = TransformersEngine.load(given.model, batch_prompts=given.prompts)
    ends, engine_ends = engine.end_ids, frozenset()
    statements = [statement for statement, _ in examples(3, given.prompts)]
    print(f"{engine.name}, {given.threads} threads; tokens/s of engine and generate, ratio by wall and by CPU time")
    print(f"rows  {given.tokens:4d} tokens each{'':17}up to {given.tokens} tokens, with ends")
    for rows in given.rows:
        cells = []
        for stop, end_ids in (((), engine_ends), (("```",), ends)):
            engine.end_ids = end_ids
            prompts = [Prompt(str(i), tuple(messages_of(s)), FENCE, stop) for i, s in enumerate(statements)]
            cells.append(compared(engine, prompts, rows // given.prompts, given.tokens))
        print(f"{rows:4d}  {cells[0]}   {cells[1]}", flush=True)


if __name__ == "__main__":
    main()
