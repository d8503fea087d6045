"""Benchmark of dc-curate: what branch coverage costs, how fast a dataset is curated, how much memory it takes.

    python tests/bench/curate.py [coverage] [dataset] [memory] [--problems 10] [--tests 15] [--rows 300]

coverage: real LeetCode solutions, each as a program that reads its arguments from stdin, with its first tests. CPU
seconds of all processes, in one run: a Python process per test; `coverage run --branch` per test, then combine and
report; the same by slipcover where it is installed (pip install slipcover); the sandbox without and with probes, a
process per test; and as functions, all calls in one process. All ways but slipcover must find the same covered
branches.
dataset: LeetCodeDataset v0.3.1 (228 problems, about 100 tests each) with two workers, verification and coverage.
memory: the peak of the command's own process over so many small rows and over ten times as many.

The data is that of ../shared/data.
"""

import argparse
import ast
import gzip
import importlib.util
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from itertools import islice
from pathlib import Path

from msgspec import structs

from dc_tools.core.records import Line, Mode, Problem
from dc_tools.curate import sources
from dc_tools.curate.coverage import probed
from dc_tools.curate.draft import Draft
from dc_tools.curate.formats import Format
from dc_tools.curate.runs import all_together, each_alone
from dc_tools.sandbox.judge import Executions, JudgePool
from dc_tools.sandbox.program import LEETCODE_MODULES, LEETCODE_STARS

DATA = Path(__file__).parents[2].parent / "shared" / "data" / "raw" / "leetcode_dataset_v0.3.1_test.jsonl.gz"
PRELUDE = "\n".join(
    [f"from {name} import *" for name in LEETCODE_STARS] + [f"import {name}" for name in (*LEETCODE_MODULES, "json")]
)
MAIN = "import sys\nprint(json.dumps({class_name}().{fn_name}(*json.loads(sys.stdin.read()))))\n"
PROGRAM = "program.py"
PLAIN = "a python process per test"
SPENT_S = 60.0


def cpu_s(work: Callable[[], object]) -> float:
    """CPU seconds that `work` costs, this process and ended children."""

    def used() -> float:
        each = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
        return sum(usage.ru_utime + usage.ru_stime for usage in each)

    before = used()
    work()
    return used() - before


def problems(count: int, tests: int) -> list[Problem]:
    """The first literal LeetCode problems, one statement a line, with their first tests."""
    with gzip.open(DATA) as rows:
        drafts = (sources.draft(Line(row), Format.AUTO) for row in rows)
        found = list(islice((d.problem for d in drafts if isinstance(d, Draft) and not d.must_run), count))
    for problem in found:
        problem.tests = problem.tests[:tests]
        problem.solutions[0].code = f"{PRELUDE}\n{ast.unparse(ast.parse(problem.solutions[0].code))}\n"
    return found


class Bench:
    """The problems as stdin programs in folders, and the covered branches that each way has found."""

    def __init__(self, found: list[Problem], folder: Path) -> None:
        self.functions, self.folder = found, folder
        self.programs: list[Problem] = []
        self.branches: dict[str, list[int]] = {}
        for place, problem in enumerate(found):
            home = folder / str(place)
            home.mkdir()
            assert problem.entry is not None
            main = MAIN.format(class_name=problem.entry.class_name, fn_name=problem.entry.fn_name)
            code = problem.solutions[0].code + main
            (home / PROGRAM).write_text(code)
            solution = structs.replace(problem.solutions[0], code=code)
            self.programs.append(structs.replace(problem, mode=Mode.STDIN, entry=None, solutions=[solution]))

    def processes(self, *flags: str) -> None:
        """One Python process a test."""
        for place, problem in enumerate(self.programs):
            for number, test in enumerate(problem.tests):
                self._python(place, *(each.format(number=number) for each in flags), PROGRAM, stdin=test.input)

    def coverage_py(self) -> None:
        """`coverage run --branch` a test, then the report."""
        self.processes("-m", "coverage", "run", "--branch", "-p", f"--include=*/{PROGRAM}")
        covered = []
        for place, _ in enumerate(self.programs):
            self._python(place, "-m", "coverage", "combine", "-q")
            report = json.loads(self._python(place, "-m", "coverage", "json", "-q", "-o", "-"))
            covered.append(report["totals"]["covered_branches"])
        self.branches["coverage.py"] = covered

    def slipcover(self) -> None:
        """`slipcover --branch` a test, then the merged report."""
        slipcover = ("-m", "slipcover", "--branch", "--json", "--out")
        self.processes(*slipcover, "{number}.json")
        covered = []
        for place, problem in enumerate(self.programs):
            parts = [f"{number}.json" for number, _ in enumerate(problem.tests)]
            self._python(place, *slipcover, "all.json", "--merge", *parts)
            report = json.loads((self.folder / str(place) / "all.json").read_text())
            covered.append(report["summary"]["covered_branches"])
        self.branches["slipcover"] = covered

    def alone(self, *, probes: bool) -> None:
        """The sandbox, one worker, a process a test."""
        self._measure("sandbox, alone", self.programs, each_alone, probes=probes)

    def together(self) -> None:
        """The sandbox, one worker, all calls of a function in one process; the last statement is not there."""

        def run(problem: Problem, code: str, inputs: list[str], pool: JudgePool, *, probes: int) -> Executions:
            found = all_together(problem, code, inputs, pool, spent_s=SPENT_S, probes=probes)
            assert found is not None
            return found

        self._measure("sandbox, together", self.functions, run, probes=True)

    def _measure(self, name: str, found: list[Problem], run: Callable[..., Executions], *, probes: bool) -> None:
        covered = []
        with JudgePool(1) as pool:
            for problem in found:
                code = problem.solutions[0].code
                program = probed(code)
                size = len(program.is_branch) if probes else 0
                inputs = [test.input for test in problem.tests]
                done = run(problem, program.code if probes else code, inputs, pool, probes=size)
                covered.append(program.coverage(done.probes).covered if probes else 0)
        if probes:
            self.branches[name] = covered

    def _python(self, place: int, *arguments: str, stdin: str = "") -> str:
        command = [sys.executable, *arguments]
        home = self.folder / str(place)
        return subprocess.run(command, input=stdin, capture_output=True, text=True, check=True, cwd=home).stdout


