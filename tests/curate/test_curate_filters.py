"""The filters that need no running, and the complexity that one of them looks at."""

from collections import Counter

import pytest

from dc_tools.core.records import Checker, CheckerType, Entry, Mode, Problem, Solution, Test
from dc_tools.curate import filters
from dc_tools.curate.complexity import Complexity, complexity_of
from dc_tools.curate.coverage import Coverage
from dc_tools.curate.reasons import Reason, Refusal


def problem(*tests: tuple[str, str], mode: Mode = Mode.FUNCTION) -> Problem:
    return Problem("p", [Test(given, value) for given, value in tests], mode=mode, entry=Entry("f"))


@pytest.mark.parametrize(
    ("statement", "found"),
    [
        ("You may return the answer in any order.", "return the answer in any order"),
        ("the combinations may be returned in any order", "returned in any order"),
        ("Return all the values with the\nhighest frequency", None),
        ("Return the values in any\norder", "Return the values in any order"),
        ("If there are multiple answers, return any of them.", "return any"),
        ("You may return any one of them.", "return any"),
        ("Given n, return any valid gray code", "return any"),
        ("Print any possible answer.", "Print any"),
        ("The input is not given in any order.", None),
        ("Rearrange the subarrays in any order. Return the cost.", None),
        ("Return the cost. The order is free, take them in any order.", None),
        ("Does the array contain any valid pair?", None),
    ],
)
def test_a_statement_that_allows_several_answers_needs_a_checker(statement: str, found: str | None) -> None:
    one = problem()
    one.statement = statement
    refusal = filters.one_answer(one)
    if found is None:
        assert refusal is None
    else:
        assert refusal is not None
        assert refusal.detail.startswith(f"the statement allows several answers: '{found}")


def test_a_custom_checker_takes_several_answers() -> None:
    checker = Checker(CheckerType.CUSTOM, code="pass")
    assert filters.one_answer(Problem(id="p", tests=[], statement="Print any of them.", checker=checker)) is None


def ordered(statement: str, *values: str, type_: CheckerType = CheckerType.DEFAULT) -> CheckerType:
    one = problem(*((f"[{place}]", value) for place, value in enumerate(values)))
    one.statement, one.checker = statement, Checker(type_)
    return filters.checker_for_order(one).type


def test_lists_whose_order_is_free_are_compared_without_order() -> None:
    free = "Return the answer in any order."
    assert ordered(free, "[1, 2]", "[]", '["[", "a\\"["]') is CheckerType.UNORDERED
    assert ordered(free, "[1, 2]", "3") is CheckerType.DEFAULT
    assert ordered(free) is CheckerType.DEFAULT
    assert ordered(free, "[1.5]", type_=CheckerType.FLOAT) is CheckerType.FLOAT
    assert ordered("Return any answer.", "[1]") is CheckerType.DEFAULT
    assert ordered("Return them in order.", "[1]") is CheckerType.DEFAULT


def test_lists_of_lists_are_compared_without_order_where_their_items_have_one() -> None:
    assert ordered("Return the points in any order.", "[[1, 2], [3, 4]]") is CheckerType.UNORDERED
    assert ordered("Return the combinations in any order.", "[[1, 2], [3, 4]]") is CheckerType.DEFAULT
    assert ordered("Return the combinations in any order.", "[1, 2]", '["[", {}]') is CheckerType.DEFAULT


def test_the_order_of_lines_and_of_nodes_stays_as_it_is() -> None:
    one = problem(("1", "[1]"), mode=Mode.STDIN)
    one.statement = "Print the lines in any order."
    assert filters.checker_for_order(one).type is CheckerType.DEFAULT
    one = problem(("[1]", "[1]"))
    one.statement, one.entry = "Return the list in any order.", Entry("f", return_type="ListNode")
    assert filters.checker_for_order(one).type is CheckerType.DEFAULT


def test_an_unordered_checker_takes_another_order_but_no_other_answer() -> None:
    one = problem()
    one.checker = Checker(CheckerType.UNORDERED)
    one.statement = "Return them in any order."
    assert filters.one_answer(one) is None
    one.statement = "Return any of them."
    assert filters.one_answer(one) is not None


def test_a_picture_and_a_dialogue_are_refused() -> None:
    one = problem()
    assert filters.self_contained(one) is None
    one.statement = "<image>"
    refusal = filters.self_contained(one)
    assert refusal is not None and refusal.reason is Reason.IMAGE
    one.statement = "This is an interactive problem."
    refusal = filters.self_contained(one)
    assert refusal is not None and refusal.reason is Reason.INTERACTIVE


