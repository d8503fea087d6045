"""The programs that the sandbox benchmark judges, with their tests: honest ones, so that every way agrees on them.

Standard library only: the processes that measure other judges import this, and a fork of them should cost no more than
a fork of those judges does.
"""

import contextlib
import io
import json
import random
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

FUNCTION = "solve"
EXTRA_LINE = "\nprint('one line too many')\n"
CRASH = "\nraise IndexError('list index out of range')\n"
LOOP = "\nwhile True:\n    pass\n"
MIX = ((0.60, "WA", EXTRA_LINE), (0.10, "RE", CRASH), (0.05, "TLE", LOOP))
"""Share of the solutions, their verdict, and what is put behind the right program. The rest are right."""


@dataclass
class Task:
    """One solution with its tests (input, expected output) and the verdict it deserves."""

    code: str
    tests: list[tuple[str, str]]
    status: str = "AC"


@dataclass
class Workload:
    """Solutions to be judged alike. `warm_up` is judged before the clock starts: one right, one wrong, in turn."""

    name: str
    mode: str
    time_s: float
    tasks: list[Task]
    warm_up: list[Task]

    @property
    def tests(self) -> int:
        """How many tests are run up to the first that fails of each solution."""
        return sum(len(task.tests) if task.status == "AC" else 1 for task in self.tasks)

    def save(self, path: Path) -> None:
        """Write it as JSON."""
        path.write_text(json.dumps(asdict(self)))

    @classmethod
    def load(cls, path: Path) -> "Workload":
        """Read what `save` wrote."""
        fields = json.loads(path.read_text())
        for name in ("tasks", "warm_up"):
            fields[name] = [Task(**task) for task in fields[name]]
        return cls(**fields)


# -- programs ---------------------------------------------------------------------------------------------------------

KNAPSACK = """
size, limit = map(int, input().split())
weights = list(map(int, input().split()))
ways = [1] + [0] * limit
for weight in weights:
    for total in range(limit, weight - 1, -1):
        ways[total] = (ways[total] + ways[total - weight]) % 998244353
print(ways[limit], sum(ways) % 998244353)
"""
MAZE = """
from collections import deque

def shortest(rows):
    height, width = len(rows), len(rows[0])
    seen = {(0, 0): 0}
    waiting = deque(seen)
    while waiting:
        y, x = waiting.popleft()
        for v, u in ((y + 1, x), (y - 1, x), (y, x + 1), (y, x - 1)):
            if 0 <= v < height and 0 <= u < width and rows[v][u] == "." and (v, u) not in seen:
                seen[v, u] = seen[y, x] + 1
                waiting.append((v, u))
    return seen.get((height - 1, width - 1), -1), len(seen)

n = int(input())
print(*shortest([input() for _ in range(n)]))
"""
EDITS = """
import sys

def distance(a, b):
    last = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        row = [i]
        for j, y in enumerate(b, 1):
            row.append(last[j - 1] if x == y else 1 + min(last[j - 1], last[j], row[-1]))
        last = row
    return last[-1]

if __name__ == "__main__":
    first, second = sys.stdin.read().split()
    print(distance(first, second))
"""
RISING = """
import bisect
import sys

def main():
    data = sys.stdin.buffer.read().split()
    numbers = list(map(int, data[1:]))
    tails = []
    for number in numbers:
        place = bisect.bisect_left(tails, number)
        if place == len(tails):
            tails.append(number)
        else:
            tails[place] = number
    print(len(tails))
    print(*tails[:10])

main()
"""
ROADS = """
import heapq
import sys

n, m = map(int, sys.stdin.readline().split())
roads = [[] for _ in range(n)]
for _ in range(m):
    a, b, length = map(int, sys.stdin.readline().split())
    roads[a].append((b, length))
    roads[b].append((a, length))
far = [10**9] * n
far[0] = 0
heap = [(0, 0)]
while heap:
    so_far, here = heapq.heappop(heap)
    if so_far == far[here]:
        for there, length in roads[here]:
            if so_far + length < far[there]:
                far[there] = so_far + length
                heapq.heappush(heap, (far[there], there))
for distance in far[:20]:
    print(distance if distance < 10**9 else -1)
"""
SUM = "print(sum(map(int, input().split())))\n"
RISING_FUNCTION = """
from bisect import bisect_left

def solve(numbers):
    tails = []
    for number in numbers:
        place = bisect_left(tails, number)
        if place == len(tails):
            tails.append(number)
        else:
            tails[place] = number
    return len(tails)
"""


def _knapsack(rng: random.Random) -> str:
    weights = [rng.randint(1, 300) for _ in range(40)]
    return f"40 600\n{' '.join(map(str, weights))}\n"


def _maze(rng: random.Random) -> str:
    rows = ["".join("#" if rng.random() < 0.2 else "." for _ in range(48)) for _ in range(48)]
    rows[0], rows[-1] = "." + rows[0][1:], rows[-1][:-1] + "."
    return "48\n" + "\n".join(rows) + "\n"


