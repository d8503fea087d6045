"""Inequalities in statements, and the tests that break them."""

import gzip
import json
from pathlib import Path

import pytest

from dc_tools.core.records import Entry, Line, Mode, Problem, Solution, Test
from dc_tools.curate import sources
from dc_tools.curate.draft import Draft
from dc_tools.curate.formats import Format
from dc_tools.curate.statements.bounds import LONGEST_INPUT, Excess, out_of_bounds
from dc_tools.curate.statements.inequality import comparisons, plain

DATA = Path(__file__).parents[2].parent / "shared" / "data" / "raw"


def said(text: str) -> list[str]:
    return [f"{each.left.text} {each.relation} {each.right.text}" for each in comparisons(plain(text))]


def function(constraints: str, *inputs: object, starter: str = "def f(nums, s, n):") -> list[str]:
    """What is broken by calls of f(nums, s, n)."""
    one = Problem(
        "p",
        [Test(json.dumps(given), "0") for given in inputs],
        statement=f"Do it.\n\nConstraints:\n\n{constraints}",
        mode=Mode.FUNCTION,
        entry=Entry("f", starter_code=starter),
    )
    return [each.what for each in out_of_bounds(one)]


def stdin(description: str, *inputs: str) -> list[str]:
    one = Problem("p", [Test(given, "0") for given in inputs])
    one.statement = f"Do it.\n\nInput\n\n{description}\n\nOutput\n"
    return [each.what for each in out_of_bounds(one)]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("1 <= n <= 10^5", ["1 <= n", "n <= 10^5"]),
        ("1 ≤ n, m < 9", ["1 <= n", "1 <= m", "n < 9", "m < 9"]),
        (r"$1 \le n \leqslant 2 \cdot 10^{5}$", ["1 <= n", "n <= 2 * 10^5"]),
        ("1 <= n <= 9, 1 <= k < n", ["1 <= n", "n <= 9", "1 <= k", "k < n"]),
        ("9 >= n > 0", ["n <= 9", "0 < n"]),
        ("n == nums.length", ["n == nums.length"]),
        ("1 ≤ |s| ≤ 200 000", ["1 <= |s|", "|s| <= 200000"]),
        ("-10<sup>9</sup> &lt;= nums[i] <= 10⁹", ["-10^9 <= nums[i]", "nums[i] <= 10^9"]),
        (r"1 \le n \le 200\,000", ["1 <= n", "n <= 200000"]),
        ("1 <= a <= b, c <= 9", []),
        ("0 <= ri <= min(xi, yi)", []),
        ("1 <= nums[i] <= 9 for odd i", []),
        ("a[i] != b[i]", []),
        ("n is even", []),
        ("1 <= n <= ", []),
        ("1 <= " * 1000, []),
    ],
)
def test_inequalities_are_read_as_statements_write_them(text: str, found: list[str]) -> None:
    assert said(text) == found


@pytest.mark.parametrize(
    ("number", "least", "greatest"),
    [
        ("104", 104, 10**4), ("231", 231, 2**31), ("27", 27, 128), ("-109", -(10**9), -109), ("100", 100, 100),
        ("2 * 105", 210, 200_000), ("231 - 1", 230, 2**31 - 1), ("10^9 + 7", 10**9 + 7, 10**9 + 7), ("0.5", 0.5, 0.5),
        ("-2^31", -(2**31), -(2**31)), ("1000", 1000, 1000), ("5 x 103", None, None), ("10^99", None, None),
    ],
)  # fmt: skip
def test_a_number_is_all_that_it_may_have_been_before_superscripts_were_lost(
    number: str, least: float | None, greatest: float | None
) -> None:
    found = comparisons(plain(f"n <= {number}"))
    assert [each.right.extent(lambda _: None) for each in found] == ([(least, greatest)] if least is not None else [])


def test_arguments_out_of_bounds_are_named_with_the_bound() -> None:
    assert function("1 <= n <= 10^5", [[], "", 0], [[], "", 1], [[], "", 100_000], [[], "", 100_001]) == [
        "n = 0, but 1 <= n <= 10^5",
        "n = 100001, but 1 <= n <= 10^5",
    ]
    assert function("* `-5 <= nums[i] < 5`.", [[5, 4], "", 1], [[-6], "", 1], [[-5, 4], "", 1], [[], "", 1]) == [
        "nums[i] = 5, but -5 <= nums[i] < 5",
        "nums[i] = -6, but -5 <= nums[i] < 5",
    ]
    assert function("1 <= s.length <= 3", [[], "", 1], [[], "abc", 1], [[], "abcd", 1]) == [
        "s.length = 0, but 1 <= s.length <= 3",
        "s.length = 4, but 1 <= s.length <= 3",
    ]


def test_the_place_of_the_test_is_told() -> None:
    tests = [Test("[1]", "0"), Test("[0]", "0")]
    one = Problem("p", tests, statement="Constraints:\nn > 0", mode=Mode.FUNCTION, entry=Entry("f"))
    one.solutions = [Solution("def f(n):\n    return 0\n")]
    assert out_of_bounds(one) == [Excess(1, "n = 0, but n > 0")]
    one.solutions = []
    assert out_of_bounds(one) == []


