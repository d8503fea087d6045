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
from dc_tools.eval.report import ReportData, cut, embedded, render
from dc_tools.eval.rows import Rows

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


def page(problems: dict[str, list[Problem]], curves: dict[str, Any] = NO_CURVES) -> bytes:
    rows, data = Rows(list(problems), [1]), ReportData(list(problems))
    for name, some in problems.items():
        for each in some:
            rows.add(name, each)
            data.add(name, each)
    return render(rows.summaries([GroupBy.DIFFICULTY, GroupBy.SOURCE], 0), [1], data, curves, "a title")


@pytest.fixture(scope="module")
def usual() -> bytes:
    """Two rows over thirty problems, and the curves of two runs."""
    before = [problem(f"p/{i:02d}", level, *map(rollout, STATUSES[level]), statement=f"Question {i} & more.")
              for i, level in enumerate(["easy", "medium", "hard"] * 10)]
    bare = Rollout(text="I do not know.", finish=Finish.LENGTH)
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