def coverage(count: int, tests: int) -> None:
    """Print the table of the ways to measure coverage."""
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(problems(count, tests), Path(folder))
        ways: dict[str, Callable[[], None]] = {
            PLAIN: bench.processes,
            "coverage run --branch per test": bench.coverage_py,
            "slipcover --branch per test": bench.slipcover,
            "sandbox per test": lambda: bench.alone(probes=False),
            "sandbox per test, with probes": lambda: bench.alone(probes=True),
            "sandbox, one process, with probes": bench.together,
        }
        if importlib.util.find_spec("slipcover") is None:
            del ways["slipcover --branch per test"]
        costs = {name: cpu_s(way) for name, way in ways.items()}
    runs = sum(len(problem.tests) for problem in bench.programs)
    print(f"{len(bench.programs)} problems, {runs} tests")
    for name, cost in costs.items():
        print(f"{name:34} {cost:7.2f} s CPU {1000 * cost / runs:7.1f} ms a test {cost / costs[PLAIN]:6.2f} x")
    for name, covered in bench.branches.items():
        same = "the same" if covered == bench.branches["coverage.py"] else "NOT those of coverage.py"
        print(f"{name:34} {sum(covered)} covered branches: {same}")


def curated(file: Path, *flags: str) -> tuple[float, float, float, str]:
    """Wall and CPU seconds, peak MiB of the command's process, and the end of what it says."""
    command = [sys.executable, "-c", "from dc_tools.curate.command import main; main()", str(file), *flags]
    with tempfile.TemporaryFile() as said:
        began, before = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=said)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        wall, after = time.monotonic() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
        said.seek(0)
        last = said.read().decode().strip().splitlines()[-1]
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return wall, spent, usage.ru_maxrss / 1024, last


def dataset() -> None:
    """Print how long LeetCodeDataset v0.3.1 takes."""
    wall, spent, peak, said = curated(DATA, "--workers", "2")
    print(f"LeetCodeDataset v0.3.1: {wall:.1f} s, {spent:.1f} s CPU, {228 / wall:.1f} problems/s, {peak:.0f} MiB")
    print(said)


def memory(rows: int) -> None:
    """Print the peak over `rows` small rows and over ten times as many."""
    with tempfile.TemporaryDirectory() as folder:
        for count in (rows, 10 * rows):
            file = Path(folder) / "rows.jsonl"
            with file.open("w") as out:
                for i in range(count):
                    tests = [{"input": f"{x}\n", "output": f"{x + i}\n"} for x in range(5)]
                    row = {"id": f"p{i}", "statement": "s" * 2000, "tests": tests}
                    out.write(json.dumps({**row, "solutions": [f"print(int(input()) + {i})\n"]}) + "\n")
            wall, _, peak, _ = curated(file, "--workers", "2")
            print(f"{count:6} rows {file.stat().st_size / 2**20:6.1f} MiB: {peak:6.1f} MiB, {count / wall:.0f} rows/s")


def main() -> None:
    """Print what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", default=["coverage", "dataset", "memory"])
    parser.add_argument("--problems", type=int, default=10)
    parser.add_argument("--tests", type=int, default=15)
    parser.add_argument("--rows", type=int, default=300)
    asked = parser.parse_args()
    for part in asked.parts:
        if part == "coverage":
            coverage(asked.problems, asked.tests)
        elif part == "dataset":
            dataset()
        else:
            memory(asked.rows)


if __name__ == "__main__":
    main()
