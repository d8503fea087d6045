"""Learning curves of a small model on two cores: rewards by step, and problems of templates that are never trained on.

    python tests/bench/learn_curves.py MODEL [--tasks A B] [--seeds 3]

A: one integer in, 4 problems x 8 answers of at most 24 tokens, 10 steps. B: one or two integers, 6 x 8 answers of at
most 28 tokens, 25 steps, measured before, and every fifth step, on the templates that are held out. Both change all
weights but the embeddings by AdamW with 2e-5; the problems' order and what is sampled depend on the seed.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

DATA = Path(__file__).parents[2] / "examples" / "data"
RECIPE = """
prompt_style = "fenced"
batch = {batch}
group = 8
max_tokens = {tokens}
overlong_filter = false
temperature = 1.0
lr = 2e-5
betas = [0.9, 0.95]
weight_decay = 0.0
freeze_embeddings = true
token_budget = 1024
sample_batch = {batch}
save_every = 1000
max_logprob_gap = 0.01
eval_group = 2
"""


@dataclass(frozen=True)
class Task:
    """What is learned, and how long."""

    tags: tuple[str, ...]
    batch: int
    tokens: int
    steps: int
    is_measured: bool


TASKS = {"A": Task(("int",), 4, 24, 10, False), "B": Task(("int", "pair"), 6, 28, 25, True)}


def problems(name: str, task: Task, folder: Path) -> Path:
    """Those of the task's kinds."""
    path = folder / f"{name}.jsonl"
    lines = (DATA / f"{name}.jsonl").read_text().splitlines(True)
    path.write_text("".join(line for line in lines if set(json.loads(line)["tags"]) & set(task.tags)))
    return path


def command(*argv: object) -> None:
    """Run one of ours; what it says is shown where it fails."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        list(map(str, argv)), check=False, capture_output=True, text=True, env=os.environ | {"PATH": path}
    )
    if done.returncode:
        raise SystemExit(done.stderr[-3000:])


def solved_before(model: Path, heldout: Path, task: Task, folder: Path) -> float:
    """The share of answers that pass without any training."""
    sampled, judged = folder / "before.jsonl", folder / "before-judged.jsonl"
    command(
        "dc-rollout", heldout, "--model", model, "--prompt-style", "fenced", "--n", 2, "--temperature", 1, "--top-p", 1,
        "--max-tokens", task.tokens, "-o", sampled,
    )
    command("dc-sandbox", sampled, "-o", judged)
    rollouts = [each for line in judged.read_text().splitlines() for each in json.loads(line)["rollouts"]]
    return fmean(each["verdict"]["status"] == "AC" for each in rollouts)


def curve(model: Path, task: Task, seed: int, folder: Path) -> tuple[list[float], dict[int, float], float]:
    """Rewards by step, what was solved of the held-out problems by step, and seconds."""
    recipe, out, started = folder / "recipe.toml", folder / f"run-{seed}", time.monotonic()
    recipe.write_text(RECIPE.format(batch=task.batch, tokens=task.tokens))
    more = ("--eval", problems("heldout", task, folder), "--eval-every", 5) if task.is_measured else ()
    command(
        "dc-learn", problems("train", task, folder), "--model", model, "--recipe", recipe, "--steps", task.steps,
        "--seed", seed, "-o", out, *more,
    )
    lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    measured = {line["step"]: line["eval_solved"] for line in lines if "eval_solved" in line}
    return [line["reward"] for line in lines], measured, time.monotonic() - started


def main() -> None:
    """Print a line for each run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("--tasks", nargs="+", choices=list(TASKS), default=list(TASKS))
    parser.add_argument("--seeds", type=int, default=3)
    given = parser.parse_args()
    for name in given.tasks:
        task = TASKS[name]
        with tempfile.TemporaryDirectory() as made:
            folder, before = Path(made), ""
            if task.is_measured:
                share = solved_before(given.model, problems("heldout", task, folder), task, folder)
                before = f"0: {share:.2f}  "
            for seed in range(given.seeds):
                rewards, measured, seconds = curve(given.model.resolve(), task, seed, folder)
                said = " ".join(f"{each:.2f}" for each in rewards)
                print(f"{name}, seed {seed}, {seconds:.0f} s: {said}", flush=True)
                if measured:
                    said = "  ".join(f"{step}: {share:.2f}" for step, share in measured.items())
                    print(f"   held out, by step: {before}{said}", flush=True)


if __name__ == "__main__":
    main()