def _edits(rng: random.Random) -> str:
    return "".join(rng.choices("abcd", k=110)) + "\n" + "".join(rng.choices("abcd", k=100)) + "\n"


def _rising(rng: random.Random) -> str:
    return "5000\n" + " ".join(str(rng.randint(0, 10**6)) for _ in range(5000)) + "\n"


def _roads(rng: random.Random) -> str:
    lines = [f"{rng.randrange(250)} {rng.randrange(250)} {rng.randint(1, 1000)}" for _ in range(900)]
    return "250 900\n" + "\n".join(lines) + "\n"


def _sum(rng: random.Random) -> str:
    return " ".join(str(rng.randint(-1000, 1000)) for _ in range(5)) + "\n"


def _rising_function(rng: random.Random) -> str:
    return json.dumps([[rng.randint(0, 10**6) for _ in range(160)]])


Recipe = tuple[str, Callable[[random.Random], str]]
ORDINARY: tuple[Recipe, ...] = (
    (KNAPSACK, _knapsack), (MAZE, _maze), (EDITS, _edits), (RISING, _rising), (ROADS, _roads),
)
TRIVIAL: tuple[Recipe, ...] = ((SUM, _sum),)
FUNCTIONS: tuple[Recipe, ...] = ((RISING_FUNCTION, _rising_function),)


# -- running them plainly ---------------------------------------------------------------------------------------------


def plain_output(code: str, mode: str, data: str) -> str:
    """What the program prints, or the JSON of what its function returns, when simply executed here."""
    return next(plain_outputs(code, mode, [data]))


def plain_outputs(code: str, mode: str, inputs: list[str]) -> Iterator[str]:
    """`plain_output` of each input, the code compiled once."""
    compiled = compile(code, "solution.py", "exec")
    if mode == "function":
        names: dict[str, Callable[..., object]] = {}
        exec(compiled, names)
        for data in inputs:
            yield json.dumps(names[FUNCTION](*json.loads(data)))
        return
    stdin = sys.stdin
    for data in inputs:
        printed = io.StringIO()
        sys.stdin = io.TextIOWrapper(io.BytesIO(data.encode()))
        try:
            with contextlib.redirect_stdout(printed):
                exec(compiled, {"__name__": "__main__"})
        finally:
            sys.stdin = stdin
        yield printed.getvalue()


# -- workloads --------------------------------------------------------------------------------------------------------


def workloads(solutions: int, mixed: int, seed: int = 3) -> list[Workload]:
    """The four workloads, 10 tests a solution; trivial and function ones have twice the solutions."""
    return [
        _workload("stdin", ORDINARY, "stdin", solutions, seed),
        _workload("trivial stdin", TRIVIAL, "stdin", 2 * solutions, seed),
        _workload("function", FUNCTIONS, "function", 2 * solutions, seed),
        _mix(_workload("mix", ORDINARY, "stdin", mixed, seed, time_s=1.0)),
    ]


def rl_step(solutions: int, seed: int = 3) -> Workload:
    """One step of reinforcement learning: groups of 8 solutions to a problem of 15 tests."""
    problems = _workload("step", ORDINARY, "stdin", -(-solutions // 8), seed, tests=15)
    tasks = [Task(f"# sample {i}\n{t.code}", t.tests) for t in problems.tasks for i in range(8)]
    return Workload("step", "stdin", problems.time_s, tasks[:solutions], problems.warm_up)


def _workload(
    name: str, recipes: tuple[Recipe, ...], mode: str, solutions: int, seed: int, *, tests: int = 10,
    time_s: float = 4.0,
) -> Workload:
    rng = random.Random(seed)

    def task(number: int) -> Task:
        code, make = recipes[number % len(recipes)]
        inputs = [make(rng) for _ in range(tests)]
        outputs = plain_outputs(code, mode, inputs)
        return Task(f"# solution {number}\n{code}", list(zip(inputs, outputs, strict=True)))

    warm_up = [task(number) for number in range(4)]
    for wrong in warm_up[1::2]:
        data, expected = wrong.tests[-1]
        wrong.tests[-1] = (data, expected.rstrip() + "1")
        wrong.status = "WA"
    return Workload(name, mode, time_s, [task(number) for number in range(solutions)], warm_up)


def _mix(workload: Workload) -> Workload:
    """Spoil the solutions by the shares of `MIX`, spread evenly, at least one of each kind."""
    tasks = workload.tasks
    spoiled: list[tuple[str, str]] = []
    for share, status, ending in MIX:
        spoiled += [(status, ending)] * max(1, round(share * len(tasks)))
    chosen = random.Random(5).sample(range(len(tasks)), min(len(spoiled), len(tasks)))
    for number, (status, ending) in zip(chosen, spoiled, strict=False):
        tasks[number].code += ending
        tasks[number].status = status
    return workload
