"""Branch probes: outcomes counted by hand, and by coverage.py on real solutions."""

import ast
import gzip
import json
import subprocess
import sys
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from dc_tools.core.records import Line
from dc_tools.curate import sources
from dc_tools.curate.coverage import PROBES, Coverage, NotCovered, probed
from dc_tools.curate.draft import Draft
from dc_tools.curate.formats import Format

pytestmark = pytest.mark.filterwarnings("ignore:invalid escape sequence", "ignore:.*is an invalid escape sequence")
DATA = Path(__file__).parents[2].parent / "shared" / "data"
ORACLE = Path(__file__).with_name("branch_oracle.py")
REAL = {
    "raw/leetcode_dataset_v0.3.1_test.jsonl.gz": 40,
    "raw/mbpp.jsonl.gz": 20,
    "eval/HumanEval.jsonl.gz": 20,
}


def measured(code: str, *arguments: object) -> Coverage:
    """Coverage of `f` in `code`, called with each of the arguments."""
    program = probed(code)
    buffer = bytearray(len(program.is_branch))
    world: dict[str, Any] = {PROBES: buffer}
    exec(program.code, world)
    for each in arguments:
        world["f"](each)
    return program.coverage(bytes(buffer))


def branches(code: str, *arguments: object) -> tuple[int, int]:
    found = measured(code, *arguments)
    return found.covered, found.branches


def conditions(code: str, *arguments: object) -> tuple[int, int]:
    found = measured(code, *arguments)
    return found.conditions_covered, found.conditions


IF = "def f(x):\n    if x: return 1\n    return 2\n"
ELIF = "def f(x):\n    if x == 1: y = 1\n    elif x == 2: y = 2\n    elif x == 3: y = 3\n    else: y = 4\n"
FOR = "def f(x):\n    for i in x:\n        if i: break\n    else:\n        return 1\n"
WHILE = "def f(x):\n    while x: x -= 1\n"
MATCH = "def f(x):\n    match x:\n        case 1: y = 1\n        case [a, b] if a: y = 2\n        case _: y = 3\n"
OPEN_MATCH = "def f(x):\n    match x:\n        case 1 | 2: return 1\n"


@pytest.mark.parametrize(
    ("code", "arguments", "found"),
    [
        (IF, [1], (1, 2)),
        (IF, [0, 1], (2, 2)),
        (ELIF, [1], (1, 6)),
        (ELIF, [3], (3, 6)),
        (ELIF, [1, 2, 3, 4], (6, 6)),
        (FOR, [[0, 1]], (3, 4)),
        (FOR, [[]], (1, 4)),
        (FOR, [[0], [1]], (4, 4)),
        (WHILE, [0], (1, 2)),
        (WHILE, [2], (2, 2)),
        (MATCH, [1], (1, 4)),
        (MATCH, [[0, 1]], (2, 4)),
        (MATCH, [1, [1, 1], 5], (4, 4)),
        (OPEN_MATCH, [2], (1, 2)),
        (OPEN_MATCH, [3], (1, 2)),
    ],
)
def test_each_outcome_of_a_statement_is_a_branch(code: str, arguments: list[object], found: tuple[int, int]) -> None:
    assert branches(code, *arguments) == found


def test_a_constant_test_is_no_branch() -> None:
    code = "def f(x):\n    while True:\n        if __debug__ and not False: break\n"
    assert branches(code, 1) == (0, 0)


@pytest.mark.parametrize(
    ("code", "arguments", "found"),
    [
        ("def f(x): return 1 if x else 2", [1], (1, 2)),
        ("def f(x): return x and x > 1 and x > 2", [0], (1, 4)),
        ("def f(x): return x and x > 1 and x > 2", [0, 1, 2], (4, 4)),
        ("def f(x): return [i for i in x if i]", [[1]], (1, 2)),
        ("def f(x): assert x", [1], (1, 2)),
        ("def f(x):\n    try: 1 / x\n    except ZeroDivisionError: x = 1\n    finally: x = 2\n", [1], (1, 2)),
        ("def f(x):\n    try: 1 / x\n    except ZeroDivisionError: x = 1\n    finally: x = 2\n", [0], (2, 2)),
    ],
)
def test_outcomes_inside_expressions_and_handlers_are_conditions(
    code: str, arguments: list[object], found: tuple[int, int]
) -> None:
    assert conditions(code, *arguments) == found
    assert branches(code, *arguments) == (0, 0)


def test_a_program_without_branches_is_wholly_covered() -> None:
    assert measured("def f(x): return x", 1).ratio == 1.0


def test_a_docstring_and_future_imports_stay_first() -> None:
    code = '"""doc"""\nfrom __future__ import annotations\ndef f(x: Nothing):\n    if x: pass\n'
    assert branches(code, 1) == (1, 2)


def test_the_value_of_a_probed_expression_is_the_same() -> None:
    world: dict[str, Any] = {PROBES: bytearray(20)}
    exec(probed("def f(x):\n    return (x or [7]) if x != 0 else (x and 1)\n").code, world)
    assert [world["f"](x) for x in (0, "", "s")] == [0, [7], "s"]


def test_a_long_chain_of_elifs_can_be_probed() -> None:
    chain = "def f(x):\n    if x == 0: return 0\n" + "".join(f"    elif x == {i}: return {i}\n" for i in range(1, 150))
    assert branches(chain, 0, 200) == (151, 300)


def test_what_cannot_be_parsed_cannot_be_probed() -> None:
    with pytest.raises(NotCovered, match="SyntaxError"):
        probed("def f(:")


def real_cases() -> list[dict[str, Any]]:
    """Real solutions with eight of their shortest inputs, one statement a line."""
    found = []
    for name, count in REAL.items():
        if not (DATA / name).exists():
            pytest.skip(f"{DATA / name} is not there")
        with gzip.open(DATA / name) as rows:
            drafts = (sources.draft(Line(row), Format.AUTO) for row in rows)
            literal = (d.problem for d in drafts if isinstance(d, Draft) and not d.must_run)
            plain = (p for p in literal if p.entry and not p.entry.arg_types)
            for problem in islice(plain, count):
                assert problem.entry is not None
                inputs = sorted((test.input for test in problem.tests), key=len)[:8]
                found.append({
                    "code": ast.unparse(ast.parse(problem.solutions[0].code)), "fn_name": problem.entry.fn_name,
                    "class_name": problem.entry.class_name, "inputs": inputs,
                })
    return found


def test_the_branches_of_eighty_real_solutions_are_those_of_coverage_py(tmp_path: Path) -> None:
    cases = real_cases()
    file = tmp_path / "cases.json"
    file.write_text(json.dumps(cases))
    done = subprocess.run([sys.executable, ORACLE, file], capture_output=True, text=True, check=True, timeout=120)
    counts = json.loads(done.stdout)
    assert [c for c, (theirs, ours) in zip(cases, counts, strict=True) if theirs != ours] == []
    assert len(counts) == 80
    covered, total = (sum(theirs[i] for theirs, _ in counts) for i in (0, 1))
    assert 300 < covered < total


def test_statements_that_share_a_line_are_counted_where_coverage_py_cannot_see_them(tmp_path: Path) -> None:
    code = "def f(a):\n    n = 0\n    for i in a: n += i\n    return n\n"
    file = tmp_path / "cases.json"
    file.write_text(json.dumps([{"code": code, "fn_name": "f", "class_name": None, "inputs": ["[[1]]"]}]))
    done = subprocess.run([sys.executable, ORACLE, file], capture_output=True, text=True, check=True, timeout=60)
    assert json.loads(done.stdout) == [[[0, 0], [2, 2]]]
