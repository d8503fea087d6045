"""Benchmark of HumanEval+ against EvalPlus's own evaluator: time, and each verdict, in one run with two workers each.

    python tests/bench/eval.py DATA --evalplus PYTHON [--repeats 2] [--loaded 5]

DATA is a folder with HumanEvalPlus.jsonl.gz and HumanEval.jsonl.gz, PYTHON one that has evalplus. Judged are
EvalPlus's 164 canonical solutions, and OpenAI's, of which some are wrong or slow. Expected values are known to both
before, so that only judging is timed, start-up included; the better of `--repeats`, in turns. `--loaded` judges the
canonical ones again so many times with two other processes at work on each CPU: all must pass each time.
"""

import argparse
import gzip
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

WORKERS = 2
FILES = {"HumanEvalPlus": "EvalPlus's", "HumanEval": "OpenAI's"}
BURN = "while True: pass"
Verdicts = dict[str, tuple[bool, bool]]
"""By problem: whether base, and whether all tests pass."""


@dataclass
class Judged:
    """One judging."""

    wall_s: float
    cpu_s: float
    verdicts: Verdicts


def samples(data: Path, name: str, target: Path) -> Path:
    """Whole programs: the canonical solutions of a file."""
    with gzip.open(data / f"{name}.jsonl.gz") as source, target.open("w") as file:
        for line in source:
            row = json.loads(line)
            solution = row["prompt"] + row["canonical_solution"]
            file.write(json.dumps({"task_id": row["task_id"], "solution": solution}) + "\n")
    return target


def timed(argv: list[str], environment: dict[str, str]) -> tuple[float, float]:
    """Run it; seconds by the clock and of all its processors."""
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    done = subprocess.run(argv, check=False, capture_output=True, text=True, env=os.environ | environment)
    if done.returncode:
        raise SystemExit(done.stderr[-3000:])
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return time.monotonic() - started, cpu_s


def ours(file: Path, data: Path, folder: Path) -> Judged:
    """By dc-eval."""
    kept = folder / "ours.jsonl"
    argv = [
        str(Path(sys.executable).parent / "dc-eval"), str(file), "--datasets", "humaneval+", "--data", str(data),
        "--workers", str(WORKERS), "--samples-out", str(kept), "--force",
    ]
    wall_s, cpu_s = timed(argv, {"XDG_CACHE_HOME": str(folder)})
    lines = [json.loads(line) for line in kept.read_text().splitlines()]
    verdicts = {
        line["id"]: (verdict["passed"] >= line["meta"]["base_tests"], verdict["status"] == "AC")
        for line in lines for verdict in [line["rollouts"][0]["verdict"]]
    }
    return Judged(wall_s, cpu_s, verdicts)


def theirs(python: Path, file: Path, data: Path, folder: Path) -> Judged:
    """By EvalPlus."""
    rows = folder / "HumanEvalPlus.jsonl"
    rows.write_bytes(gzip.decompress((data / "HumanEvalPlus.jsonl.gz").read_bytes()))
    found = file.with_name(f"{file.stem}_eval_results.json")
    found.unlink(missing_ok=True)
    argv = [
        str(python), "-m", "evalplus.evaluate", "--dataset", "humaneval", "--samples", str(file),
        "--parallel", str(WORKERS), "--i_just_wanna_run",
    ]
    wall_s, cpu_s = timed(argv, {"HUMANEVAL_OVERRIDE_PATH": str(rows), "XDG_CACHE_HOME": str(folder)})
    by_task = json.loads(found.read_text())["eval"]
    verdicts = {
        name: (each[0]["base_status"] == "pass", each[0]["base_status"] == each[0]["plus_status"] == "pass")
        for name, each in by_task.items()
    }
    return Judged(wall_s, cpu_s, verdicts)


def compared(name: str, mine: list[Judged], other: list[Judged]) -> None:
    """A line of the table, and each verdict that differs."""
    wall = [min(each.wall_s for each in runs) for runs in (mine, other)]
    cpu = [min(each.cpu_s for each in runs) for runs in (mine, other)]
    passed = [sum(plus for _, plus in runs[-1].verdicts.values()) for runs in (mine, other)]
    print(
        f"| {name} | {wall[0]:.1f} | {wall[1]:.1f} | {wall[1] / wall[0]:.2f}x | {cpu[0]:.0f} | {cpu[1]:.0f} | "
        f"{passed[0]} | {passed[1]} |", flush=True,
    )
    for task, verdict in mine[-1].verdicts.items():
        if verdict != other[-1].verdicts[task]:
            print(f"    {task}: base, all: dc-eval {verdict}, EvalPlus {other[-1].verdicts[task]}", flush=True)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--evalplus", type=Path, required=True, help="a Python that has evalplus")
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--loaded", type=int, default=5)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as made:
        measured(given, Path(made))


def measured(given: argparse.Namespace, folder: Path) -> None:
    """Judge everything."""
    head = ("solutions", "dc-eval, s", "EvalPlus, s", "faster", "CPU s", "CPU s", "pass", "pass")
    print(f"| {' | '.join(head)} |\n|{'---|' * len(head)}")
    files = {name: samples(given.data, name, folder / f"{name}-samples.jsonl") for name in FILES}
    canonical = files[next(iter(FILES))]
    ours(canonical, given.data, folder)  # what is expected is made by both before anything is timed
    theirs(given.evalplus, canonical, given.data, folder)
    for name, file in files.items():
        mine, other = [], []
        for _ in range(given.repeats):
            mine.append(ours(file, given.data, folder))
            other.append(theirs(given.evalplus, file, given.data, folder))
        compared(FILES[name], mine, other)
    burners = [subprocess.Popen([sys.executable, "-c", BURN]) for _ in range(2 * (os.cpu_count() or 1))]
    try:
        judged = [ours(canonical, given.data, folder) for _ in range(given.loaded)]
    finally:
        for burner in burners:
            burner.kill()
            burner.wait()
    passed = [sum(plus for _, plus in each.verdicts.values()) for each in judged]
    print(f"\nunder load, canonical solutions that pass: {passed}")


if __name__ == "__main__":
    main()
