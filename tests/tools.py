"""The seven commands as data: what the contract's checks must know of each, and nothing else."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from processes import BIN

DATA = Path(__file__).parents[1] / "examples" / "data"
MEASURED = {"time_s", "memory_mb", "seconds", "wall_s", "cpu_s"}
"""Names of values that differ from run to run."""
BAD_ROW = {"id": "bad", "statement": "s", "tests": [{"input": 1, "output": "x"}]}
BAD_PATH = "Expected `str`, got `int` - at `$.tests[0].input`"
UNKNOWN = {"theirs": {"b": 1.50, "a": [None, "\u00e9"]}}


@dataclass(frozen=True)
class Tool:
    """One command with flags that make it quick on small inputs."""

    name: str
    row: Callable[[int], dict[str, Any]]
    """The i-th good input line."""
    flags: tuple[str, ...] = ()
    needs_model: bool = False
    taught: bool = False
    """Whether its reference run needs the model whose answers are right at times."""
    output: str = "lines"
    """`lines`: one for each good line; `summary`: one object; `folder`: made by the command itself."""
    rows: int = 24
    empty_code: int = 0
    """Exit code where there is no line at all."""
    children: int = 1
    """Processes that it surely has while it works."""
    unfinished: str = "out.journal"
    """A file that shows, by having `begun` lines, that work is under way; relative to the working folder."""
    begun: int = 2
    endless: tuple[str, ...] = ()
    """Flags with which it is at work until it is stopped."""
    killed_by_its_room: bool = False
    """Whether the tests of its room kill and resume it: a run here would be dear."""

    def argv(self, model: Path, *more: str | Path) -> list[str | Path]:
        """The command line."""
        chosen = ["--model", model] if self.needs_model else []
        return [BIN / self.name, *self.flags, *chosen, *more]

    @property
    def makes_lines(self) -> bool:
        """Whether stdout is what it writes."""
        return self.output != "folder"

    def input(self) -> bytes:
        """All its rows; the second line is bad."""
        good = [encoded(self.row(i)) for i in range(self.rows)]
        return b"".join([good[0], encoded(BAD_ROW), *good[1:]])

    def made(self, folder: Path) -> Any:
        """What a run left in `folder`/out, without what is measured."""
        out = folder / "out"
        if self.output == "folder":
            return (out / "model" / "model.safetensors").read_bytes()
        return [without_measures(json.loads(line)) for line in out.read_bytes().splitlines()]


def encoded(row: dict[str, Any]) -> bytes:
    """A line."""
    return json.dumps(row).encode() + b"\n"


def without_measures(value: Any) -> Any:
    """`value` without times and sizes, at any depth."""
    if isinstance(value, dict):
        return {k: without_measures(v) for k, v in value.items() if k not in MEASURED}
    return [without_measures(v) for v in value] if isinstance(value, list) else value


def code(i: int, pause_s: float) -> str:
    """A right program that takes its time without using the CPU."""
    return f"import time\ntime.sleep({pause_s})\nn = int(input())\nprint(n + {i})\n"


def problem(i: int) -> dict[str, Any]:
    """A problem whose statement is like no other's."""
    words = " ".join(f"w{(i * 7919 + k * k * 104729) % 99991}" for k in range(12))
    tests = [{"input": f"{n}\n", "output": f"{n + i}\n"} for n in range(5)]
    return {"id": f"p{i}", "statement": f"Read n, print n plus {i}. {words}", "tests": tests, **UNKNOWN}


def unsolved(i: int) -> dict[str, Any]:
    """A problem with a solution that nobody judged."""
    return problem(i) | {"solutions": [{"code": code(i, 0.01)}]}


def answered(i: int) -> dict[str, Any]:
    """A problem with two rollouts, one of them wrong."""
    answers = [{"text": f"```python\n{code(i + wrong, 0.03)}```", "finish": "stop"} for wrong in (0, 1)]
    return problem(i) | {"rollouts": answers, "difficulty": "easy"}


def solved(i: int) -> dict[str, Any]:
    """A problem with a solution that was judged right."""
    verdict = {"status": "AC", "passed": 5, "total": 5}
    return problem(i) | {"solutions": [{"code": code(i, 0), "verdict": verdict}]}


def easy(i: int) -> dict[str, Any]:
    """A problem of the family that the taught model knows."""
    with (DATA / "train.jsonl").open() as lines:
        return json.loads(next(islice(lines, i, None))) | {"id": f"p{i}", **UNKNOWN}


LEARN = (
    "prompt_style=fenced", "batch=2", "group=4", "max_tokens=20", "temperature=1.0", "lr=1e-3", "token_budget=512",
    "sample_batch=2", "save_every=2", "shuffle=false", "threads=1",
)
TOOLS = [
    Tool("dc-curate", unsolved),
    Tool("dc-dedup", problem, children=0, begun=1),
    Tool("dc-sandbox", answered),
    Tool("dc-rollout", problem, ("--max-tokens", "8", "--batch-prompts", "1", "--prompt-style", "fenced"),
         needs_model=True, children=0, killed_by_its_room=True),
    Tool("dc-eval", answered, output="summary", begun=1),
    Tool("dc-finetune", solved, ("--epochs", "2", "--batch-size", "4", "--save-every", "2", "--max-length", "512"),
         needs_model=True, output="folder", empty_code=3, children=0, unfinished="out/metrics.jsonl",
         killed_by_its_room=True),
    Tool("dc-learn", easy, tuple(f for s in LEARN for f in ("--set", s)), needs_model=True, taught=True,
         output="folder", rows=10, empty_code=3, children=2, unfinished="out/metrics.jsonl",
         endless=("--steps", "500"), killed_by_its_room=True),
]
LINE_TOOLS = [tool for tool in TOOLS if tool.makes_lines]
