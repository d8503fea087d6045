"""Rewards worked by hand: terms, whom they are for, and what they sum to."""

import pytest

from dc_tools.core.errors import CannotRun
from dc_tools.core.records import Finish, Limits, Problem, Rollout, Source, Status, Test, Tokens, Verdict
from dc_tools.learn.recipe import Recipe, load_recipe
from dc_tools.learn.rewards import SPARSE, Kind, Term, Where, scores, total

PROBLEM = Problem(
    "p", [Test("1", "1"), Test("2", "2")], limits=Limits(time_s=2.0), source=Source(dataset="taco"), tags=["dp"],
    difficulty="hard",
)


def rollout(status=Status.AC, passed=2, tokens=30, finish=Finish.STOP, code="x", time_s=1.0) -> Rollout:
    account = Tokens([1], [1] * tokens, [-0.1] * tokens)
    return Rollout("t", finish, tokens=account, code=code, verdict=Verdict(status, passed, 2, time_s=time_s))


def value(term: Term, given: Rollout, budget: int = 100) -> float:
    return scores([term], PROBLEM, given, budget)[term.label]


def test_tests_are_all_or_nothing_or_a_share():
    half = rollout(Status.WA, 1)
    assert [value(Term(kind=Kind.TESTS), each) for each in (rollout(), half)] == [1.0, 0.0]
    assert [value(Term(kind=Kind.TESTS, fraction=True), each) for each in (rollout(), half)] == [1.0, 0.5]


def test_format_wants_an_end_and_a_code_block():
    term = Term(kind=Kind.FORMAT)
    given = [rollout(), rollout(code=None), rollout(finish=Finish.LENGTH)]
    assert [value(term, each) for each in given] == [1.0, 0.0, 0.0]


def test_length_is_a_share_of_the_budget_or_of_its_end():
    given = [rollout(tokens=n) for n in (0, 80, 90, 100)]
    assert [value(Term(kind=Kind.LENGTH), each) for each in given] == [0.0, 0.8, 0.9, 1.0]
    assert [value(Term(kind=Kind.LENGTH, buffer=20), each) for each in given] == [0.0, 0.0, 0.5, 1.0]


def test_runtime_is_a_share_of_the_limits_of_an_accepted_program():
    term = Term(kind=Kind.RUNTIME)
    assert [value(term, each) for each in (rollout(time_s=1.0), rollout(Status.TLE, 1, time_s=4.0))] == [0.25, 0.0]


@pytest.mark.parametrize(
    ("where", "holds"),
    [(Where(), True), (Where(source="taco", tag="dp", difficulty="hard"), True), (Where(source="apps"), False),
     (Where(tag="graphs"), False), (Where(difficulty="easy"), False)],
)
def test_a_term_counts_for_the_problems_it_names(where, holds):
    assert scores([Term(kind=Kind.TESTS, where=where)], PROBLEM, rollout(), 100) == ({"tests": 1.0} if holds else {})


def test_the_reward_is_the_weighted_sum_and_what_failed_by_itself_has_none():
    terms = [*SPARSE, Term(kind=Kind.LENGTH, name="short", weight=-0.5)]
    assert total(terms, scores(terms, PROBLEM, rollout(tokens=40), 100)) == pytest.approx(1 - 0.2)
    for lost in (rollout(Status.IE), Rollout("t", Finish.ERROR, error="no server"), Rollout("t")):
        assert scores(terms, PROBLEM, lost, 100) is None


def test_a_function_of_the_users_gets_the_records_and_its_errors_are_told(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text(
        "def reward(problem, rollout):\n    return len(problem['tests']) + len(rollout['tokens']['ids'])\n"
        "def broken(problem, rollout):\n    raise KeyError('x')\n"
    )
    assert value(Term(kind=Kind.PYTHON, file=str(file)), rollout()) == 32.0
    with pytest.raises(CannotRun, match=r"mine.py: broken failed on problem 'p': KeyError: 'x'"):
        value(Term(kind=Kind.PYTHON, file=str(file), function="broken"), rollout())
    with pytest.raises(CannotRun, match="no function 'missing'"):
        value(Term(kind=Kind.PYTHON, file=str(file), function="missing"), rollout())


def test_a_recipe_holds_terms_and_refuses_what_is_none(tmp_path):
    file = tmp_path / "recipe.toml"
    file.write_text(
        'objective = "dr_grpo"\n[[rewards]]\nkind = "tests"\nfraction = true\n'
        '[[rewards]]\nkind = "length"\nweight = -0.1\nwhere = {difficulty = "easy"}\n'
    )
    recipe = load_recipe(str(file), {})
    assert recipe.terms[1] == Term(kind=Kind.LENGTH, weight=-0.1, where=Where(difficulty="easy"))
    for text, said in (
        ('[[rewards]]\nkind = "speed"\n', "Invalid enum value 'speed'"),
        ('[[rewards]]\nkind = "tests"\nwieght = 2\n', "unknown field `wieght`"),
        ('[[rewards]]\nkind = "tests"\n[[rewards]]\nkind = "tests"\n', "each with a name of its own"),
        ('[[rewards]]\nkind = "format"\nfraction = true\n', "`fraction` is for tests"),
        ("rewards = []\n", "at least one term"),
        ('objective = "ppo"\n', "objective must be one of grpo"),
    ):
        file.write_text(text)
        with pytest.raises(CannotRun, match=said):
            load_recipe(str(file), {})


def test_dapo_punishes_the_last_fifth_of_the_budget_where_nothing_else_is_said():
    recipe = Recipe(objective="dapo", max_tokens=20_480)
    assert [(t.label, t.weight, t.buffer) for t in recipe.terms] == [("tests", 1.0, 0), ("overlong", -1.0, 4096)]
    assert recipe.clip == (0.2, 0.28)
    assert Recipe(objective="dapo", rewards=(Term(kind=Kind.FORMAT),)).terms == (Term(kind=Kind.FORMAT),)
    assert Recipe(objective="grpo+", clip_high=0.3).clip == (0.2, 0.3)