def test_bounds_between_arguments_and_lengths_are_checked() -> None:
    assert function("1 <= n <= nums.length", [[7, 7], "", 3], [[7, 7], "", 2]) == [
        "n = 3 and nums.length = 2, but 1 <= n <= nums.length"
    ]
    lines = "m == nums.length\nk == nums[i].length\n1 <= m * k <= 4\nnums[i][0] <= k"
    assert function(lines, [[[1, 1], [2, 2]], "", 0], [[[1], [3]], "", 0], [[[0]] * 5, "", 0]) == [
        "nums[i][0] = 3 and k = 1, but nums[i][0] <= k",
        "m * k = 5, but 1 <= m * k <= 4",
    ]
    assert function("n == nums.length", [[7, 7], "", 3]) == ["n = 3 and nums.length = 2, but n == nums.length"]


@pytest.mark.parametrize(
    ("constraints", "given"),
    [
        ("1 <= nums[i] <= 104", [[9999], "", 1]),
        ("-231 <= n <= 231 - 1", [[], "", -(2**31)]),
        ("nums[i][i] == 1", [[[1, 0], [0, 1]], "", 1]),
        ("0 <= nums[i] < 9\nnums[n] == -1", [[-1, 3], "", 0]),
        ("If s is a phone number:\n10 <= s.length", [[], "a@b.c", 1]),
        ("1 <= nums[i] <= 9", [["a", 99], "", 1]),
        ("1 <= nums[i] <= 9", [[[99]], "", 1]),
        ("1 <= x <= 9", [[99], "", 99]),
        ("1 <= nums[n] <= 9", [[99], "", 0]),
        ("1 <= n", [[], "", True]),
        ("1 <= n <= 9", [[99], "", 99, 99]),
        ("1 <= n <= 9", {"n": 99}),
        ("1 <= n <= 9", [[], "", 10**40]),
        ("1 <= n <= 9", [[], "", float("nan")]),
    ],
)
def test_what_is_not_sure_is_not_flagged(constraints: str, given: object) -> None:
    assert function(constraints, given) == []


def test_lists_of_nodes_and_long_inputs_are_not_looked_at() -> None:
    entry = Entry("f", starter_code="def f(head, n): pass", arg_types=["ListNode", "json"])
    one = Problem("p", [Test("[[], 0]", "0")], mode=Mode.FUNCTION, entry=entry)
    one.statement = "Constraints:\nhead.length > 0\nn > 0"
    assert out_of_bounds(one) == [Excess(0, "n = 0, but n > 0")]
    one.tests = [Test(f"[{' ' * LONGEST_INPUT}[], 0]", "0")]
    assert out_of_bounds(one) == []


def test_numbers_of_the_first_line_are_checked_where_the_statement_names_them() -> None:
    sentence = "The first line contains two integers n and k (1 ≤ k ≤ n ≤ 10^5) — what they are."
    assert stdin(sentence, "3 3\n", "3 4\n1 2 3\n", "3\n4\n", "3 4 5\n", "3 x\n") == [
        "k = 4 and n = 3, but 1 <= k <= n <= 10^5"
    ]
    latex = r"The first line contains a single integer $t$ ($1 \le t \le 10^4$)."
    assert stdin(latex, "10001\n", "10000\n") == ["t = 10001, but 1 <= t <= 10^4"]
    each = "The first line contains two integer numbers, N (5 ≤ N ≤ 9) and M (0 ≤ M ≤ 2)."
    assert stdin(each, "5 3", "5 2", "10 2") == ["M = 3, but 0 <= M <= 2", "N = 10, but 5 <= N <= 9"]


@pytest.mark.parametrize(
    "sentence",
    [
        "The second line contains an integer n (1 ≤ n ≤ 9).",
        "The first line of each test case contains an integer n (1 ≤ n ≤ 9).",
        "There are t tests. The first line contains an integer n (1 ≤ n ≤ 9).",
        "The first line contains a string s (1 ≤ |s| ≤ 9).",
        "The first line contains n numbers (1 ≤ n ≤ 9).",
    ],
)
def test_other_numbers_of_stdin_are_not_looked_at(sentence: str) -> None:
    assert stdin(sentence, "99\n99\n") == []


def test_real_rows_are_flagged_where_they_break_their_own_statement() -> None:
    file = DATA / "leetcode_dataset_v0.3.1_test.jsonl.gz"
    if not file.exists():
        pytest.skip(f"{file} is not here")
    [row] = [row for row in gzip.decompress(file.read_bytes()).splitlines() if b'"count-almost-equal-pairs-i"' in row]
    draft = sources.draft(Line(row), Format.LEETCODE)
    assert isinstance(draft, Draft)
    lists = [json.loads(test.input)[0] for test in draft.problem.tests]
    wrong = [i for i, nums in enumerate(lists) if not 2 <= len(nums) <= 100 or min(nums) < 1 or max(nums) > 10**6]
    assert [each.test for each in out_of_bounds(draft.problem)] == wrong
    assert len(wrong) == 10


def test_no_example_of_codeforces_is_flagged() -> None:
    file = DATA / "rllm_codeforces_test.json.gz"
    if not file.exists():
        pytest.skip(f"{file} is not here")
    rows = json.loads(gzip.decompress(file.read_bytes()))
    drafts = [sources.draft(Line(json.dumps(row).encode()), Format.AUTO) for row in rows]
    assert [each.problem.id for each in drafts if isinstance(each, Draft) and out_of_bounds(each.problem)] == []
