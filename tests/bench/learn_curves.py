"""Learning curves of a small model on two cores: rewards by step, and problems of templates that are never trained on.

    python tests/bench/learn_curves.py MODEL [--tasks A B] [--seeds 0 1 2]

A: one integer in, 9 templates, 4 problems x 8 answers of at most 24 tokens, 10 steps. B: one or two integers in half of
the problems each, 15 templates, 6 x 8 answers of at most 28 tokens, 25 steps, measured before, and every fifth step, on
problems of 4 more templates, 2 of each kind. Both change all weights but the embeddings by AdamW with 2e-5; the
problems' order and what is sampled depend on the seed.
"""

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from dc_tools.core.records import Problem, Test, encode

Meaning = Callable[..., int]
"""Of a template: what is to be printed, from what is read and the constant k."""
ONE: dict[str, Meaning] = {
    "n plus {k}": lambda n, k: n + k, "n minus {k}": lambda n, k: n - k, "n times {k}": lambda n, k: n * k,
    "twice n": lambda n, k: 2 * n, "the square of n": lambda n, k: n**2, "n cubed": lambda n, k: n**3,
    "the remainder of n divided by {k}": lambda n, k: n % k, "the absolute value of n": lambda n, k: abs(n),
    "the negative of n": lambda n, k: -n,
}
TWO: dict[str, Meaning] = {
    "the sum of a and b": lambda a, b, k: a + b, "the product of a and b": lambda a, b, k: a * b,
    "a minus b": lambda a, b, k: a - b, "the larger of a and b": lambda a, b, k: max(a, b),
    "b minus a": lambda a, b, k: b - a, "the smaller of a and b": lambda a, b, k: min(a, b),
    "the sum of their squares": lambda a, b, k: a**2 + b**2, "twice the sum of a and b": lambda a, b, k: 2 * (a + b),
    "a plus b plus {k}": lambda a, b, k: a + b + k, "a times b plus {k}": lambda a, b, k: a * b + k,
}
HELD_OUT = ("the negative of n", "n minus {k}", "b minus a", "a times b plus {k}")
"""Templates of B that are never learned from."""
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

    templates: Sequence[Mapping[str, Meaning]]
    """By kind; all kinds are as frequent."""
    batch: int
    tokens: int
    steps: int
    held_out: Sequence[Mapping[str, Meaning]] = ()


def _by_kind(*, held_out: bool) -> list[dict[str, Meaning]]:
    return [{words: each for words, each in kind.items() if (words in HELD_OUT) == held_out} for kind in (ONE, TWO)]


TASKS = {
    "A": Task([ONE], 4, 24, 10), "B": Task(_by_kind(held_out=False), 6, 28, 25, _by_kind(held_out=True)),
}


def problems(path: Path, templates: Sequence[Mapping[str, Meaning]], count: int) -> Path:
    """So many problems, each of a template that is drawn, with a constant and five tests."""
    draw = random.Random(3)
    with path.open("wb") as file:
        for number in range(count):
            words, meaning = draw.choice(list(draw.choice(templates).items()))
            k, inputs = draw.randint(2, 9), 2 if words in TWO else 1
            what = "two integers a and b from one line" if inputs == 2 else "an integer n"
            read = [[draw.randint(-50, 99) for _ in range(inputs)] for _ in range(5)]
            tests = [Test(" ".join(map(str, each)) + "\n", f"{meaning(*each, k)}\n") for each in read]
            statement = f"Read {what} and print {words.format(k=k)}."
            file.write(encode(Problem(id=f"easy/{number}", statement=statement, tests=tests)) + b"\n")
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
    more = ("--eval", folder / "held_out.jsonl", "--eval-every", 5) if task.held_out else ()
    command(
        "dc-learn", problems(folder / "problems.jsonl", task.templates, 200), "--model", model, "--recipe", recipe,
        "--steps", task.steps, "--seed", seed, "-o", out, *more,
    )
    lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    measured = {line["step"]: line["eval_solved"] for line in lines if "eval_solved" in line}
    return [line["reward"] for line in lines], measured, time.monotonic() - started


def main() -> None:
    """Print a line for each run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("--tasks", nargs="+", choices=list(TASKS), default=list(TASKS))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    given = parser.parse_args()
    for name in given.tasks:
        task = TASKS[name]
        with tempfile.TemporaryDirectory() as made:
            folder, before = Path(made), ""
            if task.held_out:
                held_out = problems(folder / "held_out.jsonl", task.held_out, 48)
                share = solved_before(given.model, held_out, task, folder)
                before = f"0: {share:.2f}  "
            for seed in given.seeds:
                rewards, measured, seconds = curve(given.model.resolve(), task, seed, folder)
                said = " ".join(f"{each:.2f}" for each in rewards)
                print(f"{name}, seed {seed}, {seconds:.0f} s: {said}", flush=True)
                if measured:
                    said = "  ".join(f"{step}: {share:.2f}" for step, share in measured.items())
                    print(f"   held out, by step: {before}{said}", flush=True)


if __name__ == "__main__":
    main()
