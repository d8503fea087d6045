"""The order of the problems: whole rounds, one integer as state, and weights that are kept exactly."""

import json
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dc_tools.core.errors import CannotRun
from dc_tools.learn.ahead import walk_of
from dc_tools.learn.recipe import Recipe, load_recipe
from dc_tools.learn.rewards import Domain, Where
from dc_tools.learn.walk import Walk


def test_each_round_has_every_item_in_an_order_of_its_own():
    walk = Walk(7, 5)
    first, second = walk.at(0, 7), walk.at(7, 7)
    assert sorted(first) == sorted(second) == list(range(7))
    assert first != second != Walk(7, 6).at(7, 7)
    assert walk.at(3, 8) == (first + second)[3:11]
    assert Walk(3, None).at(2, 3) == [2, 0, 1]


@settings(deadline=None)
@given(
    st.lists(st.sampled_from([0.0, 0.25, 0.5, 1.0, 2.5, 3.0]), min_size=1, max_size=8).filter(any), st.integers(0, 60),
    st.integers(1, 30), st.integers(1, 9),
)
def test_a_walk_is_the_same_wherever_it_is_taken_up(weights, cursor, count, seed):
    whole = Walk(len(weights), seed, weights).at(0, cursor + count)
    assert Walk(len(weights), seed, weights).at(cursor, count) == whole[cursor:]


def test_items_come_as_often_as_they_weigh():
    found = Counter(Walk(4, 1, [2.0, 0.5, 0.0, 1.0]).at(0, 3500))
    assert found == {0: 2000, 1: 500, 3: 1000}


def test_a_round_of_nothing_is_passed_by():
    assert Walk(2, 0, [0.25, 0.0]).at(0, 3) == [0, 0, 0]
    with pytest.raises(ValueError, match="no item"):
        Walk(2, 0, [0.0, 0.0])


def test_domains_of_a_recipe_weigh_the_first_that_holds(tmp_path):
    (tmp_path / "recipe.toml").write_text(
        "[[domains]]\nwhere = {difficulty = 'easy'}\nweight = 0\n[[domains]]\nwhere = {source = 'taco'}\nweight = 2\n"
    )
    recipe = load_recipe(str(tmp_path / "recipe.toml"), {})
    kinds = [("taco", "easy"), ("taco", "hard"), ("apps", "hard")]
    lines = [
        json.dumps({"id": f"p{i}", "tests": [], "difficulty": difficulty, "source": {"dataset": source}}).encode()
        for i, (source, difficulty) in enumerate(kinds)
    ]
    assert walk_of(lines, recipe, 0).weights == [0.0, 2.0, 1.0]
    assert walk_of(lines, Recipe(), 0).weights is None
    with pytest.raises(CannotRun, match="weight 0"):
        walk_of(lines, Recipe(domains=(Domain(where=Where(), weight=0.0),)), 0)
    (tmp_path / "recipe.toml").write_text("[[domains]]\nwhere = {}\nweight = -1\n")
    with pytest.raises(CannotRun, match="at least 0"):
        load_recipe(str(tmp_path / "recipe.toml"), {})
