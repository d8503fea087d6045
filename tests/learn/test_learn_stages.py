"""Stages of context length: which one a step is in, and how `auto` goes on."""

import pytest

from dc_tools.core.errors import CannotRun, UsageError
from dc_tools.learn.ahead import Place, staged
from dc_tools.learn.recipe import Recipe, load_recipe
from dc_tools.learn.stages import next_length, parse_stages, stage_of


def test_a_stage_holds_from_the_step_after_those_behind_it():
    stages = parse_stages("8192@0, 16384@200,32768@400")
    found = [stage_of(stages, step).max_tokens for step in (1, 200, 201, 400, 401, 9999)]
    assert found == [8192, 8192, 16384, 16384, 32768, 32768]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("8192", "expected TOKENS@STEP"), ("8192@0,", "expected TOKENS@STEP"), ("8192@1", "must begin at step 0"),
        ("8@0,9@5,10@5", "5 comes after 5"), ("8@0,9@7,10@6", "6 comes after 7"), ("0@0", "must be positive"),
    ],
)
def test_impossible_stages_are_refused(text, message):
    with pytest.raises(UsageError, match=message):
        parse_stages(text)


def test_a_recipe_has_stages_with_settings_of_their_own(tmp_path):
    file = tmp_path / "recipe.toml"
    file.write_text(
        "batch = 32\nminibatch = 16\n[[stages]]\nat = 0\nmax_tokens = 16384\n"
        "[[stages]]\nat = 3\nmax_tokens = 32768\nbatch = 128\nminibatch = 64\n"
    )
    recipe = load_recipe(str(file), {})
    now, later = staged(recipe, Place(step=2)), staged(recipe, Place(step=3))
    assert (now.max_tokens, now.batch, now.minibatch, now.token_budget) == (16384, 32, 16, 20_000)
    assert (later.max_tokens, later.batch, later.minibatch) == (32768, 128, 64)
    file.write_text("[[stages]]\nat = 2\nmax_tokens = 16384\n")
    with pytest.raises(CannotRun, match="must begin at step 0"):
        load_recipe(str(file), {})


def test_auto_doubles_when_the_last_steps_were_cut_off_too_often_and_waits_again():
    cut = [0.2, 0.2, 0.2, 0.5, 0.5]
    assert next_length([10] * 5, cut, 0.31, 100) == 20
    assert next_length([10] * 5, cut, 0.32, 100) == 10
    assert next_length([10] * 4, [1.0] * 4, 0.3, 100) == 10
    assert next_length([5] + [10] * 4, [1.0] * 5, 0.3, 100) == 10
    assert next_length([80] * 5, [1.0] * 5, 0.3, 100) == 100
    assert next_length([100] * 5, [1.0] * 5, 0.3, 100) == 100


def test_auto_is_part_of_the_place_of_a_run():
    recipe = Recipe(stages=parse_stages("auto"), max_tokens=64, batch=4, minibatch=4, stage_truncated=0.5)
    place, lengths = Place(), []
    for _ in range(12):
        now = staged(recipe, place)
        lengths.append(now.max_tokens)
        place = place.after(now, 4, 0.6 if now.max_tokens < 200 else 0.1)
    assert lengths == [64] * 5 + [128] * 5 + [256] * 2
    assert (place.step, place.cursor, place.lengths) == (12, 48, [128] * 3 + [256] * 2)
