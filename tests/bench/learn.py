"""Benchmark of dc-learn: against TRL's GRPOTrainer, and against itself with samplers of its own.

    python tests/bench/learn.py MODEL [--trl PYTHON] [--steps 8] [--parts trl split packing]

`trl`: the same model, prompts, group size, token budget, learning rate and judge, one update a step, on all cores, one
after the other. PYTHON is that of an environment with trl and dc_tools (this folder's, by PYTHONPATH). Samples a second
leave out the first step of each, in which things are made once; rewards are those of each step's samples.

`split`: one trainer and one sampler of one thread each, by turns (staleness 0) and side by side (1); all steps but the
first two. The learning rate is next to nothing, so that both have the same to learn from. The longer half bounds the
ratio.

`packing`: the share of tokens that ranks have time for and nothing new is learned in, for both stages of the recipe
deepcoder-14b and the lengths that scale.py draws.

CPU seconds are of all processes, read twice a second. From the runs' own metrics: what of a step is neither sampling,
judging, learning nor sending weights.
"""

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from statistics import fmean
from typing import Any

ROOT = Path(__file__).parents[2]
PROBLEMS = ROOT / "examples" / "data" / "train.jsonl"
GROUP, BATCH, TOKENS, LR = 8, 4, 24, 2e-5
RECIPE = f"""
prompt_style = "fenced"
batch = {BATCH}
group = {GROUP}
max_tokens = {TOKENS}
overlong_filter = false
temperature = 1.0
lr = {LR}
weight_decay = 0.0
freeze_embeddings = true
token_budget = 1024
shuffle = false
save_every = 1000
max_logprob_gap = 0.05
"""


def easy(folder: Path) -> Path:
    """The problems that read one integer, in file order."""
    lines = [line for line in PROBLEMS.read_bytes().splitlines(True) if b'"int"]' in line]
    path = folder / "problems.jsonl"
    path.write_bytes(b"".join(lines))
    return path


def dc_learn(model: Path, folder: Path, name: str, steps: int, *flags: str) -> tuple[list[dict[str, Any]], float]:
    """A run's metrics, and the CPU seconds of all its processes."""
    (folder / "recipe.toml").write_text(RECIPE)
    argv = [
        "dc-learn", easy(folder), "--model", model, "--recipe", folder / "recipe.toml", "--steps", steps,
        "-o", folder / name, *flags,
    ]
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    _, cpu_s = ran(argv, folder, PATH=path)
    lines = (folder / name / "metrics.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines], cpu_s


def ran(argv: Sequence[object], folder: Path, **variables: str) -> tuple[str, float]:
    """What a command says, and the CPU seconds of all its processes."""
    spent: dict[int, float] = {}
    with open(folder / "said", "w+") as said, open(folder / "errors", "w+") as errors:
        with subprocess.Popen(
            list(map(str, argv)), stdout=said, stderr=errors, cwd=folder, env=os.environ | variables
        ) as process:
            while process.poll() is None:
                time.sleep(0.5)
                for pid in family(process.pid):
                    with contextlib.suppress(OSError):
                        spent[pid] = cpu_seconds(pid)
        if process.returncode:
            errors.seek(0)
            raise SystemExit(errors.read()[-3000:])
        said.seek(0)
        return said.read(), sum(spent.values())


def family(pid: int) -> set[int]:
    """A process and its descendants."""
    found = {pid}
    with contextlib.suppress(OSError):
        for task in os.listdir(f"/proc/{pid}/task"):
            for child in Path(f"/proc/{pid}/task/{task}/children").read_text().split():
                found |= family(int(child))
    return found


def cpu_seconds(pid: int) -> float:
    """Of a process itself."""
    user, system = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def by_trl(python: Path, model: Path, folder: Path, steps: int) -> tuple[list[float], list[float], float]:
    """Seconds and reward of each step, and CPU seconds."""
    argv = [python, __file__, model, "--worker", easy(folder), "--steps", steps]
    said, cpu_s = ran(argv, folder, PYTHONPATH=str(ROOT), HF_HUB_OFFLINE="1")
    (found,) = (line for line in said.splitlines() if line.startswith("found "))
    seconds, rewards = json.loads(found.removeprefix("found "))
    return seconds, rewards, cpu_s


def worker(model: Path, problems: Path, steps: int) -> None:
    """TRL's side."""
    import torch
    from datasets import Dataset
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from trl import GRPOConfig, GRPOTrainer

    from dc_tools.core.records import Line, Problem, Status
    from dc_tools.rollout.chat import encode
    from dc_tools.rollout.prompts import PromptStyle, render
    from dc_tools.sandbox.judge import JudgePool

    tokenizer = AutoTokenizer.from_pretrained(model)
    tokenizer.padding_side = "left"
    known = [Line(line).decode(Problem) for line in problems.read_bytes().splitlines()]
    rows = [
        {"prompt": tokenizer.decode(encode(tokenizer, render(problem, PromptStyle.FENCED), "")), "number": number}
        for number, problem in enumerate(known)
    ]
    pool, ends, rewards = JudgePool(2), [time.monotonic()], list[float]()

    def reward(completions: Sequence[str], number: Sequence[int], **_: Any) -> list[float]:
        asked = [pool.submit(known[n], text.split("```")[0]) for n, text in zip(number, completions, strict=True)]
        found = [float(each.result().status is Status.AC) for each in asked]
        rewards.append(fmean(found))
        ends.append(time.monotonic())
        return found

    config = GRPOConfig(
        output_dir="trl", per_device_train_batch_size=BATCH * GROUP, num_generations=GROUP, learning_rate=LR,
        max_completion_length=TOKENS, max_steps=steps, beta=0.0, epsilon=0.2, epsilon_high=0.28, temperature=1.0,
        save_strategy="no", report_to=[], use_cpu=True, bf16=False, gradient_checkpointing=False,
        lr_scheduler_type="constant", shuffle_dataset=False, disable_tqdm=True,
    )
    policy = AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32)
    policy.get_input_embeddings().weight.requires_grad_(False)
    trainer = GRPOTrainer(
        model=policy, processing_class=tokenizer, reward_funcs=reward, args=config,
        train_dataset=Dataset.from_list(rows),
    )
    trainer.train()
    ends.append(time.monotonic())
    # A step is from one reward to the next: its learning, then the sampling of the one after it.
    print("found", json.dumps([[b - a for a, b in pairwise(ends[1:])], rewards]))


