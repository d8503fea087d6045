"""New inputs: each is new and of the form, within the bounds, habits and relations of those that it was made of."""

import json
import subprocess
import sys
from collections.abc import Iterable
from itertools import islice, pairwise
from random import Random
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dc_tools.core.records import Entry, Mode, Problem, Test
from dc_tools.curate.expansion.mutation import MOST_CHARACTERS, mutants
from dc_tools.curate.expansion.relations import quantities, relations
from dc_tools.curate.expansion.shapes import enough_for, fits, shape_of

SORTED = "Constraints:\n\n* 1 <= k <= nums.length <= 30\n* `nums` is sorted in ascending order."
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.integers(-9, 9) | st.floats() | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=2), inner, max_size=3),
    max_leaves=16,
)
NUMBERS = st.lists(st.integers(-50, 50), min_size=1, max_size=9)


def call(values: Iterable[Any], statement: str = "", starter: str = "", kinds: list[str] | None = None) -> Problem:
    """A function's problem with these argument lists."""
    tests = [Test(json.dumps(value), "0") for value in values]
    return Problem("p", tests, statement=statement, mode=Mode.FUNCTION, entry=Entry("f", None, starter, kinds or []))


def lines(texts: Iterable[str], statement: str = "") -> Problem:
    return Problem("p", [Test(text, "0") for text in texts], statement=statement)


def made(problem: Problem, most: int = 60, seed: int = 0) -> list[str]:
    return list(islice(mutants(problem, Random(seed)), most))


def calls(problem: Problem, most: int = 60) -> list[Any]:
    return [json.loads(text) for text in made(problem, most)]


@settings(max_examples=40, deadline=None)
@given(st.lists(st.lists(JSON, max_size=3), min_size=1, max_size=5))
def test_whatever_the_arguments_are_each_new_input_is_one_and_comes_once(values: list[Any]) -> None:
    problem = call(values)
    found = made(problem, 8)
    assert len({*found, *(test.input for test in problem.tests)}) == len(found) + len({t.input for t in problem.tests})
    assert all(isinstance(msgspec.json.decode(text), list) for text in found)  # which takes no NaN
    assert {len(json.loads(text)) for text in found} <= {len(value) for value in values}


@settings(max_examples=40, deadline=None)
@given(st.lists(st.text("01 9-\n\r\tab\x0c\x85\u0663", max_size=40), min_size=1, max_size=5))
def test_whatever_the_text_is_each_new_one_has_as_many_lines_as_another_and_comes_once(texts: list[str]) -> None:
    problem = lines(texts)
    found = made(problem, 8)
    assert len({*found, *texts}) == len(found) + len(set(texts))
    assert {text.count("\n") for text in found} <= {text.rstrip().count("\n") + 1 for text in texts}


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(NUMBERS, st.text("abc", max_size=5), st.integers(0, 9)), min_size=2, max_size=6))
def test_a_new_input_fits_the_shape_and_keeps_every_relation(rows: list[tuple[list[int], str, int]]) -> None:
    values = [[len(numbers), numbers, text, max(numbers) + more, numbers[::-1]] for numbers, text, more in rows]
    shape, known = shape_of(values), relations(values)
    for value in calls(call(values), 8):
        assert fits(value, shape)
        assert all(each.holds(quantities(value)) for each in known)


def test_the_same_seed_makes_the_same_inputs_in_any_process() -> None:
    values = [[{"b": x, "a": [x, "t" * x], "c": {"z": 1.5 * x, "y": None}}, "xyz"[:x]] for x in range(1, 5)]
    script = (
        "import sys, json; sys.path.insert(0, sys.argv[1]); from test_curate_mutation import *\n"
        "print(json.dumps(made(call(json.loads(sys.argv[2])), 20)))"
    )
    argv = [sys.executable, "-c", script, __file__.rpartition("/")[0], json.dumps(values)]
    done = subprocess.run(argv, env={"PYTHONHASHSEED": "1"}, capture_output=True, text=True, check=True, timeout=60)
    assert json.loads(done.stdout) == made(call(values), 20)
    assert len(made(call(values), 20)) == 20
    assert made(call(values), 20, seed=1) != made(call(values), 20)


