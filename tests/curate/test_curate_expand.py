"""dc-curate --expand with the real sandbox: which new tests are taken, which are not, and what the record says."""

import json
from collections.abc import Iterable, Iterator
from typing import Any

import pytest

from dc_tools.core.records import Line
from dc_tools.core.run import Dropped, Kept
from dc_tools.curate.examination import Settings
from dc_tools.curate.expansion.expand import MOST_TRIED, PATIENCE, ROUND
from dc_tools.curate.stage import curate, curated
from dc_tools.sandbox.judge import JudgePool

STEP = 50
"""Own tests have multiples of it, new ones mostly not."""
SQUARE = "def f(x):\n    return x * x\n"


@pytest.fixture(scope="module")
def pool() -> Iterator[JudgePool]:
    with JudgePool(1) as judges:
        yield judges


def row(*codes: str, count: int = 6, **more: Any) -> dict[str, Any]:
    """A record whose function `f` squares multiples of `STEP`."""
    tests = [{"input": f"[{x}]", "output": str(x * x)} for x in range(0, count * STEP, STEP)]
    return {"id": "p", "mode": "function", "entry": {"fn_name": "f"}, "tests": tests, "solutions": [*codes], **more}


def unless_own(otherwise: str, head: str = "") -> str:
    """Squares multiples of `STEP`, and does something else with other numbers."""
    return f"{head}def f(x):\n    if x % {STEP}:\n        {otherwise}\n    return x * x\n"


def line_of(record: dict[str, Any]) -> Line:
    return Line(json.dumps(record).encode(), "rows", 1, 0)


def raw(record: bytes | dict[str, Any], pool: JudgePool, **settings: Any) -> bytes:
    """The line that is kept."""
    line = Line(record, "rows", 1, 0) if isinstance(record, bytes) else line_of(record)
    found = curated(line, Settings(**{"expand": 16, **settings}), pool).outcome
    assert isinstance(found, Kept), found.line.to_bytes()
    return found.line.to_bytes()


def kept(record: dict[str, Any], pool: JudgePool, **settings: Any) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """The generated tests, and what the record says of them."""
    made = json.loads(raw(record, pool, **settings))
    own, facts = len(record["tests"]), made["curation"]["expanded"]
    assert made["tests"][:own] == record["tests"]
    new = made["tests"][own:]
    assert all(test["kind"] == "generated" for test in new)
    assert len(new) == facts["tests"]
    assert made["curation"]["reference"]["total"] == len(made["tests"])
    assert facts["tried"] >= facts["tests"] + facts["failed"] + facts["disagreed"]
    return new, facts


def arguments(tests: Iterable[dict[str, Any]]) -> list[int]:
    return [json.loads(test["input"])[0] for test in tests]


def test_new_tests_have_the_answers_of_the_solution(pool: JudgePool) -> None:
    new, facts = kept(row(SQUARE), pool)
    assert [test["output"] for test in new] == [str(x * x) for x in arguments(new)]
    assert len({*arguments(new), *range(0, 6 * STEP, STEP)}) == 22
    assert all(0 <= x <= 5 * STEP for x in arguments(new))
    assert facts == {"asked": 16, "tests": 16, "tried": 16, "failed": 0, "disagreed": 0, "solutions": [0]}


def test_inputs_on_which_two_solutions_disagree_are_left_out_and_counted(pool: JudgePool) -> None:
    other = unless_own("return x * x if x % 3 else -1")
    new, facts = kept(row(SQUARE, other), pool)
    assert facts["solutions"] == [0, 1]
    assert all(x % 3 or x % STEP == 0 for x in arguments(new))
    assert facts["disagreed"] >= 2
    assert facts["tried"] - facts["disagreed"] == facts["tests"] > 0


def test_a_solution_that_fails_the_tests_is_not_asked(pool: JudgePool) -> None:
    _, facts = kept(row(SQUARE, "def f(x): return 1", SQUARE + "\n# again\n"), pool)
    assert facts["solutions"] == [0, 2]


def test_a_single_solution_that_says_something_else_each_time_gives_no_test(pool: JudgePool) -> None:
    noisy = unless_own("return time.perf_counter_ns()", "import time\n")
    new, facts = kept(row(noisy), pool, min_coverage=0.5)
    assert new == []
    assert facts["disagreed"] == facts["tried"] == PATIENCE