def against_trl(python: Path, model: Path, folder: Path, steps: int) -> None:
    """Print the table."""
    lines, cpu = dc_learn(model, folder, "alone", steps)
    seconds, rewards, other_cpu = by_trl(python, model, folder, steps)
    mine, theirs = fmean(line["wall_s"] for line in lines[1:]), fmean(seconds[:-1])
    samples = BATCH * GROUP
    print("| | s a step | samples/s | CPU s in all | reward by step |\n|---|---|---|---|---|")
    for name, each, spent, curve in (
        ("dc-learn", mine, cpu, [line["reward"] for line in lines]), ("TRL", theirs, other_cpu, rewards),
    ):
        said = " ".join(f"{value:.2f}".removeprefix("0") for value in curve)
        print(f"| {name} | {each:.1f} | {samples / each:.2f} | {spent:.0f} | {said} |")
    print(f"\nsamples/s: {theirs / mine:.1f}x\n")
    _say_own(lines)


def split(model: Path, folder: Path, steps: int) -> None:
    """Print the table."""
    print("| staleness | s a step | sample | learn | send |\n|---|---|---|---|---|")
    means = []
    for staleness in (0, 1):
        flags = ("--samplers", "1", "--set", "threads=1", "--workers", "1", "--set", "lr=1e-12")
        lines = dc_learn(model, folder, f"split-{staleness}", steps, *flags, "--staleness", str(staleness))[0][2:]
        means.append(fmean(line["wall_s"] for line in lines))
        parts = " | ".join(f"{fmean(line[name] for line in lines):.1f}" for name in ("sample_s", "learn_s", "sync_s"))
        print(f"| {staleness} | {means[-1]:.1f} | {parts} |", flush=True)
    print(f"\nsteps/s: {means[0] / means[1]:.2f}x\n")


def packing() -> None:
    """Print the table."""
    import msgspec
    from scale_parts import MODELS, Setting, lengths

    from dc_tools.learn.batches import Piece, Weighed
    from dc_tools.learn.packing import planned
    from dc_tools.learn.recipe import load_recipe

    print("| max_tokens | token_budget | responses | ranks | packing waste |\n|---|---|---|---|---|")
    whole = load_recipe(ROOT / "examples/recipes/deepcoder-14b.toml", {})
    for stage, mean in zip(whole.stages, (8_000, 12_000), strict=True):
        recipe = msgspec.structs.replace(whole, **stage.changes())
        drawn = lengths(Setting(MODELS["14b"], recipe, mean, 0.0, 0), 0, recipe.minibatch).astype(int)
        for ranks in (1, 4, 8, 16):
            groups = [
                Piece(number, [0] * 700, [Weighed([0] * int(length), [], 1.0, 1.0) for length in group])
                for number, group in enumerate(drawn.reshape(recipe.minibatch, recipe.group))
            ]
            responses = f"{len(drawn)} of {drawn.mean():.0f} tokens"
            waste = 100 * planned(groups, recipe.token_budget, ranks).waste
            print(f"| {recipe.max_tokens} | {recipe.token_budget} | {responses} | {ranks} | {waste:.1f} % |")


def _say_own(lines: Sequence[dict[str, Any]]) -> None:
    known = ("sample_s", "judge_s", "learn_s", "sync_s")
    rest = [1 - sum(line[name] for name in known) / line["wall_s"] for line in lines[1:]]
    print(f"not sampling, judging, learning, sending: {100 * fmean(rest):.2f} % of a step\n")


def main() -> None:
    """Run the parts that were asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("--trl", type=Path, help="a Python that has trl")
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--parts", nargs="+", choices=["trl", "split", "packing"], default=["trl", "split", "packing"])
    parser.add_argument("--worker", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.worker:
        worker(given.model, given.worker, given.steps)
        return
    with tempfile.TemporaryDirectory() as folder:
        if "trl" in given.parts:
            against_trl(given.trl, given.model.resolve(), Path(folder), given.steps)
        if "split" in given.parts:
            split(given.model.resolve(), Path(folder), given.steps)
        if "packing" in given.parts:
            packing()


if __name__ == "__main__":
    main()
