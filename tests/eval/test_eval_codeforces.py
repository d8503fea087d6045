"""Codeforces as a benchmark: attempts become ratings, by contests from a file or from a server like the API."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlsplit

import pytest
from processes import BIN, run
from test_eval_elo import api

from dc_tools.core.errors import CannotRun, UsageError
from dc_tools.core.records import Problem, Source, Test
from dc_tools.eval.benchmarks import load
from dc_tools.eval.benchmarks.codeforces import contest_and_problem
from dc_tools.eval.contests import contests_of, read_contests
from dc_tools.eval.contests_api import fetched
from dc_tools.eval.rating import Method, rated
from dc_tools.sandbox.judge import JudgePool

DATA = Path(__file__).parents[2].parent / "shared" / "data" / "codeforces"
needs_data = pytest.mark.skipif(not DATA.exists(), reason="the real contests are not here")


@pytest.mark.parametrize(
    ("names", "found"),
    [
        ({"native_id": "1349A"}, ("1349", "1349A")), ({"native_id": "1349/B2"}, ("1349", "1349B2")),
        ({"url": "https://codeforces.com/contest/1971/problem/C"}, ("1971", "1971C")),
        ({"url": "https://codeforces.com/problemset/problem/1971/H/"}, ("1971", "1971H")), ({}, ("7", "7E")),
    ],
)
def test_a_problem_says_its_contest_by_its_native_id_its_url_or_its_id(names: dict, found: tuple[str, str]) -> None:
    assert contest_and_problem(Problem("codeforces/7_E", [Test("", "")], source=Source(**names))) == found


def test_a_problem_without_such_a_name_has_no_contest() -> None:
    assert contest_and_problem(Problem("taco/17", [Test("", "")])) is None


def written(tmp_path: Path, *names: str) -> Path:
    """Problems whose right answer is 1."""
    lines = (json.dumps({"id": f"codeforces/{n}", "tests": [{"input": "", "output": "1"}]}) for n in names)
    (tmp_path / "codeforces.jsonl").write_text("\n".join(lines) + "\n")
    return tmp_path


def samples(tmp_path: Path, **patterns: str) -> Path:
    """Attempts by problem: + is right."""
    rows = [
        {"task_id": f"codeforces/{name.lstrip('p')}", "code": "print(1)" if sign == "+" else "print(0)"}
        for name, signs in patterns.items() for sign in signs
    ]
    (tmp_path / "samples.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return tmp_path / "samples.jsonl"


@needs_data
def test_the_command_rates_attempts_as_codeelo_does(tmp_path: Path) -> None:
    data = written(tmp_path, "1349A", "1349B", "1349C", "1352A", "9999A")
    attempts = samples(tmp_path, p1349A="--+", p1349B="+", p1349C="-------+", p1352A="+", p9999A="-")
    done = run([
        BIN / "dc-eval", attempts, "--datasets", "codeforces", "--data", data, "--contests",
        DATA / "contests_1349_1352.json.gz", "--users", DATA / "ratings_2024.json", "--min", "rating=1900",
    ])
    assert done.code == 4, done.err
    found = json.loads(done.out)
    assert [(line["contest"], line["rating"], line["points"]) for line in found["rating"]["contests"]] == [
        ("1349", 2580, 2550.0), ("1352", 1178, 1.0),
    ]
    assert found["scores"]["rating"]["value"] == found["rating"]["value"] == (2580 + 1178) / 2
    assert round(found["rating"]["percentile"], 1) == 94.3
    assert found["rating"]["problems_without_contest"] == ["9999A"]
    assert found["rating"]["tests_per_problem"] == {"least": 1, "median": 1, "single": 5}
    assert "rating is 1879, wanted at least 1900" in done.err
    assert "problems of no contest that is counted: 1 (9999A)" in done.err
    typo = run([BIN / "dc-eval", attempts, "--datasets", "codeforces", "--data", data, "--min", "ratign=1900"])
    assert (typo.code, "--min ratign: not computed; there is pass@1, rating" in typo.err) == (2, True)
    assert "problems with a single test, which flatters: 5" in done.err


@needs_data
def test_by_the_official_change_an_account_moves_from_contest_to_contest() -> None:
    contests = read_contests(DATA / "contests_1349_1352.json.gz")
    attempts = {"1349A": [True], "1352A": [True]}
    official = rated(contests, attempts, Method.OFFICIAL, [])
    ratings = [line["rating"] for line in official["contests"]]
    assert official["value"] == ratings[-1] and official["percentile"] is None
    assert 1400 < ratings[0] < rated(contests, attempts, Method.CODEELO, [])["contests"][0]["rating"]


def test_contests_that_were_not_entered_do_not_count() -> None:
    contests = contests_of({key: json.dumps(each).encode() for key, each in (api(1, 201) | api(2, 150)).items()})
    found = rated(contests, {"9A": [True]}, Method.CODEELO, [1, 2])
    assert (found["value"], found["contests"], found["n_problems"]) == (None, [], 0)
    assert list(found["dropped"]) == ["2"]


class _Api(BaseHTTPRequestHandler):
    """Answers of the API; contest 3 is refused, and the first two requests fail."""

    asked: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        contest = parse_qs(parts.query)["contestId"][0]
        method = parts.path.rpartition("/")[2]
        self.asked.append(f"{method}:{contest}")
        if len(self.asked) == 1:
            self.send_error(503)
            return
        if len(self.asked) == 2:
            self.send_response(503)
            self.end_headers()
            self.wfile.write(b'{"status": "FAILED", "comment": "Call limit exceeded"}')
            return
        body: Any = {"status": "FAILED", "comment": "contest not found"}
        if contest != "3":
            body = {"status": "OK", **api(int(contest), 201)[f"{method}:{contest}"]}
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps(body).encode())

    def log_message(self, *_: object) -> None:
        """Silent."""


@pytest.fixture
def server() -> Iterator[str]:
    _Api.asked.clear()
    with ThreadingHTTPServer(("127.0.0.1", 0), _Api) as made:
        threading.Thread(target=made.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{made.server_port}/api"
        made.shutdown()


def test_the_api_is_asked_once_for_each_contest(server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    found = fetched(server, ["1", "3"], pause_s=0.0)
    assert list(found.usable) == ["1"] and found.dropped == {"3": "contest not found"}
    assert _Api.asked == ["contest.standings:1"] * 3 + ["contest.ratingChanges:1", "contest.standings:3"]
    assert list(fetched(server, ["1"], pause_s=0.0).usable) == ["1"]
    assert len(_Api.asked) == 5


def test_an_api_that_is_not_there_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(CannotRun, match=r"contest 1: .*refused"):
        fetched("http://127.0.0.1:9/api", ["1"], pause_s=0.0)


def test_what_it_needs_is_said(tmp_path: Path) -> None:
    data = written(tmp_path, "x")
    with JudgePool(1) as pool:
        with pytest.raises(UsageError, match="needs --contests"):
            load("codeforces", data, pool)
        with pytest.raises(UsageError, match=r"--method elo: codeelo, official"):
            load("codeforces", data, pool, contests="c", method="elo")
        with pytest.raises(CannotRun, match="no problem says its contest"):
            load("codeforces", data, pool, contests="c")
