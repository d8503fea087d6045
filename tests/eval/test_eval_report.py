"""The report: what is in the file, and what a browser makes of it."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from browser import CHROMIUM, load
from hypothesis import given
from hypothesis import strategies as st

from dc_tools.core.records import Finish, Problem, Rollout, Source, Status, Test, TestVerdict, Verdict
from dc_tools.eval import published
from dc_tools.eval.groups import GroupBy
from dc_tools.eval.report import Shown, embedded, render
from dc_tools.eval.report_data import ALL_TEXT_CHARS, ReportData, cut
from dc_tools.eval.rows import Rows
from dc_tools.eval.traces import Traces
from dc_tools.sandbox.judge import JudgePool

needs_browser = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")
HACK = "document.title='hacked'"
HOSTILE = f'</script><script>{HACK}</script><img src=x onerror="{HACK}"><!-- <script>'
NO_CURVES: dict[str, Any] = {"runs": [], "metrics": []}
CODE = "def f(x):\n    # twice\n    return 'x' * 2 + str(x)\n\nprint(f(1.5))\n"
STATUSES = {"easy": ["AC", "AC"], "medium": ["AC", "WA"], "hard": ["TLE", "WA"]}


def rollout(status: str, code: str | None = CODE, message: str = "line 1: expected 9, got 6") -> Rollout:
    says = "" if status == "AC" else message
    tests = [TestVerdict(Status.AC, 0.011, 10.5), TestVerdict(Status(status), 0.25, 12.0, says)]
    verdict = Verdict(Status(status), 1 + (status == "AC"), 2, tests, 0.261, 12.0, message=says)
    return Rollout(text=f"So:\n```python\n{code}```", code=code, model="tiny", seed=3, verdict=verdict)


def problem(name: str, difficulty: str, *rollouts: Rollout, statement: str = "Print twice n.") -> Problem:
    return Problem(
        name, [Test("3\n", "9\n"), Test("4\n", "16\n")], statement=statement, difficulty=difficulty,
        tags=["math"], source=Source(dataset="toy"), rollouts=list(rollouts),
    )


def page(problems: dict[str, list[Problem]], curves: dict[str, Any] = NO_CURVES, **more: Any) -> bytes:
    rows, data = Rows(list(problems), [1]), ReportData(list(problems))
    for name, some in problems.items():
        for each in some:
            rows.add(name, each)
            data.add(name, each)
    summaries = rows.summaries([GroupBy.DIFFICULTY, GroupBy.SOURCE], 0)
    compared = rows.comparisons(0) if len(problems) > 1 else {}
    for name, added in more.items():
        summaries[name] |= added
    return render(summaries, data, Shown([1], "a title", curves, compared))


@pytest.fixture(scope="module")
def usual() -> bytes:
    """Two rows over thirty problems, and the curves of two runs."""
    before = [problem(f"p/{i:02d}", level, *map(rollout, STATUSES[level]), statement=f"Question {i} & more.")
              for i, level in enumerate(["easy", "medium", "hard"] * 10)]
    nothing = Verdict(Status.CE, 0, 2, message="the answer has no code block")
    bare = Rollout(text="I do not know.", finish=Finish.LENGTH, verdict=nothing)
    after = [problem("p/00", "easy", rollout("AC"), bare)]
    steps = range(1, 61)
    reward = [[[s, 0.2 + s / 100] for s in steps], [[s, 0.3] for s in steps]]
    curves = {"runs": ["run-a", "run-b"], "metrics": [
        {"name": "reward", "series": reward}, {"name": "lr", "series": [[[s, 1e-5] for s in steps], []]},
    ]}
    return page({"before": before, "after": after}, curves)


def data_of(html: bytes) -> Any:
    found = re.search(rb'<script id="data" type="application/json">(.*?)</script>', html, re.DOTALL)
    assert found
    return json.loads(found[1])


@given(st.recursive(st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=6))
def test_embedded_data_comes_back_whole_and_cannot_end_its_element(value: object) -> None:
    text = str(embedded(value))
    assert not set("<>&") & set(text)
    assert json.loads(text) == value


def test_hostile_text_reaches_the_data_and_nothing_else() -> None:
    html = page({HOSTILE: [problem(HOSTILE, HOSTILE, rollout("WA", HOSTILE, HOSTILE), statement=HOSTILE)]})
    assert html.count(b"<script>") == 2, "the theme's and the page's own"
    assert b"<img" not in html
    [shown] = data_of(html)["problems"]
    assert shown["id"] == shown["statement"] == shown["rollouts"][0]["code"] == HOSTILE


def test_the_file_loads_nothing(usual: bytes) -> None:
    links = re.findall(rb"https?://[^\s\"'<]*", usual)
    assert set(links) == {b"http://www.w3.org/2000/svg"}, "the namespace of SVG is a name, not an address"
    assert re.findall(rb"<(?:link|script|img|iframe)[^>]*(?:src|href)=\"([^\"]*)", usual) == [b"data:,"]
    assert b"innerHTML" not in usual
    assert b"@import" not in usual


def test_scores_groups_and_verdicts_are_in_the_page_without_scripts(usual: bytes) -> None:
    text = re.sub(r"\s+", " ", re.sub(r"<script.*?</script>|<[^>]*>", " ", usual.decode(), flags=re.DOTALL))
    found = re.search(r"before 50\.0 % (\S+) \S (\S+)", text)
    assert found
    assert [float(each) for each in found.groups()] == pytest.approx([35.4, 64.6], abs=2.5)  # 1.96 x 0.0745
    assert "after 50.0 %" in text
    assert "AC 30" in text
    assert "WA 20" in text
    assert "By difficulty" in text
    assert "By source" not in text, "a grouping with one label says nothing"


def test_published_results_are_marked_as_such(usual: bytes) -> None:
    assert usual.count(b"published, not measured") == 1
    assert all(row[0].encode() in usual for row in published.ROWS)
    assert all(len(row) == len(published.HEAD) for row in published.ROWS)


def test_rollouts_of_one_problem_are_merged_over_rows(usual: bytes) -> None:
    data = data_of(usual)
    assert data["rows"] == ["before", "after"]
    assert len(data["problems"]) == 30
    assert [r["row"] for r in data["problems"][0]["rollouts"]] == [0, 0, 1, 1]


def test_long_text_keeps_its_beginning_and_end() -> None:
    text = "a" * 600 + "b" * 600
    assert cut(text, 1200) == text
    assert cut(text, 100) == "a" * 50 + "\n[... 1,100 characters left out ...]\n" + "b" * 50
    assert cut(cut(text, 400), 100, len(text)) == cut(text, 100), "what was cut before is counted"


@needs_browser
def test_a_browser_shows_list_viewer_and_charts(usual: bytes, tmp_path: Path) -> None:
    shown = load(usual, tmp_path, fragment="#problem=p%2F01&rollout=1", probe="""
        const chart = document.querySelector(".chart svg");
        chart.dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowLeft", bubbles: true }));
        return {
          title: document.querySelector("#detail h2").textContent,
          verdict: document.querySelector("#detail .verdict b").textContent,
          code: document.querySelector("#detail code").textContent,
          tests: [...document.querySelectorAll("#detail .tests summary")].map((s) => s.textContent),
          diff: [...document.querySelectorAll("#detail .tests .diff div")].map((line) => line.textContent),
          opened: document.querySelector("#detail .tests details[open] pre").textContent,
          items: document.querySelectorAll(".item").length,
          curves: document.querySelectorAll("path.curve").length,
          value: document.querySelector(".chart output").textContent,
          ticks: [...chart.querySelectorAll("text")].map((t) => t.textContent),
          wide: document.documentElement.scrollWidth - innerWidth,
        };
    """)
    found = shown.result
    assert shown.console == []
    assert (found["title"], found["verdict"]) == ("p/01", "WA")
    assert found["code"] == CODE.rstrip("\n")
    assert found["tests"] == ["Test 1AC11.0 ms10.5 MiB", "Test 2WA250 ms12.0 MiBline 1: expected 9, got 6"]
    assert found["diff"] == ["expected9", "got6"]
    assert found["opened"] == "4\n"
    assert 8 <= found["items"] <= 30
    assert found["curves"] == 4
    assert found["value"] == "step 59: run-a 0.79, run-b 0.3"
    assert {"0", "0.2", "0.8", "20", "60", "step"} <= set(found["ticks"])
    assert found["wide"] <= 0
    assert all(f'class="{kind}"' in shown.dom for kind in ("kw", "str", "num-lit", "com", "fn"))


@needs_browser
def test_search_filters_keys_and_links_work(usual: bytes, tmp_path: Path) -> None:
    shown = load(usual, tmp_path, probe="""
        const count = () => document.getElementById("count").textContent;
        const set = (id, value) => {
          const node = document.getElementById(id);
          node.value = value;
          node.dispatchEvent(new Event(id === "f-search" ? "input" : "change"));
          return count();
        };
        const key = (key, target) => (target || document.body).dispatchEvent(
          new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true }));
        const title = () => document.querySelector("#detail h2").textContent;
        const found = { all: count() };
        found.search = set("f-search", "more QUESTION p/07");
        set("f-search", "");
        found.hard = set("f-difficulty", "hard");
        set("f-difficulty", "");
        found.tle = set("f-verdict", "TLE");
        found.every = set("f-verdict", "all");
        found.bare = set("f-verdict", "nocode");
        set("f-verdict", "");
        found.after = set("f-row", "1");
        set("f-row", "");
        found.nothing = set("f-search", "zebra");
        found.says = document.querySelector("#list .empty").textContent;
        set("f-search", "");
        key("j"); key("j"); key("l");
        found.moved = [title(), location.hash];
        key("End", document.getElementById("list"));
        found.end = title();
        key("/");
        found.focus = document.activeElement.id;
        const root = document.documentElement.dataset;
        const first = root.theme;
        document.getElementById("theme").click();
        found.theme = [first, root.theme].sort();
        location.hash = "#problem=p%2F05";
        fromAddress();
        found.linked = title();
        return found;
    """)
    assert shown.console == []
    assert shown.result == {
        "all": "30 of 30 problems, 62 rollouts", "search": "1 of 30 problems, 2 rollouts",
        "hard": "10 of 30 problems, 20 rollouts", "tle": "10 of 30 problems, 20 rollouts",
        "every": "9 of 30 problems, 18 rollouts", "bare": "1 of 30 problems, 4 rollouts",
        "after": "1 of 30 problems, 2 rollouts", "nothing": "0 of 30 problems, 0 rollouts",
        "says": "No problem fits. Widen the search or the filters.",
        "moved": ["p/02", "#problem=p%2F02&rollout=1"], "end": "p/29", "focus": "f-search",
        "theme": ["dark", "light"], "linked": "p/05",
    }


@needs_browser
def test_hostile_rollouts_are_shown_as_text_and_ten_thousand_fit(tmp_path: Path) -> None:
    hostile = problem(HOSTILE, HOSTILE, rollout("WA", HOSTILE, HOSTILE), statement=HOSTILE)
    many = [problem(f"p/{i:04d}", "easy", *[rollout("AC")] * 8) for i in range(1249)]
    shown = load(page({HOSTILE: [hostile, *many]}), tmp_path, size="500,900", probe="""
        return {
          title: document.title, scripts: document.scripts.length, images: document.images.length,
          code: document.querySelector("#detail code").textContent,
          statement: document.querySelector(".statement").textContent,
          count: document.getElementById("count").textContent, items: document.querySelectorAll(".item").length,
          wide: document.documentElement.scrollWidth - innerWidth,
        };
    """)
    found = shown.result
    assert shown.console == []
    assert (found["title"], found["scripts"], found["images"]) == ("a title", 4, 0)
    assert found["code"] == found["statement"] == HOSTILE
    assert found["count"] == "1,250 of 1,250 problems, 9,993 rollouts"
    assert found["items"] <= 30, "only what is in sight exists"
    assert found["wide"] <= 0


SUM = "n = int(input())\ntotal = 0\nfor i in range(n):\n    total += i\nprint(total)\n"


@needs_browser
def test_a_trace_is_walked_through_with_the_keyboard(tmp_path: Path) -> None:
    wrong = problem("sum", "easy", rollout("AC"), rollout("WA", SUM))
    verdict = wrong.rollouts[1].verdict
    assert verdict
    verdict.tests = [TestVerdict(Status.WA, 0.01, 9.0, "line 1: expected 9, got 3")]
    rows, data = Rows(["run"], [1]), ReportData(["run"])
    with JudgePool(1) as pool:
        traces = Traces(pool, 5)
        rows.add("run", wrong)
        data.add("run", wrong, traces)
        traces.finish()
    assert (traces.made, traces.failing) == (1, 1)
    html = render(rows.summaries([], 0), data, Shown([1], "a title", traced=1, traceable=1))
    shown = load(html, tmp_path, fragment="#problem=sum&rollout=1", probe="""
        const key = (key, target) => (target || document.body).dispatchEvent(
          new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true }));
        const slider = document.getElementById("step");
        const go = (to) => { slider.value = String(to); slider.dispatchEvent(new Event("input")); };
        const look = () => ({
          says: document.querySelector(".says").textContent,
          row: document.querySelector(".walk .here").style.getPropertyValue("--row"),
          names: [...document.querySelectorAll(".frame dt")].map((n) => n.textContent).join(),
          values: [...document.querySelectorAll(".frame dd")].map((n) => n.textContent).join(),
          changed: [...document.querySelectorAll(".frame dt.new")].map((n) => n.textContent).join(),
        });
        key("t");
        const found = { focus: document.activeElement.id };
        document.querySelector('[aria-label="First step"]').click(); found.first = look();
        document.querySelector('[aria-label="Step forward"]').click(); found.second = look();
        go(5); found.later = look();
        document.querySelector('[aria-label="Last step"]').click(); found.last = look();
        found.end = document.querySelector("#trace + .message").textContent;
        found.diff = [...document.querySelectorAll(".diff div")].map((line) => line.textContent);
        found.outline = [...document.querySelectorAll(".outline li")].map((line) => line.textContent);
        found.lead = document.querySelector("#problems .lead").textContent;
        return found;
    """)
    found = shown.result
    assert shown.console == []
    assert found["focus"] == "step"
    assert found["first"] == {
        "says": "Step 1 of 11, line 1: about to run", "row": "0", "names": "", "values": "", "changed": "",
    }
    assert (found["second"]["names"], found["second"]["values"], found["second"]["row"]) == ("n", "3", "1")
    assert (found["later"]["names"], found["later"]["values"]) == ("n,total,i", "3,0,1")
    assert found["later"]["changed"] == "i"
    assert found["last"]["says"] == "Step 11 of 11, line 5: returns "
    assert found["end"] == "ended · 11 steps"
    assert found["diff"] == ["expected9", "got3"]
    assert found["outline"] == ["loop for i in range(n): line 3 to 4"]
    assert found["lead"].startswith("1 of 1 failing programs were run once more")


@needs_browser
def test_what_changed_between_runs_links_to_its_problem(tmp_path: Path) -> None:
    before = [problem(f"p/{i}", "easy", rollout("WA")) for i in range(3)]
    after = [problem(f"p/{i}", "easy", rollout("AC" if i == 1 else "WA")) for i in range(3)]
    shown = load(page({"before": before, "after": after}), tmp_path, probe="""
        const link = document.querySelector(".flips a");
        link.click();
        fromAddress();
        return { says: link.parentElement.textContent, title: document.querySelector("#detail h2").textContent,
                 row: document.querySelector("#comparison tbody tr").textContent.replace(/\\s+/g, " ").trim() };
    """)
    assert shown.console == []
    assert shown.result["title"] == "p/1"
    assert shown.result["says"] == "p/1 0.0 % → 100.0 %"
    assert shown.result["row"].startswith("after30.0 %33.3 % +33.3")


def text_of(html: bytes) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<script.*?</script>|<[^>]*>", " ", html.decode(), flags=re.DOTALL))


def test_measured_scores_stand_beside_published_ones() -> None:
    text = text_of(page({"lcb": [problem("a", "easy", rollout("AC")), problem("b", "easy", rollout("WA"))]},
                        lcb={"benchmark": "lcb"}))
    assert re.search(r"measured here lcb 50\.0 (\S+ \S \S+ )?(\S ){4}published, not measured", text)


def test_a_rating_is_shown_with_its_contests_and_what_was_dropped() -> None:
    contest = {
        "contest": "1349", "name": "Round", "rating": 1800, "points": 500.0, "penalty": 0.0, "rank": 7, "users": 900,
        "best_user": 3500, "problems": 6, "attempted": 2, "solved": 1,
    }
    rating = {
        "method": "codeelo", "percentile": 91.5, "contests": [contest], "dropped": {"7": "200 rated users"},
        "tests_per_problem": {"least": 1, "median": 12, "single": 3},
    }
    scores = {"rating": {"value": 1800.0, "low": 1700.0, "high": 1900.0}}
    text = text_of(page({"cf": [problem("a", "easy", rollout("AC"))]}, cf={"rating": rating, "scores": scores}))
    assert "1800 [1700, 1900] , better than 91.5" in text
    assert "3 problems have a single one, which flatters" in text
    assert "1349 Round 1800 3500 7 900 1 of 6 500 0" in text
    assert "Not counted: 7 (200 rated users)." in text


def test_passes_are_counted_by_the_tests_that_they_rest_on() -> None:
    rewarded = problem("a", "easy", rollout("AC"), rollout("WA"), rollout("WA"))
    for each, reward in zip(rewarded.rollouts, (1.0, 1.0, 0.0), strict=True):
        each.reward = reward
    text = text_of(page({"run": [rewarded]}))
    assert "Reliability of rewards" in text
    assert "run 2 0 1 0 0 0 0" in text
    assert "3 rollouts have a reward, 1.000 in the mean of those that pass, 0.500 of those that fail; 1 fail" in text


def test_long_answers_are_cut_the_more_of_them_there_are() -> None:
    long = Rollout(text="x" * 20_000, code="y" * 20_000)
    data = ReportData(["run"])
    for i in range(1000):
        data.add("run", problem(str(i), "easy", long))
    rollouts = [rollout for each in data.to_dict()["problems"] for rollout in each["rollouts"]]
    kept = sum(len(each["text"]) + len(each["code"]) for each in rollouts)
    assert not any("lengths" in each for each in rollouts)
    assert ALL_TEXT_CHARS / 2 < kept < ALL_TEXT_CHARS * 1.05