def test_the_same_input_with_another_output_is_a_contradiction() -> None:
    refusal = filters.contradicting_tests(problem(("[1]", "2"), ("[2]", "2"), ("[1]", "3")))
    assert refusal == Refusal(Reason.PARSE_ERROR, "tests contradict each other: input [1] gives 2 and 3")


def test_values_that_are_equal_are_no_contradiction() -> None:
    assert filters.contradicting_tests(problem(("[1]", "2"), ("[1]", "2.0"))) is None
    assert filters.contradicting_tests(problem(("1\n", "2"), ("1\n", "2\n"), mode=Mode.STDIN)) is None
    one = problem(("[1]", "[2, 3]"), ("[1]", "[3, 2]"))
    assert filters.contradicting_tests(one) is not None
    one.checker = Checker(CheckerType.UNORDERED)
    assert filters.contradicting_tests(one) is None


def test_of_equal_tests_the_first_stays() -> None:
    found = filters.distinct_tests(problem(("[1]", "2"), ("[2]", "3"), ("[1]", "2.0")))
    assert [(test.input, test.output) for test in found] == [("[1]", "2"), ("[2]", "3")]


def test_the_minimum_of_tests_is_enough() -> None:
    tests = problem(("[1]", "2"), ("[2]", "3"))
    assert filters.enough_tests(tests, 2, Counter()) is None
    refusal = filters.enough_tests(tests, 3, Counter({"duplicate": 4}))
    detail = "2 distinct tests, 3 are asked for; left out: duplicate (4)"
    assert refusal == Refusal(Reason.FEW_TESTS, detail)


def test_a_function_that_always_returns_nothing_needs_a_checker() -> None:
    refusal = filters.telling_tests(problem(("[1]", "null"), ("[2]", "null")))
    assert refusal is not None
    assert refusal.reason is Reason.NEEDS_CHECKER
    assert filters.telling_tests(problem(("[1]", "null"), ("[2]", "0"))) is None


def test_references_are_the_first_different_python_solutions() -> None:
    one = problem()
    one.solutions = [Solution("x", "cpp"), Solution("y", "Python3"), Solution("z"), Solution("y"), Solution("w", "py")]
    assert [filters.references_of(one, most) for most in (1, 2, 9)] == [[1], [1, 2], [1, 2, 4]]
    assert filters.other_languages(one) == {"cpp": 1}
    one.solutions = [Solution("x", "java"), Solution("x", "cpp")]
    assert filters.references_of(one, 3) == Refusal(Reason.NO_SOLUTION, "only in cpp, java")
    one.solutions = []
    assert filters.references_of(one, 3) == Refusal(Reason.NO_SOLUTION, "no solution is listed")


def test_thresholds_are_inclusive() -> None:
    assert filters.simple_enough(Complexity(15, "f"), 15) is None
    refusal = filters.simple_enough(Complexity(16, "f"), 15)
    assert refusal == Refusal(Reason.COMPLEXITY_HIGH, "f has complexity 16, above 15")
    assert filters.covered_enough(Coverage(8, 10, 0, 0), 0.8) is None
    refusal = filters.covered_enough(Coverage(7, 10, 0, 0), 0.8)
    assert refusal == Refusal(Reason.COVERAGE_LOW, "the tests take 7 of 10 branches (70%), 80% are asked for")


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ("x = 1", Complexity(1, "<module>")),
        ("if x: y = 1\nfor i in z: pass", Complexity(3, "<module>")),
        ("def f(x):\n    return 1 if x and y or z else 2", Complexity(4, "f")),
        ("class S:\n  def m(self, x):\n    while x: x -= 1\n    return [i for i in x if i]", Complexity(4, "S.m")),
        ("def f(x):\n    def g(y):\n        if y:\n            if x: pass\n    return g", Complexity(3, "g")),
    ],
)
def test_the_complexity_is_that_of_the_highest_block(code: str, found: Complexity) -> None:
    assert complexity_of(code) == found


def test_of_equally_complex_blocks_a_function_is_named() -> None:
    assert complexity_of("x = 1\ndef f(): pass") == Complexity(1, "f")


def test_the_record_names_the_definition() -> None:
    assert Complexity(2, "f").to_dict() == {"value": 2, "block": "f", "definition": "radon cyclomatic, highest block"}
