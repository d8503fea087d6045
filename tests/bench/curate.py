"""Benchmark of the branch coverage of dc-curate against coverage.py, and of both against plain runs.

    python tests/bench/curate.py [--problems 10] [--tests 15]

Real LeetCode solutions (../shared/data), each with its first tests. CPU seconds of all processes, in one run:
a Python process per test; `coverage run --branch` per test, then combine and report; the sandbox without and with
probes. Every way must find the same covered branches.
"""

import argparse
import ast
import gzip
import json
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable
from itertools import islice
from pathlib import Path

from dc_tools.core.records import Line, Problem
from dc_tools.curate import sources
from dc_tools.curate.coverage import probed
from dc_tools.curate.draft import Draft
from dc_tools.curate.formats import Format
from dc_tools.sandbox.judge import JudgePool, Program
from dc_tools.sandbox.program import LEETCODE_MODULES, LEETCODE_STARS

DATA = Path(__file__).parents[2].parent / "shared" / "data" / "raw" / "leetcode_dataset_v0.3.1_test.jsonl.gz"
PRELUDE = "\n".join(
    [f"from {name} import *" for name in LEETCODE_STARS] + [f"import {name}" for name in LEETCODE_MODULES]
)
RUNNER = """
import json, sys, solution
print(json.dumps(getattr(solution.{class_name}(), {fn_name!r})(*json.loads(sys.stdin.read()))))
"""


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
    """The problems, their folders, and the covered branches that each way has found."""

    def __init__(self, found: list[Problem], folder: Path) -> None:
        self.problems, self.folder = found, folder
        self.branches: dict[str, list[int]] = {}
        for place, problem in enumerate(found):
            home = folder / str(place)
            home.mkdir()
            assert problem.entry is not None
            runner = RUNNER.format(class_name=problem.entry.class_name, fn_name=problem.entry.fn_name)
            (home / "solution.py").write_text(problem.solutions[0].code)
            (home / "run.py").write_text(runner)

    def processes(self, *flags: str) -> None:
        """One Python process a test."""
        for place, problem in enumerate(self.problems):
            for test in problem.tests:
                self._python(place, *flags, "run.py", stdin=test.input)

    def coverage_py(self) -> None:
        """`coverage run --branch` a test, then the report."""
        self.processes("-m", "coverage", "run", "--branch", "-p", "--include=*/solution.py")
        covered = []
        for place, _ in enumerate(self.problems):
            self._python(place, "-m", "coverage", "combine", "-q")
            report = json.loads(self._python(place, "-m", "coverage", "json", "-q", "-o", "-"))
            covered.append(report["totals"]["covered_branches"])
        self.branches["coverage.py"] = covered

    def sandbox(self, *, probes: bool) -> None:
        """The sandbox, one worker."""
        covered = []
        with JudgePool(1) as pool:
            for problem in self.problems:
                program = probed(problem.solutions[0].code)
                code = program.code if probes else problem.solutions[0].code
                size = len(program.is_branch) if probes else 0
                job = Program(code, problem.mode, problem.entry, problem.limits, size)
                done = pool.execute(job, [test.input for test in problem.tests])
                covered.append(program.coverage(done.probes).covered if probes else 0)
        if probes:
            self.branches["probes"] = covered

    def _python(self, place: int, *arguments: str, stdin: str = "") -> str:
        command = [sys.executable, *arguments]
        home = self.folder / str(place)
        return subprocess.run(command, input=stdin, capture_output=True, text=True, check=True, cwd=home).stdout


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--problems", type=int, default=10)
    parser.add_argument("--tests", type=int, default=15)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(problems(asked.problems, asked.tests), Path(folder))
        ways = {
            "a python process per test": bench.processes,
            "coverage run --branch per test": bench.coverage_py,
            "sandbox": lambda: bench.sandbox(probes=False),
            "sandbox with probes": lambda: bench.sandbox(probes=True),
        }
        costs = {name: cpu_s(way) for name, way in ways.items()}
    runs = sum(len(problem.tests) for problem in bench.problems)
    base = costs["a python process per test"]
    print(f"{len(bench.problems)} problems, {runs} tests")
    for name, cost in costs.items():
        print(f"{name:32} {cost:7.2f} s CPU {1000 * cost / runs:7.1f} ms a test {cost / base:6.2f} x")
    same = bench.branches["coverage.py"] == bench.branches["probes"]
    print(f"covered branches {sum(bench.branches['probes'])}: {'the same' if same else bench.branches}")


if __name__ == "__main__":
    main()