def test_numbers_texts_and_lengths_stay_within_those_seen() -> None:
    found = calls(call([[5, "ab", [1, 2, 3]], [9, "b", [7]], [7, "bbcb", [2, 2]]]))
    assert len(found) == 60
    assert {x for x, _, _ in found} == {5, 6, 7, 8, 9}
    assert {len(text) for _, text, _ in found} == {1, 2, 3, 4}
    assert set().union(*(text for _, text, _ in found)) == {"a", "b", "c"}
    assert {len(items) for _, _, items in found} == {1, 2, 3}
    assert {each for _, _, items in found for each in items} == set(range(1, 8))


def test_sorted_lists_stay_sorted_by_three_examples_or_by_one_and_the_statement() -> None:
    rising = [[[1, 2, 2, 9]], [[3, 5, 7]], [[0, 4, 4, 4, 8]]]
    assert all(a <= b for [items] in calls(call(rising)) for a, b in pairwise(items))
    assert any(a > b for [items] in calls(call(rising[:2])) for a, b in pairwise(items))
    assert all(a <= b for [items] in calls(call(rising[:2], SORTED)) for a, b in pairwise(items))
    falling = calls(call([[items[::-1]] for [items] in rising]))
    assert len(falling) == 60
    assert all(a >= b for [items] in falling for a, b in pairwise(items))


def test_lists_of_distinct_items_and_permutations_stay_such() -> None:
    distinct = calls(call([[[4, 9, 1]], [["b", "a"]], [[7, 2]], [[5, 3, 8, 6]]]))
    assert len(distinct) == 60
    assert all(len(set(items)) == len(items) for [items] in distinct)
    permutations = calls(call([[[2, 1, 3]], [[1, 2]], [[4, 2, 1, 3]], [[3, 1, 2, 5, 4]]]))
    assert len(permutations) > 20
    assert all(sorted(items) == list(range(1, len(items) + 1)) for [items] in permutations)


def test_tables_stay_rectangular_and_squares_square() -> None:
    tables = [[[[1, 2, 3], [4, 5, 6]]], [[[7, 8], [9, 1], [2, 3]]], [[[4]]]]
    found = calls(call(tables))
    assert len(found) == 60
    assert all(len(set(map(len, table))) == 1 for [table] in found)
    squares = [[[[1, 2], [4, 5]]], [[[7, 8, 1], [9, 1, 2], [2, 3, 4]]], [[[4]]]]
    assert all(len(table) == len(table[0]) for [table] in calls(call(squares)))


def test_the_number_of_a_list_and_lists_of_equal_length_agree() -> None:
    found = calls(call([[3, [1, 2, 3], "abc"], [1, [9], "z"], [2, [5, 5], "zz"], [5, [1, 2, 3, 4, 5], "abcde"]]))
    assert len(found) == 60
    assert all(n == len(items) == len(text) for n, items, text in found)
    assert {n for n, _, _ in found} == {1, 2, 3, 4, 5}


def test_n_is_the_number_of_words_on_the_next_line_and_k_at_most_n() -> None:
    found = made(lines(["3 2\n5 1 4\n", "1 1\n9\n", "5 1\n1 2 3 4 5\n", "4 4\n8 8 8 7\n"]))
    assert len(found) == 60
    for text in found:
        (n, k), items = (list(map(int, line.split())) for line in text.splitlines())
        assert n == len(items) >= k >= 1
    assert {text.split()[0] for text in found} == {"1", "2", "3", "4", "5"}


def test_a_table_of_lines_keeps_its_number_of_lines_and_words() -> None:
    found = made(lines(["2\n1 7\n3 4\n", "3\n5 5\n6 2\n8 8\n", "1\n9 1\n"]))
    assert len(found) == 60
    for text in found:
        first, *rest = text.splitlines()
        assert len(rest) == int(first)
        assert {len(line.split(" ")) for line in rest} == {2}


def test_inner_lines_that_tell_of_others_stay_as_they_are() -> None:
    texts = ["2\n3\n5 1 4\n1\n9\n", "1\n4\n8 8 8 7\n", "3\n2\n5 6\n2\n7 7\n3\n1 8 9\n"]
    found = made(lines(texts))
    assert len(found) == 60
    for text in found:
        count, *rest = text.splitlines()
        assert [int(n) for n in rest[::2]] == [len(items.split()) for items in rest[1::2]]
        assert len(rest) == 2 * int(count)


