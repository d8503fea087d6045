"""Codeforces ratings against the original tools' values and the changes of real rounds."""

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dc_tools.core.errors import CannotRun
from dc_tools.eval.contests import Contests, read_contests, read_users
from dc_tools.eval.elo import (
    Result,
    Standings,
    codeelo_rating,
    expected_ranks,
    official_changes,
    official_rating,
    percentile,
    result_of,
    users_ahead,
)

DATA = Path(__file__).parents[2].parent / "shared" / "data" / "codeforces"
needs_data = pytest.mark.skipif(not DATA.exists(), reason="the real contests are not here")
LOWEST = -500


def standings(*rows: tuple[float, float, int]) -> Standings:
    """Of users with points, penalty and rating."""
    points, penalties, ratings = zip(*rows, strict=True)
    return Standings(np.array(points, float), np.array(penalties, float), np.array(ratings))


@pytest.fixture(scope="module")
def contests() -> Contests:
    return read_contests(DATA / "contests_1349_1352.json.gz")


@needs_data
@pytest.mark.parametrize("number", range(14))
def test_codeelo_gives_the_scores_ranks_and_ratings_of_the_original(contests: Contests, number: int) -> None:
    case = json.loads((DATA / "elo_expected.json").read_bytes())[number]
    contest = contests.usable[str(case["contest"])]
    attempts = {name: [status == "AC" for status in each] for name, each in case["status"].items()}
    result = result_of(attempts, contest.points)
    assert case["score_line"] == [f"Score: {result.points:.0f}, Penalty: {result.penalty:.0f}"]
    assert case["rank_line"] == [f"Rank: {users_ahead(contest.standings, result)}"]
    rating = codeelo_rating(contest.standings, result)
    assert rating == case["codeelo_rating"] == case["rllm_rating"]
    for name, file in (("codeelo", "sorted_ratings.json.gz"), ("rllm", "ratings_2024.json")):
        assert round(percentile(rating, users(file)), 1) == case[f"{name}_percentile"]


_TABLES: dict[str, list[int]] = {}


def users(file: str) -> list[int]:
    return _TABLES.setdefault(file, read_users(DATA / file))


@needs_data
def test_the_same_rating_has_another_percentile_in_another_table() -> None:
    assert round(percentile(1936, users("ratings_2024.json")), 1) == 95.2
    assert round(percentile(1936, users("sorted_ratings.json.gz")), 1) == 97.2


@needs_data
@pytest.mark.parametrize("file", sorted(path.name for path in DATA.glob("round-*-data.json")) or ["absent"])
def test_every_change_of_a_real_round_is_reproduced(file: str) -> None:
    rows = json.loads((DATA / file).read_bytes())
    contest = standings(*((points, penalty, 1400 if old is None else old) for _, points, penalty, old, _ in rows))
    assert official_changes(contest).tolist() == [change for *_, change in rows]


def test_expected_ranks_by_hand() -> None:
    expected = expected_ranks(np.array([1500, 1500, 1900]))
    assert expected[1500 - LOWEST] == pytest.approx(1 + 0.5 + 0.5 + 10 / 11)
    assert expected[1900 - LOWEST] == pytest.approx(1 + 1 / 11 + 1 / 11 + 0.5)


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2), st.integers(800, 2400)), min_size=2, max_size=30))
def test_a_round_makes_no_rating_out_of_nothing_and_treats_equals_alike(rows: list[tuple[int, int, int]]) -> None:
    contest = standings(*rows)
    changes = official_changes(contest)
    assert changes.sum() <= 0
    by_row: dict[tuple[int, int, int], set[int]] = {}
    for row, change in zip(rows, changes.tolist(), strict=True):
        by_row.setdefault(row, set()).add(change)
    assert all(len(found) == 1 for found in by_row.values())


def test_wrong_attempts_cost_points_or_where_there_are_none_minutes() -> None:
    attempts = {"1A": [False, False, True], "1B": [False] * 8, "1C": [True], "9Z": [True]}
    assert result_of(attempts, {"1A": 500, "1B": 1000, "1C": 1500}) == Result(400 + 1500)
    assert result_of(attempts, {"1A": None, "1B": None, "1C": None}) == Result(2, 20)
    assert result_of({"1A": [False] * 30 + [True]}, {"1A": 500}) == Result(0)


def test_whoever_is_equal_comes_before() -> None:
    contest = standings((3, 10, 2000), (2, 5, 1500), (2, 9, 1500), (0, 0, 1200))
    assert [users_ahead(contest, Result(*each)) for each in ((4, 0), (2, 4), (2, 5), (2, 8), (0, 0))] == [0, 1, 2, 2, 4]


def test_a_rating_moves_towards_what_results_say_contest_by_contest() -> None:
    contest = standings(*((10 - i // 10, 0.0, 2400 - 10 * i) for i in range(100)))
    won = official_rating([(contest, Result(11))] * 3, 1500)
    lost = official_rating([(contest, Result(0, 1))] * 3, 1500)
    assert 1500 < won[0] < won[1] < won[2] < 2600
    assert 1500 > lost[0] > lost[1] > lost[2] > 800


def api(contest: int, users: int, **more: Any) -> dict[str, Any]:
    """The API's answers about a contest of so many users."""
    rows = [{"party": {"members": [{"handle": f"u{i}"}]}, "points": users - i, "penalty": 0} for i in range(users)]
    problems = [{"contestId": contest, "index": "A", "points": 500.0}, {"index": "B1"}]
    standings = {"status": "OK", "result": {"contest": {"name": "Round"}, "problems": problems, "rows": rows}}
    changes = {"result": [{"handle": f"u{i}", "oldRating": 1500, "newRating": 1501} for i in range(users)]}
    return {f"contest.standings:{contest}": standings, f"contest.ratingChanges:{contest}": changes, **more}


def test_contests_that_say_too_little_are_dropped_with_a_reason(tmp_path: Path) -> None:
    lonely = {"contest.standings:3": api(3, 201)["contest.standings:3"]}
    broken = {"contest.standings:4": {"result": {"rows": []}}, "contest.ratingChanges:4": {"result": []}}
    (tmp_path / "c.json").write_text(json.dumps(api(1, 201) | api(2, 200) | lonely | broken))
    found = read_contests(tmp_path / "c.json")
    assert list(found.usable) == ["1"]
    assert found.usable["1"].points == {"1A": 500.0, "1B1": None}
    assert found.usable["1"].standings.ratings_U.tolist() == [1500] * 201
    assert found.dropped == {
        "2": "200 rated users, 201 are needed",
        "3": "standings and rating changes are both needed",
        "4": "Object missing required field `problems` - at `$.result`",
    }


@pytest.mark.parametrize(
    ("content", "says"), [(b"[1]", "not a file of contests"), (b"\x1f\x8bno", "not a file of"), (None, "No such file")]
)
def test_what_is_no_file_of_contests_is_said(tmp_path: Path, content: bytes | None, says: str) -> None:
    if content is not None:
        (tmp_path / "c").write_bytes(content)
    with pytest.raises(CannotRun, match=says):
        read_contests(tmp_path / "c")


def test_tables_of_users_are_lists_or_counts(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("[3, 1, 2]")
    (tmp_path / "b").write_bytes(gzip.compress(b'{"2": 2, "-5": 1}'))
    assert (read_users(tmp_path / "a"), read_users(tmp_path / "b")) == ([1, 2, 3], [-5, 2, 2])
    (tmp_path / "c").write_text("{}")
    with pytest.raises(CannotRun, match="empty"):
        read_users(tmp_path / "c")