@pytest.mark.parametrize(
    "otherwise",
    ["1 // 0", "exit()", "return float('nan')", "return None", "return 0.5", "return '\\ud800'", "return 'x' * 70_000"],
)
def test_what_can_be_no_answer_is_left_out_and_the_own_tests_stay(otherwise: str, pool: JudgePool) -> None:
    new, facts = kept(row(unless_own(otherwise)), pool, min_coverage=0.5)
    assert new == []
    assert facts["failed"] == facts["tried"] == PATIENCE


def test_null_and_fractions_are_answers_where_the_tests_have_them(pool: JudgePool) -> None:
    tests = [{"input": f"[{x}]", "output": text} for x, text in ((0, "null"), (2, "1.0"), (40, "20.0"), (99, "null"))]
    halves = {**row("def f(x):\n    return None if x % 2 or not x else x / 2\n"), "tests": tests}
    new, facts = kept(halves, pool)
    assert facts["failed"] == 0
    assert {test["output"] for test in new} > {"null"}
    assert len(new) == 16


def test_slow_inputs_are_left_out(pool: JudgePool) -> None:
    new, facts = kept(row("def f(x):\n    while x % 5 == 1: pass\n    return x * x\n"), pool, expand=3, min_coverage=0)
    assert all(x % 5 != 1 for x in arguments(new))
    assert len(new) == 3
    assert facts["failed"] >= 1


def test_where_all_inputs_are_slow_one_round_is_enough(pool: JudgePool) -> None:
    slow = row(unless_own("while True: pass"), limits={"time_s": 0.1})
    new, facts = kept(slow, pool, min_coverage=0.5)
    assert new == []
    assert facts["tried"] == facts["failed"] == ROUND


def test_coverage_rises_until_the_row_is_kept(pool: JudgePool) -> None:
    record = row("def f(x):\n    if x % 2:\n        x = -x\n    if x % 10:\n        x = -x\n    return x * x\n")
    before = curated(line_of(record), Settings(), pool).outcome
    assert isinstance(before, Dropped)
    assert before.reason == "coverage_low"
    made = json.loads(raw(record, pool))
    assert made["curation"]["coverage"]["ratio"] == 1.0


def test_few_tests_are_filled_up(pool: JudgePool) -> None:
    record = row(SQUARE, count=2)
    assert isinstance(curated(line_of(record), Settings(), pool).outcome, Dropped)
    new, _ = kept(record, pool, expand=3)
    assert len(new) == 3
    refused = curated(line_of(record), Settings(expand=2), pool).outcome
    assert isinstance(refused, Dropped)
    assert json.loads(refused.line.to_bytes())["curation"]["detail"] == "4 distinct tests, 5 are asked for"


def test_a_single_test_or_one_without_arguments_is_too_little_to_go_on(pool: JudgePool) -> None:
    for given in ("[3]", "[]"):
        code = "def f(x=3):\n    return x * x\n"
        record = {**row(code), "tests": [{"input": given, "output": "9"}]}
        found = curated(line_of(record), Settings(expand=9), pool).outcome
        assert isinstance(found, Dropped)
        assert found.reason == "few_tests"


def test_it_goes_on_while_new_branches_are_reached_and_then_stops(pool: JudgePool) -> None:
    straight = kept(row(SQUARE), pool, expand=40)[1]
    assert straight["tried"] == PATIENCE
    ladder = "def f(x):\n" + "".join(f"    if x % 13 == {i}: return x * x\n" for i in range(13))
    facts = kept(row(ladder), pool, expand=24)[1]
    assert PATIENCE < facts["tried"] < MOST_TRIED


def test_at_most_so_many_are_added_and_those_that_reach_something_new_first(pool: JudgePool) -> None:
    rare = "def f(x):\n    if x % 4 == 3:\n        return x * x\n    return x * x\n"
    new, facts = kept(row(rare), pool, expand=1)
    assert [x % 4 for x in arguments(new)] == [3]
    assert facts["tried"] == ROUND


def test_a_branch_that_a_useless_input_reached_first_is_still_seen(pool: JudgePool) -> None:
    mixed = unless_own("return x * x if x % 2 else time.perf_counter_ns()", "import time\n")
    new, facts = kept(row(mixed), pool, expand=1)
    assert facts["disagreed"] >= 1
    assert [x % 2 for x in arguments(new)] == [1]


def test_text_is_expanded_line_by_line(pool: JudgePool) -> None:
    code = "n = int(input())\na = list(map(int, input().split()))\nassert len(a) == n\n"
    code += "print('nan' if a[0] == 2 else sum(a))\n"
    lists = [[5], [1, 2], [9, 9, 9], [3, 4, 5, 6]]
    tests = [{"input": f"{len(a)}\n{' '.join(map(str, a))}\n", "output": f"{sum(a)}\n"} for a in lists]
    new, facts = kept({"id": "p", "tests": tests, "solutions": [code]}, pool, min_tests=3)
    assert len(new) == facts["tried"] - facts["failed"] >= 10
    assert facts["failed"] >= 1
    assert all(test["output"] == f"{sum(map(int, test['input'].split()[1:]))}\n" for test in new)