def test_texts_keep_their_form() -> None:
    forms = [[["2024-01-31"]], [["2023-11-05"]], [["1999-10-20"]]]
    assert all([part.isdigit() for part in text.split("-")] == [True] * 3 for [[text]] in calls(call(forms)))
    spaced = calls(call([["the cat sat"], ["on a mat"], ["today"]]))
    assert len(spaced) == 60
    assert all(text == " ".join(text.split()) for [text] in spaced)
    brackets = calls(call([["(()())"], ["()"], ["((()))()"]]))
    assert brackets
    assert all(reduced(text) == "" for [text] in brackets)
    numbers = calls(call([["1205"], ["90"], ["4"]]))
    assert all(str(int(text)) == text for [text] in numbers)
    assert any(text[0] == "0" for [text] in calls(call([["0205"], ["90"], ["4"]])))


def reduced(text: str) -> str:
    """What is left when pairs of brackets are taken out."""
    while "()" in text:
        text = text.replace("()", "")
    return text


def test_the_nulls_of_a_tree_stay_where_they_are() -> None:
    trees = [[[1, None, 2, 3]], [[5, 4, 8, 11, None, 13, 4]], [[9]]]
    forms = {tuple(item is None for item in tree) for [tree] in trees}
    found = calls(call(trees, kinds=["TreeNode"]))
    assert len(found) == 60
    assert {tuple(item is None for item in tree) for [tree] in found} == forms


def test_what_the_statement_rules_out_is_not_made() -> None:
    values = [[[1, 2, 2, 9], 4], [[3, 5], 1]]
    starter = "def f(nums, k):"
    assert any(k > len(nums) for nums, k in calls(call(values, starter=starter)))
    found = calls(call(values, SORTED, starter))
    assert len(found) == 60
    assert all(k <= len(nums) for nums, k in found)


def test_an_input_of_the_tests_in_another_spelling_is_not_new() -> None:
    problem = Problem("p", [Test("[1]", "0"), Test("[ 3 ]", "0")], mode=Mode.FUNCTION, entry=Entry("f"))
    assert made(problem) == ["[2]"]
    assert made(lines(["1", "3\r\n"])) == ["2\n"]


def test_calls_with_and_without_defaults_are_not_mixed() -> None:
    found = calls(call([[1, 5], [2, 9], [1], [1, 7]]))
    assert len(found) == 7
    assert all(len(value) == 2 for value in found)


@pytest.mark.parametrize(
    "inputs",
    [
        ["[NaN]", "[Infinity]", "[-1e999]"], ["[" * 400 + "]" * 400], ["[" * 30 + "1" + "]" * 30] * 2,
        ["[" * 8000 + "]" * 8000], ['["\\ud800"]'], ["[]"], ["{}"], ["7"], ["null"], [""], ["["],
        [f"[[{'1,' * MOST_CHARACTERS}1]]"],
    ],
)  # fmt: skip
def test_inputs_that_cannot_be_changed_give_none(inputs: list[str]) -> None:
    problem = Problem("p", [Test(text, "0") for text in inputs], mode=Mode.FUNCTION, entry=Entry("f"))
    assert made(problem) == []


def test_numbers_beyond_doubles_and_many_arguments_are_no_trouble() -> None:
    found = calls(call([[1.5, 10**400], [10**400, -(10**400)]]), 5)
    assert len(found) == 5
    assert made(call([list(range(13)), list(range(1, 14))])) == []


def test_a_list_may_be_longer_than_the_inputs_that_are_changed() -> None:
    long = ["x" * MOST_CHARACTERS, "b"]
    found = calls(call([long, ["ab", "b"], ["b", "a"]]))
    assert found
    assert all(len(first) <= 2 and "x" not in first for first, _ in found)


def test_a_word_in_the_statement_lowers_what_is_enough() -> None:
    assert (enough_for("Sum them.").ordered, enough_for("Sum them.").distinct) == (3, 3)
    assert (enough_for("In Ascending order.").ordered, enough_for("all unique").distinct) == (1, 1)