@pytest.mark.parametrize(
    ("checker", "other", "agrees"),
    [
        ({"type": "float"}, "return [x + 1e-9, x + 0.5]", True), ({}, "return [x + 1e-9, x + 0.5]", False),
        ({"type": "unordered"}, "return [x + 0.5, x]", True),
        ({"type": "custom", "code": "pass"}, "return [x, x + 0.5]", True),
        ({"type": "custom", "code": "pass"}, "return [x + 0.5, x]", False),
    ],
)  # fmt: skip
def test_the_problem_s_checker_says_whether_two_solutions_agree(
    checker: dict[str, Any], other: str, agrees: bool, pool: JudgePool
) -> None:
    code = "def f(x):\n    return [x + 0.0, x + 0.5]\n"
    second = f"def f(x):\n    if x % {STEP} == 0: return [x + 0.0, x + 0.5]\n    {other}\n"
    tests = [{"input": f"[{x}]", "output": f"[{x}.0, {x}.5]"} for x in range(0, 300, STEP)]
    record = row(code, second, **({"checker": checker} if checker else {}))
    new, facts = kept({**record, "tests": tests}, pool, expand=4)
    assert (len(new), facts["disagreed"]) == ((4, 0) if agrees else (0, PATIENCE))


def test_linked_lists_and_trees_are_expanded(pool: JudgePool) -> None:
    code = (
        "class Solution:\n    def total(self, head, root):\n        found = 0\n        while head:\n"
        "            found, head = found + head.val, head.next\n        if not root:\n            return found\n"
        "        return found + root.val + self.total(None, root.left) + self.total(None, root.right)\n"
    )
    entry = {"fn_name": "total", "class_name": "Solution", "arg_types": ["ListNode", "TreeNode"]}
    inputs = [[[1, 2], [5, None, 7]], [[], [1]], [[4, 4, 4], []], [[9], [3, 2, None, 1]], [[0, 1], [8, 9]]]
    tests = [{"input": json.dumps(each), "output": str(summed(each))} for each in inputs]
    new, _ = kept({**row(code), "entry": entry, "tests": tests}, pool)
    assert len(new) == 16
    assert [int(test["output"]) for test in new] == [summed(json.loads(test["input"])) for test in new]


def summed(lists: list[list[int | None]]) -> int:
    return sum(item or 0 for each in lists for item in each)


FIRST = {**row(SQUARE, unless_own("return x * x")), "note": {"mine": 1.5}}


def test_curated_again_with_the_same_flags_the_record_is_the_same_to_the_byte(pool: JudgePool) -> None:
    once = raw(FIRST, pool, expand=8)
    assert raw(once, pool, expand=8) == once
    fewer = json.loads(raw(once, pool, expand=4, seed=1))
    assert (fewer["curation"]["expanded"]["asked"], len(fewer["tests"])) == (4, 10)
    assert fewer["tests"][6:] != json.loads(once)["tests"][6:10]


def test_curated_again_without_expansion_the_new_tests_and_their_account_stay(pool: JudgePool) -> None:
    once = raw(FIRST, pool, expand=4)
    assert raw(once, pool, expand=0) == once


def test_tests_that_a_dataset_generated_itself_are_no_earlier_expansion(pool: JudgePool) -> None:
    record = row(SQUARE)
    for test in record["tests"]:
        test["kind"] = "generated"
    once = raw(record, pool, expand=4)
    assert len(json.loads(once)["tests"]) == 10
    assert raw(once, pool, expand=4) == once


def test_any_number_of_workers_makes_the_same_bytes() -> None:
    codes = [SQUARE, unless_own("return x // 0")]
    rows = [{**row(code, count=count), "id": f"p{i}{count}"} for i, code in enumerate(codes) for count in (2, 6)]
    made = []
    for workers in (1, 2):
        lines = [Line(json.dumps(each).encode(), "rows", index + 1, index) for index, each in enumerate(rows)]
        made.append([each.line.to_bytes() for each in curate(lines, Settings(expand=4, min_coverage=0.5), workers)])
    assert made[0] == made[1]
    assert [len(json.loads(each)["tests"]) for each in made[0]] == [6, 10, 2, 6]
